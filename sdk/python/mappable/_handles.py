"""Handles: the objects that componentize-py has for resources of the WIT package, and the numbers in them.

An object has its handle, a number, as `handle`, and a finalizer that drops it. componentize-py takes both away when the object is
passed as an owned handle. To map, the number is passed by the extension, so this does the same. It relies on how componentize-py
0.25.1 makes these objects, and the tests fail with one that does otherwise.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Protocol


class Handle(Protocol):
    """An object of the bindings: a `Mappable` or a `Frozen`."""

    def size(self) -> int: ...
    def len(self) -> int: ...
    def read(self, offset: int, len: int) -> bytes: ...


class Number:
    """The handle that was taken out of an object, and what it takes to make one again."""

    def __init__(self, handle: Any) -> None:
        _, drop, (index, _), _ = handle.finalizer.detach()
        self.value: int = handle.handle
        self._drop: Callable[[int, int], None] = drop
        self._index: int = index
        self._type: type[Any] = type(handle)
        del handle.handle

    def into_object(self, value: int) -> Any:
        """Makes an object of a handle of the same resource."""
        handle = object.__new__(self._type)
        handle.handle = value
        handle.finalizer = weakref.finalize(handle, self._drop, self._index, value)
        return handle


def is_owned(handle: Any) -> bool:
    """Whether an object still has its handle: it was not passed on, nor left by `with`."""
    return getattr(handle, "handle", None) is not None
