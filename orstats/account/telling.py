"""Warnings of the account's commands, at the caller's line."""

from __future__ import annotations

from orstats._warn import warn_caller


def tell(text: str) -> None:
    """Issue a UserWarning; the command line prints it as a sentence."""
    warn_caller(text)
