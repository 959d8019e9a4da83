// The stage of sdk/c/examples/invert.c with the picture copied in and out, for `mappable-bench languages`: straight on the canonical ABI
// of `mappable:stage/copying-stage`.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum pixels { ENCODED, GRAY8, RGBA8 };

// record header
typedef struct {
    uint8_t pixels;
    uint32_t width, height;
    uint64_t size;
} header_t;

// result<tuple<list<u8>, header>, string>
typedef struct {
    uint8_t is_err;
    union {
        struct {
            uint8_t *bytes;
            uint32_t len;
            header_t header;
        } ok;
        struct {
            const char *text;
            uint32_t len;
        } err;
    } __attribute__((aligned(8)));
} answer_t;

_Static_assert(sizeof(header_t) == 24 && sizeof(answer_t) == 40, "as the canonical ABI has them");

static answer_t answer;

__attribute__((export_name("mappable:stage/copying-step@0.1.0#run"))) answer_t *run(
    uint8_t *bytes, uint32_t len, uint32_t pixels, uint32_t width, uint32_t height, uint64_t size, void *args, uint32_t args_len) {
    if (pixels == ENCODED || size > len || args_len > 0) {
        free(bytes);
        static const char text[] = "this stage works on pixels, and takes no argument";
        answer.is_err = 1;
        answer.err.text = text;
        answer.err.len = sizeof text - 1;
        return &answer;
    }
    (void)args;
    for (size_t at = 0; at < size; at++) {
        if (pixels == GRAY8 || at % 4 != 3) bytes[at] = (uint8_t)~bytes[at];
    }
    answer.is_err = 0;
    answer.ok.bytes = bytes;
    answer.ok.len = len;
    answer.ok.header = (header_t){(uint8_t)pixels, width, height, size};
    return &answer;
}

__attribute__((export_name("cabi_post_mappable:stage/copying-step@0.1.0#run"))) void post_run(answer_t *given) {
    if (!given->is_err) free(given->ok.bytes);
}

// Parameters come through this.
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)old_size;
    if (size == 0) return (void *)align;
    void *new = realloc(old, size);
    if (new == NULL) abort();
    return new;
}
