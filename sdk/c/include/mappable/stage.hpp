// mappable/stage.h for C++20: makes a stage of a function on a mappable::region.
//
//     static const char *invert(mappable::region &region, mappable::stage::header &header, mappable::stage::args args) { … }
//     MAPPABLE_STAGE_CPP(invert)
//
// All is as for MAPPABLE_STAGE. The function leaves a region in `region`, or returns a sentence.
#ifndef MAPPABLE_STAGE_HPP
#define MAPPABLE_STAGE_HPP

#include <string_view>

#include "../mappable.hpp"
#include "stage.h"

namespace mappable::stage {

using header = mappable_stage_header_t;

// The words behind the stage's name.
class args {
public:
    explicit args(mappable_stage_args_t raw) : raw_(raw) {}
    std::size_t size() const { return raw_.count; }
    std::string_view operator[](std::size_t at) const {
        const mappable_stage_arg_t &word = std::span(raw_.list, raw_.count)[at];
        return {word.text, word.len};
    }

private:
    mappable_stage_args_t raw_;
};

using function = const char *(mappable::region &, header &, args);

template <function *stage> const char *run(mappable_t *taken, mappable_stage_header_t *header, mappable_stage_args_t words) {
    mappable::region region(std::exchange(*taken, mappable_t{}));
    const char *why = stage(region, *header, args(words));
    *taken = region.release();
    return why;
}

} // namespace mappable::stage

#define MAPPABLE_STAGE_CPP(function) MAPPABLE_STAGE(mappable::stage::run<function>)

#endif
