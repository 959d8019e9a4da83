// A stage in C: makes a picture black and white, in the region that it is handed. Its argument is the luminance from which on a
// pixel is white: 0 to 255, or 128 unless told.
//
//     clang-19 --target=wasm32-wasi -mexec-model=reactor -O2 -I sdk/c/include threshold.c -o threshold.core.wasm
//     mappable component --world mappable:stage/stage threshold.core.wasm -o threshold.wasm
//     mappable pipe -i photo.jpg -o black.png ./threshold.wasm:100
#include <mappable/stage.h>

// Reads a number of up to three digits. Returns whether it is one, of 0 to 255.
static bool read_level(mappable_stage_arg_t word, unsigned *level) {
    *level = 0;
    for (size_t at = 0; at < word.len; at++) {
        unsigned digit = (unsigned)word.text[at] - '0';
        if (digit > 9 || at == 3) return false;
        *level = *level * 10 + digit;
    }
    return word.len > 0 && *level <= 255;
}

static const char *threshold(mappable_t *region, mappable_stage_header_t *header, mappable_stage_args_t args) {
    unsigned level = 128;
    if (args.count > 1 || (args.count == 1 && !read_level(args.list[0], &level))) return "the level is a number of 0 to 255";
    if (header->pixels == MAPPABLE_STAGE_ENCODED) return "this stage works on pixels, and the picture is a file: decode it first";

    mappable_mapped_t picture;
    mappable_error_t error = mappable_map(region, &picture);
    if (error != MAPPABLE_OK) return mappable_error_text(error);

    size_t pixels = (size_t)header->width * header->height;
    for (size_t at = 0; at < pixels; at++) {
        unsigned luminance = picture.bytes[at];
        if (header->pixels == MAPPABLE_STAGE_RGBA8) {
            const uint8_t *pixel = picture.bytes + 4 * at;
            // Of Rec. 601, in 1/256.
            luminance = (77 * pixel[0] + 150 * pixel[1] + 29 * pixel[2]) >> 8;
        }
        // Gray takes a quarter of the bytes, so what is written was read before.
        picture.bytes[at] = luminance >= level ? 255 : 0;
    }

    header->pixels = MAPPABLE_STAGE_GRAY8;
    header->size = pixels;
    *region = mappable_unmap(&picture);
    return NULL;
}

MAPPABLE_STAGE(threshold)
