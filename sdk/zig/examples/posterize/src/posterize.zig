//! A stage in Zig: leaves a few levels of each colour, in the region that it is handed. Its argument is how many: 2 to 256, or 4 unless
//! told.
const std = @import("std");
const mappable = @import("mappable");

comptime {
    mappable.stage.exports(posterize);
}

fn posterize(region: *mappable.Region, header: *mappable.stage.Header, args: mappable.stage.Args) ?[]const u8 {
    const levels = if (args.len() == 0) 4 else std.fmt.parseInt(u32, args.at(0), 10) catch 0;
    if (levels < 2 or levels > 256 or args.len() > 1) return "there are 2 to 256 levels";
    if (header.pixels == .encoded) return "this stage works on pixels, and the picture is a file: decode it first";

    var picture = region.map() catch |err| return mappable.text(err);
    // All but alpha.
    const pixels = picture.bytes[0..@intCast(header.size)];
    for (pixels, 0..) |*byte, at| {
        if (header.pixels == .gray8 or at % 4 != 3) byte.* = nearest(byte.*, levels);
    }
    region.* = picture.unmap();
    return null;
}

fn nearest(value: u32, levels: u32) u8 {
    const level = (value * (levels - 1) + 127) / 255;
    return @intCast(level * 255 / (levels - 1));
}
