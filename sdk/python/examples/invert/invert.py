"""A stage that inverts the colors of a picture."""

from wit_world import exports

from mappable import Region, reported

INVERSE = bytes(255 - value for value in range(256))
PIECE = 1 << 20


class Step(exports.Step):
    @reported
    def run(self, region, header, args):
        if args:
            raise ValueError("invert takes no arguments")
        if header.pixels.name == "ENCODED":
            raise ValueError("invert takes pixels, not a file: put `decode` before it")
        region = Region(region)
        with region.map() as pixels:
            for start in range(0, header.size, PIECE):
                # `with` releases the piece: the region can't be unmapped while a piece of it is left.
                with pixels[start : min(start + PIECE, header.size)] as piece:
                    inverse = bytearray(piece.tobytes().translate(INVERSE))
                    if header.pixels.name == "RGBA8":
                        inverse[3::4] = piece[3::4]  # alpha stays
                    piece[:] = inverse
        return region.hand_over(), header
