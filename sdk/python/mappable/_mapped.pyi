"""The extension: native/mapped.c."""


class Mapping:
    """Has the buffer protocol: the mapped bytes, as many as the length says. Deleted while mapped, it frees the region."""

    def unmap(self) -> int | tuple[int, int]:
        """Returns the handle, or the number of a map-error and the mapping's handle. BufferError while memoryviews are left."""
    def __buffer__(self, flags: int, /) -> memoryview: ...

def map(kind: int, handle: int, size: int, length: int, /) -> Mapping | tuple[int, int]:
    """Consumes a handle. Returns the number of a map-error, or -1 where the memory has no room, and the handle if it can't be mapped."""
