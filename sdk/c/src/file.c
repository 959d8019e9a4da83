#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <wasi/api.h>

int file_check(int fd, bool *readable, bool *writable) {
    __wasi_fdstat_t stat;
    __wasi_errno_t error = __wasi_fd_fdstat_get((__wasi_fd_t)fd, &stat);
    // wasi-libc's errno are these.
    if (error != __WASI_ERRNO_SUCCESS) return error;
    if (stat.fs_filetype != __WASI_FILETYPE_REGULAR_FILE) return ENODEV;
    *readable = (stat.fs_rights_base & __WASI_RIGHTS_FD_READ) != 0;
    *writable = (stat.fs_rights_base & __WASI_RIGHTS_FD_WRITE) != 0;
    return 0;
}

// The error codes of wasi:filesystem, in their order.
static const uint8_t errnos[] = {
    EACCES, EAGAIN, EALREADY, EBADF, EBUSY, EDEADLK, EDQUOT, EEXIST, EFBIG, EILSEQ, EINPROGRESS, EINTR, EINVAL, EIO, EISDIR, ELOOP,
    EMLINK, EMSGSIZE, ENAMETOOLONG, ENODEV, ENOENT, ENOLCK, ENOMEM, ENOSPC, ENOTDIR, ENOTEMPTY, ENOTRECOVERABLE, ENOTSUP, ENOTTY,
    ENXIO, EOVERFLOW, EPERM, EPIPE, EROFS, ESPIPE, ETXTBSY, EXDEV,
};

int file_freeze(int fd, uint64_t offset, uint32_t count, struct file_bytes *bytes) {
    mappable_descriptor_t descriptor;
    int error = mappable_descriptor_of(fd, &descriptor);
    if (error != 0) return error;
    mappable_file_bytes_t answer;
    mappable_files_freeze(descriptor, offset, (uint64_t)count << GRANULE_SHIFT, &answer);
    if (answer.is_err) return answer.error < sizeof errnos ? errnos[answer.error] : EIO;
    // By the rules of mappable:files: an offset that is a granule's is the first byte, and the size is the range's, rounded up.
    bytes->frozen = answer.ok.bytes;
    bytes->count = (uint32_t)(mappable__frozen_size(answer.ok.bytes) >> GRANULE_SHIFT);
    if (answer.ok.start != 0 || bytes->count > count) abort();
    if (answer.ok.len == 0) {
        mappable__frozen_drop(answer.ok.bytes);
        bytes->count = 0;
    }
    return 0;
}

bool file_show(struct area *area, frozen_handle_t *frozen, bool private) {
    mappable__answer answer = {1, 0, 0};
    void *at = granule_address(area->start);
    if (private) {
        mappable__frozen_map_private(*frozen, at, area->count << GRANULE_SHIFT, &answer);
    } else {
        mappable__frozen_map(*frozen, at, area->count << GRANULE_SHIFT, &answer);
    }
    if (!answer.is_error) {
        area->kind = AREA_FILE;
        area->private = private;
        area->mapping = answer.first;
        return true;
    }
    *frozen = answer.first;
    // The granules are nobody else's, and enough, unless the list of areas is wrong.
    if (MAPPABLE_PLACEMENT_MISALIGNED + (uint8_t)answer.second < MAPPABLE_PLACEMENT_UNMAPPABLE) abort();
    return false;
}

frozen_handle_t file_hide(struct area *area) {
    mappable__answer answer = {1, 0, 0};
    mappable__frozen_unmap(area->mapping, granule_address(area->start), area->count << GRANULE_SHIFT, &answer);
    // As above; and there is no other reason by which bytes could stay.
    if (answer.is_error) abort();
    area->kind = AREA_MEMORY;
    area->private = false;
    return answer.first;
}

void file_drop(struct area *area) { mappable__frozen_drop(file_hide(area)); }

// Drops a slice, which is shown or not.
static void undo(struct area *area, frozen_handle_t slice) {
    if (area->kind == AREA_FILE) {
        file_drop(area);
    } else {
        mappable__frozen_drop(slice);
    }
}

bool file_split(struct area *area, uint32_t at) {
    struct area *rest = area_split(area, at);
    // The mapping is that of both.
    struct area whole = *area;
    whole.count += rest->count;
    frozen_handle_t frozen = file_hide(&whole);
    area->kind = rest->kind = AREA_MEMORY;
    mappable__answer low = {1, 0, 0}, high = {1, 0, 0};
    mappable__frozen_slice(frozen, 0, (uint64_t)area->count << GRANULE_SHIFT, &low);
    if (!low.is_error) {
        mappable__frozen_slice(frozen, (uint64_t)area->count << GRANULE_SHIFT, (uint64_t)rest->count << GRANULE_SHIFT, &high);
        if (!high.is_error) {
            if (file_show(area, &low.first, false) && file_show(rest, &high.first, false)) {
                mappable__frozen_drop(frozen);
                return true;
            }
            undo(rest, high.first);
        }
        undo(area, low.first);
    }
    // There was room for it a moment ago.
    if (!file_show(&whole, &frozen, false)) abort();
    area_join(area);
    area->kind = AREA_FILE;
    area->mapping = whole.mapping;
    return false;
}
