//! The interface mappable:memory/types as the canonical ABI lowers it. Making a component holds these declarations to the interface.

/// The granule in bytes: sizes of regions, placements and the bounds of parts are multiples of it.
pub const granule = 65536;

/// Any of the results: what succeeded, or one handle or two and an error, which is in the low byte of the last word that is used.
pub const Answer = extern struct {
    is_error: u8 = 1,
    first: u32 = 0,
    second: u32 = 0,
};

/// result<_, access-error>
pub const Done = extern struct {
    is_error: u8 = 1,
    code: u8 = 0,
};

extern "mappable:memory/types@0.1.0" fn @"[static]mappable.allocate"(len: u64, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[method]mappable.size"(region: u32) u64;
extern "mappable:memory/types@0.1.0" fn @"[method]mappable.len"(region: u32) u64;
extern "mappable:memory/types@0.1.0" fn @"[method]mappable.set-len"(region: u32, len: u64, done: *Done) void;
extern "mappable:memory/types@0.1.0" fn @"[static]mappable.map"(region: u32, at: [*]u8, at_len: usize, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[method]mappable.read"(region: u32, offset: u64, len: u32, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[method]mappable.write"(region: u32, offset: u64, bytes: [*]const u8, len: usize, done: *Done) void;
extern "mappable:memory/types@0.1.0" fn @"[static]mappable.freeze"(region: u32) u32;
extern "mappable:memory/types@0.1.0" fn @"[static]mappable.split"(region: u32, at: u64, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[static]mappable.join"(low: u32, high: u32, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[resource-drop]mappable"(region: u32) void;
extern "mappable:memory/types@0.1.0" fn @"[static]mapping.unmap"(mapping: u32, at: [*]u8, at_len: usize, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[method]frozen.size"(frozen: u32) u64;
extern "mappable:memory/types@0.1.0" fn @"[method]frozen.len"(frozen: u32) u64;
extern "mappable:memory/types@0.1.0" fn @"[method]frozen.clone"(frozen: u32, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[method]frozen.slice"(frozen: u32, offset: u64, len: u64, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[static]frozen.map"(frozen: u32, at: [*]u8, at_len: usize, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[static]frozen.map-private"(frozen: u32, at: [*]u8, at_len: usize, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[static]frozen.thaw"(frozen: u32, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[method]frozen.copy"(frozen: u32, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[method]frozen.read"(frozen: u32, offset: u64, len: u32, answer: *Answer) void;
extern "mappable:memory/types@0.1.0" fn @"[resource-drop]frozen"(frozen: u32) void;
extern "mappable:memory/types@0.1.0" fn @"[static]frozen-mapping.unmap"(mapping: u32, at: [*]u8, at_len: usize, answer: *Answer) void;

pub const allocate = @"[static]mappable.allocate";
pub const size = @"[method]mappable.size";
pub const len = @"[method]mappable.len";
pub const setLen = @"[method]mappable.set-len";
pub const map = @"[static]mappable.map";
pub const read = @"[method]mappable.read";
pub const write = @"[method]mappable.write";
pub const freeze = @"[static]mappable.freeze";
pub const split = @"[static]mappable.split";
pub const join = @"[static]mappable.join";
pub const drop = @"[resource-drop]mappable";
pub const unmap = @"[static]mapping.unmap";
pub const frozenSize = @"[method]frozen.size";
pub const frozenLen = @"[method]frozen.len";
pub const frozenClone = @"[method]frozen.clone";
pub const frozenSlice = @"[method]frozen.slice";
pub const frozenMap = @"[static]frozen.map";
pub const frozenMapPrivate = @"[static]frozen.map-private";
pub const frozenThaw = @"[static]frozen.thaw";
pub const frozenCopy = @"[method]frozen.copy";
pub const frozenRead = @"[method]frozen.read";
pub const frozenDrop = @"[resource-drop]frozen";
pub const frozenUnmap = @"[static]frozen-mapping.unmap";
