// A stage in C: inverts a picture, in the region that it is handed.
//
//     clang-19 --target=wasm32-wasi -mexec-model=reactor -O2 -I sdk/c/include invert.c -o invert.core.wasm
//     mappable component --world mappable:stage/stage invert.core.wasm -o invert.wasm
//     mappable pipe -i photo.jpg -o inverted.png ./invert.wasm
#include <mappable/stage.h>

static const char *invert(mappable_t *region, mappable_stage_header_t *header, mappable_stage_args_t args) {
    if (header->pixels == MAPPABLE_STAGE_ENCODED) return "this stage works on pixels, and the picture is a file: decode it first";
    if (args.count > 0) return "this stage takes no argument";

    mappable_mapped_t picture;
    mappable_error_t error = mappable_map(region, &picture);
    if (error != MAPPABLE_OK) return mappable_error_text(error);

    // All but alpha.
    bool has_alpha = header->pixels == MAPPABLE_STAGE_RGBA8;
    for (size_t at = 0; at < header->size; at++) {
        if (!has_alpha || at % 4 != 3) picture.bytes[at] = (uint8_t)~picture.bytes[at];
    }

    *region = mappable_unmap(&picture);
    return NULL;
}

MAPPABLE_STAGE(invert)
