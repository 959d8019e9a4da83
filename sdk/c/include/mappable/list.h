// Where the host puts lists, and the reading of regions. A part of mappable.h.
#ifndef MAPPABLE_LIST_H
#define MAPPABLE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifndef MAPPABLE_NO_LIBC
#include <stdlib.h>
#include <string.h>
#endif

#include "abi.h"
#include "error.h"
#include "placement.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifdef MAPPABLE_NO_LIBC
// Granules in which lists are, one behind the other, until all are freed.
typedef struct mappable__chunk {
    struct mappable__chunk *before;
    size_t size;
    // So that what follows is aligned for any type.
    uint64_t none;
} mappable__chunk;

// Frees the lists that the host has passed to this component: the arguments of an export that has returned, say.
static inline void mappable_free_lists(void) {
    while (mappable__state.lists != NULL) {
        mappable__chunk *chunk = mappable__state.lists;
        mappable__state.lists = chunk->before;
        mappable_placement_give(chunk, chunk->size);
    }
}

static inline void *mappable__list(size_t align, size_t size) {
    mappable__shared *state = &mappable__state;
    uintptr_t at = (state->lists_next + align - 1) & ~(uintptr_t)(align - 1);
    if (state->lists == NULL || (uint64_t)at + size > (uintptr_t)state->lists + state->lists->size) {
        uint64_t whole = ((uint64_t)size + sizeof(mappable__chunk) + MAPPABLE_GRANULE - 1) & ~(uint64_t)(MAPPABLE_GRANULE - 1);
        mappable__chunk *chunk = whole > SIZE_MAX ? NULL : (mappable__chunk *)mappable_placement_take((size_t)whole);
        if (chunk == NULL) mappable__no_heap();
        chunk->before = state->lists;
        chunk->size = (size_t)whole;
        state->lists = chunk;
        at = (uintptr_t)(chunk + 1);
    }
    state->lists_next = at + size;
    return (void *)at;
}
#endif

// Weak: the bindings that wit-bindgen makes have the same, and one of both is kept.
__attribute__((weak, export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    // Nothing to be had is any address that is aligned.
    if (size == 0) return (void *)align;
    // What is read goes where it is wanted.
    if (mappable__state.read_into != NULL && old == NULL && align == 1 && size == mappable__state.read_len) {
        void *into = mappable__state.read_into;
        mappable__state.read_into = NULL;
        return into;
    }
#ifdef MAPPABLE_NO_LIBC
    uint8_t *list = (uint8_t *)mappable__list(align, size);
    const uint8_t *from = (const uint8_t *)old;
    for (size_t at = 0; at < old_size && at < size; at++) ((volatile uint8_t *)list)[at] = from[at];
    return list;
#else
    (void)old_size;
    void *list = realloc(old, size);
    // What malloc returns is aligned for any type, and the canonical ABI asks for 8 at most.
    if (list == NULL || (uintptr_t)list % align != 0) mappable__no_heap();
    return list;
#endif
}

static inline mappable_error_t mappable__read_piece(bool is_frozen, uint32_t handle, uint64_t offset, uint8_t *into, uint32_t len) {
    mappable__answer answer = {1, 0, 0};
    mappable__state.read_into = into;
    mappable__state.read_len = len;
    if (is_frozen) {
        mappable__frozen_read(handle, offset, len, &answer);
    } else {
        mappable__read(handle, offset, len, &answer);
    }
    mappable__state.read_into = NULL;
    if (answer.is_error) return (mappable_error_t)(MAPPABLE_RANGE_OUTSIDE_REGION + (uint8_t)answer.first);
#ifndef MAPPABLE_NO_LIBC
    // By the cabi_realloc of other bindings.
    uint8_t *list = (uint8_t *)(uintptr_t)answer.first;
    if (list != into && answer.second > 0) {
        memcpy(into, list, answer.second);
        free(list);
    }
#endif
    return MAPPABLE_OK;
}

// What every host returns at once.
#define MAPPABLE__PIECE ((size_t)1 << 20)

static inline mappable_error_t mappable__read_all(bool is_frozen, uint32_t handle, uint64_t offset, void *into, size_t len) {
    // Nothing is read if not all can be. The host checks that where it is asked once.
    if (len > MAPPABLE__PIECE) {
        uint64_t size = is_frozen ? mappable__frozen_size(handle) : mappable__size(handle);
        if (offset > size || len > size - offset) return MAPPABLE_RANGE_OUTSIDE_REGION;
    }
    size_t at = 0;
    do {
        size_t piece = len - at < MAPPABLE__PIECE ? len - at : MAPPABLE__PIECE;
        mappable_error_t error = mappable__read_piece(is_frozen, handle, offset + at, (uint8_t *)into + at, (uint32_t)piece);
        if (error != MAPPABLE_OK) return error;
        at += piece;
    } while (at < len);
    return MAPPABLE_OK;
}

#ifdef __cplusplus
}
#endif
#endif
