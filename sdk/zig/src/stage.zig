//! Makes a stage of a function: a component of the world mappable:stage/stage, as `mappable pipe` runs them.
//!
//!     fn invert(region: *mappable.Region, header: *mappable.stage.Header, args: mappable.stage.Args) ?[]const u8 { … }
//!     comptime {
//!         mappable.stage.exports(invert);
//!     }
//!
//! The function is handed a picture in a region, which it owns, and the words behind the stage's name. It leaves a picture in `region`,
//! which may be another region, and its header in `header`; and returns null. Or it returns one sentence for a person that says why there
//! is none. The picture that it is handed is as large as the header says.

const std = @import("std");
const mappable = @import("mappable.zig");
const mistake = @import("mistake.zig");

pub const Pixels = enum(u8) {
    /// A PNG or JPEG file. Width and height are 0.
    encoded,
    /// One byte for each pixel, luminance; no padding between rows.
    gray8,
    /// Four bytes for each pixel, red, green, blue, alpha, not premultiplied; no padding between rows.
    rgba8,
};

/// The format and size of a picture. `size` is in bytes, from the region's first one on.
pub const Header = extern struct {
    pixels: Pixels,
    width: u32,
    height: u32,
    size: u64,
};

/// A list of the canonical ABI.
fn List(comptime T: type) type {
    return extern struct {
        ptr: [*]const T,
        len: usize,

        fn items(self: @This()) []const T {
            return if (self.len == 0) &.{} else self.ptr[0..self.len];
        }

        /// It is the callee's.
        fn free(self: @This()) void {
            mappable.list_allocator.free(@constCast(self.items()));
        }
    };
}

/// The words behind the stage's name.
pub const Args = struct {
    list: []const List(u8),

    pub fn len(self: Args) usize {
        return self.list.len;
    }

    pub fn at(self: Args, index: usize) []const u8 {
        return self.list[index].items();
    }
};

/// result<tuple<own<mappable>, header>, string>
const Result = extern struct {
    is_error: u8,
    is: extern union {
        made: extern struct { region: u32, header: Header },
        why: List(u8),
    } align(8),
};

var result: Result = undefined;

/// Exports the function as the stage's. Once in a program.
pub fn exports(comptime stage: fn (*mappable.Region, *Header, Args) ?[]const u8) void {
    const Export = struct {
        fn run(handle: u32, pixels: u32, width: u32, height: u32, size: u64, words: [*]const List(u8), count: usize) callconv(.c) *Result {
            const args: List(List(u8)) = .{ .ptr = words, .len = count };
            defer {
                for (args.items()) |word| word.free();
                args.free();
            }
            const held = mappable.held();
            var region = mappable.Region.take(handle);
            var header: Header = .{ .pixels = @fromBackingInt(@intCast(pixels)), .width = width, .height = height, .size = size };
            if (wrong(header, region) orelse stage(&region, &header, .{ .list = args.items() })) |why| {
                region.deinit();
                result = .{ .is_error = 1, .is = .{ .why = .{ .ptr = why.ptr, .len = why.len } } };
            } else {
                result = .{ .is_error = 0, .is = .{ .made = .{ .region = region.give(), .header = header } } };
            }
            mistake.check(mappable.held() == held, mistake.leaks);
            return &result;
        }
    };
    @export(&Export.run, .{ .name = "mappable:stage/step@0.1.0#run" });
}

/// What is wrong with a header.
fn wrong(header: Header, region: mappable.Region) ?[]const u8 {
    const pixel: u64 = if (header.pixels == .rgba8) 4 else 1;
    const pixels = @as(u64, header.width) * header.height;
    if (header.pixels != .encoded and (header.size % pixel != 0 or header.size / pixel != pixels)) {
        return "the header's width and height don't go with its size";
    }
    return if (header.size > region.len()) "the header says more bytes than there are" else null;
}
