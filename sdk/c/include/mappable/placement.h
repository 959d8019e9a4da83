// Placements: granules of this component's memory that nothing else uses, over which regions are mapped. A part of mappable.h.
//
// They come from the end of the memory, by memory.grow, where neither malloc's heap nor the stack is, and are used again, the lowest
// first: what is mapped in the same order is mapped at the same addresses, for which the host needs no system call. They are never
// given back to the memory.
#ifndef MAPPABLE_PLACEMENT_H
#define MAPPABLE_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifndef MAPPABLE_NO_LIBC
#include <stdlib.h>
#endif

#include "abi.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

// What all parts of a program share: each has these definitions, and the linker keeps one of each.
typedef struct mappable__shared {
    // There is no free granule before this one.
    uint32_t lowest_free;
    // Owners that are not empty.
    uint32_t held;
    // Where the bytes of the `read` that is running go.
    uint8_t *read_into;
    size_t read_len;
    // Without a libc: where lists of the host's are, and where the next one goes.
    struct mappable__chunk *lists;
    uintptr_t lists_next;
    // The host has said that it can't map into this memory at all. It is not asked again.
    bool is_unmappable;
    bool is_heap_made;
} mappable__shared;
__attribute__((weak)) mappable__shared mappable__state;

// A bit for each granule of the memory: whether it is free for placements.
__attribute__((weak)) uint64_t mappable__free_granules[65536 / 64];

// The first granule of from..to that is free, or that isn't; `to` if there is none.
static inline uint32_t mappable__next_granule(uint32_t from, uint32_t to, bool is_free) {
    while (from < to) {
        uint64_t word = mappable__free_granules[from / 64];
        word = (is_free ? word : ~word) >> from % 64;
        if (word != 0) {
            from += (uint32_t)__builtin_ctzll(word);
            return from < to ? from : to;
        }
        from = (from | 63) + 1;
    }
    return to;
}

static inline void mappable__mark_granules(uint32_t from, uint32_t to, bool is_free) {
    while (from < to) {
        uint32_t count = 64 - from % 64 < to - from ? 64 - from % 64 : to - from;
        uint64_t bits = (~(uint64_t)0 >> (64 - count)) << from % 64;
        if (is_free) {
            mappable__free_granules[from / 64] |= bits;
        } else {
            mappable__free_granules[from / 64] &= ~bits;
        }
        from += count;
    }
}

static inline uint32_t mappable__round_up(uint32_t granule, uint32_t align) { return (granule + align - 1) / align * align; }

// Takes the first free granules that begin at a multiple of `align`. Returns the first of them, or 0, which nobody can have.
static inline uint32_t mappable__take_free(uint32_t count, uint32_t align) {
    uint32_t end = (uint32_t)__builtin_wasm_memory_size(0);
    mappable__state.lowest_free = mappable__next_granule(mappable__state.lowest_free, end, true);
    uint32_t start = mappable__round_up(mappable__state.lowest_free, align);
    while (start + count <= end) {
        uint32_t taken = mappable__next_granule(start, start + count, false);
        if (taken == start + count) {
            mappable__mark_granules(start, start + count, false);
            return start;
        }
        start = mappable__round_up(mappable__next_granule(taken, end, true), align);
    }
    return 0;
}

// Adds granules to the memory, so many that with those that are free at its end there are enough.
static inline bool mappable__grow(uint32_t count, uint32_t align) {
#ifndef MAPPABLE_NO_LIBC
    if (!mappable__state.is_heap_made) {
        // Older versions of wasi-libc make all of the memory their heap at the first malloc, so that comes before our granules.
        void *volatile first = malloc(1);
        free(first);
        mappable__state.is_heap_made = true;
    }
#endif
    uint32_t end = (uint32_t)__builtin_wasm_memory_size(0), tail = end;
    while (tail > 0 && mappable__next_granule(tail - 1, tail, true) == tail - 1) tail--;
    uint32_t missing = mappable__round_up(tail, align) + count - end;
    if (missing > 65536 - end || __builtin_wasm_memory_grow(0, missing) == (size_t)-1) return false;
    mappable__mark_granules(end, end + missing, true);
    if (end < mappable__state.lowest_free) mappable__state.lowest_free = end;
    return true;
}

// Takes granules for `size` bytes, which is not 0: the lowest that are free, or new ones at the end of the memory, where neither
// malloc's heap nor the stack is. The bytes are any. NULL if the memory can't grow enough. From 2 MiB on they begin at a multiple of
// that if possible, so that the host can use huge pages.
static inline void *mappable_placement_take(size_t size) {
    uint32_t count = (uint32_t)(((uint64_t)size + MAPPABLE_GRANULE - 1) / MAPPABLE_GRANULE), start = 0;
    for (uint32_t align = count < 32 ? 1 : 32; start == 0 && align > 0; align = align == 32 ? 1 : 0) {
        start = mappable__take_free(count, align);
        if (start == 0 && mappable__grow(count, align)) start = mappable__take_free(count, align);
    }
    return (void *)((uintptr_t)start * MAPPABLE_GRANULE);
}

// Gives granules back, of which nothing is mapped and nobody uses a byte any more. They are taken again, and stay with the component.
static inline void mappable_placement_give(void *at, size_t size) {
    uint32_t start = (uint32_t)((uintptr_t)at / MAPPABLE_GRANULE);
    uint32_t end = (uint32_t)(((uint64_t)(uintptr_t)at + size + MAPPABLE_GRANULE - 1) / MAPPABLE_GRANULE);
    MAPPABLE__CHECK(mappable__next_granule(start, end, true) == end, mappable__free_placement);
    mappable__mark_granules(start, end, true);
    if (start < mappable__state.lowest_free) mappable__state.lowest_free = start;
}

#ifdef __cplusplus
}
#endif
#endif
