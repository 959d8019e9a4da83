"""The rules that the package keeps, each a test. `how` is `mapped` where the host maps and `copied` where it doesn't."""

from componentize_py_types import Err
from wit_world.imports import types

import mappable
from mappable import GRANULE, Region


def raises(kind, call, *words):
    """Calls it, and checks the error and that its text has the words."""
    try:
        call()
    except kind as error:
        for word in words:
            assert word in str(error), (word, str(error))
        return error
    raise AssertionError(f"no {kind.__name__}")


def it_maps_the_region_itself(how):
    region = Region.of(b"hello")
    assert (len(region), region.size) == (5, GRANULE)
    mapped = region.map()
    assert mapped.is_by_copy == (how == "copied")
    with mapped as shown:
        assert type(shown) is memoryview and not shown.readonly and len(shown) == 5
        assert shown == b"hello"
        shown[0:1] = b"j"
    assert region.read() == b"jello"


def it_maps_the_same_region_again_and_again(how):
    region = Region.allocate(3 * GRANULE)
    for turn in range(300):
        with region.map() as shown:
            assert shown[turn] == 0 and shown[-1] == (turn - 1 if turn else 0) % 256
            shown[turn] = 1
            shown[-1] = turn % 256
    assert region.read(0, 300) == bytes([1]) * 300


def it_maps_many_regions_at_once_and_keeps_its_heap(how):
    regions = [Region.allocate(GRANULE * (1 + index % 3)) for index in range(40)]
    mapped = [region.map() for region in regions]
    kept = []
    for index, it in enumerate(mapped):
        it.bytes[:] = bytes([index]) * len(it.bytes)
        kept.append(bytes([255 - index]) * 5000)
    for index, it in enumerate(mapped):
        assert set(it.bytes) == {index}
        it.unmap()
    for index, region in enumerate(regions):
        assert region.read() == bytes([index]) * region.size
        assert kept[index] == bytes([255 - index]) * 5000


def it_hides_nothing_that_python_needs_when_memory_is_short_and_grows(how):
    big = Region.allocate(5 << 20)
    with big.map() as shown:
        filler = [bytearray(1 << 20) for _ in range(20)]
        shown[:] = b"\x55" * len(shown)
        assert all(not any(it[::4096]) for it in filler)
    assert big.read((5 << 20) - 4) == b"\x55" * 4


def it_reads_and_writes_any_number_of_bytes(how):
    region = Region.allocate((2 << 20) + 10)
    data = bytes(range(256)) * 8200
    region.write(3, data)
    assert region.read(3, len(data)) == data
    region.set_len(7)
    assert region.read() == b"\0\0\0" + data[:4]
    for call in [lambda: region.read(-1, 5), lambda: region.read(0, region.size + 1), lambda: region.write(region.size, b"x")]:
        raises(mappable.AccessError, call, "range-outside-region", "stay within `size`")
    raises(mappable.AccessError, lambda: region.set_len(region.size + 1), "range-outside-region")
    region.write(0, memoryview(b"aXbXcX")[::2])
    assert region.read(0, 3) == b"abc"


def it_cannot_be_used_after_it_was_handed_over(how):
    region = Region.allocate(1)
    handle = region.hand_over()
    for call in [region.map, region.hand_over, region.read, region.freeze, lambda: region.size, lambda: len(region)]:
        raises(mappable.StateError, call, "unknown handle", "was handed over", "before `hand_over()`")
    # Behind its back, by the bindings alone.
    region = Region(handle)
    types.Mappable.freeze(handle)
    raises(mappable.StateError, region.map, "unknown handle", "was handed over")


def it_cannot_be_mapped_twice(how):
    region = Region.of(b"one")
    with region.map() as shown:
        raises(mappable.StateError, region.map, "is mapped", "`unmap()`")
        raises(mappable.StateError, region.freeze, "is mapped")
        assert shown == b"one"


def it_cannot_be_handed_over_while_it_is_mapped(how):
    region = Region.of(b"forgotten")
    mapped = region.map()
    raises(mappable.StateError, region.hand_over, "is mapped", "leave its `with` block, or call `unmap()`")
    assert mapped.unmap() is region
    Region(region.hand_over()).drop()


def it_frees_what_was_left_mapped(how):
    for _ in range(2000):
        Region.allocate(GRANULE).map()
        Region.allocate(GRANULE).freeze().map_private()


def it_is_not_unmapped_while_something_shows_it(how):
    region = Region.of(b"0123456789")
    mapped = region.map()
    row = mapped.bytes[2:5]
    raises(BufferError, mapped.unmap, "can't be unmapped", "Delete it", "stays mapped")
    mapped.bytes[2:3] = b"!"
    assert row == b"!34"
    del row
    mapped.unmap()
    raises(mappable.StateError, lambda: mapped.bytes, "not mapped any more")
    with region.map() as shown, shown[0:3] as row:
        assert row == b"01!"


def it_shows_the_error_that_ends_the_block(how):
    region = Region.of(b"0123456789")

    def work():
        with region.map() as shown:
            row = shown[0:2]
            raise KeyError(row[0])

    raises(KeyError, work)
    raises(mappable.StateError, region.read, "is mapped")


def it_freezes_shares_and_thaws(how):
    frozen = Region.of(bytes(GRANULE) + b"tail").freeze()
    other, tail = frozen.clone(), frozen.slice(GRANULE, 4)
    with frozen.map() as one, other.map() as two, tail.map() as three:
        assert one.readonly and one == two and three == b"tail"
        raises(TypeError, lambda: one.__setitem__(0, 1), "read-only")
    with other.map_private() as mine:
        mine[0:2] = b"my"
        assert mine[0:3] == b"my\0"
    assert frozen.read(0, 3) == b"\0\0\0"
    raises(mappable.ThawError, frozen.thaw, "other references", "drop the clones")
    other.drop()
    del tail
    region = frozen.thaw()
    raises(mappable.StateError, frozen.map, "was thawed")
    copy = region.freeze().copy()
    copy.write(0, b"x")
    assert len(copy) == GRANULE + 4
    part = raises(mappable.PartError, lambda: copy.freeze().slice(1, 1), "part-misaligned", "multiple of 65,536")
    assert part.error == "part-misaligned"


def it_splits_and_joins(how):
    region = Region.of(b"a" * GRANULE + b"b" * GRANULE)
    raises(mappable.PartError, lambda: region.split(5), "part-misaligned")
    raises(mappable.PartError, lambda: region.split(0), "part-outside-region")
    low, high = region.split(GRANULE)
    raises(mappable.StateError, region.map, "was split")
    with low.map() as one, high.map() as two:
        assert one[0:1] == b"a" and two[0:1] == b"b"
    raises(mappable.JoinError, lambda: high.join(low), "not neighbours")
    raises(mappable.JoinError, lambda: high.join(high), "itself")
    assert low.join(high).read(GRANULE - 1, 2) == b"ab"


def it_allocates_one_byte_at_the_least(how):
    raises(mappable.AllocateError, lambda: Region.allocate(0), "invalid-region-size", "one byte at the least")
    raises(mappable.AllocateError, lambda: Region.allocate(1 << 60), "bytes", "-")


def it_names_the_error_when_regions_leak(how):
    leaked = []

    def leak():
        while True:
            leaked.append(Region.allocate(1 << 20))

    error = raises(mappable.AllocateError, leak, "region-over-quota", "`del`")
    assert error.error == "region-over-quota" and len(leaked) > 2
    leaked.clear()
    Region.allocate(1 << 20)


def it_reports_what_is_raised_as_the_error_of_the_wit(how):
    @mappable.reported
    def export(what):
        with Region.of(b"x").map() as shown:
            raise what

    error = raises(Err, lambda: export(ValueError("no such colour")))
    assert error.value.startswith("ValueError: no such colour (rules.py, line "), error.value
    assert raises(Err, lambda: export(Err("mine"))).value == "mine"


def it_runs_out_of_memory_with_a_text(how):
    raises(mappable.MapError, Region.allocate(200 << 20).map, "memory-full", "split the region")
