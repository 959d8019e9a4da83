// The interface mappable:memory/types as the canonical ABI lowers it. A part of mappable.h, and what the library for <sys/mman.h> calls.
// Making a component holds these declarations to the interface.
#ifndef MAPPABLE_ABI_H
#define MAPPABLE_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The granule in bytes: sizes of regions, placements and the bounds of parts are multiples of it.
#define MAPPABLE_GRANULE 65536u

#define MAPPABLE__MUST_USE __attribute__((warn_unused_result))
#define MAPPABLE__TYPES(name) __attribute__((import_module("mappable:memory/types@0.1.0"), import_name(name)))

// Any of the results: what succeeded, or one handle or two and an error, which is in the low byte of the last word that is used.
typedef struct mappable__answer {
    uint8_t is_error;
    uint32_t first;
    uint32_t second;
} mappable__answer;

// result<_, access-error>
typedef struct mappable__done {
    uint8_t is_error;
    uint8_t error;
} mappable__done;

MAPPABLE__TYPES("[static]mappable.allocate") void mappable__allocate(uint64_t len, mappable__answer *answer);
MAPPABLE__TYPES("[method]mappable.size") uint64_t mappable__size(uint32_t region);
MAPPABLE__TYPES("[method]mappable.len") uint64_t mappable__len(uint32_t region);
MAPPABLE__TYPES("[method]mappable.set-len") void mappable__set_len(uint32_t region, uint64_t len, mappable__done *done);
MAPPABLE__TYPES("[static]mappable.map") void mappable__map(uint32_t region, void *at, size_t at_len, mappable__answer *answer);
MAPPABLE__TYPES("[method]mappable.read")
void mappable__read(uint32_t region, uint64_t offset, uint32_t len, mappable__answer *answer);
MAPPABLE__TYPES("[method]mappable.write")
void mappable__write(uint32_t region, uint64_t offset, const void *bytes, size_t len, mappable__done *done);
MAPPABLE__TYPES("[static]mappable.freeze") uint32_t mappable__freeze(uint32_t region);
MAPPABLE__TYPES("[static]mappable.split") void mappable__split(uint32_t region, uint64_t at, mappable__answer *answer);
MAPPABLE__TYPES("[static]mappable.join") void mappable__join(uint32_t low, uint32_t high, mappable__answer *answer);
MAPPABLE__TYPES("[resource-drop]mappable") void mappable__drop(uint32_t region);
MAPPABLE__TYPES("[static]mapping.unmap") void mappable__unmap(uint32_t mapping, void *at, size_t at_len, mappable__answer *answer);
MAPPABLE__TYPES("[resource-drop]mapping") void mappable__drop_mapping(uint32_t mapping);
MAPPABLE__TYPES("[method]frozen.size") uint64_t mappable__frozen_size(uint32_t frozen);
MAPPABLE__TYPES("[method]frozen.len") uint64_t mappable__frozen_len(uint32_t frozen);
MAPPABLE__TYPES("[method]frozen.clone") void mappable__frozen_clone(uint32_t frozen, mappable__answer *answer);
MAPPABLE__TYPES("[method]frozen.slice")
void mappable__frozen_slice(uint32_t frozen, uint64_t offset, uint64_t size, mappable__answer *answer);
MAPPABLE__TYPES("[static]frozen.map") void mappable__frozen_map(uint32_t frozen, void *at, size_t at_len, mappable__answer *answer);
MAPPABLE__TYPES("[static]frozen.map-private")
void mappable__frozen_map_private(uint32_t frozen, void *at, size_t at_len, mappable__answer *answer);
MAPPABLE__TYPES("[static]frozen.thaw") void mappable__frozen_thaw(uint32_t frozen, mappable__answer *answer);
MAPPABLE__TYPES("[method]frozen.copy") void mappable__frozen_copy(uint32_t frozen, mappable__answer *answer);
MAPPABLE__TYPES("[method]frozen.read")
void mappable__frozen_read(uint32_t frozen, uint64_t offset, uint32_t len, mappable__answer *answer);
MAPPABLE__TYPES("[resource-drop]frozen") void mappable__frozen_drop(uint32_t frozen);
MAPPABLE__TYPES("[static]frozen-mapping.unmap")
void mappable__frozen_unmap(uint32_t mapping, void *at, size_t at_len, mappable__answer *answer);
MAPPABLE__TYPES("[resource-drop]frozen-mapping") void mappable__drop_frozen_mapping(uint32_t mapping);

#ifdef __cplusplus
}
#endif
#endif
