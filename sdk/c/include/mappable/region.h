// Regions that are not mapped. A part of mappable.h.
#ifndef MAPPABLE_REGION_H
#define MAPPABLE_REGION_H

#include "abi.h"
#include "error.h"
#include "list.h"
#include "owner.h"

#ifdef __cplusplus
extern "C" {
#endif

// Allocates a region whose length is `len`, which is not 0. All bytes are zero.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_allocate(uint64_t len, mappable_t *region) {
    mappable__answer answer = {1, 0, 0};
    mappable__allocate(len, &answer);
    if (answer.is_error) return (mappable_error_t)(MAPPABLE_INVALID_REGION_SIZE + (uint8_t)answer.first);
    region->handle = mappable__hold(answer.first);
    return MAPPABLE_OK;
}

// What it occupies, in bytes: a multiple of the granule.
static inline uint64_t mappable_size(mappable_t region) {
    MAPPABLE__CHECK(region.handle != 0, mappable__no_region);
    return mappable__size(region.handle);
}

// How many of its bytes count. The number goes with the region.
static inline uint64_t mappable_len(mappable_t region) {
    MAPPABLE__CHECK(region.handle != 0, mappable__no_region);
    return mappable__len(region.handle);
}

// Sets the length, to any up to the size. No byte changes.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_set_len(mappable_t region, uint64_t len) {
    MAPPABLE__CHECK(region.handle != 0, mappable__no_region);
    mappable__done done = {1, 0};
    mappable__set_len(region.handle, len, &done);
    return done.is_error ? (mappable_error_t)(MAPPABLE_RANGE_OUTSIDE_REGION + done.error) : MAPPABLE_OK;
}

// Copies `len` bytes out of the region.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_read(mappable_t region, uint64_t offset, void *into, size_t len) {
    MAPPABLE__CHECK(region.handle != 0, mappable__no_region);
    return mappable__read_all(false, region.handle, offset, into, len);
}

// Copies `len` bytes into the region.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_write(mappable_t region, uint64_t offset, const void *from, size_t len) {
    MAPPABLE__CHECK(region.handle != 0, mappable__no_region);
    mappable__done done = {1, 0};
    mappable__write(region.handle, offset, from, len, &done);
    return done.is_error ? (mappable_error_t)(MAPPABLE_RANGE_OUTSIDE_REGION + done.error) : MAPPABLE_OK;
}

// Frees the region. Nothing happens to an empty one.
static inline void mappable_drop(mappable_t *taken) {
    if (taken->handle != 0) mappable__drop(mappable__let_go(&taken->handle));
}

// Makes the region immutable.
static inline mappable_frozen_t mappable_freeze(mappable_t *taken) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_region);
    mappable_frozen_t frozen = {mappable__hold(mappable__freeze(mappable__let_go(&taken->handle)))};
    return frozen;
}

static inline mappable_error_t mappable__part_error(uint8_t error) {
    return error == 2 ? MAPPABLE_REGION_OVER_QUOTA : (mappable_error_t)(MAPPABLE_PART_MISALIGNED + error);
}

// Splits the region into its first `at` bytes, a multiple of the granule, and the rest. `low` may be `taken`.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_split(mappable_t *taken, uint64_t at, mappable_t *low, mappable_t *high) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_region);
    mappable__answer answer = {1, 0, 0};
    mappable__split(mappable__let_go(&taken->handle), at, &answer);
    if (answer.is_error) {
        taken->handle = mappable__hold(answer.first);
        return mappable__part_error((uint8_t)answer.second);
    }
    low->handle = mappable__hold(answer.first);
    high->handle = mappable__hold(answer.second);
    return MAPPABLE_OK;
}

// Joins two neighbours of one allocation, as mappable_split leaves them. Takes both. `region` may be one of them.
MAPPABLE__MUST_USE static inline mappable_error_t mappable_join(mappable_t *low, mappable_t *high, mappable_t *region) {
    MAPPABLE__CHECK(low->handle != 0 && high->handle != 0, mappable__no_region);
    MAPPABLE__CHECK(low->handle != high->handle, mappable__same_region);
    mappable__answer answer = {1, 0, 0};
    uint32_t first = mappable__let_go(&low->handle);
    mappable__join(first, mappable__let_go(&high->handle), &answer);
    if (answer.is_error) {
        low->handle = mappable__hold(answer.first);
        high->handle = mappable__hold(answer.second);
        return MAPPABLE_NOT_NEIGHBOURS;
    }
    region->handle = mappable__hold(answer.first);
    return MAPPABLE_OK;
}

#ifdef __cplusplus
}
#endif
#endif
