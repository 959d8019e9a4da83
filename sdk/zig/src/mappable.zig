//! Regions of memory for components in Zig: the interface mappable:memory/types of wit/mappable.wit.
//!
//!     var region = try mappable.Region.allocate(100_000);
//!     var mapped = try region.map(); // `region` is empty now
//!     @memset(mapped.bytes, 7);
//!     region = mapped.unmap(); // `mapped` is empty now
//!     defer region.deinit();
//!
//! Each of these types owns something. A method that is declared on a pointer takes it, which leaves it empty; after an error it is as it
//! was. The others only use it. Don't copy an owner: the copy still has the number of something that is gone. `deinit` does nothing to an
//! empty one. Mistakes end in a trap that says what was wrong: see `mistake.zig`.

const std = @import("std");
const abi = @import("abi.zig");
const list = @import("list.zig");
const mistake = @import("mistake.zig");

pub const placement = @import("placement.zig");
pub const stage = @import("stage.zig");

/// The granule in bytes: sizes of regions and the bounds of parts are multiples of it.
pub const granule = abi.granule;

/// What lists come from that the host passes to this component.
pub const list_allocator = list.allocator;

/// What went wrong: the errors of the interface by their names there, and a few of this package's. The call has changed nothing.
pub const Error = error{
    // map. The first three can't happen at placements that this package chooses.
    PlacementMisaligned,
    PlacementTooSmall,
    PlacementOverlaps,
    // `map` copies instead, and `mapAt` returns it; so with MappingsExhausted.
    PlacementUnmappable,
    MappingOverQuota,
    MappingsExhausted,
    // allocate, clone, copy, split and slice.
    InvalidRegionSize,
    RegionOverQuota,
    RegionsExhausted,
    // split and slice.
    PartMisaligned,
    PartOutsideRegion,
    // read, write and setLen.
    RangeOutsideRegion,
    ListTooLong,
    // join: the two are not neighbours in one allocation, in this order.
    NotNeighbours,
    // thaw: there are other references.
    StillShared,
    // map: this component's memory can't grow enough for a placement.
    MemoryFull,
};

/// Returns a sentence that says what is wrong and what helps.
pub fn text(err: Error) []const u8 {
    return switch (err) {
        error.PlacementMisaligned => "the placement is empty, or does not begin and end at multiples of 65536",
        error.PlacementTooSmall => "the placement is shorter than the region: `size` says how long it must be",
        error.PlacementOverlaps => "something is mapped in a part of the placement: unmap that, or map elsewhere",
        error.PlacementUnmappable => "the host can't map into this memory: read and write the region",
        error.MappingOverQuota => "one more mapping is over the quota that the host has set: unmap others",
        error.MappingsExhausted => "the host has no mapping left: unmap others",
        error.InvalidRegionSize => "a region can't be allocated for 0 bytes: ask for one at the least",
        error.RegionOverQuota => "one more region, or one of this size, is over the quota that the host has set: drop others",
        error.RegionsExhausted => "the host has no room for a region of this size",
        error.PartMisaligned => "a part of a region begins at a multiple of 65536",
        error.PartOutsideRegion => "a part of a region is not empty, and inside the region",
        error.RangeOutsideRegion => "the range, or the length, is not inside the region: `size` says where it ends",
        error.ListTooLong => "the host doesn't return so many bytes at once",
        error.NotNeighbours => "the regions are not neighbours in one allocation, in this order",
        error.StillShared => "there are other references to the frozen bytes: drop them, or copy",
        error.MemoryFull => "the component's memory has no room to map the region",
    };
}

/// Owners that are not empty.
var held_count: u32 = 0;

/// Returns how many owners there are that are not empty. As many at the end of an export as at its begin, give or take those that it is
/// passed and returns, or something leaks.
pub fn held() u32 {
    return held_count;
}

fn hold(handle: u32) u32 {
    held_count += 1;
    return handle;
}

fn letGo(handle: *u32) u32 {
    defer handle.* = 0;
    held_count -= 1;
    return handle.*;
}

fn allocateError(code: u8) Error {
    return switch (code) {
        0 => error.InvalidRegionSize,
        1 => error.RegionOverQuota,
        else => error.RegionsExhausted,
    };
}

fn partError(code: u8) Error {
    return switch (code) {
        0 => error.PartMisaligned,
        1 => error.PartOutsideRegion,
        else => error.RegionOverQuota,
    };
}

fn accessed(done: abi.Done) Error!void {
    if (done.is_error != 0) return if (done.code == 0) error.RangeOutsideRegion else error.ListTooLong;
}

/// Where the stack is, by the linker.
extern const __stack_low: u8;
extern const __stack_high: u8;

/// A region that this component owns and that is not mapped.
pub const Region = struct {
    handle: u32,

    /// Allocates a region whose length is `length`, which is not 0. All bytes are zero.
    pub fn allocate(length: u64) Error!Region {
        var answer: abi.Answer = .{};
        abi.allocate(length, &answer);
        if (answer.is_error != 0) return allocateError(@truncate(answer.first));
        return .{ .handle = hold(answer.first) };
    }

    /// Takes over a region that was handed to this component: an own<mappable>, by its number.
    pub fn take(handle: u32) Region {
        return .{ .handle = hold(handle) };
    }

    /// Gives the region up for its number, to be passed as an argument or a result.
    pub fn give(self: *Region) u32 {
        mistake.check(self.handle != 0, mistake.gone);
        return letGo(&self.handle);
    }

    /// Frees the region.
    pub fn deinit(self: *Region) void {
        if (self.handle != 0) abi.drop(letGo(&self.handle));
    }

    /// What it occupies, in bytes: a multiple of the granule.
    pub fn size(self: Region) u64 {
        mistake.check(self.handle != 0, mistake.gone);
        return abi.size(self.handle);
    }

    /// How many of its bytes count. The number goes with the region.
    pub fn len(self: Region) u64 {
        mistake.check(self.handle != 0, mistake.gone);
        return abi.len(self.handle);
    }

    /// Sets the length, to any up to the size. No byte changes.
    pub fn setLen(self: Region, length: u64) Error!void {
        mistake.check(self.handle != 0, mistake.gone);
        var done: abi.Done = .{};
        abi.setLen(self.handle, length, &done);
        try accessed(done);
    }

    /// Copies bytes out of the region, from `offset` on, until `into` is full.
    pub fn read(self: Region, offset: u64, into: []u8) Error!void {
        mistake.check(self.handle != 0, mistake.gone);
        try list.read(.region, self.handle, offset, into);
    }

    /// Copies bytes into the region, from `offset` on.
    pub fn write(self: Region, offset: u64, bytes: []const u8) Error!void {
        mistake.check(self.handle != 0, mistake.gone);
        var done: abi.Done = .{};
        abi.write(self.handle, offset, bytes.ptr, bytes.len, &done);
        try accessed(done);
    }

    /// Maps the region into this component's memory, at a placement of the pool. Where the host can't map, copies it instead.
    pub fn map(self: *Region) Error!Mapped {
        mistake.check(self.handle != 0, mistake.gone);
        const at = try mapSomewhere(.region, &self.handle);
        return .{ .handle = at.handle, .bytes = at.all[0..at.len], .all = at.all, .is_by_copy = at.is_by_copy };
    }

    /// Maps the region at a placement of the caller's choice: whole granules, in which nothing is that is needed until it is unmapped.
    /// Copies nothing: where the host can't map, that is the error.
    pub fn mapAt(self: *Region, at: []u8) Error!Mapped {
        mistake.check(self.handle != 0, mistake.gone);
        const is_above = @intFromPtr(at.ptr) >= @intFromPtr(&__stack_high);
        mistake.check(is_above or @intFromPtr(at.ptr) + at.len <= @intFromPtr(&__stack_low), mistake.over_stack);
        const length: usize = @intCast(abi.len(self.handle));
        const whole: usize = @intCast(abi.size(self.handle));
        try mapAny(.region, &self.handle, at);
        defer self.handle = 0;
        const all: []align(granule) u8 = @alignCast(at[0..whole]);
        return .{ .handle = self.handle, .bytes = all[0..length], .all = all, .is_by_copy = false, .is_placed = true };
    }

    /// Makes the region immutable.
    pub fn freeze(self: *Region) Frozen {
        mistake.check(self.handle != 0, mistake.gone);
        return .{ .handle = hold(abi.freeze(letGo(&self.handle))) };
    }

    /// Splits the region into its first `at` bytes, a multiple of the granule, and the rest.
    pub fn split(self: *Region, at: u64) Error!struct { Region, Region } {
        mistake.check(self.handle != 0, mistake.gone);
        var answer: abi.Answer = .{};
        abi.split(self.handle, at, &answer);
        if (answer.is_error != 0) {
            self.handle = answer.first;
            return partError(@truncate(answer.second));
        }
        _ = letGo(&self.handle);
        return .{ .{ .handle = hold(answer.first) }, .{ .handle = hold(answer.second) } };
    }

    /// Joins two neighbours of one allocation, as `split` leaves them. Takes both.
    pub fn join(self: *Region, high: *Region) Error!Region {
        mistake.check(self.handle != 0 and high.handle != 0, mistake.gone);
        mistake.check(self.handle != high.handle, mistake.same);
        var answer: abi.Answer = .{};
        abi.join(self.handle, high.handle, &answer);
        if (answer.is_error != 0) {
            self.handle = answer.first;
            high.handle = answer.second;
            return error.NotNeighbours;
        }
        _ = letGo(&self.handle);
        _ = letGo(&high.handle);
        return .{ .handle = hold(answer.first) };
    }
};

/// A region that is mapped.
pub const Mapped = struct {
    /// Of the mapping; of the region, if it is copied.
    handle: u32,
    /// The bytes that count.
    bytes: []align(granule) u8,
    /// All that there are, those behind the length included.
    all: []align(granule) u8,
    /// The host can't map: the bytes are a copy, which `unmap` copies back.
    is_by_copy: bool,
    /// The placement is one that was passed to `mapAt`.
    is_placed: bool = false,

    /// Takes the region out of this component's memory. Nobody may use `bytes` any more.
    pub fn unmap(self: *Mapped) Region {
        mistake.check(self.handle != 0, mistake.not_mapped);
        var region: Region = .{ .handle = self.handle };
        if (self.is_by_copy) {
            var at: usize = 0;
            while (at < self.all.len) : (at += list.piece) {
                var done: abi.Done = .{};
                abi.write(self.handle, at, self.all.ptr + at, @min(self.all.len - at, list.piece), &done);
                if (done.is_error != 0) mistake.refused();
            }
        } else {
            var answer: abi.Answer = .{};
            abi.unmap(self.handle, self.all.ptr, self.all.len, &answer);
            if (answer.is_error != 0) mistake.refused();
            region.handle = answer.first;
        }
        if (!self.is_placed) placement.give(self.all);
        self.* = .{ .handle = 0, .bytes = &.{}, .all = &.{}, .is_by_copy = false };
        return region;
    }

    /// Takes the region out of this component's memory and frees it.
    pub fn deinit(self: *Mapped) void {
        if (self.handle == 0) return;
        // What was written to a copy is nobody's.
        if (self.is_by_copy) {
            placement.give(self.all);
            abi.drop(letGo(&self.handle));
            self.* = .{ .handle = 0, .bytes = &.{}, .all = &.{}, .is_by_copy = false };
        } else {
            var region = self.unmap();
            region.deinit();
        }
    }
};

/// A reference to bytes that never change.
pub const Frozen = struct {
    handle: u32,

    /// Takes over a reference that was handed to this component: an own<frozen>, by its number.
    pub fn take(handle: u32) Frozen {
        return .{ .handle = hold(handle) };
    }

    /// Gives the reference up for its number.
    pub fn give(self: *Frozen) u32 {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        return letGo(&self.handle);
    }

    /// Drops the reference. The last one frees the bytes.
    pub fn deinit(self: *Frozen) void {
        if (self.handle != 0) abi.frozenDrop(letGo(&self.handle));
    }

    /// What it shows, in bytes: a multiple of the granule.
    pub fn size(self: Frozen) u64 {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        return abi.frozenSize(self.handle);
    }

    /// How many of the bytes count.
    pub fn len(self: Frozen) u64 {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        return abi.frozenLen(self.handle);
    }

    /// Copies bytes, from `offset` on, until `into` is full.
    pub fn read(self: Frozen, offset: u64, into: []u8) Error!void {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        try list.read(.frozen, self.handle, offset, into);
    }

    /// Makes another reference to the same bytes.
    pub fn clone(self: Frozen) Error!Frozen {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        var answer: abi.Answer = .{};
        abi.frozenClone(self.handle, &answer);
        if (answer.is_error != 0) return allocateError(@truncate(answer.first));
        return .{ .handle = hold(answer.first) };
    }

    /// Makes a reference to `length` bytes from `offset`, a multiple of the granule, on.
    pub fn slice(self: Frozen, offset: u64, length: u64) Error!Frozen {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        var answer: abi.Answer = .{};
        abi.frozenSlice(self.handle, offset, length, &answer);
        if (answer.is_error != 0) return partError(@truncate(answer.first));
        return .{ .handle = hold(answer.first) };
    }

    /// Makes a new region with a copy of the bytes.
    pub fn copy(self: Frozen) Error!Region {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        var answer: abi.Answer = .{};
        abi.frozenCopy(self.handle, &answer);
        if (answer.is_error != 0) return allocateError(@truncate(answer.first));
        return .{ .handle = hold(answer.first) };
    }

    /// Makes a region of the bytes again, if this is the only reference to them.
    pub fn thaw(self: *Frozen) Error!Region {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        var answer: abi.Answer = .{};
        abi.frozenThaw(self.handle, &answer);
        if (answer.is_error != 0) {
            self.handle = answer.first;
            return error.StillShared;
        }
        _ = letGo(&self.handle);
        return .{ .handle = hold(answer.first) };
    }

    /// Maps the bytes for reading. A store to them traps where the host protects pages. Where it can't map, copies them.
    pub fn map(self: *Frozen) Error!MappedFrozen {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        const at = try mapSomewhere(.frozen, &self.handle);
        return .{ .handle = at.handle, .bytes = at.all[0..at.len], .all = at.all, .is_by_copy = at.is_by_copy };
    }

    /// Maps the bytes for reading and writing. What is written is this mapping's own, is charged by granules, and is lost with it.
    pub fn mapPrivate(self: *Frozen) Error!MappedPrivate {
        mistake.check(self.handle != 0, mistake.frozen_gone);
        const at = try mapSomewhere(.private, &self.handle);
        return .{ .handle = at.handle, .bytes = at.all[0..at.len], .all = at.all, .is_by_copy = at.is_by_copy };
    }
};

/// A reference that is mapped for reading.
pub const MappedFrozen = FrozenMapping([]align(granule) const u8);

/// A reference that is mapped for reading and writing: what is written is this mapping's own.
pub const MappedPrivate = FrozenMapping([]align(granule) u8);

fn FrozenMapping(comptime Bytes: type) type {
    return struct {
        const Self = @This();

        handle: u32,
        /// The bytes that count.
        bytes: Bytes,
        /// All that there are.
        all: Bytes,
        /// The host can't map: the bytes are a copy.
        is_by_copy: bool,

        /// Takes the bytes out of this component's memory. What was written is lost.
        pub fn unmap(self: *Self) Frozen {
            mistake.check(self.handle != 0, mistake.not_mapped);
            var frozen: Frozen = .{ .handle = self.handle };
            if (!self.is_by_copy) {
                var answer: abi.Answer = .{};
                abi.frozenUnmap(self.handle, @constCast(self.all.ptr), self.all.len, &answer);
                if (answer.is_error != 0) mistake.refused();
                frozen.handle = answer.first;
            }
            placement.give(self.all);
            self.* = .{ .handle = 0, .bytes = &.{}, .all = &.{}, .is_by_copy = false };
            return frozen;
        }

        /// Unmaps and drops the reference.
        pub fn deinit(self: *Self) void {
            if (self.handle == 0) return;
            var frozen = self.unmap();
            frozen.deinit();
        }
    };
}

const Kind = enum { region, frozen, private };

/// The host has said that it can't map into this memory at all. It is not asked again.
var is_unmappable = false;

/// Maps at a placement. The handle becomes that of the mapping, or stays.
fn mapAny(kind: Kind, handle: *u32, at: []u8) Error!void {
    var answer: abi.Answer = .{};
    switch (kind) {
        .region => abi.map(handle.*, at.ptr, at.len, &answer),
        .frozen => abi.frozenMap(handle.*, at.ptr, at.len, &answer),
        .private => abi.frozenMapPrivate(handle.*, at.ptr, at.len, &answer),
    }
    handle.* = answer.first;
    if (answer.is_error == 0) return;
    return switch (answer.second & 0xff) {
        0 => error.PlacementMisaligned,
        1 => error.PlacementTooSmall,
        2 => error.PlacementOverlaps,
        4 => error.PlacementUnmappable,
        5 => error.MappingOverQuota,
        6 => error.MappingsExhausted,
        else => mistake.refused(),
    };
}

const Placed = struct { handle: u32, all: []align(granule) u8, len: usize, is_by_copy: bool };

/// Maps what a handle is of at a placement of the pool, or copies it there where the host can't map. Takes the handle if all is well.
fn mapSomewhere(kind: Kind, handle: *u32) Error!Placed {
    const len = if (kind == .region) abi.len(handle.*) else abi.frozenLen(handle.*);
    // Nearly every region is as large as its length needs, which saves asking for the size. The host says if it is not.
    var size = @max(len, 1);
    while (!is_unmappable) {
        const at = placement.take(size) orelse return error.MemoryFull;
        mapAny(kind, handle, at) catch |err| {
            placement.give(at);
            const whole = if (kind == .region) abi.size(handle.*) else abi.frozenSize(handle.*);
            switch (err) {
                error.PlacementTooSmall => if (size == whole) mistake.refused() else {
                    size = whole;
                    continue;
                },
                error.PlacementUnmappable => is_unmappable = true,
                error.MappingsExhausted => {},
                else => return err,
            }
            break;
        };
        defer handle.* = 0;
        return .{ .handle = handle.*, .all = at, .len = @intCast(len), .is_by_copy = false };
    }
    size = if (kind == .region) abi.size(handle.*) else abi.frozenSize(handle.*);
    const at = placement.take(size) orelse return error.MemoryFull;
    // It is there, so it can be read.
    (if (kind == .region) list.read(.region, handle.*, 0, at) else list.read(.frozen, handle.*, 0, at)) catch mistake.refused();
    defer handle.* = 0;
    return .{ .handle = handle.*, .all = at, .len = @intCast(len), .is_by_copy = true };
}

comptime {
    // `read` needs it, and the host, for lists that it passes.
    _ = list;
}
