// Which granules of the program's memory are mmap's, and what is in each.
//
// They come from the end of the memory, by memory.grow, and are never given back to it: what is unmapped is free for the next mmap.
// malloc grows the memory, too, and the two don't mind each other. The granules are kept as a list of areas, sorted by address. No two
// overlap, and between them may be granules of others.
#ifndef MAPPABLE_AREAS_H
#define MAPPABLE_AREAS_H

#include <stdbool.h>
#include <stdint.h>

#include "imports.h"

// The size of a page, as sysconf tells it.
#define GRANULE_SHIFT 16
#define GRANULE (1u << GRANULE_SHIFT)

// How many of them a memory has at most.
#define GRANULES 65536u

enum area_kind {
    // Nobody's.
    AREA_FREE,
    // The program's own memory: anonymous, or a copy of a file's bytes.
    AREA_MEMORY,
    // A file's bytes, shown by the host.
    AREA_FILE,
};

// Granules start..start + count of the memory.
struct area {
    struct area *next;
    uint32_t start;
    uint32_t count;
    enum area_kind kind;
    // What the program may do there (PROT_…).
    int prot;
    // Of a mapping of a file: whether it is MAP_SHARED.
    bool shared;
    // Of memory: whether it began as a file's bytes.
    bool copied;
    // Of AREA_FILE alone; and whether what the program writes there is the mapping's own.
    frozen_mapping_handle_t mapping;
    bool private;
};

static inline uint32_t area_end(const struct area *area) { return area->start + area->count; }

static inline void *granule_address(uint32_t granule) { return (void *)((uintptr_t)granule << GRANULE_SHIFT); }

// Sees to it that `splits` areas can be split and as many taken. Returns whether there is memory for that.
bool areas_prepare(unsigned splits);

// Takes `count` granules, at a multiple of `align` granules. The area is AREA_MEMORY. NULL if the memory can't grow enough.
// Needs areas_prepare(3).
struct area *areas_take(uint32_t count, uint32_t align);

// Takes these granules, if all are free. Needs areas_prepare(3).
struct area *areas_take_at(uint32_t start, uint32_t count);

// The first area that is not free and has a granule of start..end. NULL if there is none.
struct area *areas_taken_in(uint32_t start, uint32_t end);

// Whether all granules of start..end are taken.
bool areas_cover(uint32_t start, uint32_t end);

// Splits an area so that one begins at this granule, which is within it, and returns that one. Not for AREA_FILE, whose mapping
// must be split, too. Needs areas_prepare(1).
struct area *area_split(struct area *area, uint32_t at);

// Undoes area_split: `area` has the granules of the next one, too.
void area_join(struct area *area);

// Gives the granules of an area back. What was shown there isn't any more.
void area_free(struct area *area);

// Writes zeroes to the granules of an area that may have other bytes.
void area_zero(const struct area *area);

// Says that the program may write to the granules of an area.
void area_written(const struct area *area);

#endif
