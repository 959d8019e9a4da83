//! Placements: granules of this component's memory that nothing else uses, over which regions are mapped.
//!
//! They come from the end of the memory, by memory.grow, where neither a heap nor the stack is, and are used again, the lowest first:
//! what is mapped in the same order is mapped at the same addresses, for which the host needs no system call. They are never given
//! back to the memory. For one thread.

const std = @import("std");
const builtin = @import("builtin");
const granule = @import("abi.zig").granule;
const mistake = @import("mistake.zig");

/// A bit for each granule of the memory: whether it is free for placements.
var free_granules: [65536 / 64]u64 = @splat(0);

/// There is no free granule before this one.
var lowest_free: u32 = 0;

var is_heap_made = false;

/// Takes granules for `size` bytes, which is not 0: the lowest that are free, or new ones. The bytes are any. From 2 MiB on they begin at
/// a multiple of that if possible, so that the host can use huge pages. Null if the memory can't grow enough.
pub fn take(size: u64) ?[]align(granule) u8 {
    const count = std.math.cast(u32, std.math.divCeil(u64, size, granule) catch unreachable) orelse return null;
    if (count == 0 or count > 65535) return null;
    const alignments: []const u32 = if (count < 32) &.{1} else &.{ 32, 1 };
    for (alignments) |alignment| {
        const start = takeFree(count, alignment) orelse blk: {
            if (!grow(count, alignment)) continue;
            break :blk takeFree(count, alignment) orelse continue;
        };
        const at: [*]align(granule) u8 = @ptrFromInt(start * granule);
        return at[0 .. count * granule];
    }
    return null;
}

/// Gives granules back, of which nothing is mapped and nobody uses a byte any more.
pub fn give(at: []align(granule) const u8) void {
    const start: u32 = @intCast(@intFromPtr(at.ptr) / granule);
    const end: u32 = @intCast(start + (at.len + granule - 1) / granule);
    mistake.check(next(start, end, true) == end, mistake.not_taken);
    mark(start, end, true);
    lowest_free = @min(lowest_free, start);
}

/// The first granule of from..to that is free, or that isn't; `to` if there is none.
fn next(from: u32, to: u32, is_free: bool) u32 {
    var at = from;
    while (at < to) {
        const all = free_granules[at / 64];
        const word = (if (is_free) all else ~all) >> @intCast(at % 64);
        if (word != 0) return @min(at + @ctz(word), to);
        at = (at | 63) + 1;
    }
    return to;
}

fn mark(from: u32, to: u32, is_free: bool) void {
    var at = from;
    while (at < to) {
        const count = @min(64 - at % 64, to - at);
        const bits = (~@as(u64, 0) >> @intCast(64 - count)) << @intCast(at % 64);
        if (is_free) free_granules[at / 64] |= bits else free_granules[at / 64] &= ~bits;
        at += count;
    }
}

/// Takes the first free granules that begin at a multiple of `alignment`.
fn takeFree(count: u32, alignment: u32) ?u32 {
    const end: u32 = @intCast(@wasmMemorySize(0));
    lowest_free = next(lowest_free, end, true);
    var start = std.mem.alignForward(u32, lowest_free, alignment);
    while (start + count <= end) {
        const taken = next(start, start + count, false);
        if (taken == start + count) {
            mark(start, taken, false);
            return start;
        }
        start = std.mem.alignForward(u32, next(taken, end, true), alignment);
    }
    return null;
}

/// Adds granules to the memory, so many that with those that are free at its end there are enough.
fn grow(count: u32, alignment: u32) bool {
    if (builtin.link_libc and !is_heap_made) {
        // Some versions of wasi-libc make all of the memory their heap at the first malloc, so that comes before our granules.
        const first: *volatile ?*anyopaque = @constCast(&std.c.malloc(1));
        std.c.free(first.*);
        is_heap_made = true;
    }
    const end: u32 = @intCast(@wasmMemorySize(0));
    var tail = end;
    while (tail > 0 and next(tail - 1, tail, true) == tail - 1) tail -= 1;
    const missing = std.mem.alignForward(u32, tail, alignment) + count - end;
    if (missing > 65536 - end or @wasmMemoryGrow(0, missing) < 0) return false;
    mark(end, end + missing, true);
    lowest_free = @min(lowest_free, end);
    return true;
}
