// wasi-libc's <unistd.h>, with a function that goes with mmap and that it leaves out.
#include_next <unistd.h>

#ifndef MAPPABLE_UNISTD_H
#define MAPPABLE_UNISTD_H

#ifdef __cplusplus
extern "C" {
#endif

// The size of a page: 65,536.
int getpagesize(void);

#ifdef __cplusplus
}
#endif
#endif
