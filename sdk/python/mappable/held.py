"""What `Region` and `Frozen` have in common: a handle, and whether this component still has it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from . import _handles
from .errors import AccessError, StateError, name

# As many bytes as every host returns at once.
PIECE = 1 << 20


class Held:
    """A handle that can be passed on, once."""

    # What it is called in texts.
    _what = "region"

    def __init__(self, handle: _handles.Handle) -> None:
        self._handle: Any = handle
        # Where the handle is, if it is not here.
        self._gone: str | None = None

    def _borrow(self) -> Any:
        """The object of the bindings, for a call that borrows it."""
        if self._gone is not None:
            raise StateError(f"the {self._what} {self._gone}")
        if not _handles.is_owned(self._handle):
            raise StateError(f"the {self._what} was handed over: its object was passed on or left by `with`; don't use it afterwards")
        return self._handle

    def _take(self, gone: str) -> Any:
        """The object of the bindings, for a call that consumes it."""
        handle = self._borrow()
        self._gone = gone
        return handle

    def _put_back(self, handle: Any) -> None:
        self._handle = handle
        self._gone = None

    def hand_over(self) -> Any:
        """Returns the object of the bindings, to be passed to an import or returned from an export. Then this is used up."""
        handle = self._take("was handed over: use it before `hand_over()`, or have it handed back")
        self._handle = None
        return handle

    def drop(self) -> None:
        """Drops the handle now. `del`, or the end of the function, does the same."""
        handle = self._take("was dropped")
        self._handle = None
        handle.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drops the handle, unless it was handed over."""
        if self._gone is None and _handles.is_owned(self._handle):
            self.drop()

    @property
    def size(self) -> int:
        """The size in bytes: what it occupies, in whole granules."""
        size: int = self._borrow().size()
        return size

    def __len__(self) -> int:
        """The length: how many of the bytes count."""
        length: int = self._borrow().len()
        return length

    def __bool__(self) -> bool:
        return True

    def read(self, offset: int = 0, count: int | None = None) -> bytes:
        """Returns a copy of `count` bytes from `offset` on, without mapping anything. Up to the length unless told."""
        handle = self._borrow()
        if count is None:
            count = max(len(self) - offset, 0)
        inside(handle, offset, count)
        pieces = []
        for start in range(offset, offset + count, PIECE):
            try:
                pieces.append(handle.read(start, min(PIECE, offset + count - start)))
            except Exception as error:
                raise access_error(error) from None
        return b"".join(pieces)


def inside(handle: _handles.Handle, offset: int, count: int) -> None:
    """Raises the WIT package's error for a range that is not inside. The bindings trap if a number is negative or too large."""
    size = handle.size()
    if offset < 0 or count < 0 or offset + count > size:
        raise AccessError("range-outside-region", f"{count} bytes from {offset} on are not inside {size} bytes")


def access_error(error: Exception) -> Exception:
    """The package's error for one of the bindings'; others as they are."""
    value = getattr(error, "value", None)
    return error if value is None else AccessError(name(value))
