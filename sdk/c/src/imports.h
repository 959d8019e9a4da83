// What the library calls besides what mappable.h has of mappable:memory: functions of mappable:files as the canonical ABI lowers them, and
// one of the adapter by which a program of WASI preview 1 becomes a component. src/component-type.bin is the types' own description;
// tests hold it to the WIT text, and making a component holds these declarations to it.
#ifndef MAPPABLE_IMPORTS_H
#define MAPPABLE_IMPORTS_H

#include <stdint.h>

#include <mappable/abi.h>
#include <mappable/error.h>

#define MAPPABLE_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define MAPPABLE_FILES(name) MAPPABLE_IMPORT("mappable:files/p2@0.1.0", name)

// Handles: frozen and frozen-mapping are owned, a descriptor is the adapter's.
typedef uint32_t frozen_handle_t;
typedef uint32_t frozen_mapping_handle_t;
typedef uint32_t mappable_descriptor_t;

// result<file-bytes, error-code>
typedef struct {
    uint8_t is_err;
    union {
        struct {
            frozen_handle_t bytes;
            uint32_t start;
            uint64_t len;
        } ok;
        uint8_t error;
    };
} mappable_file_bytes_t;

_Static_assert(sizeof(mappable__answer) == 12, "as the canonical ABI has it");
_Static_assert(sizeof(mappable_file_bytes_t) == 24, "as the canonical ABI has it");

MAPPABLE_FILES("freeze")
void mappable_files_freeze(mappable_descriptor_t file, uint64_t offset, uint64_t len, mappable_file_bytes_t *answer);

// Finds the adapter's descriptor of a file. Returns an errno, 0 for none. It is in imports.c, which must be linked for its sections.
int mappable_descriptor_of(int fd, mappable_descriptor_t *descriptor);

#endif
