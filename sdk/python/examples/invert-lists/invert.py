"""The stage of ../invert with the picture copied in and out, for comparison: `mappable-bench languages`."""

from componentize_py_types import Err
from wit_world import exports

INVERSE = bytes(255 - value for value in range(256))


class CopyingStep(exports.CopyingStep):
    def run(self, picture, header, args):
        if args or header.pixels.name == "ENCODED":
            raise Err("invert takes pixels, and no arguments")
        inverse = picture[: header.size].translate(INVERSE)
        if header.pixels.name == "RGBA8":
            inverse = bytearray(inverse)
            inverse[3::4] = picture[3 : header.size : 4]
            inverse = bytes(inverse)
        return inverse + picture[header.size :], header
