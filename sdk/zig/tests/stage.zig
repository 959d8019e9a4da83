//! A stage that does what its argument says, mostly wrong.
const std = @import("std");
const mappable = @import("mappable");

comptime {
    mappable.stage.exports(misbehave);
}

const Misbehaviour = enum { leave_mapped, return_while_mapped, leak, drop, drop_and_return, another, lie, use_after_give, map_twice, unmap_twice, map_over_the_stack, join_with_itself, write_to_frozen };

fn misbehave(region: *mappable.Region, header: *mappable.stage.Header, args: mappable.stage.Args) ?[]const u8 {
    if (args.len() == 0) return null;
    const what = std.meta.stringToEnum(Misbehaviour, args.at(0)) orelse return "there is no such misbehaviour";
    switch (what) {
        .leave_mapped => {
            _ = region.map() catch |err| return mappable.text(err);
            return "it is mapped";
        },
        .return_while_mapped => _ = region.map() catch |err| return mappable.text(err),
        .leak => _ = mappable.Region.allocate(1) catch |err| return mappable.text(err),
        .drop => {
            region.deinit();
            return "it was dropped, and that is all right";
        },
        .drop_and_return => region.deinit(),
        .another => {
            const len = region.len();
            region.deinit();
            region.* = mappable.Region.allocate(len) catch |err| return mappable.text(err);
        },
        .lie => header.size = std.math.maxInt(u64),
        else => return misuse(what) catch |err| return mappable.text(err),
    }
    return null;
}

fn misuse(what: Misbehaviour) mappable.Error!?[]const u8 {
    var region = try mappable.Region.allocate(mappable.granule);
    switch (what) {
        .use_after_give => {
            _ = region.give();
            try region.setLen(1);
        },
        .map_twice => {
            _ = try region.map();
            _ = try region.map();
        },
        .unmap_twice => {
            var mapped = try region.map();
            region = mapped.unmap();
            region = mapped.unmap();
        },
        .map_over_the_stack => {
            const here = std.mem.alignBackward(usize, @frameAddress(), mappable.granule);
            const stack: [*]u8 = @ptrFromInt(here);
            _ = try region.mapAt(stack[0..mappable.granule]);
        },
        .join_with_itself => _ = try region.join(&region),
        .write_to_frozen => {
            var frozen = region.freeze();
            const mapped = try frozen.map();
            const byte: *volatile u8 = @constCast(&mapped.bytes[0]);
            byte.* = 1;
        },
        else => unreachable,
    }
    return null;
}
