// Tests of mappable.hpp: a program that says on stderr what doesn't hold, and exits with 1.
//   regions                        all that holds on every host
//   regions misuse NAME            makes a mistake, and is to be trapped
#include <cstdio>
#include <cstring>
#include <type_traits>

#include <mappable.hpp>

using namespace mappable;

static int failures;
#define EXPECT(...) ((__VA_ARGS__) ? (void)0 : (void)(failures++, fprintf(stderr, "regions.cpp:%d: %s\n", __LINE__, #__VA_ARGS__)))

template <class T> constexpr bool moves_only = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                                               !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(moves_only<region> && moves_only<mapped> && moves_only<frozen> && moves_only<mapped_frozen> && moves_only<mapped_private>);
// What is frozen can't be written to.
static_assert(std::is_same_v<decltype(std::declval<mapped_frozen &>().bytes()), std::span<const std::uint8_t>>);

static region allocate(std::uint64_t len) { return *region::allocate(len); }

static std::span<const std::byte> bytes_of(const char *text) { return std::as_bytes(std::span(text, strlen(text))); }

static void what_is_moved_from_is_empty_and_what_is_left_is_dropped() {
    {
        region one = allocate(5);
        EXPECT(!one.empty() && mappable_held() == 1);
        region two = std::move(one);
        EXPECT(one.empty() && !two.empty() && mappable_held() == 1);
        two = allocate(7);
        EXPECT(two.len() == 7 && mappable_held() == 1);
        // To itself.
        region &same = two;
        two = std::move(same);
        EXPECT(two.len() == 7);
        mapped bytes = *std::move(two).map();
        EXPECT(two.empty() && mappable_held() == 1);
    }
    EXPECT(mappable_held() == 0);
}

static void a_region_is_mapped_as_a_span() {
    region one = allocate(100000);
    EXPECT(one.size() == 2 * granule && one.len() == 100000);
    EXPECT(one.write(granule, bytes_of("hello")));
    EXPECT(one.write(2 * granule, bytes_of("hello")).error() == error(MAPPABLE_RANGE_OUTSIDE_REGION));
    mapped bytes = *std::move(one).map();
    EXPECT(bytes.bytes().size() == 100000 && bytes.all().size() == 2 * granule);
    EXPECT(memcmp(&bytes.bytes()[granule], "hello", 5) == 0);
    bytes.as<std::uint32_t>()[1] = 0x01020304;
    EXPECT(bytes.bytes()[4] == 4 && bytes.as<double>().size() == 12500);
    one = std::move(bytes).unmap();
    EXPECT(bytes.empty());
    std::byte byte;
    EXPECT(one.read(4, std::span(&byte, 1)) && byte == std::byte(4));
    EXPECT(one.set_len(3) && one.len() == 3);
    EXPECT(!one.set_len(2 * granule + 1) && one.len() == 3);
}

static void after_an_error_all_is_as_it_was() {
    EXPECT(region::allocate(0).error() == error(MAPPABLE_INVALID_REGION_SIZE));
    EXPECT(strstr(region::allocate(0).error().text(), "0 bytes") != nullptr);
    region one = allocate(3 * granule);
    EXPECT(std::move(one).split(5).error() == error(MAPPABLE_PART_MISALIGNED));
    EXPECT(one.size() == 3 * granule);
    auto [low, high] = *std::move(one).split(granule);
    EXPECT(one.empty() && low.size() == granule && high.size() == 2 * granule);
    EXPECT(std::move(high).join(std::move(low)).error() == error(MAPPABLE_NOT_NEIGHBOURS));
    EXPECT(!low.empty() && !high.empty());
    one = *std::move(low).join(std::move(high));
    EXPECT(one.size() == 3 * granule && low.empty() && high.empty());
}

static void frozen_bytes_are_shared_and_thawed() {
    region one = allocate(2 * granule);
    EXPECT(one.write(granule, bytes_of("hello")));
    frozen all = std::move(one).freeze();
    frozen part = *all.slice(granule, 5);
    EXPECT(part.len() == 5 && part.size() == granule && all.size() == 2 * granule);
    {
        mapped_frozen here = *std::move(part).map(), there = *(*all.clone()).map();
        EXPECT(here.bytes().size() == 5 && memcmp(here.bytes().data(), &there.bytes()[granule], 5) == 0);
        EXPECT(std::move(all).thaw().error() == error(MAPPABLE_STILL_SHARED) && !all.empty());
        mapped_private own = *(*all.clone()).map_private();
        own.bytes()[granule] = 'j';
        EXPECT(here.bytes()[0] == 'h' && own.bytes()[granule] == 'j');
        region copy = *all.copy();
        EXPECT(copy.write(granule, bytes_of("b")) && here.bytes()[0] == 'h');
        part = std::move(here).unmap();
        frozen again = std::move(own).unmap();
    }
    std::byte first;
    EXPECT(part.read(0, std::span(&first, 1)) && first == std::byte('h'));
    { frozen dropped = std::move(part); }
    one = *std::move(all).thaw();
    EXPECT(all.empty() && one.write(granule, bytes_of("j")));
}

static void a_handle_goes_and_comes() {
    region one = allocate(5);
    std::uint32_t handle = std::move(one).give();
    EXPECT(one.empty() && mappable_held() == 0);
    one = region::take(handle);
    EXPECT(one.len() == 5);
    frozen bytes = std::move(one).freeze();
    bytes = frozen::take(std::move(bytes).give());
    EXPECT(bytes.len() == 5);
}

static void misuse(const char *name) {
    region one = allocate(granule);
    if (strcmp(name, "use-after-move") == 0) {
        region other = std::move(one);
        EXPECT(one.size() == 0);
    } else if (strcmp(name, "map-twice") == 0) {
        mapped bytes = *std::move(one).map();
        EXPECT(!std::move(one).map());
    } else if (strcmp(name, "unmap-twice") == 0) {
        mapped bytes = *std::move(one).map();
        one = std::move(bytes).unmap();
        one = std::move(bytes).unmap();
    } else if (strcmp(name, "no-value") == 0) {
        one = *region::allocate(0);
    }
}

int main(int argc, char **argv) {
    if (argc == 3) {
        misuse(argv[2]);
        return 1;
    }
    what_is_moved_from_is_empty_and_what_is_left_is_dropped();
    a_region_is_mapped_as_a_span();
    after_an_error_all_is_as_it_was();
    frozen_bytes_are_shared_and_thawed();
    a_handle_goes_and_comes();
    EXPECT(mappable_held() == 0);
    return failures > 0;
}
