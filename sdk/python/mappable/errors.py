"""The errors of all operations. Each text begins with the name that the WIT package has for the error, and says what to do.

A call that raises one of these has changed nothing: the region is what it was.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class MappableError(Exception):
    """What all of these are. `error` is the name in the WIT package."""

    advice: ClassVar[dict[str, str]] = {}

    def __init__(self, error: str, detail: str = "") -> None:
        self.error = error
        advice = self.advice.get(error, "")
        super().__init__(f"{error}: {'; '.join(part for part in (detail, advice) if part)}")


class AllocateError(MappableError):
    """Why there is no new region or reference."""

    advice = {
        "invalid-region-size": "ask for one byte at the least",
        "region-over-quota": "it would exceed a quota that the host has set: drop regions that are not needed any more (`del`), "
        "or run with a larger quota",
        "regions-exhausted": "the host has no memory for a region of this size: drop others, or ask for a smaller one",
    }


class MapError(MappableError):
    """Why a region was not mapped, or not unmapped. What is no fault of yours is not raised: then `map` copies."""

    advice = {
        "memory-full": "this component's memory has no room to map the region: drop objects, or split the region and map its parts",
        "mapping-over-quota": "it would exceed a quota that the host has set: unmap others first",
        "placement-misaligned": "this package has passed a wrong placement: report it",
        "placement-too-small": "this package has passed a wrong placement: report it",
        "placement-overlaps": "this package has passed a wrong placement: report it",
        "placement-mismatch": "this package has passed a wrong placement: report it",
    }


class PartError(MappableError):
    """Why a region was not split, or no slice made."""

    advice = {
        "part-misaligned": "a part begins at a multiple of 65,536",
        "part-outside-region": "a part is not empty, and inside the region",
        "region-over-quota": "it would exceed a quota that the host has set: drop regions that are not needed any more (`del`)",
    }


class AccessError(MappableError):
    """Why bytes were not read or written, or a length not set."""

    advice = {
        "range-outside-region": "stay within `size`",
        "list-too-long": "read fewer bytes at once: every host returns up to 1 MiB",
    }


class JoinError(MappableError):
    """Two regions are not neighbours in one allocation, in this order."""


class ThawError(MappableError):
    """There are other references to the bytes: clones, slices or mappings."""


class StateError(MappableError):
    """The region is not yours any more, or is mapped. In most languages such a call traps with "unknown handle index"."""

    def __init__(self, detail: str) -> None:
        super().__init__("unknown handle", detail)


def name(error: Enum) -> str:
    """The WIT package's name of an error of the bindings."""
    return error.name.lower().replace("_", "-")
