// Makes a stage of a function: a component of the world mappable:stage/stage, as `mappable pipe` runs them.
//
//     static const char *invert(mappable_t *region, mappable_stage_header_t *header, mappable_stage_args_t args) { … }
//     MAPPABLE_STAGE(invert)
//
// The function is handed a picture in a region, which it owns, and the words behind the stage's name. It leaves a picture in
// `*region`, which may be another region, and its header in `*header`; and returns NULL. Or it returns one sentence for a person that
// says why there is none. The picture that it is handed is as large as the header says. MAPPABLE_STAGE may be used once in a program.
#ifndef MAPPABLE_STAGE_H
#define MAPPABLE_STAGE_H

#include "../mappable.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mappable_stage_pixels {
    // A PNG or JPEG file. Width and height are 0.
    MAPPABLE_STAGE_ENCODED,
    // One byte for each pixel, luminance; no padding between rows.
    MAPPABLE_STAGE_GRAY8,
    // Four bytes for each pixel, red, green, blue, alpha, not premultiplied; no padding between rows.
    MAPPABLE_STAGE_RGBA8,
} mappable_stage_pixels_t;

// The format and size of a picture. `pixels` is a mappable_stage_pixels_t, and `size` in bytes, from the region's first one on.
typedef struct mappable_stage_header {
    uint8_t pixels;
    uint32_t width;
    uint32_t height;
    uint64_t size;
} mappable_stage_header_t;

// A word, in UTF-8, with no zero behind it.
typedef struct mappable_stage_arg {
    const char *text;
    size_t len;
} mappable_stage_arg_t;

typedef struct mappable_stage_args {
    const mappable_stage_arg_t *list;
    size_t count;
} mappable_stage_args_t;

// result<tuple<own<mappable>, header>, string>
typedef struct mappable__stage_result {
    uint8_t is_error;
    union {
        struct {
            uint32_t region;
            mappable_stage_header_t header;
        } made;
        mappable_stage_arg_t error;
    } is;
} mappable__stage_result;

MAPPABLE__MISTAKE(mappable__stage_leaks, "the stage still has something mapped, or a region that it neither returns nor drops")

// Says what is wrong with a header: NULL if nothing is.
static inline const char *mappable__stage_check(const mappable_stage_header_t *header, mappable_t region) {
    uint64_t pixel = header->pixels == MAPPABLE_STAGE_RGBA8 ? 4 : 1;
    bool is_file = header->pixels == MAPPABLE_STAGE_ENCODED;
    uint64_t pixels = (uint64_t)header->width * header->height;
    if (!is_file && (header->size % pixel != 0 || pixels != header->size / pixel)) return "the header's width and height don't go with its size";
    return header->size > mappable_len(region) ? "the header says more bytes than there are" : NULL;
}

static inline size_t mappable__stage_text_len(const char *text) {
    size_t len = 0;
    while (text[len] != 0) len++;
    return len;
}

// The lists that an export is passed are its own.
static inline void mappable__stage_free(mappable_stage_args_t args) {
#ifdef MAPPABLE_NO_LIBC
    (void)args;
    mappable_free_lists();
#else
    for (size_t at = 0; at < args.count; at++) {
        if (args.list[at].len > 0) free((void *)(uintptr_t)args.list[at].text);
    }
    if (args.count > 0) free((void *)(uintptr_t)args.list);
#endif
}

typedef const char *mappable__stage_function(mappable_t *, mappable_stage_header_t *, mappable_stage_args_t);

static inline void mappable__stage_run(mappable__stage_function *stage, uint32_t handle, mappable_stage_header_t header,
                                       mappable_stage_args_t args, mappable__stage_result *result) {
    uint32_t held = mappable_held();
    mappable_t region = mappable_take(handle);
    const char *error = mappable__stage_check(&header, region);
    if (error == NULL) error = stage(&region, &header, args);
    mappable__stage_free(args);
    result->is_error = error != NULL;
    if (error == NULL) {
        result->is.made.region = mappable_give(&region);
        result->is.made.header = header;
    } else {
        mappable_drop(&region);
        result->is.error.text = error;
        result->is.error.len = mappable__stage_text_len(error);
    }
    MAPPABLE__CHECK(mappable_held() == held, mappable__stage_leaks);
}

#ifdef __cplusplus
#define MAPPABLE__EXTERN_C extern "C"
#else
#define MAPPABLE__EXTERN_C
#endif

#define MAPPABLE_STAGE(function)                                                                                          \
    MAPPABLE__EXTERN_C __attribute__((export_name("mappable:stage/step@0.1.0#run"))) mappable__stage_result *             \
    mappable__stage_export(uint32_t region, uint32_t pixels, uint32_t width, uint32_t height, uint64_t size,              \
                           const mappable_stage_arg_t *list, size_t count) {                                              \
        static mappable__stage_result result;                                                                             \
        mappable_stage_header_t header = {(uint8_t)pixels, width, height, size};                                          \
        mappable_stage_args_t args = {list, count};                                                                       \
        mappable__stage_run(function, region, header, args, &result);                                                     \
        return &result;                                                                                                   \
    }

#ifdef __cplusplus
}
#endif
#endif
