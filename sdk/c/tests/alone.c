// A stage without a libc, that tests where lists go there. Its error is what doesn't hold.
#include <mappable/stage.h>

static bool all_are(const uint8_t *bytes, size_t count, uint8_t byte) {
    for (size_t at = 0; at < count; at++) {
        if (bytes[at] != byte) return false;
    }
    return true;
}

static void *list(size_t align, size_t size, uint8_t byte) {
    uint8_t *bytes = (uint8_t *)cabi_realloc(NULL, 0, align, size);
    for (size_t at = 0; at < size; at++) ((volatile uint8_t *)bytes)[at] = byte;
    return bytes;
}

static const char *alone(mappable_t *region, mappable_stage_header_t *header, mappable_stage_args_t args) {
    (void)region, (void)header;
    if (args.count != 2 || args.list[0].len != 3 || args.list[0].text[2] != 'c' || args.list[1].text[0] != 'd') return "the words are wrong";
    size_t pages = 0;
    for (int round = 0; round < 50; round++) {
        uint8_t *small = list(1, 5, 1), *odd = list(8, 16, 2), *large = list(4, 200000, 3), *none = list(8, 0, 4), *next = list(2, 65536, 5);
        if ((uintptr_t)odd % 8 != 0 || (uintptr_t)large % 4 != 0 || (uintptr_t)next % 2 != 0 || (uintptr_t)none % 8 != 0) return "a list is not aligned";
        uint8_t *longer = cabi_realloc(small, 5, 1, 300000);
        if (!all_are(longer, 5, 1) || !all_are(odd, 16, 2) || !all_are(large, 200000, 3) || !all_are(next, 65536, 5)) return "lists overlap";
        // From the first round on there is room.
        if (round == 1) pages = __builtin_wasm_memory_size(0);
        if (round > 1 && __builtin_wasm_memory_size(0) != pages) return "lists are not freed";
        mappable_free_lists();
    }
    return NULL;
}

MAPPABLE_STAGE(alone)
