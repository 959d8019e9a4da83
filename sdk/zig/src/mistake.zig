//! Mistakes: each ends the component inside a function whose name is a sentence that says what is wrong. Backtraces and the command
//! `mappable` show it, and no import is needed for it. As everywhere in Zig, builds without runtime safety look for none.

const std = @import("std");

pub const gone = @"mappable: this region is gone: it was mapped, frozen, split, joined, given away or dropped before";
pub const frozen_gone = @"mappable: this frozen reference is gone: it was mapped, thawed, given away or dropped before";
pub const not_mapped = @"mappable: nothing is mapped here: it was unmapped or dropped before";
pub const same = @"mappable: a region can't be joined with itself";
pub const over_stack = @"mappable: this placement holds the stack: take one from mappable.placement.take";
pub const not_taken = @"mappable: this placement is not taken: it was given back before, or is none of mappable.placement.take";
pub const leaks = @"mappable: the stage still has something mapped, or a region that it neither returns nor drops";
/// Not the guest's.
pub const refused = @"mappable: the host refused what the interface says can't fail";
pub const no_heap = @"mappable: cabi_realloc has no memory for a list";

/// Ends in `mistake` unless it holds.
pub inline fn check(holds: bool, comptime mistake: fn () noreturn) void {
    if (std.debug.runtime_safety and !holds) mistake();
}

/// A number for each, or the compiler makes one function of all.
inline fn end(number: u32) noreturn {
    std.mem.doNotOptimizeAway(number);
    @trap();
}

noinline fn @"mappable: this region is gone: it was mapped, frozen, split, joined, given away or dropped before"() noreturn {
    end(1);
}
noinline fn @"mappable: this frozen reference is gone: it was mapped, thawed, given away or dropped before"() noreturn {
    end(2);
}
noinline fn @"mappable: nothing is mapped here: it was unmapped or dropped before"() noreturn {
    end(3);
}
noinline fn @"mappable: a region can't be joined with itself"() noreturn {
    end(4);
}
noinline fn @"mappable: this placement holds the stack: take one from mappable.placement.take"() noreturn {
    end(5);
}
noinline fn @"mappable: this placement is not taken: it was given back before, or is none of mappable.placement.take"() noreturn {
    end(6);
}
noinline fn @"mappable: the stage still has something mapped, or a region that it neither returns nor drops"() noreturn {
    end(7);
}
noinline fn @"mappable: the host refused what the interface says can't fail"() noreturn {
    end(8);
}
noinline fn @"mappable: cabi_realloc has no memory for a list"() noreturn {
    end(9);
}
