// Bytes of files that the host shows in the program's memory.
#ifndef MAPPABLE_FILE_H
#define MAPPABLE_FILE_H

#include "areas.h"

// Bytes of a file that are to be shown: whole granules of them.
struct file_bytes {
    // Not there if there are no granules.
    frozen_handle_t frozen;
    uint32_t count;
};

// What a descriptor is and may do. Returns an errno, 0 for none.
int file_check(int fd, bool *readable, bool *writable);

// Asks the host for the bytes of a file from `offset`, a multiple of the granule, on: for `count` granules, or as many as the file
// has bytes in. Returns an errno, 0 for none.
int file_freeze(int fd, uint64_t offset, uint32_t count, struct file_bytes *bytes);

// Shows bytes in as many granules, to be read or to be written to, too, and makes an AREA_FILE of the area. Returns whether it was done: the host may show nothing in
// this memory, or no more. If not, `frozen` is there still, by another number maybe.
bool file_show(struct area *area, frozen_handle_t *frozen, bool private);

// Takes the bytes out of an area, which is AREA_MEMORY then, and returns them.
frozen_handle_t file_hide(struct area *area);

// Takes the bytes out of an area and drops them.
void file_drop(struct area *area);

// Splits an AREA_FILE that is only read so that one begins at this granule. Returns whether there was room for one mapping more; if not, all is as it
// was. Needs areas_prepare(1).
bool file_split(struct area *area, uint32_t at);

#endif
