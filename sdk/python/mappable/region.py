"""`Region`: memory that this component owns."""

from __future__ import annotations

from typing import Any

# The bindings of the world, which componentize-py makes.
from wit_world.imports import types

from .errors import AccessError, AllocateError, JoinError, PartError, name
from .frozen import Frozen, raise_as
from .held import PIECE, Held, access_error, inside
from .mapped import REGION, Mapped

# The size of a WebAssembly page. Sizes, and where parts begin, are multiples of it.
GRANULE = 65536


class Region(Held):
    """A region: `Region(handle)` of an object of the bindings, or `Region.allocate(size)`.

    `len(region)` is how many of its bytes count, and goes with it. `region.size` is what it occupies, in whole granules.
    """

    @classmethod
    def allocate(cls, length: int) -> Region:
        """Makes a region of `length` bytes, all zero."""
        if length <= 0:
            raise AllocateError("invalid-region-size", f"{length} bytes")
        try:
            return cls(types.Mappable.allocate(length))
        except Exception as error:
            value = getattr(error, "value", None)
            if value is None:
                raise
            raise AllocateError(name(value), f"{length} bytes") from None

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Region:
        """Makes a region with a copy of these bytes."""
        region = cls.allocate(memoryview(data).nbytes)
        region.write(0, data)
        return region

    def set_len(self, length: int) -> None:
        """Sets how many of the bytes count, up to the size. No byte changes."""
        handle = self._borrow()
        if not 0 <= length <= handle.size():
            raise AccessError("range-outside-region", f"a length of {length} bytes in a region of {handle.size()}")
        handle.set_len(length)

    def map(self) -> Mapped[Region]:
        """Maps the region into this component's memory: `with region.map() as pixels`.

        `pixels` is a memoryview of the region itself. On a host that can't map it is a copy, which the end of the block writes back.
        """
        return Mapped(self, REGION)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Copies bytes into the region, from `offset` on, without mapping it."""
        handle = self._borrow()
        with memoryview(data) as whole, memoryview(whole if whole.c_contiguous else whole.tobytes()).cast("B") as shown:
            inside(handle, offset, len(shown))
            for start in range(0, len(shown), PIECE):
                try:
                    handle.write(offset + start, bytes(shown[start : start + PIECE]))
                except Exception as error:
                    raise access_error(error) from None

    def freeze(self) -> Frozen:
        """Makes the bytes unchangeable. This region is used up."""
        handle = self._take("was frozen: use what `freeze()` returned")
        return Frozen(type(handle).freeze(handle))

    def split(self, at: int) -> tuple[Region, Region]:
        """Splits the region in two: its first `at` bytes, and the rest. This region is used up."""
        handle = self._borrow()
        if at <= 0 or at >= handle.size():
            raise PartError("part-outside-region", f"a split at {at} of {handle.size()} bytes")
        try:
            low, high = type(handle).split(handle, at)
        except Exception as error:
            self._restore_or_raise(error)
            raise PartError(name(error.value[1]), f"a split at {at}") from None  # type: ignore[attr-defined]
        self._gone = "was split: use its parts"
        return Region(low), Region(high)

    def join(self, high: Region) -> Region:
        """Joins this region and its neighbour, as `split` left them. Both are used up."""
        handles = [self._borrow(), high._borrow()]
        if high is self:
            raise JoinError("not neighbours", "a region can't be joined with itself")
        try:
            joined = type(handles[0]).join(*handles)
        except Exception as error:
            value: Any = getattr(error, "value", None)
            if value is None:
                raise
            self._put_back(value[0])
            high._put_back(value[1])
            raise JoinError("not neighbours", "join the parts that `split` has made of one region, in their order") from None
        self._gone = high._gone = "was joined: use what `join()` returned"
        return Region(joined)

    def _restore_or_raise(self, error: Exception) -> None:
        """Takes back the region that an error returns."""
        value = getattr(error, "value", None)
        if value is None:
            raise error
        self._put_back(value[0])
