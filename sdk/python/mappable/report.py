"""`reported`: what goes wrong in an export, as the text that the caller sees."""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar

from componentize_py_types import Err

Export = TypeVar("Export", bound=Callable[..., Any])


def reported(export: Export) -> Export:
    """For an export whose WIT type is a `result` with an error of type `string`: whatever it raises is that error.

    Without it, a component traps where Python raises, and its caller learns no more than that.
    """

    @functools.wraps(export)
    def wrapper(*arguments: Any) -> Any:
        try:
            return export(*arguments)
        except Exception as error:
            if isinstance(error, Err):
                raise
            text = describe(error)
        # Outside of `except`, so that what the frames of the error hold is dropped: regions, too.
        raise Err(text)

    return wrapper  # type: ignore[return-value]


def describe(error: Exception) -> str:
    """One line: what, and where in the component's own code."""
    where = ""
    trace = error.__traceback__
    # By hand: the module `traceback` looks for the sources, and a file is not to be had without WASI.
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "/mappable/" not in file:
            where = f" ({file.rsplit('/', 1)[-1]}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{where}"
