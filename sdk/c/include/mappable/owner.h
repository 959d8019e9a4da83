// What a component owns: regions, references and what is mapped. A part of mappable.h.
#ifndef MAPPABLE_OWNER_H
#define MAPPABLE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "placement.h"

#ifdef __cplusplus
extern "C" {
#endif

// A region that this component owns and that is not mapped.
typedef struct {
    uint32_t handle;
} mappable_t;

// A region that is mapped.
typedef struct {
    uint8_t *bytes;
    // How many bytes count: the region's length.
    size_t len;
    // How many there are: the region's size.
    size_t size;
    // Of the mapping; of the region, if it is copied.
    uint32_t handle;
    // The host can't map: the bytes are a copy, which mappable_unmap copies back.
    bool is_by_copy;
    // The placement is one that was passed to mappable_map_at.
    bool is_placed;
} mappable_mapped_t;

// A reference to bytes that never change.
typedef struct {
    uint32_t handle;
} mappable_frozen_t;

// A reference that is mapped for reading.
typedef struct {
    const uint8_t *bytes;
    size_t len;
    size_t size;
    uint32_t handle;
    bool is_by_copy;
} mappable_mapped_frozen_t;

// A reference that is mapped for reading and writing: what is written is this mapping's own, and lost with it.
typedef struct {
    uint8_t *bytes;
    size_t len;
    size_t size;
    uint32_t handle;
    bool is_by_copy;
} mappable_mapped_private_t;

// Returns how many owners there are that are not empty, by the functions of this header. As many at the end of an export as at its
// begin, give or take those that it is passed and returns, or something leaks.
static inline uint32_t mappable_held(void) { return mappable__state.held; }

// What is held becomes more or less by what a function takes and returns.
static inline uint32_t mappable__hold(uint32_t handle) {
    mappable__state.held++;
    return handle;
}
static inline uint32_t mappable__let_go(uint32_t *handle) {
    uint32_t was = *handle;
    *handle = 0;
    mappable__state.held--;
    return was;
}

// Takes over a region that was handed to this component as an argument or a result: an own<mappable>, by its number.
static inline mappable_t mappable_take(uint32_t handle) {
    mappable_t region = {mappable__hold(handle)};
    return region;
}

// Gives a region up for its number, to be passed as an argument or a result: an own<mappable>. It is empty afterwards.
static inline uint32_t mappable_give(mappable_t *taken) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_region);
    return mappable__let_go(&taken->handle);
}

static inline mappable_frozen_t mappable_frozen_take(uint32_t handle) {
    mappable_frozen_t frozen = {mappable__hold(handle)};
    return frozen;
}

static inline uint32_t mappable_frozen_give(mappable_frozen_t *taken) {
    MAPPABLE__CHECK(taken->handle != 0, mappable__no_frozen);
    return mappable__let_go(&taken->handle);
}

// The same with the types of bindings that wit-bindgen makes, which own a handle, too: mappable_memory_types_own_mappable_t and
// mappable_memory_types_own_frozen_t. Include this header behind the bindings', or before.
#define MAPPABLE_TAKE_OWN(own) mappable_take((uint32_t)(own).__handle)
#define MAPPABLE_GIVE_OWN(taken) ((mappable_memory_types_own_mappable_t){(int32_t)mappable_give(taken)})
#define MAPPABLE_FROZEN_TAKE_OWN(own) mappable_frozen_take((uint32_t)(own).__handle)
#define MAPPABLE_FROZEN_GIVE_OWN(taken) ((mappable_memory_types_own_frozen_t){(int32_t)mappable_frozen_give(taken)})

#ifdef __cplusplus
}
#endif
#endif
