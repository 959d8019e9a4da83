const std = @import("std");

/// The package: `b.dependency("mappable", .{}).module("mappable")` is what a component imports.
pub fn build(b: *std.Build) void {
    _ = b.addModule("mappable", .{ .root_source_file = b.path("src/mappable.zig") });
}

/// A core module whose exports others call, such as a stage's: `mappable component` makes a component of it.
pub fn library(
    b: *std.Build,
    mappable: *std.Build.Module,
    name: []const u8,
    source: std.Build.LazyPath,
    optimize: std.builtin.OptimizeMode,
) *std.Build.Step.Compile {
    const made = b.addExecutable(.{
        .name = name,
        .root_module = b.createModule(.{
            .root_source_file = source,
            .target = b.resolveTargetQuery(.{ .cpu_arch = .wasm32, .os_tag = .freestanding }),
            .optimize = optimize,
            .imports = &.{.{ .name = "mappable", .module = mappable }},
        }),
    });
    made.entry = .disabled;
    made.rdynamic = true;
    return made;
}
