const std = @import("std");
const mappable = @import("mappable");

pub fn build(b: *std.Build) void {
    const optimize = b.standardOptimizeOption(.{});
    const module = b.dependency("mappable", .{}).module("mappable");
    b.installArtifact(mappable.library(b, module, "posterize", b.path("src/posterize.zig"), optimize));
}
