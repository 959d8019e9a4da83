//! A stage that tests the package: its error is what doesn't hold. Its argument is `off` on a host that can't map.
const std = @import("std");
const mappable = @import("mappable");
const Region = mappable.Region;
const G = mappable.granule;

comptime {
    mappable.stage.exports(run);
}

var can_map = true;

/// Where what doesn't hold is.
var failed: ?[]const u8 = null;

fn expect(holds: bool, comptime at: std.builtin.SourceLocation) void {
    if (!holds and failed == null) failed = std.fmt.comptimePrint("rules.zig:{d} in {s}", .{ at.line, at.fn_name });
}

fn fails(expected: mappable.Error, what: anytype, comptime at: std.builtin.SourceLocation) void {
    if (what) |_| expect(false, at) else |err| expect(err == expected, at);
}

fn run(region: *Region, header: *mappable.stage.Header, args: mappable.stage.Args) ?[]const u8 {
    _ = region;
    _ = header;
    can_map = args.len() == 0;
    const held = mappable.held();
    rules() catch |err| return mappable.text(err);
    expect(mappable.held() == held, @src());
    return failed;
}

fn rules() !void {
    try aRegionIsZeroAndHasASizeAndALength();
    try whatIsWrittenStays();
    try bytesAreReadAndWrittenWithoutMapping();
    try nothingOfTheHeapIsMappedOver();
    placementsAreUsedAgainAndMerge();
    try aPlacementOfOnesOwnIsCheckedByTheHost();
    try frozenBytesAreSharedAndThawed();
    try aPrivateMappingIsWrittenToAlone();
    try regionsAreSplitAndJoined();
}

fn allAre(bytes: []const u8, byte: u8) bool {
    return std.mem.allEqual(u8, bytes, byte);
}

fn aRegionIsZeroAndHasASizeAndALength() !void {
    fails(error.InvalidRegionSize, Region.allocate(0), @src());
    var region = try Region.allocate(100_000);
    defer region.deinit();
    expect(region.len() == 100_000 and region.size() == 2 * G, @src());
    fails(error.RangeOutsideRegion, region.setLen(2 * G + 1), @src());
    try region.setLen(5);
    // It is mapped whole, though its length would need less.
    var mapped = try region.map();
    expect(mapped.bytes.len == 5 and mapped.all.len == 2 * G and allAre(mapped.all, 0), @src());
    expect(region.handle == 0 and mapped.is_by_copy != can_map, @src());
    mapped.all[2 * G - 1] = 9;
    region = mapped.unmap();
    var last: [1]u8 = undefined;
    try region.read(2 * G - 1, &last);
    expect(last[0] == 9, @src());
}

fn whatIsWrittenStays() !void {
    var region = try Region.allocate(3 * G);
    var mapped = try region.map();
    const at = mapped.bytes.ptr;
    @memset(mapped.bytes, 7);
    region = mapped.unmap();
    expect(mapped.handle == 0 and mapped.bytes.len == 0, @src());
    // The same placement: it is the lowest that is free.
    mapped = try region.map();
    expect(mapped.bytes.ptr == at and allAre(mapped.bytes, 7), @src());
    mapped.deinit();
    mapped.deinit();
}

fn bytesAreReadAndWrittenWithoutMapping() !void {
    const size = 40 * G;
    const bytes = mappable.list_allocator.alloc(u8, size) catch return error.MemoryFull;
    defer mappable.list_allocator.free(bytes);
    const back = mappable.list_allocator.alloc(u8, size) catch return error.MemoryFull;
    defer mappable.list_allocator.free(back);
    for (bytes, 0..) |*byte, at| byte.* = @intCast(at % 251);
    var region = try Region.allocate(size);
    defer region.deinit();
    try region.write(0, bytes);
    // In three pieces.
    try region.read(1, back[0 .. size - 1]);
    expect(std.mem.eql(u8, back[0 .. size - 1], bytes[1..]), @src());
    try region.read(size, back[0..0]);
    back[0] = 77;
    fails(error.RangeOutsideRegion, region.read(size, back[0..1]), @src());
    fails(error.RangeOutsideRegion, region.read(1, back), @src());
    fails(error.RangeOutsideRegion, region.write(size, bytes[0..1]), @src());
    expect(back[0] == 77, @src());
}

fn nothingOfTheHeapIsMappedOver() !void {
    var regions: [4]mappable.Mapped = undefined;
    for (&regions, 1..) |*mapped, number| {
        var region = try Region.allocate(number * G);
        mapped.* = try region.map();
        @memset(mapped.bytes, @intCast(number));
    }
    var heap: [64][]u8 = undefined;
    for (&heap) |*block| {
        block.* = mappable.list_allocator.alloc(u8, 30_000) catch return error.MemoryFull;
        @memset(block.*, 0x55);
    }
    for (&regions, 1..) |*mapped, number| expect(allAre(mapped.bytes, @intCast(number)), @src());
    for (&regions) |*mapped| mapped.deinit();
    for (heap) |block| {
        expect(allAre(block, 0x55), @src());
        mappable.list_allocator.free(block);
    }
}

fn placementsAreUsedAgainAndMerge() void {
    // All that is free and large enough, so that those that follow are neighbours at the end of the memory.
    var filling: [64][]align(G) u8 = undefined;
    var count: usize = 0;
    while (true) {
        const before = @wasmMemorySize(0);
        filling[count] = mappable.placement.take(5 * G).?;
        count += 1;
        if (@wasmMemorySize(0) > before) break;
    }
    const one = mappable.placement.take(5 * G).?;
    const two = mappable.placement.take(6 * G - 1).?;
    const three = mappable.placement.take(5 * G).?;
    expect(one.len == 5 * G and two.len == 6 * G and one.ptr + 5 * G == two.ptr and two.ptr + 6 * G == three.ptr, @src());
    mappable.placement.give(one);
    mappable.placement.give(three);
    mappable.placement.give(two);
    const pages = @wasmMemorySize(0);
    const all = mappable.placement.take(16 * G).?;
    expect(all.ptr == one.ptr and @wasmMemorySize(0) == pages, @src());
    mappable.placement.give(all);
    for (filling[0..count]) |at| mappable.placement.give(at);
    const huge = mappable.placement.take(33 * G).?;
    expect(@intFromPtr(huge.ptr) % (32 * G) == 0, @src());
    mappable.placement.give(huge);
    expect(mappable.placement.take(std.math.maxInt(u64)) == null and mappable.placement.take(1 << 32) == null, @src());
    expect(mappable.placement.take(0) == null, @src());
}

var own: [2 * G]u8 align(G) = @splat(3);

fn aPlacementOfOnesOwnIsCheckedByTheHost() !void {
    var region = try Region.allocate(2 * G);
    defer region.deinit();
    if (!can_map) return fails(error.PlacementUnmappable, region.mapAt(&own), @src());
    fails(error.PlacementMisaligned, region.mapAt(own[8..][0..G]), @src());
    fails(error.PlacementMisaligned, region.mapAt(own[0..0]), @src());
    fails(error.PlacementTooSmall, region.mapAt(own[0..G]), @src());
    var mapped = try region.mapAt(&own);
    expect(mapped.bytes.ptr == &own and own[0] == 0, @src());
    var second = try Region.allocate(1);
    defer second.deinit();
    fails(error.PlacementOverlaps, second.mapAt(own[G..]), @src());
    region = mapped.unmap();
    expect(own[0] == 3, @src());
}

fn frozenBytesAreSharedAndThawed() !void {
    var region = try Region.allocate(3 * G);
    defer region.deinit();
    try region.write(G, "hello");
    var frozen = region.freeze();
    expect(region.handle == 0 and frozen.size() == 3 * G and frozen.len() == 3 * G, @src());
    var clone = try frozen.clone();
    fails(error.PartMisaligned, frozen.slice(5, G), @src());
    fails(error.PartOutsideRegion, frozen.slice(3 * G, 1), @src());
    var slice = try frozen.slice(G, 5);
    expect(slice.len() == 5 and slice.size() == G, @src());

    var one = try clone.map();
    var two = try slice.map();
    expect(clone.handle == 0 and one.is_by_copy != can_map, @src());
    expect(std.mem.eql(u8, two.bytes, "hello") and std.mem.eql(u8, one.bytes[G..][0..5], "hello"), @src());
    var word: [5]u8 = undefined;
    try frozen.read(G, &word);
    expect(std.mem.eql(u8, &word, "hello"), @src());
    fails(error.RangeOutsideRegion, frozen.read(3 * G, word[0..1]), @src());

    var copy = try frozen.copy();
    try copy.write(G, "j");
    expect(two.bytes[0] == 'h', @src());
    copy.deinit();

    fails(error.StillShared, frozen.thaw(), @src());
    clone = one.unmap();
    clone.deinit();
    two.deinit();
    two.deinit();
    region = try frozen.thaw();
    expect(frozen.handle == 0, @src());
    try region.write(G, "j");
}

fn aPrivateMappingIsWrittenToAlone() !void {
    var region = try Region.allocate(2 * G);
    try region.write(0, "hello");
    var frozen = region.freeze();
    defer frozen.deinit();
    var clone = try frozen.clone();
    var mapped = try clone.mapPrivate();
    mapped.bytes[0] = 'j';
    var first: [1]u8 = undefined;
    try frozen.read(0, &first);
    expect(first[0] == 'h' and mapped.bytes[0] == 'j', @src());
    clone = mapped.unmap();
    try clone.read(0, &first);
    expect(first[0] == 'h', @src());
    mapped = try clone.mapPrivate();
    mapped.deinit();
}

fn regionsAreSplitAndJoined() !void {
    var region = try Region.allocate(3 * G);
    fails(error.PartMisaligned, region.split(5), @src());
    fails(error.PartOutsideRegion, region.split(3 * G), @src());
    var low, var high = try region.split(G);
    expect(region.handle == 0 and low.size() == G and high.size() == 2 * G, @src());
    fails(error.NotNeighbours, high.join(&low), @src());
    expect(low.handle != 0 and high.handle != 0, @src());
    var mapped = try high.map();
    mapped.bytes[0] = 8;
    high = mapped.unmap();
    region = try low.join(&high);
    defer region.deinit();
    var byte: [1]u8 = undefined;
    try region.read(G, &byte);
    expect(byte[0] == 8 and low.handle == 0 and high.handle == 0 and region.size() == 3 * G, @src());
}
