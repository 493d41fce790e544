"""Warnings that name the line of the user who called us, however deep we are."""

from __future__ import annotations

import sys
import warnings


def tell(text: str) -> None:
    """Issue a UserWarning; the command line shows it as a sentence."""
    warnings.warn(text, UserWarning, stacklevel=_outside())


def _outside() -> int:
    """Find the level, as seen by :func:`tell`, of the first frame that is not of this package."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 - there is no public way
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("orstats."):
        level, frame = level + 1, frame.f_back
    return level
