"""`Mapped`: a region, or frozen bytes, in this component's memory."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, TypeVar

from . import _handles, _mapped
from .errors import MapError, StateError, name
from .held import PIECE, Held

# As native/mapped.c has them.
REGION, FROZEN, PRIVATE = range(3)
MEMORY_FULL = -1

# The cases of map-error, in their order.
CASES = [
    "placement-misaligned",
    "placement-too-small",
    "placement-overlaps",
    "placement-mismatch",
    "placement-unmappable",
    "mapping-over-quota",
    "mappings-exhausted",
]
# What `map` copies for: the host maps nothing into this memory, or nothing more at all.
COPIED = {"placement-unmappable", "mappings-exhausted"}

MAPPED = (
    "is mapped: leave its `with` block, or call `unmap()`, before you map it again, hand it over or change it. "
    "(If what `map()` returned was deleted, the region was freed with it)"
)
SHOWN = (
    "the region can't be unmapped: a memoryview of it is still there, or something that was made of one. Delete it (`del row`), or "
    "take it by `with`: `with pixels[0:100] as row:`. The region stays mapped until then: `unmap()` tries again"
)

Owner = TypeVar("Owner", bound=Held)


class Mapped(Generic[Owner]):
    """A mapped region. `with region.map() as pixels` unmaps it at the end of the block, and the region is its owner's again.

    If it is deleted while it is mapped, the region is freed.
    """

    def __init__(self, owner: Owner, kind: int) -> None:
        handle = owner._borrow()
        size, length = handle.size(), handle.len()
        self._owner = owner
        self._kind = kind
        self._mapping: Any = None
        self._copy: bytearray | bytes | None = None
        error = None
        # Python counts bytes by 31 bits here.
        if size >= 1 << 31:
            raise MapError("memory-full", f"a region of {size} bytes")
        self._number = _handles.Number(handle)
        try:
            mapping = _mapped.map(kind, self._number.value, size, length)
        except MemoryError:
            owner._put_back(self._number.into_object(self._number.value))
            raise
        if isinstance(mapping, tuple):
            code, value = mapping
            error = "memory-full" if code == MEMORY_FULL else CASES[code]
            owner._put_back(self._number.into_object(value))
        else:
            self._mapping = mapping
        if error in COPIED:
            self._copy = copy = owner.read(0, length)
            if kind != FROZEN:
                self._copy = bytearray(copy)
        elif error is not None:
            raise MapError(error, f"a region of {size} bytes")
        owner._gone = MAPPED
        self._show()

    def _show(self) -> None:
        self._bytes: memoryview | None = memoryview(self._mapping if self._copy is None else self._copy)

    @property
    def bytes(self) -> memoryview:
        """The bytes, as many as the length says. They can be written, unless they are frozen."""
        if self._bytes is None:
            raise StateError("the region is not mapped any more: use its bytes inside the `with` block")
        return self._bytes

    @property
    def is_by_copy(self) -> bool:
        """Whether the host couldn't map, so that `bytes` is a copy. What is written is written back by `unmap`."""
        return self._copy is not None

    def unmap(self) -> Owner:
        """Takes the region out of the memory, and returns its owner. BufferError while another memoryview of it is left."""
        self.bytes.release()
        try:
            self._unmap()
        except BufferError:
            self._show()
            raise BufferError(SHOWN) from None
        self._bytes = None
        self._mapping = self._copy = None
        return self._owner

    def _unmap(self) -> None:
        if self._copy is not None:
            if isinstance(self._copy, bytearray):
                # As the mapping would: fails if something shows the bytes.
                self._copy.append(0)
                self._copy.pop()
            self._owner._gone = None
            if self._kind == REGION:
                write_back(self._owner._handle, self._copy)
            return
        value = self._mapping.unmap()
        if isinstance(value, tuple):
            self._show()
            raise MapError(CASES[value[0]], "the host refused to unmap the region")
        self._owner._put_back(self._number.into_object(value))

    def __enter__(self) -> memoryview:
        return self.bytes

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bytes is None:
            return
        try:
            self.unmap()
        except BufferError:
            # The frames of the error that ends the block hold what was made in it. That error says more.
            if error is None:
                raise


def write_back(handle: Any, copy: bytearray | bytes) -> None:
    """Writes all of a copy, by pieces."""
    with memoryview(copy) as shown:
        for start in range(0, len(copy), PIECE):
            try:
                handle.write(start, bytes(shown[start : start + PIECE]))
            except Exception as error:
                raise MapError(name(error.value) if hasattr(error, "value") else "write", "it was not written back") from error
