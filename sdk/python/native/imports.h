// What the extension calls: functions of mappable:memory as the canonical ABI lowers them. component-type.bin is the types' own
// description; a test holds it to the WIT text, and making a component holds these declarations to it.
#ifndef MAPPABLE_IMPORTS_H
#define MAPPABLE_IMPORTS_H

#include <stdint.h>

#define MAPPABLE_MEMORY(name) __attribute__((import_module("mappable:memory/types@0.1.0"), import_name(name)))

typedef uint32_t handle_t;

// result<own<s>, tuple<own<r>, map-error>>
typedef struct {
    uint8_t is_err;
    handle_t handle;
    uint8_t error;
} answer_t;

_Static_assert(sizeof(answer_t) == 12, "as the canonical ABI has it");

MAPPABLE_MEMORY("[static]mappable.map") void mappable_map(handle_t, void *at, uint32_t at_len, answer_t *);
MAPPABLE_MEMORY("[static]mapping.unmap") void mapping_unmap(handle_t, void *at, uint32_t at_len, answer_t *);
MAPPABLE_MEMORY("[static]frozen.map") void frozen_map(handle_t, void *at, uint32_t at_len, answer_t *);
MAPPABLE_MEMORY("[static]frozen.map-private") void frozen_map_private(handle_t, void *at, uint32_t at_len, answer_t *);
MAPPABLE_MEMORY("[static]frozen-mapping.unmap") void frozen_mapping_unmap(handle_t, void *at, uint32_t at_len, answer_t *);
MAPPABLE_MEMORY("[resource-drop]mappable") void mappable_drop(handle_t);
MAPPABLE_MEMORY("[resource-drop]mapping") void mapping_drop(handle_t);
MAPPABLE_MEMORY("[resource-drop]frozen") void frozen_drop(handle_t);
MAPPABLE_MEMORY("[resource-drop]frozen-mapping") void frozen_mapping_drop(handle_t);

#endif
