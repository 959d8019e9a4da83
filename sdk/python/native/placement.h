// Placements: blocks of the heap over which regions are mapped. The allocator knows them as taken, so it hands nothing out of them.
#ifndef MAPPABLE_PLACEMENT_H
#define MAPPABLE_PLACEMENT_H

#include <stddef.h>

// Returns a block of `size` bytes, a multiple of the granule, or NULL if the memory has no room.
void *placement_acquire(size_t size);

// Gives a block back. Nothing is mapped there any more.
void placement_release(void *at, size_t size);

#endif
