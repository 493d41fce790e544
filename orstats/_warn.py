"""Warnings that name the caller's line, not a line inside the package."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping


def warn_caller(message: str, category: type[Warning] = UserWarning, *, through: tuple[str, ...] = ()) -> None:
    """Issue a warning at the caller's line: the first one outside of orstats and of the packages in `through`."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - there is no public way
    while frame.f_back is not None and _package(frame.f_globals) in ("orstats", *through):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(names: Mapping[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
