#include "areas.h"

#include <stdlib.h>
#include <string.h>

static struct area *first;

// Areas that are not in the list, for splits that must not fail. Enough for small programs are here; more are in granules of their
// own, since malloc may be the program's, and built on mmap.
static struct area *spare;
static unsigned spare_count;
static struct area small[32];

// One bit for each granule: whether it may have other bytes than zeroes. Those are nobody's to write while something is mapped over
// them, so a granule that only showed files is as new.
static uint8_t written[GRANULES / 8];

static uint32_t memory_end(void) { return (uint32_t)__builtin_wasm_memory_size(0); }

static bool grow(uint32_t count) {
    return count <= GRANULES && __builtin_wasm_memory_grow(0, count) != (size_t)-1;
}

static void spares(struct area *areas, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        areas[i].next = spare;
        spare = &areas[i];
    }
    spare_count += count;
}

static struct area *new_area(void) {
    struct area *area = spare;
    spare = area->next;
    spare_count--;
    memset(area, 0, sizeof *area);
    return area;
}

static void spare_area(struct area *area) {
    area->next = spare;
    spare = area;
    spare_count++;
}

bool areas_prepare(unsigned splits) {
    static bool begun;
    if (!begun) {
        begun = true;
        spares(small, sizeof small / sizeof *small);
        // Older versions of wasi-libc take all memory that there is at the first malloc for the heap, so it comes before ours.
        void *volatile one = malloc(1);
        free(one);
    }
    if (spare_count < splits) {
        uint32_t end = memory_end();
        if (!grow(1)) return false;
        spares(granule_address(end), GRANULE / sizeof(struct area));
    }
    return true;
}

// The area before `area`, or NULL.
static struct area *before(const struct area *area) {
    struct area *previous = NULL;
    for (struct area *at = first; at != area; at = at->next) previous = at;
    return previous;
}

// Puts new free granules behind all others: memory only grows.
static void append(uint32_t start, uint32_t count) {
    struct area *last = before(NULL);
    if (last != NULL && last->kind == AREA_FREE && area_end(last) == start) {
        last->count += count;
        return;
    }
    struct area *area = new_area();
    area->start = start;
    area->count = count;
    if (last == NULL) {
        first = area;
    } else {
        last->next = area;
    }
}

struct area *area_split(struct area *area, uint32_t at) {
    struct area *rest = new_area();
    *rest = *area;
    rest->start = at;
    rest->count = area_end(area) - at;
    area->count = at - area->start;
    area->next = rest;
    return rest;
}

void area_join(struct area *area) {
    struct area *next = area->next;
    area->count += next->count;
    area->next = next->next;
    spare_area(next);
}

// Takes granules of a free area that has them.
static struct area *take_of(struct area *area, uint32_t start, uint32_t count) {
    if (area->start < start) area = area_split(area, start);
    if (area->count > count) area_split(area, start + count);
    area->kind = AREA_MEMORY;
    area->prot = 0;
    area->shared = area->copied = false;
    return area;
}

static uint32_t round_up(uint32_t granule, uint32_t align) { return (granule + align - 1) / align * align; }

struct area *areas_take(uint32_t count, uint32_t align) {
    if (count > GRANULES) return NULL;
    for (struct area *area = first; area != NULL; area = area->next) {
        uint32_t start = round_up(area->start, align);
        if (area->kind == AREA_FREE && start + count <= area_end(area)) return take_of(area, start, count);
    }
    // Free granules at the memory's end count.
    uint32_t end = memory_end();
    struct area *last = before(NULL);
    bool at_end = last != NULL && last->kind == AREA_FREE && area_end(last) == end;
    uint32_t start = round_up(at_end ? last->start : end, align);
    if (!grow(start + count - end)) return NULL;
    append(end, start + count - end);
    last = before(NULL);
    return take_of(last, start, count);
}

struct area *areas_take_at(uint32_t start, uint32_t count) {
    for (struct area *area = first; area != NULL && area->start <= start; area = area->next) {
        if (start >= area_end(area) || area->kind != AREA_FREE) continue;
        uint32_t end = memory_end();
        if (start + count > area_end(area)) {
            // The rest may be behind the memory's end.
            if (area->next != NULL || area_end(area) != end || !grow(start + count - end)) return NULL;
            append(end, start + count - end);
        }
        return take_of(area, start, count);
    }
    uint32_t end = memory_end();
    if (start != end || !grow(count)) return NULL;
    append(start, count);
    return take_of(before(NULL), start, count);
}

struct area *areas_taken_in(uint32_t start, uint32_t end) {
    for (struct area *area = first; area != NULL && area->start < end; area = area->next) {
        if (area->kind != AREA_FREE && area_end(area) > start) return area;
    }
    return NULL;
}

bool areas_cover(uint32_t start, uint32_t end) {
    while (start < end) {
        const struct area *area = areas_taken_in(start, end);
        if (area == NULL || area->start > start) return false;
        start = area_end(area);
    }
    return true;
}

void area_free(struct area *area) {
    area->kind = AREA_FREE;
    const struct area *next = area->next;
    if (next != NULL && next->kind == AREA_FREE && area_end(area) == next->start) area_join(area);
    struct area *previous = before(area);
    if (previous != NULL && previous->kind == AREA_FREE && area_end(previous) == area->start) area_join(previous);
}

void area_zero(const struct area *area) {
    for (uint32_t granule = area->start; granule < area_end(area); granule++) {
        uint8_t bit = (uint8_t)(1u << granule % 8);
        if ((written[granule / 8] & bit) == 0) continue;
        memset(granule_address(granule), 0, GRANULE);
        written[granule / 8] &= (uint8_t)~bit;
    }
}

void area_written(const struct area *area) {
    for (uint32_t granule = area->start; granule < area_end(area); granule++) {
        written[granule / 8] |= (uint8_t)(1u << granule % 8);
    }
}
