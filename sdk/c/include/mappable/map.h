// Regions that are mapped. A part of mappable.h.
#ifndef MAPPABLE_MAP_H
#define MAPPABLE_MAP_H

#include "abi.h"
#include "error.h"
#include "list.h"
#include "owner.h"
#include "placement.h"
#include "region.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mappable__kind { MAPPABLE__REGION, MAPPABLE__FROZEN, MAPPABLE__PRIVATE } mappable__kind;

// Maps at a placement. The handle becomes that of the mapping, or stays.
static inline mappable_error_t mappable__map_at(mappable__kind kind, uint32_t *handle, void *at, size_t at_len) {
    mappable__answer answer = {1, 0, 0};
    switch (kind) {
    case MAPPABLE__REGION: mappable__map(*handle, at, at_len, &answer); break;
    case MAPPABLE__FROZEN: mappable__frozen_map(*handle, at, at_len, &answer); break;
    case MAPPABLE__PRIVATE: mappable__frozen_map_private(*handle, at, at_len, &answer); break;
    }
    *handle = answer.first;
    return answer.is_error ? (mappable_error_t)(MAPPABLE_PLACEMENT_MISALIGNED + (uint8_t)answer.second) : MAPPABLE_OK;
}

// Maps at a placement of the pool.
static inline mappable_error_t mappable__map_somewhere(mappable__kind kind, uint32_t *handle, uint64_t size, uint8_t **at) {
    *at = size > SIZE_MAX ? NULL : (uint8_t *)mappable_placement_take((size_t)size);
    if (*at == NULL) return MAPPABLE_MEMORY_FULL;
    mappable_error_t error = mappable__map_at(kind, handle, *at, (size_t)size);
    if (error != MAPPABLE_OK) mappable_placement_give(*at, (size_t)size);
    return error;
}

// Copies the bytes to a placement of the pool.
static inline mappable_error_t mappable__copy_somewhere(mappable__kind kind, uint32_t handle, uint64_t size, uint8_t **at) {
    *at = size > SIZE_MAX ? NULL : (uint8_t *)mappable_placement_take((size_t)size);
    if (*at == NULL) return MAPPABLE_MEMORY_FULL;
    // It is there, so it can be read.
    if (mappable__read_all(kind != MAPPABLE__REGION, handle, 0, *at, (size_t)size) != MAPPABLE_OK) mappable__refused();
    return MAPPABLE_OK;
}

// Maps what a handle is of, or copies it where the host can't map. Takes the handle if all is well.
static inline mappable_error_t mappable__map_any(mappable__kind kind, uint32_t *handle, mappable_mapped_t *mapped) {
    uint64_t len = kind == MAPPABLE__REGION ? mappable__len(*handle) : mappable__frozen_len(*handle);
    // Nearly every region is as large as its length needs, which saves asking for the size. The host says if it is not.
    uint64_t size = ((len > 0 ? len : 1) + MAPPABLE_GRANULE - 1) & ~(uint64_t)(MAPPABLE_GRANULE - 1);
    uint8_t *at = NULL;
    mappable_error_t error = MAPPABLE_PLACEMENT_UNMAPPABLE;
    if (!mappable__state.is_unmappable) error = mappable__map_somewhere(kind, handle, size, &at);
    if (error == MAPPABLE_PLACEMENT_TOO_SMALL || error == MAPPABLE_PLACEMENT_UNMAPPABLE || error == MAPPABLE_MAPPINGS_EXHAUSTED) {
        size = kind == MAPPABLE__REGION ? mappable__size(*handle) : mappable__frozen_size(*handle);
    }
    if (error == MAPPABLE_PLACEMENT_TOO_SMALL) error = mappable__map_somewhere(kind, handle, size, &at);
    if (error == MAPPABLE_PLACEMENT_UNMAPPABLE) mappable__state.is_unmappable = true;
    mapped->is_by_copy = error == MAPPABLE_PLACEMENT_UNMAPPABLE || error == MAPPABLE_MAPPINGS_EXHAUSTED;
    if (mapped->is_by_copy) error = mappable__copy_somewhere(kind, *handle, size, &at);
    if (error != MAPPABLE_OK) return error;
    mapped->bytes = at;
    mapped->len = (size_t)len;
    mapped->size = (size_t)size;
    mapped->handle = *handle;
    mapped->is_placed = false;
    *handle = 0;
    return MAPPABLE_OK;
}

// Maps the region into this component's memory, at a placement of the pool. Where the host can't map, copies it instead.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_map(mappable_t *taken, mappable_mapped_t *mapped) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_region);
    return mappable__map_any(MAPPABLE__REGION, &taken->handle, mapped);
}

// Where the stack is, by the linker.
extern uint8_t __stack_low, __stack_high;

// Maps the region at a placement of the caller's choice: `at_len` bytes, whole granules, in which nothing is that is needed until
// it is unmapped. Copies nothing: where the host can't map, that is the error.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_map_at(mappable_t *taken, void *at, size_t at_len, mappable_mapped_t *mapped) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_region);
    MAPPABLE__CHECK((uint8_t *)at >= &__stack_high || (uint8_t *)at + at_len <= &__stack_low, mappable__over_stack);
    uint64_t len = mappable__len(taken->handle), size = mappable__size(taken->handle);
    mappable_error_t error = mappable__map_at(MAPPABLE__REGION, &taken->handle, at, at_len);
    if (error != MAPPABLE_OK) return error;
    mapped->bytes = (uint8_t *)at;
    mapped->len = (size_t)len;
    mapped->size = (size_t)size;
    mapped->handle = taken->handle;
    mapped->is_by_copy = false;
    mapped->is_placed = true;
    taken->handle = 0;
    return MAPPABLE_OK;
}

// Takes the region out of this component's memory. Nobody may use `bytes` any more.
static inline mappable_t mappable_unmap(mappable_mapped_t *taken) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_mapped);
    mappable_t region = {taken->handle};
    if (taken->is_by_copy) {
        for (size_t at = 0; at < taken->size; at += MAPPABLE__PIECE) {
            size_t left = taken->size - at;
            mappable__done done = {1, 0};
            mappable__write(region.handle, at, taken->bytes + at, left < MAPPABLE__PIECE ? left : MAPPABLE__PIECE, &done);
            if (done.is_error) mappable__refused();
        }
    } else {
        mappable__answer answer = {1, 0, 0};
        mappable__unmap(taken->handle, taken->bytes, taken->size, &answer);
        if (answer.is_error) mappable__refused();
        region.handle = answer.first;
    }
    if (!taken->is_placed) mappable_placement_give(taken->bytes, taken->size);
    taken->bytes = NULL;
    taken->len = taken->size = taken->handle = 0;
    return region;
}

// Takes the region out of this component's memory and frees it. Nothing happens to an empty one.
static inline void mappable_mapped_drop(mappable_mapped_t *taken) {
    if (taken->handle == 0) return;
    if (taken->is_by_copy) {
        // What was written is nobody's.
        mappable_placement_give(taken->bytes, taken->size);
        mappable__drop(mappable__let_go(&taken->handle));
        taken->bytes = NULL;
        taken->len = taken->size = 0;
    } else {
        mappable_t region = mappable_unmap(taken);
        mappable_drop(&region);
    }
}

#ifdef __cplusplus
}
#endif
#endif
