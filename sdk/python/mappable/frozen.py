"""`Frozen`: a reference to bytes that never change."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from .errors import AllocateError, PartError, ThawError, name
from .held import Held
from .mapped import FROZEN, PRIVATE, Mapped

if TYPE_CHECKING:
    from .region import Region


class Frozen(Held):
    """A reference to frozen bytes, of this component's or another's. Many components can map them at once."""

    _what = "reference"

    def map(self) -> Mapped[Frozen]:
        """Maps the bytes for reading: the memoryview can't be written."""
        return Mapped(self, FROZEN)

    def map_private(self) -> Mapped[Frozen]:
        """Maps the bytes for reading and writing. What is written is this mapping's own, and lost with it."""
        return Mapped(self, PRIVATE)

    def clone(self) -> Frozen:
        """Makes another reference to the same bytes."""
        try:
            return Frozen(self._borrow().clone())
        except Exception as error:
            raise_as(AllocateError, error)

    def slice(self, offset: int, count: int) -> Frozen:
        """Makes a reference to `count` bytes from `offset` on, a multiple of 65,536."""
        handle = self._borrow()
        if offset < 0 or count <= 0 or offset + count > handle.size():
            raise PartError("part-outside-region", f"{count} bytes from {offset} on")
        try:
            return Frozen(handle.slice(offset, count))
        except Exception as error:
            raise_as(PartError, error)

    def copy(self) -> Region:
        """Makes a region that can be written, with a copy of the bytes."""
        from .region import Region

        try:
            return Region(self._borrow().copy())
        except Exception as error:
            raise_as(AllocateError, error)

    def thaw(self) -> Region:
        """Makes a region of the bytes again, without copying. This reference must be the only one."""
        from .region import Region

        handle = self._borrow()
        try:
            region = Region(type(handle).thaw(handle))
        except Exception as error:
            if not hasattr(error, "value"):
                raise
            self._put_back(error.value)
            text = "there are other references to the bytes: drop the clones, slices and mappings of them first, in every component"
            raise ThawError("still shared", text) from None
        self._gone = "was thawed: use the region that `thaw()` returned"
        return region


def raise_as(kind: type[AllocateError] | type[PartError], error: Exception) -> NoReturn:
    """Raises the package's error for one of the bindings'; others as they are."""
    value = getattr(error, "value", None)
    if value is None:
        raise error
    raise kind(name(value)) from None
