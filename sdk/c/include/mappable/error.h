// What goes wrong, and what is done wrong. A part of mappable.h.
#ifndef MAPPABLE_ERROR_H
#define MAPPABLE_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// What went wrong: the errors of the interface by their names there, and a few of this header's. The call has changed nothing.
typedef enum mappable_error {
    MAPPABLE_OK = 0,
    // map and unmap. The first four can't happen at placements that this header chooses.
    MAPPABLE_PLACEMENT_MISALIGNED,
    MAPPABLE_PLACEMENT_TOO_SMALL,
    MAPPABLE_PLACEMENT_OVERLAPS,
    MAPPABLE_PLACEMENT_MISMATCH,
    // mappable_map copies instead, and mappable_map_at returns it; so with MAPPABLE_MAPPINGS_EXHAUSTED.
    MAPPABLE_PLACEMENT_UNMAPPABLE,
    MAPPABLE_MAPPING_OVER_QUOTA,
    MAPPABLE_MAPPINGS_EXHAUSTED,
    // allocate, clone, copy, split and slice.
    MAPPABLE_INVALID_REGION_SIZE,
    MAPPABLE_REGION_OVER_QUOTA,
    MAPPABLE_REGIONS_EXHAUSTED,
    // split and slice.
    MAPPABLE_PART_MISALIGNED,
    MAPPABLE_PART_OUTSIDE_REGION,
    // read, write and set_len.
    MAPPABLE_RANGE_OUTSIDE_REGION,
    MAPPABLE_LIST_TOO_LONG,
    // join: the two are not neighbours in one allocation, in this order.
    MAPPABLE_NOT_NEIGHBOURS,
    // thaw: there are other references.
    MAPPABLE_STILL_SHARED,
    // map: this component's memory can't grow enough for a placement.
    MAPPABLE_MEMORY_FULL,
} mappable_error_t;

// Returns a sentence that says what is wrong and what helps.
static inline const char *mappable_error_text(mappable_error_t error) {
    switch (error) {
    case MAPPABLE_OK: return "nothing is wrong";
    case MAPPABLE_PLACEMENT_MISALIGNED: return "the placement is empty, or does not begin and end at multiples of 65536";
    case MAPPABLE_PLACEMENT_TOO_SMALL: return "the placement is shorter than the region: mappable_size says how long it must be";
    case MAPPABLE_PLACEMENT_OVERLAPS: return "something is mapped in a part of the placement: unmap that, or map elsewhere";
    case MAPPABLE_PLACEMENT_MISMATCH: return "the region is not mapped where the placement begins";
    case MAPPABLE_PLACEMENT_UNMAPPABLE: return "the host can't map into this memory: read and write the region";
    case MAPPABLE_MAPPING_OVER_QUOTA: return "one more mapping is over the quota that the host has set: unmap others";
    case MAPPABLE_MAPPINGS_EXHAUSTED: return "the host has no mapping left: unmap others";
    case MAPPABLE_INVALID_REGION_SIZE: return "a region can't be allocated for 0 bytes: ask for one at the least";
    case MAPPABLE_REGION_OVER_QUOTA: return "one more region, or one of this size, is over the quota that the host has set: drop others";
    case MAPPABLE_REGIONS_EXHAUSTED: return "the host has no room for a region of this size";
    case MAPPABLE_PART_MISALIGNED: return "a part of a region begins at a multiple of 65536";
    case MAPPABLE_PART_OUTSIDE_REGION: return "a part of a region is not empty, and inside the region";
    case MAPPABLE_RANGE_OUTSIDE_REGION: return "the range, or the length, is not inside the region: mappable_size says where it ends";
    case MAPPABLE_LIST_TOO_LONG: return "the host doesn't return so many bytes at once";
    case MAPPABLE_NOT_NEIGHBOURS: return "the regions are not neighbours in one allocation, in this order";
    case MAPPABLE_STILL_SHARED: return "there are other references to the frozen bytes: drop them, or copy";
    case MAPPABLE_MEMORY_FULL: return "the component's memory has no room to map the region";
    }
    return "an error that this header doesn't know";
}


#ifndef MAPPABLE_MISUSE
#define MAPPABLE_MISUSE(text) ((void)0)
#endif

// Defines a function that ends the component, and whose name in a backtrace is the sentence.
#define MAPPABLE__MISTAKE(function, text)                                                                   \
    __attribute__((noinline, noreturn, unused)) static void function(void) __asm__("mappable: " text);      \
    static void function(void) {                                                                            \
        MAPPABLE_MISUSE("mappable: " text);                                                                 \
        __builtin_trap();                                                                                   \
    }
#ifdef NDEBUG
#define MAPPABLE__CHECK(holds, mistake) ((void)(holds))
#else
#define MAPPABLE__CHECK(holds, mistake) ((holds) ? (void)0 : mistake())
#endif

MAPPABLE__MISTAKE(mappable__no_region, "this region is gone: it was mapped, frozen, split, joined, given away or dropped before")
MAPPABLE__MISTAKE(mappable__no_frozen, "this frozen reference is gone: it was mapped, thawed, given away or dropped before")
MAPPABLE__MISTAKE(mappable__no_mapped, "nothing is mapped here: it was unmapped or dropped before")
MAPPABLE__MISTAKE(mappable__same_region, "a region can't be joined with itself")
MAPPABLE__MISTAKE(mappable__over_stack, "this placement holds the stack: take one from mappable_placement_take")
MAPPABLE__MISTAKE(mappable__free_placement, "this placement is not taken: it was given back before, or is none of mappable_placement_take")
MAPPABLE__MISTAKE(mappable__refused, "the host refused what the interface says can't fail")
MAPPABLE__MISTAKE(mappable__no_heap, "cabi_realloc has no memory for a list")

#ifdef __cplusplus
}
#endif
#endif
