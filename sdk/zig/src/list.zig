//! Where the host puts lists, and the reading of regions.

const std = @import("std");
const builtin = @import("builtin");
const abi = @import("abi.zig");
const mistake = @import("mistake.zig");
const Error = @import("mappable.zig").Error;

/// What lists come from that the host passes to this component, and are freed by.
pub const allocator = if (builtin.link_libc) std.heap.c_allocator else std.heap.wasm_allocator;

/// Where the bytes of the `read` that is running go.
var read_into: ?[]u8 = null;

/// What every host returns at once.
pub const piece = 1 << 20;

fn realloc(old: [*]u8, old_size: usize, alignment: usize, size: usize) callconv(.c) [*]u8 {
    // Nothing to be had is any address that is aligned.
    if (size == 0) return @ptrFromInt(alignment);
    // What is read goes where it is wanted.
    if (read_into) |into| {
        if (old_size == 0 and into.len == size) {
            read_into = null;
            return into.ptr;
        }
    }
    const list = allocator.rawAlloc(size, .fromByteUnits(alignment), 0) orelse mistake.no_heap();
    if (old_size > 0) {
        const kept = @min(old_size, size);
        @memcpy(list[0..kept], old[0..kept]);
        allocator.rawFree(old[0..old_size], .fromByteUnits(alignment), 0);
    }
    return list;
}

comptime {
    // Weak: other bindings may have one, too.
    @export(&realloc, .{ .name = "cabi_realloc", .linkage = .weak });
}

/// Fills `into` with bytes of a region or a reference, from `offset` on.
pub fn read(comptime kind: enum { region, frozen }, handle: u32, offset: u64, into: []u8) Error!void {
    // Nothing is read if not all can be. The host checks that where it is asked once.
    if (into.len > piece) {
        const size = if (kind == .region) abi.size(handle) else abi.frozenSize(handle);
        if (offset > size or into.len > size - offset) return error.RangeOutsideRegion;
    }
    var at: usize = 0;
    while (true) {
        const part = into[at..@min(into.len, at + piece)];
        var answer: abi.Answer = .{};
        read_into = part;
        if (kind == .region) {
            abi.read(handle, offset + at, @intCast(part.len), &answer);
        } else {
            abi.frozenRead(handle, offset + at, @intCast(part.len), &answer);
        }
        read_into = null;
        if (answer.is_error != 0) return if (answer.first & 0xff == 0) error.RangeOutsideRegion else error.ListTooLong;
        // By the cabi_realloc of other bindings.
        if (answer.second > 0 and answer.first != @intFromPtr(part.ptr)) {
            const list: [*]u8 = @ptrFromInt(answer.first);
            @memcpy(part, list[0..part.len]);
            allocator.rawFree(list[0..part.len], .@"1", 0);
        }
        at += part.len;
        if (at == into.len) return;
    }
}
