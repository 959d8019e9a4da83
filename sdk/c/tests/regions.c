// Tests of mappable.h: a program that says on stderr what doesn't hold, and exits with 1. Also C++.
//   regions                        all that holds on every host; MODE=off in the environment says that this one can't map
//   regions quota                  with a quota of 4 MiB of regions
//   regions misuse NAME            makes a mistake, and is to be trapped
#include <mappable.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define G ((size_t)MAPPABLE_GRANULE)

static int failures;
#define EXPECT(holds) \
    ((holds) ? (void)0 : (void)(failures++, fprintf(stderr, "regions.c:%d: %s\n", __LINE__, #holds)))
#define IS(error, call) EXPECT((call) == (error))
#define OK(call) EXPECT((call) == MAPPABLE_OK)

static bool can_map;

static mappable_t allocate(uint64_t len) {
    mappable_t region = {0};
    OK(mappable_allocate(len, &region));
    return region;
}

static mappable_mapped_t map(mappable_t *region) {
    mappable_mapped_t mapped = {0};
    OK(mappable_map(region, &mapped));
    EXPECT(region->handle == 0);
    return mapped;
}

static bool all_are(const uint8_t *bytes, size_t count, uint8_t byte) {
    for (size_t at = 0; at < count; at++) {
        if (bytes[at] != byte) return false;
    }
    return true;
}

static void a_region_is_zero_and_has_a_size_and_a_length(void) {
    mappable_t region = allocate(100000);
    EXPECT(mappable_len(region) == 100000 && mappable_size(region) == 2 * G);
    IS(MAPPABLE_RANGE_OUTSIDE_REGION, mappable_set_len(region, 2 * G + 1));
    OK(mappable_set_len(region, 5));
    EXPECT(mappable_len(region) == 5);
    // It is mapped whole, though its length would need less.
    mappable_mapped_t mapped = map(&region);
    EXPECT(mapped.len == 5 && mapped.size == 2 * G && all_are(mapped.bytes, 2 * G, 0));
    mapped.bytes[2 * G - 1] = 9;
    region = mappable_unmap(&mapped);
    uint8_t last = 0;
    OK(mappable_read(region, 2 * G - 1, &last, 1));
    EXPECT(last == 9);
    mappable_drop(&region);
    mappable_drop(&region);
    IS(MAPPABLE_INVALID_REGION_SIZE, mappable_allocate(0, &region));
}

static void what_is_written_stays(void) {
    mappable_t region = allocate(3 * G);
    mappable_mapped_t mapped = map(&region);
    EXPECT(mapped.is_by_copy != can_map);
    uint8_t *at = mapped.bytes;
    memset(mapped.bytes, 7, mapped.size);
    region = mappable_unmap(&mapped);
    EXPECT(mapped.bytes == NULL && mapped.handle == 0);
    // The same placement: it is the lowest that is free.
    mapped = map(&region);
    EXPECT(mapped.bytes == at && all_are(mapped.bytes, mapped.size, 7));
    mappable_mapped_drop(&mapped);
    mappable_mapped_drop(&mapped);
}

static void bytes_are_read_and_written_without_mapping(void) {
    size_t size = 40 * G;
    uint8_t *bytes = (uint8_t *)malloc(size);
    for (size_t at = 0; at < size; at++) bytes[at] = (uint8_t)(at % 251);
    mappable_t region = allocate(size);
    OK(mappable_write(region, 0, bytes, size));
    // In three pieces.
    uint8_t *back = (uint8_t *)calloc(1, size);
    OK(mappable_read(region, 1, back, size - 1));
    EXPECT(memcmp(back, bytes + 1, size - 1) == 0 && back[size - 1] == 0);
    OK(mappable_read(region, size, back, 0));
    back[0] = 77;
    IS(MAPPABLE_RANGE_OUTSIDE_REGION, mappable_read(region, size, back, 1));
    IS(MAPPABLE_RANGE_OUTSIDE_REGION, mappable_read(region, 1, back, size));
    IS(MAPPABLE_RANGE_OUTSIDE_REGION, mappable_read(region, size + 1, back, 0));
    IS(MAPPABLE_RANGE_OUTSIDE_REGION, mappable_write(region, size, bytes, 1));
    EXPECT(back[0] == 77);
    // Into what is mapped.
    mappable_t other = allocate(size);
    mappable_mapped_t mapped = map(&other);
    OK(mappable_read(region, 0, mapped.bytes, size));
    EXPECT(memcmp(mapped.bytes, bytes, size) == 0);
    mappable_mapped_drop(&mapped);
    mappable_drop(&region);
    free(back);
    free(bytes);
}

// With older versions of wasi-libc the heap is all memory that there is at the first malloc.
static void nothing_of_the_heap_or_the_stack_is_mapped_over(void) {
    uint8_t stack[1000];
    memset(stack, 5, sizeof stack);
    mappable_t region[4];
    mappable_mapped_t mapped[4];
    for (int at = 0; at < 4; at++) {
        region[at] = allocate((at + 1) * G);
        mapped[at] = map(&region[at]);
        memset(mapped[at].bytes, at + 1, mapped[at].size);
    }
    uint8_t *heap[64];
    for (int at = 0; at < 64; at++) {
        heap[at] = (uint8_t *)malloc(30000);
        memset(heap[at], 0x55, 30000);
    }
    for (int at = 0; at < 4; at++) EXPECT(all_are(mapped[at].bytes, mapped[at].size, (uint8_t)(at + 1)));
    for (int at = 0; at < 4; at++) mappable_mapped_drop(&mapped[at]);
    for (int at = 0; at < 64; at++) {
        EXPECT(all_are(heap[at], 30000, 0x55));
        free(heap[at]);
    }
    EXPECT(all_are(stack, sizeof stack, 5));
}

static void placements_are_used_again_and_merge(void) {
    // All that is free and large enough, so that those that follow are neighbours at the end of the memory.
    void *filling[64];
    int count = 0;
    for (size_t before = __builtin_wasm_memory_size(0); __builtin_wasm_memory_size(0) == before;) {
        filling[count++] = mappable_placement_take(5 * G);
    }
    uint8_t *one = (uint8_t *)mappable_placement_take(5 * G), *two = (uint8_t *)mappable_placement_take(6 * G - 1);
    uint8_t *three = (uint8_t *)mappable_placement_take(4 * G + 1);
    EXPECT((uintptr_t)one % G == 0 && two == one + 5 * G && three == two + 6 * G);
    memset(one, 1, 5 * G);
    memset(two, 2, 6 * G);
    EXPECT(all_are(one, 5 * G, 1));
    mappable_placement_give(one, 5 * G);
    mappable_placement_give(three, 4 * G + 1);
    mappable_placement_give(two, 6 * G - 1);
    size_t pages = __builtin_wasm_memory_size(0);
    uint8_t *all = (uint8_t *)mappable_placement_take(16 * G);
    EXPECT(all == one && __builtin_wasm_memory_size(0) == pages);
    mappable_placement_give(all, 16 * G);
    while (count > 0) mappable_placement_give(filling[--count], 5 * G);
    uint8_t *huge = (uint8_t *)mappable_placement_take(33 * G);
    EXPECT((uintptr_t)huge % (32 * G) == 0);
    mappable_placement_give(huge, 33 * G);
    // The most there is of address space, and more.
    EXPECT(mappable_placement_take(SIZE_MAX) == NULL);
    pages = __builtin_wasm_memory_size(0);
    for (int round = 0; round < 200; round++) {
        void *some[8];
        for (size_t at = 0; at < 8; at++) some[at] = mappable_placement_take((at * 7 + round) % 13 * G + 1);
        for (size_t at = 0; at < 8; at++) mappable_placement_give(some[at * 3 % 8], (at * 3 % 8 * 7 + round) % 13 * G + 1);
    }
    EXPECT(__builtin_wasm_memory_size(0) - pages <= 8 * 13);
}

__attribute__((aligned(65536))) static uint8_t own[2 * 65536];

static void a_placement_of_ones_own_is_checked_by_the_host(void) {
    mappable_t region = allocate(2 * G);
    mappable_mapped_t mapped = {0}, other = {0};
    memset(own, 3, sizeof own);
    if (!can_map) {
        IS(MAPPABLE_PLACEMENT_UNMAPPABLE, mappable_map_at(&region, own, sizeof own, &mapped));
        mappable_drop(&region);
        return;
    }
    IS(MAPPABLE_PLACEMENT_MISALIGNED, mappable_map_at(&region, own + 8, G, &mapped));
    IS(MAPPABLE_PLACEMENT_MISALIGNED, mappable_map_at(&region, own, 0, &mapped));
    IS(MAPPABLE_PLACEMENT_TOO_SMALL, mappable_map_at(&region, own, G, &mapped));
    EXPECT(region.handle != 0 && mapped.handle == 0);
    OK(mappable_map_at(&region, own, sizeof own, &mapped));
    EXPECT(mapped.bytes == own && own[0] == 0);
    mappable_t second = allocate(1);
    IS(MAPPABLE_PLACEMENT_OVERLAPS, mappable_map_at(&second, own + G, G, &other));
    mappable_drop(&second);
    region = mappable_unmap(&mapped);
    EXPECT(own[0] == 3);
    mappable_drop(&region);
}

static void frozen_bytes_are_shared_and_thawed(void) {
    mappable_t region = allocate(3 * G);
    OK(mappable_write(region, G, "hello", 5));
    mappable_frozen_t frozen = mappable_freeze(&region);
    EXPECT(region.handle == 0 && mappable_frozen_size(frozen) == 3 * G && mappable_frozen_len(frozen) == 3 * G);
    mappable_frozen_t clone = {0}, slice = {0};
    OK(mappable_frozen_clone(frozen, &clone));
    IS(MAPPABLE_PART_MISALIGNED, mappable_frozen_slice(frozen, 5, G, &slice));
    IS(MAPPABLE_PART_OUTSIDE_REGION, mappable_frozen_slice(frozen, 3 * G, 1, &slice));
    OK(mappable_frozen_slice(frozen, G, 5, &slice));
    EXPECT(mappable_frozen_len(slice) == 5 && mappable_frozen_size(slice) == G);

    mappable_mapped_frozen_t one = {0}, two = {0};
    OK(mappable_frozen_map(&clone, &one));
    OK(mappable_frozen_map(&slice, &two));
    EXPECT(clone.handle == 0 && one.is_by_copy != can_map);
    EXPECT(two.len == 5 && memcmp(two.bytes, "hello", 5) == 0 && memcmp(one.bytes + G, "hello", 5) == 0);
    char text[5];
    OK(mappable_frozen_read(frozen, G, text, 5));
    EXPECT(memcmp(text, "hello", 5) == 0);
    IS(MAPPABLE_RANGE_OUTSIDE_REGION, mappable_frozen_read(frozen, 3 * G, text, 1));

    mappable_t copy = {0};
    OK(mappable_frozen_copy(frozen, &copy));
    OK(mappable_write(copy, G, "j", 1));
    EXPECT(two.bytes[0] == 'h');
    mappable_drop(&copy);

    IS(MAPPABLE_STILL_SHARED, mappable_thaw(&frozen, &region));
    EXPECT(frozen.handle != 0 && region.handle == 0);
    clone = mappable_frozen_unmap(&one);
    mappable_frozen_drop(&clone);
    mappable_mapped_frozen_drop(&two);
    mappable_mapped_frozen_drop(&two);
    OK(mappable_thaw(&frozen, &region));
    EXPECT(frozen.handle == 0);
    OK(mappable_write(region, G, "j", 1));
    mappable_drop(&region);
}

static void a_private_mapping_is_written_to_alone(void) {
    mappable_t region = allocate(2 * G);
    OK(mappable_write(region, 0, "hello", 5));
    mappable_frozen_t frozen = mappable_freeze(&region), clone = {0};
    OK(mappable_frozen_clone(frozen, &clone));
    mappable_mapped_private_t mapped = {0};
    OK(mappable_frozen_map_private(&clone, &mapped));
    EXPECT(mapped.len == 2 * G && memcmp(mapped.bytes, "hello", 5) == 0);
    mapped.bytes[0] = 'j';
    char first = 0;
    OK(mappable_frozen_read(frozen, 0, &first, 1));
    EXPECT(first == 'h' && mapped.bytes[0] == 'j');
    clone = mappable_private_unmap(&mapped);
    OK(mappable_frozen_read(clone, 0, &first, 1));
    EXPECT(first == 'h');
    OK(mappable_frozen_map_private(&clone, &mapped));
    mappable_mapped_private_drop(&mapped);
    mappable_frozen_drop(&frozen);
}

static void regions_are_split_and_joined(void) {
    mappable_t region = allocate(3 * G), low = {0}, high = {0};
    IS(MAPPABLE_PART_MISALIGNED, mappable_split(&region, 5, &low, &high));
    IS(MAPPABLE_PART_OUTSIDE_REGION, mappable_split(&region, 3 * G, &low, &high));
    EXPECT(region.handle != 0 && low.handle == 0);
    OK(mappable_split(&region, G, &low, &high));
    EXPECT(region.handle == 0 && mappable_size(low) == G && mappable_size(high) == 2 * G);
    IS(MAPPABLE_NOT_NEIGHBOURS, mappable_join(&high, &low, &region));
    EXPECT(low.handle != 0 && high.handle != 0);
    mappable_mapped_t mapped = map(&high);
    mapped.bytes[0] = 8;
    high = mappable_unmap(&mapped);
    OK(mappable_join(&low, &high, &low));
    uint8_t byte = 0;
    OK(mappable_read(low, G, &byte, 1));
    EXPECT(byte == 8 && high.handle == 0 && mappable_size(low) == 3 * G);
    // The first part in place of the whole.
    OK(mappable_split(&low, G, &low, &high));
    EXPECT(mappable_size(low) == G);
    mappable_drop(&low);
    mappable_drop(&high);
}

static void each_error_has_a_text(void) {
    for (int error = MAPPABLE_OK; error <= MAPPABLE_MEMORY_FULL; error++) {
        for (int other = MAPPABLE_OK; other < error; other++) {
            EXPECT(strcmp(mappable_error_text((mappable_error_t)error), mappable_error_text((mappable_error_t)other)) != 0);
        }
    }
}

static void what_leaks_ends_in_an_error_that_says_so(void) {
    mappable_t leaked[64];
    int count = 0;
    mappable_error_t error = MAPPABLE_OK;
    while (error == MAPPABLE_OK && count < 64) {
        leaked[count].handle = 0;
        error = mappable_allocate(G, &leaked[count]);
        if (error == MAPPABLE_OK) count++;
    }
    mappable_t more = {0};
    error = mappable_allocate(2 * G, &more);
    EXPECT(error == MAPPABLE_REGION_OVER_QUOTA && strstr(mappable_error_text(error), "drop others") != NULL);
    EXPECT(mappable_held() == (uint32_t)count);
    while (count > 0) mappable_drop(&leaked[--count]);
    OK(mappable_allocate(2 * G, &more));
    mappable_drop(&more);
}

static void misuse(const char *name) {
    mappable_t region = allocate(G), other = {0};
    mappable_mapped_t mapped = {0};
    if (strcmp(name, "use-after-give") == 0) {
        other.handle = mappable_give(&region);
        OK(mappable_write(region, 0, "a", 1));
    } else if (strcmp(name, "use-a-copy-after-drop") == 0) {
        other = region;
        mappable_drop(&region);
        OK(mappable_write(other, 0, "a", 1));
    } else if (strcmp(name, "map-twice") == 0) {
        OK(mappable_map(&region, &mapped));
        OK(mappable_map(&region, &mapped));
    } else if (strcmp(name, "map-a-copy-twice") == 0) {
        other = region;
        OK(mappable_map(&region, &mapped));
        OK(mappable_map(&other, &mapped));
    } else if (strcmp(name, "give-while-mapped") == 0) {
        OK(mappable_map(&region, &mapped));
        mappable_give(&region);
    } else if (strcmp(name, "map-over-the-stack") == 0) {
        uintptr_t here = (uintptr_t)&region & ~(uintptr_t)(G - 1);
        OK(mappable_map_at(&region, (void *)here, G, &mapped));
    } else if (strcmp(name, "unmap-twice") == 0) {
        OK(mappable_map(&region, &mapped));
        region = mappable_unmap(&mapped);
        region = mappable_unmap(&mapped);
    } else if (strcmp(name, "free-a-placement-twice") == 0) {
        void *at = mappable_placement_take(G);
        mappable_placement_give(at, G);
        mappable_placement_give(at, G);
    } else if (strcmp(name, "join-with-itself") == 0) {
        OK(mappable_join(&region, &region, &other));
    } else if (strcmp(name, "use-frozen-after-thaw") == 0) {
        mappable_frozen_t frozen = mappable_freeze(&region);
        OK(mappable_thaw(&frozen, &other));
        mappable_frozen_size(frozen);
    } else if (strcmp(name, "write-to-frozen") == 0) {
        mappable_frozen_t frozen = mappable_freeze(&region);
        mappable_mapped_frozen_t bytes;
        OK(mappable_frozen_map(&frozen, &bytes));
        *(volatile uint8_t *)(uintptr_t)bytes.bytes = 1;
    } else {
        EXPECT(!"a misuse that there is");
    }
}

int main(int argc, char **argv) {
    const char *mode = getenv("MODE");
    can_map = mode == NULL || strcmp(mode, "off") != 0;
    if (argc == 3 && strcmp(argv[1], "misuse") == 0) {
        misuse(argv[2]);
        return failures > 0;
    }
    if (argc == 2 && strcmp(argv[1], "quota") == 0) {
        what_leaks_ends_in_an_error_that_says_so();
    } else {
        // First, while malloc was not called by this program.
        nothing_of_the_heap_or_the_stack_is_mapped_over();
        a_region_is_zero_and_has_a_size_and_a_length();
        what_is_written_stays();
        bytes_are_read_and_written_without_mapping();
        placements_are_used_again_and_merge();
        a_placement_of_ones_own_is_checked_by_the_host();
        frozen_bytes_are_shared_and_thawed();
        a_private_mapping_is_written_to_alone();
        regions_are_split_and_joined();
        each_error_has_a_text();
    }
    EXPECT(mappable_held() == 0);
    return failures > 0;
}
