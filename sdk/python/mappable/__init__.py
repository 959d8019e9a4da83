"""Regions of memory that a WebAssembly component owns, maps into its own memory and hands over.

A region comes in as an object of the bindings. `Region` makes it usable, and `hand_over` gives it back to them:

    from mappable import Region, reported

    class Step(exports.Step):
        @reported
        def run(self, region, header, args):
            region = Region(region)
            with region.map() as pixels:  # a memoryview of the region itself
                pixels[0] = 255
            return region.hand_over(), header
"""

from .errors import AccessError, AllocateError, JoinError, MapError, MappableError, PartError, StateError, ThawError
from .frozen import Frozen
from .mapped import Mapped
from .region import GRANULE, Region
from .report import reported

__all__ = [
    "GRANULE",
    "AccessError",
    "AllocateError",
    "Frozen",
    "JoinError",
    "MapError",
    "Mapped",
    "MappableError",
    "PartError",
    "Region",
    "StateError",
    "ThawError",
    "reported",
]
