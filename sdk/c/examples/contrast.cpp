// A stage in C++: makes a picture's contrast greater, in the region that it is handed. Its argument is by how much, in percent: 0 to
// 1000, or 150 unless told. Reads a table of its own that is a region, too.
//
//     clang++-19 --target=wasm32-wasi -mexec-model=reactor -std=c++20 -stdlib=libc++ -fno-exceptions -O2 -I sdk/c/include \
//         contrast.cpp -o contrast.core.wasm
//     mappable component --world mappable:stage/stage contrast.core.wasm -o contrast.wasm
//     mappable pipe -i photo.jpg -o contrast.png ./contrast.wasm:200
#include <algorithm>
#include <charconv>

#include <mappable/stage.hpp>

// What becomes of each byte, in frozen bytes that are mapped.
static mappable::result<mappable::mapped_frozen> make_table(int percent) {
    mappable::result<mappable::region> region = mappable::region::allocate(256);
    if (!region) return region.error();
    mappable::result<mappable::mapped> table = std::move(*region).map();
    if (!table) return table.error();
    for (int value = 0; value < 256; value++) {
        table->bytes()[value] = static_cast<std::uint8_t>(std::clamp((value - 128) * percent / 100 + 128, 0, 255));
    }
    return std::move(*table).unmap().freeze().map();
}

static const char *contrast(mappable::region &region, mappable::stage::header &header, mappable::stage::args args) {
    int percent = 150;
    if (args.size() > 0) {
        std::string_view word = args[0];
        auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), percent);
        bool is_number = error == std::errc() && end == word.data() + word.size() && percent >= 0 && percent <= 1000;
        if (!is_number || args.size() > 1) return "the contrast is a number of 0 to 1000, in percent";
    }
    if (header.pixels == MAPPABLE_STAGE_ENCODED) return "this stage works on pixels, and the picture is a file: decode it first";

    mappable::result<mappable::mapped_frozen> table = make_table(percent);
    if (!table) return table.error().text();
    mappable::result<mappable::mapped> picture = std::move(region).map();
    if (!picture) return picture.error().text();

    // All but alpha.
    std::span<std::uint8_t> bytes = picture->bytes().first(header.size);
    bool has_alpha = header.pixels == MAPPABLE_STAGE_RGBA8;
    for (std::size_t at = 0; at < bytes.size(); at++) {
        if (!has_alpha || at % 4 != 3) bytes[at] = table->bytes()[bytes[at]];
    }

    region = std::move(*picture).unmap();
    // The table unmaps itself, and is freed.
    return nullptr;
}

MAPPABLE_STAGE_CPP(contrast)
