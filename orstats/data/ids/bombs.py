"""Compressed files that are small, and endless when unpacked, are refused."""

from __future__ import annotations

from typing import Final

from orstats.api.errors import IdSourceError

__all__ = ["check_growth"]

#: Unpacked bytes from which on the growth is looked at; so much can be read in seconds.
_LEAST: Final = 256 << 20
#: Logs and tables shrink by 5 to 50 times; the formats can do 1,000.
_MOST_GROWTH: Final = 250


def check_growth(packed: int, unpacked: int, where: str) -> None:
    """Refuse what grew too much.

    Parameters
    ----------
    packed, unpacked
        Bytes before and after.
    where
        What the source is called in messages.

    Raises
    ------
    IdSourceError
        It is more than 256 MiB, and more than 250 times what it was.

    Examples
    --------
    >>> check_growth(1_000_000, 50_000_000, "app.log.gz")
    >>> check_growth(1_000_000, 1_000_000_000, "app.log.gz")
    Traceback (most recent call last):
        ...
    orstats.api.errors.IdSourceError: app.log.gz: grows more than 250-fold when it is unpacked; unpack it first
    """
    if unpacked > _LEAST and unpacked > _MOST_GROWTH * packed:
        raise IdSourceError(f"{where}: grows more than {_MOST_GROWTH}-fold when it is unpacked; unpack it first")
