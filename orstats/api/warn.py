"""Warnings that name the caller's line, not a line inside the package."""

from __future__ import annotations

import sys
import warnings


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the first line outside of orstats."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - there is no public way
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("orstats."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
