// A stage that does what its argument says, mostly wrong.
#include <mappable/stage.h>
#include <string.h>

static bool is(mappable_stage_args_t args, const char *word) {
    return args.count == 1 && args.list[0].len == strlen(word) && memcmp(args.list[0].text, word, args.list[0].len) == 0;
}

static const char *misbehave(mappable_t *region, mappable_stage_header_t *header, mappable_stage_args_t args) {
    mappable_mapped_t mapped;
    mappable_t other;
    if (is(args, "leave-mapped")) {
        return mappable_map(region, &mapped) == MAPPABLE_OK ? "it is mapped" : "not mapped";
    }
    if (is(args, "return-while-mapped")) {
        return mappable_map(region, &mapped) == MAPPABLE_OK ? NULL : "not mapped";
    }
    if (is(args, "leak")) {
        return mappable_allocate(1, &other) == MAPPABLE_OK ? NULL : "not allocated";
    }
    if (is(args, "drop")) {
        mappable_drop(region);
        return "it was dropped, and that is all right";
    }
    if (is(args, "drop-and-return")) {
        mappable_drop(region);
        return NULL;
    }
    if (is(args, "another")) {
        uint64_t len = mappable_len(*region);
        mappable_drop(region);
        return mappable_allocate(len, region) == MAPPABLE_OK ? NULL : "not allocated";
    }
    if (is(args, "lie")) {
        header->size = ~(uint64_t)0;
        return NULL;
    }
    if (args.count > 0) return "there is no such misbehaviour";

    // Nothing was allocated yet: an older wasi-libc makes its heap of all memory at the first malloc.
    mappable_error_t error = mappable_map(region, &mapped);
    if (error != MAPPABLE_OK) return mappable_error_text(error);
    uint32_t before = 0, after = 0;
    for (size_t at = 0; at < mapped.size; at++) before = before * 31 + mapped.bytes[at];
    for (int at = 0; at < 64; at++) {
        void *volatile block = malloc(30000);
        memset(block, 0x55, 30000);
    }
    for (size_t at = 0; at < mapped.size; at++) after = after * 31 + mapped.bytes[at];
    *region = mappable_unmap(&mapped);
    return before == after ? NULL : "malloc has given out what is mapped";
}

MAPPABLE_STAGE(misbehave)
