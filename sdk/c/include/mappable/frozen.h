// Frozen bytes: references to them, and what of them is mapped. A part of mappable.h.
#ifndef MAPPABLE_FROZEN_H
#define MAPPABLE_FROZEN_H

#include "abi.h"
#include "error.h"
#include "list.h"
#include "map.h"
#include "owner.h"
#include "placement.h"
#include "region.h"

#ifdef __cplusplus
extern "C" {
#endif

// What it shows, in bytes: a multiple of the granule.
static inline uint64_t mappable_frozen_size(mappable_frozen_t frozen) {
    MAPPABLE__CHECK(frozen.handle != 0, mappable__no_frozen);
    return mappable__frozen_size(frozen.handle);
}

// How many of the bytes count.
static inline uint64_t mappable_frozen_len(mappable_frozen_t frozen) {
    MAPPABLE__CHECK(frozen.handle != 0, mappable__no_frozen);
    return mappable__frozen_len(frozen.handle);
}

// Makes another reference to the same bytes.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_frozen_clone(mappable_frozen_t frozen, mappable_frozen_t *clone) {
    MAPPABLE__CHECK(frozen.handle != 0, mappable__no_frozen);
    mappable__answer answer = {1, 0, 0};
    mappable__frozen_clone(frozen.handle, &answer);
    if (answer.is_error) return (mappable_error_t)(MAPPABLE_INVALID_REGION_SIZE + (uint8_t)answer.first);
    clone->handle = mappable__hold(answer.first);
    return MAPPABLE_OK;
}

// Makes a reference to the `len` bytes that begin at `offset`, a multiple of the granule.
MAPPABLE__MUST_USE static inline mappable_error_t
mappable_frozen_slice(mappable_frozen_t frozen, uint64_t offset, uint64_t len, mappable_frozen_t *slice) {
    MAPPABLE__CHECK(frozen.handle != 0, mappable__no_frozen);
    mappable__answer answer = {1, 0, 0};
    mappable__frozen_slice(frozen.handle, offset, len, &answer);
    if (answer.is_error) return mappable__part_error((uint8_t)answer.first);
    slice->handle = mappable__hold(answer.first);
    return MAPPABLE_OK;
}

// Makes a new region with a copy of the bytes.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_frozen_copy(mappable_frozen_t frozen, mappable_t *region) {
    MAPPABLE__CHECK(frozen.handle != 0, mappable__no_frozen);
    mappable__answer answer = {1, 0, 0};
    mappable__frozen_copy(frozen.handle, &answer);
    if (answer.is_error) return (mappable_error_t)(MAPPABLE_INVALID_REGION_SIZE + (uint8_t)answer.first);
    region->handle = mappable__hold(answer.first);
    return MAPPABLE_OK;
}

// Copies `len` of the bytes.
MAPPABLE__MUST_USE static inline mappable_error_t
mappable_frozen_read(mappable_frozen_t frozen, uint64_t offset, void *into, size_t len) {
    MAPPABLE__CHECK(frozen.handle != 0, mappable__no_frozen);
    return mappable__read_all(true, frozen.handle, offset, into, len);
}

// Makes a region of the bytes again, if this is the only reference to them.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_thaw(mappable_frozen_t *taken, mappable_t *region) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_frozen);
    mappable__answer answer = {1, 0, 0};
    mappable__frozen_thaw(mappable__let_go(&taken->handle), &answer);
    *(answer.is_error ? &taken->handle : &region->handle) = mappable__hold(answer.first);
    return answer.is_error ? MAPPABLE_STILL_SHARED : MAPPABLE_OK;
}

// Drops the reference. The last one frees the bytes. Nothing happens to an empty one.
static inline void mappable_frozen_drop(mappable_frozen_t *taken) {
    if (taken->handle != 0) mappable__frozen_drop(mappable__let_go(&taken->handle));
}

// Maps the bytes for reading. A store to them traps where the host protects pages. Where it can't map, copies them.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_frozen_map(mappable_frozen_t *taken, mappable_mapped_frozen_t *mapped) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_frozen);
    mappable_mapped_t any;
    mappable_error_t error = mappable__map_any(MAPPABLE__FROZEN, &taken->handle, &any);
    if (error != MAPPABLE_OK) return error;
    mapped->bytes = any.bytes;
    mapped->len = any.len;
    mapped->size = any.size;
    mapped->handle = any.handle;
    mapped->is_by_copy = any.is_by_copy;
    return MAPPABLE_OK;
}

// Maps the bytes for reading and writing. What is written is this mapping's own, is charged by granules, and is lost with it.
MAPPABLE__MUST_USE static inline mappable_error_t
mappable_frozen_map_private(mappable_frozen_t *taken, mappable_mapped_private_t *mapped) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_frozen);
    mappable_mapped_t any;
    mappable_error_t error = mappable__map_any(MAPPABLE__PRIVATE, &taken->handle, &any);
    if (error != MAPPABLE_OK) return error;
    mapped->bytes = any.bytes;
    mapped->len = any.len;
    mapped->size = any.size;
    mapped->handle = any.handle;
    mapped->is_by_copy = any.is_by_copy;
    return MAPPABLE_OK;
}

static inline uint32_t mappable__unmap_frozen(uint32_t handle, void *at, size_t size, bool is_by_copy) {
    MAPPABLE__CHECK(handle != 0, mappable__no_mapped);
    if (!is_by_copy) {
        mappable__answer answer = {1, 0, 0};
        mappable__frozen_unmap(handle, at, size, &answer);
        if (answer.is_error) mappable__refused();
        handle = answer.first;
    }
    mappable_placement_give(at, size);
    return handle;
}

// Takes the bytes out of this component's memory.
static inline mappable_frozen_t mappable_frozen_unmap(mappable_mapped_frozen_t *taken) {
    void *at = (void *)(uintptr_t)taken->bytes;
    mappable_frozen_t frozen = {mappable__unmap_frozen(taken->handle, at, taken->size, taken->is_by_copy)};
    taken->bytes = NULL;
    taken->len = taken->size = taken->handle = 0;
    return frozen;
}

// Takes the bytes out of this component's memory. What was written is lost.
static inline mappable_frozen_t mappable_private_unmap(mappable_mapped_private_t *taken) {
    mappable_frozen_t frozen = {mappable__unmap_frozen(taken->handle, taken->bytes, taken->size, taken->is_by_copy)};
    taken->bytes = NULL;
    taken->len = taken->size = taken->handle = 0;
    return frozen;
}

// Unmaps and drops the reference. Nothing happens to an empty one.
static inline void mappable_mapped_frozen_drop(mappable_mapped_frozen_t *taken) {
    if (taken->handle == 0) return;
    mappable_frozen_t frozen = mappable_frozen_unmap(taken);
    mappable_frozen_drop(&frozen);
}

// Unmaps and drops the reference. Nothing happens to an empty one.
static inline void mappable_mapped_private_drop(mappable_mapped_private_t *taken) {
    if (taken->handle == 0) return;
    mappable_frozen_t frozen = mappable_private_unmap(taken);
    mappable_frozen_drop(&frozen);
}

#ifdef __cplusplus
}
#endif
#endif
