// mappable.h for C++20: regions as move-only types, whose destructors drop what is left. Header-only, and needs no exceptions.
//
//     mappable::result<mappable::region> region = mappable::region::allocate(100000);
//     if (!region) return region.error().text();
//     mappable::result<mappable::mapped> mapped = std::move(*region).map();
//     if (!mapped) return mapped.error().text();
//     for (std::uint8_t &byte : mapped->bytes()) byte = 7;
//     *region = std::move(*mapped).unmap();
//
// A function that takes something takes it by `&&`, which is only moved from if all is well: after an error it still has what it had.
// What was moved from is empty. Using it is a mistake that mappable.h finds, as all that are said there.
#ifndef MAPPABLE_HPP
#define MAPPABLE_HPP

#if __cplusplus < 202002L
#error "mappable.hpp is for C++20 or newer: -std=c++20"
#endif

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "mappable.h"

MAPPABLE__MISTAKE(mappable__no_value, "there is no value, but an error: look at has_value() before")

namespace mappable {

// The granule in bytes.
inline constexpr std::size_t granule = MAPPABLE_GRANULE;

// Why something was not done.
class error {
public:
    constexpr error(mappable_error_t code) : code_(code) {}
    constexpr mappable_error_t code() const { return code_; }
    // A sentence that says what is wrong and what helps.
    const char *text() const { return mappable_error_text(code_); }
    friend constexpr bool operator==(error, error) = default;

private:
    mappable_error_t code_;
};

// A value, or why there is none: what std::expected is in C++23.
template <class T> class [[nodiscard]] result {
public:
    using value_type = T;
    constexpr result(T value) : value_(std::move(value)), error_(MAPPABLE_OK) {}
    constexpr result(mappable::error why) : error_(why) {}

    constexpr bool has_value() const { return value_.has_value(); }
    constexpr explicit operator bool() const { return has_value(); }
    // There must be a value.
    constexpr T &operator*() & { return checked(); }
    constexpr T &&operator*() && { return std::move(checked()); }
    constexpr T *operator->() { return &checked(); }
    // MAPPABLE_OK if there is a value.
    constexpr mappable::error error() const { return error_; }

private:
    constexpr T &checked() {
        MAPPABLE__CHECK(has_value(), mappable__no_value);
        return *value_;
    }

    std::optional<T> value_;
    mappable::error error_;
};

// One that has nothing to give.
template <> class [[nodiscard]] result<void> {
public:
    constexpr result() : error_(MAPPABLE_OK) {}
    constexpr result(mappable::error why) : error_(why) {}
    constexpr bool has_value() const { return error_ == mappable::error(MAPPABLE_OK); }
    constexpr explicit operator bool() const { return has_value(); }
    constexpr mappable::error error() const { return error_; }

private:
    mappable::error error_;
};

// An owner of mappable.h, which is dropped with this one.
template <class Owner, void (*drop)(Owner *)> class owner {
public:
    owner() = default;
    explicit owner(Owner raw) : raw_(raw) {}
    owner(owner &&other) noexcept : raw_(other.release()) {}
    owner &operator=(owner &&other) noexcept {
        if (this != &other) {
            drop(&raw_);
            raw_ = other.release();
        }
        return *this;
    }
    ~owner() { drop(&raw_); }

    // Whether there is nothing: it was moved from, or taken.
    bool empty() const { return raw_.handle == 0; }
    // As functions of mappable.h have it, which may take it.
    Owner &raw() & { return raw_; }
    // Gives it up to who calls.
    Owner release() { return std::exchange(raw_, Owner{}); }

protected:
    Owner raw_{};
};

class mapped;
class frozen;
class mapped_frozen;
class mapped_private;

// A region that this component owns and that is not mapped.
class region : public owner<mappable_t, mappable_drop> {
public:
    using owner::owner;

    // Allocates a region whose length is `len`, which is not 0. All bytes are zero.
    static result<region> allocate(std::uint64_t len) {
        region made;
        mappable_error_t error = mappable_allocate(len, &made.raw_);
        if (error != MAPPABLE_OK) return mappable::error(error);
        return made;
    }

    // A region that was handed to this component: an own<mappable>, by its number; and the number of one that it hands over.
    static region take(std::uint32_t handle) { return region(mappable_take(handle)); }
    std::uint32_t give() && { return mappable_give(&raw_); }

    std::uint64_t size() const { return mappable_size(raw_); }
    std::uint64_t len() const { return mappable_len(raw_); }
    result<void> set_len(std::uint64_t len) { return error_or_none(mappable_set_len(raw_, len)); }
    result<void> read(std::uint64_t offset, std::span<std::byte> into) const {
        return error_or_none(mappable_read(raw_, offset, into.data(), into.size()));
    }
    result<void> write(std::uint64_t offset, std::span<const std::byte> from) {
        return error_or_none(mappable_write(raw_, offset, from.data(), from.size()));
    }

    result<mapped> map() &&;
    frozen freeze() &&;

    // The first `at` bytes, a multiple of the granule, and the rest.
    result<std::pair<region, region>> split(std::uint64_t at) && {
        region low, high;
        mappable_error_t error = mappable_split(&raw_, at, &low.raw_, &high.raw_);
        if (error != MAPPABLE_OK) return mappable::error(error);
        return std::pair(std::move(low), std::move(high));
    }
    // These bytes and those of `high`, of which they were split.
    result<region> join(region &&high) && {
        region joined;
        mappable_error_t error = mappable_join(&raw_, &high.raw_, &joined.raw_);
        if (error != MAPPABLE_OK) return mappable::error(error);
        return joined;
    }

private:
    static result<void> error_or_none(mappable_error_t code) {
        return code == MAPPABLE_OK ? result<void>() : result<void>(mappable::error(code));
    }
};

// A region that is mapped.
class mapped : public owner<mappable_mapped_t, mappable_mapped_drop> {
public:
    using owner::owner;

    // The bytes that count, to be read and written. They are gone with this, or when it is unmapped.
    std::span<std::uint8_t> bytes() { return {raw_.bytes, raw_.len}; }
    std::span<const std::uint8_t> bytes() const { return {raw_.bytes, raw_.len}; }
    // As values of a type: as many as fit into the length.
    template <class T> std::span<T> as() {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= granule);
        return {reinterpret_cast<T *>(raw_.bytes), raw_.len / sizeof(T)};
    }
    // All that there are, those behind the length included.
    std::span<std::uint8_t> all() { return {raw_.bytes, raw_.size}; }
    bool is_by_copy() const { return raw_.is_by_copy; }

    region unmap() && { return region(mappable_unmap(&raw_)); }
};

// A reference to bytes that never change.
class frozen : public owner<mappable_frozen_t, mappable_frozen_drop> {
public:
    using owner::owner;

    static frozen take(std::uint32_t handle) { return frozen(mappable_frozen_take(handle)); }
    std::uint32_t give() && { return mappable_frozen_give(&raw_); }

    std::uint64_t size() const { return mappable_frozen_size(raw_); }
    std::uint64_t len() const { return mappable_frozen_len(raw_); }
    result<void> read(std::uint64_t offset, std::span<std::byte> into) const {
        mappable_error_t error = mappable_frozen_read(raw_, offset, into.data(), into.size());
        return error == MAPPABLE_OK ? result<void>() : result<void>(mappable::error(error));
    }

    // Another reference to the same bytes.
    result<frozen> clone() const {
        frozen made;
        mappable_error_t error = mappable_frozen_clone(raw_, &made.raw_);
        if (error != MAPPABLE_OK) return mappable::error(error);
        return made;
    }
    // A reference to `len` bytes from `offset`, a multiple of the granule, on.
    result<frozen> slice(std::uint64_t offset, std::uint64_t len) const {
        frozen made;
        mappable_error_t error = mappable_frozen_slice(raw_, offset, len, &made.raw_);
        if (error != MAPPABLE_OK) return mappable::error(error);
        return made;
    }
    // A new region with a copy of the bytes.
    result<region> copy() const {
        region made;
        mappable_error_t error = mappable_frozen_copy(raw_, &made.raw());
        if (error != MAPPABLE_OK) return mappable::error(error);
        return made;
    }
    // A region again, if this is the only reference.
    result<region> thaw() && {
        region made;
        mappable_error_t error = mappable_thaw(&raw_, &made.raw());
        if (error != MAPPABLE_OK) return mappable::error(error);
        return made;
    }

    result<mapped_frozen> map() &&;
    result<mapped_private> map_private() &&;
};

// A reference that is mapped for reading.
class mapped_frozen : public owner<mappable_mapped_frozen_t, mappable_mapped_frozen_drop> {
public:
    using owner::owner;

    std::span<const std::uint8_t> bytes() const { return {raw_.bytes, raw_.len}; }
    template <class T> std::span<const T> as() const {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= granule);
        return {reinterpret_cast<const T *>(raw_.bytes), raw_.len / sizeof(T)};
    }
    bool is_by_copy() const { return raw_.is_by_copy; }

    frozen unmap() && { return frozen(mappable_frozen_unmap(&raw_)); }
};

// A reference that is mapped for reading and writing: what is written is this mapping's own, and lost with it.
class mapped_private : public owner<mappable_mapped_private_t, mappable_mapped_private_drop> {
public:
    using owner::owner;

    std::span<std::uint8_t> bytes() { return {raw_.bytes, raw_.len}; }
    std::span<const std::uint8_t> bytes() const { return {raw_.bytes, raw_.len}; }
    bool is_by_copy() const { return raw_.is_by_copy; }

    frozen unmap() && { return frozen(mappable_private_unmap(&raw_)); }
};

inline result<mapped> region::map() && {
    mapped made;
    mappable_error_t error = mappable_map(&raw_, &made.raw());
    if (error != MAPPABLE_OK) return mappable::error(error);
    return made;
}

inline frozen region::freeze() && { return frozen(mappable_freeze(&raw_)); }

inline result<mapped_frozen> frozen::map() && {
    mapped_frozen made;
    mappable_error_t error = mappable_frozen_map(&raw_, &made.raw());
    if (error != MAPPABLE_OK) return mappable::error(error);
    return made;
}

inline result<mapped_private> frozen::map_private() && {
    mapped_private made;
    mappable_error_t error = mappable_frozen_map_private(&raw_, &made.raw());
    if (error != MAPPABLE_OK) return mappable::error(error);
    return made;
}

} // namespace mappable

#endif
