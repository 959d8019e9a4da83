// What the library calls: functions of mappable:memory and mappable:files as the canonical ABI lowers them, and one of the adapter
// by which a program of WASI preview 1 becomes a component. src/component-type.bin is the types' own description; tests hold it to
// the WIT text, and making a component holds these declarations to it.
#ifndef MAPPABLE_IMPORTS_H
#define MAPPABLE_IMPORTS_H

#include <stdint.h>

#define MAPPABLE_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define MAPPABLE_MEMORY(name) MAPPABLE_IMPORT("mappable:memory/types@0.1.0", name)
#define MAPPABLE_FILES(name) MAPPABLE_IMPORT("mappable:files/p2@0.1.0", name)

// Handles: frozen and frozen-mapping are owned, a descriptor is the adapter's.
typedef uint32_t mappable_frozen_t;
typedef uint32_t mappable_frozen_mapping_t;
typedef uint32_t mappable_descriptor_t;

// The first case of map-error that is no mistake of this library: the host maps nothing here, or no more.
enum { MAPPABLE_PLACEMENT_UNMAPPABLE = 4 };

// result<own<s>, tuple<own<r>, map-error>>
typedef struct {
    uint8_t is_err;
    uint32_t handle;
    uint8_t error;
} mappable_mapped_t;

// result<frozen, part-error>
typedef struct {
    uint8_t is_err;
    union {
        mappable_frozen_t ok;
        uint8_t error;
    };
} mappable_slice_t;

// result<file-bytes, error-code>
typedef struct {
    uint8_t is_err;
    union {
        struct {
            mappable_frozen_t bytes;
            uint32_t start;
            uint64_t len;
        } ok;
        uint8_t error;
    };
} mappable_file_bytes_t;

_Static_assert(sizeof(mappable_mapped_t) == 12 && sizeof(mappable_slice_t) == 8, "as the canonical ABI has them");
_Static_assert(sizeof(mappable_file_bytes_t) == 24, "as the canonical ABI has it");

MAPPABLE_FILES("freeze")
void mappable_files_freeze(mappable_descriptor_t file, uint64_t offset, uint64_t len, mappable_file_bytes_t *answer);

MAPPABLE_MEMORY("[static]frozen.map")
void mappable_frozen_map(mappable_frozen_t frozen, void *at, uint32_t at_len, mappable_mapped_t *answer);

MAPPABLE_MEMORY("[static]frozen.map-private")
void mappable_frozen_map_private(mappable_frozen_t frozen, void *at, uint32_t at_len, mappable_mapped_t *answer);

MAPPABLE_MEMORY("[static]frozen-mapping.unmap")
void mappable_frozen_unmap(mappable_frozen_mapping_t mapping, void *at, uint32_t at_len, mappable_mapped_t *answer);

MAPPABLE_MEMORY("[method]frozen.slice")
void mappable_frozen_slice(mappable_frozen_t frozen, uint64_t offset, uint64_t size, mappable_slice_t *answer);

MAPPABLE_MEMORY("[method]frozen.size")
uint64_t mappable_frozen_size(mappable_frozen_t frozen);

MAPPABLE_MEMORY("[resource-drop]frozen")
void mappable_frozen_drop(mappable_frozen_t frozen);

// Finds the adapter's descriptor of a file. Returns an errno, 0 for none. It is in imports.c, which must be linked for its sections.
int mappable_descriptor_of(int fd, mappable_descriptor_t *descriptor);

#endif
