// What a component is made of besides code: the types of the imports, and where the host puts what it returns.

#include "imports.h"

#include <errno.h>
#include <wasi/api.h>

// Goes with the program into the module. What makes a component of it reads the section.
__asm__(".section \".custom_section.component-type:mappable-c\",\"\",@\n"
        ".incbin \"component-type.bin\"\n");

// Where the adapter has its own stack and state, too, is cabi_realloc, which mappable.h has. Without it, the adapter takes new pages of
// memory for them, which older versions of wasi-libc hand out as their own heap at the first malloc.
#include <mappable/list.h>

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
