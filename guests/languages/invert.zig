//! The stage of sdk/c/examples/invert.c in Zig, for `mappable-bench languages`.
const mappable = @import("mappable");

comptime {
    mappable.stage.exports(invert);
}

fn invert(region: *mappable.Region, header: *mappable.stage.Header, args: mappable.stage.Args) ?[]const u8 {
    if (args.len() > 0) return "this stage takes no argument";
    if (header.pixels == .encoded) return "this stage works on pixels, and the picture is a file: decode it first";

    var picture = region.map() catch |err| return mappable.text(err);
    // All but alpha.
    for (picture.bytes[0..@intCast(header.size)], 0..) |*byte, at| {
        if (header.pixels == .gray8 or at % 4 != 3) byte.* = ~byte.*;
    }
    region.* = picture.unmap();
    return null;
}
