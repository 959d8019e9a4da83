// What a component is made of besides code: the types of the imports, and where the host puts what it returns.

#include "imports.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <wasi/api.h>

// Goes with the program into the module. What makes a component of it reads the section.
__asm__(".section \".custom_section.component-type:mappable-c\",\"\",@\n"
        ".incbin \"component-type.bin\"\n");

// Where the adapter has its own stack and state, too. Without it, it takes new pages of memory for them, which older versions of
// wasi-libc hand out as their own heap at the first malloc. Weak: bindings that wit-bindgen makes have the same.
__attribute__((weak, export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    // Nothing to be had is any address that is aligned.
    if (size == 0) return (void *)align;
    void *new = realloc(old, size);
    // What malloc returns is aligned to 16, and the canonical ABI asks for 8 at most.
    if (new == NULL || align > _Alignof(max_align_t)) abort();
    (void)old_size;
    return new;
}

// The descriptor for which the adapter has last asked the flags, once: then 0.
MAPPABLE_IMPORT("wasi_snapshot_preview1", "mappable-descriptor")
mappable_descriptor_t asked_descriptor(void);

int mappable_descriptor_of(int fd, mappable_descriptor_t *descriptor) {
    __wasi_fdstat_t stat;
    asked_descriptor();
    // Asks for the flags, if it is of a file.
    __wasi_errno_t error = __wasi_fd_fdstat_get((__wasi_fd_t)fd, &stat);
    // wasi-libc's errno are these.
    if (error != __WASI_ERRNO_SUCCESS) return error;
    *descriptor = asked_descriptor();
    return *descriptor == 0 ? ENODEV : 0;
}
