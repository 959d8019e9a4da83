// Regions of memory for components in C, C11 or newer, and in C++: the interface mappable:memory/types of wit/mappable.wit.
//
//     mappable_t region;
//     mappable_mapped_t mapped;
//     mappable_error_t error = mappable_allocate(100000, &region);
//     if (error == MAPPABLE_OK) error = mappable_map(&region, &mapped);   // `region` is empty now
//     if (error != MAPPABLE_OK) return mappable_error_text(error);
//     memset(mapped.bytes, 7, mapped.len);
//     region = mappable_unmap(&mapped);                                   // `mapped` is empty now
//
// Ownership. Each of these types owns something, and a value that is all zero is empty. A function that is passed an owner by
// its value only uses it. One that is passed its address *takes* it, which leaves it empty; after an error it is as it was. So
// what a component owns is what is not empty: give it away (mappable_give) or drop it (mappable_drop and its like). Don't copy an
// owner: the copy still has the number of something that is gone.
//
// Mistakes. Unless NDEBUG is defined, using an empty owner and the like end in a trap inside a function whose name is a sentence
// that says what is wrong: backtraces and `mappable` show it, and no import is needed for it. Define MAPPABLE_MISUSE(text) to print
// it as well. With NDEBUG the host traps where it must, with a text of its own.
//
// Without a libc, define MAPPABLE_NO_LIBC and build with -nostdlib. The functions are for one thread.
#ifndef MAPPABLE_H
#define MAPPABLE_H

#ifndef __wasm32__
#error "mappable.h is for WebAssembly with 32-bit addresses: --target=wasm32-wasi, or --target=wasm32 without a libc"
#endif

#include "mappable/abi.h"
#include "mappable/error.h"
#include "mappable/frozen.h"
#include "mappable/list.h"
#include "mappable/map.h"
#include "mappable/owner.h"
#include "mappable/placement.h"
#include "mappable/region.h"

#endif
