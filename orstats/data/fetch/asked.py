"""What a call of fetch is given: which ids, which archive, how many workers. Said clearly when it cannot be used."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable
from typing import Final, Literal

import pandas as pd

from orstats.api.client import Client
from orstats.api.errors import ConfigError
from orstats.api.transport import MAX_CONNECTIONS
from orstats.data.archive.archive import Archive
from orstats.data.ids.shapes import API_KEY, GENERATION_ID_HINT, foreign_kind

log = logging.getLogger("orstats.fetch")

#: Ids that are looked through at a time for keys: as many as the processor's cache holds.
_LOOKED_AT: Final = 1_000

#: An archive, the place of one, None for the usual one, False for none.
ArchiveChoice = Archive | str | os.PathLike[str] | Literal[False] | None


def distinct(ids: str | Iterable[str]) -> list[str]:
    """Return each id once, in the order first asked; missing values are skipped, keys and frames are refused."""
    if isinstance(ids, pd.DataFrame):
        raise TypeError("fetch() takes ids, not a frame; pass a column, e.g. frame['id'].")
    found: dict[str, None] = {}
    skipped = 0
    items = [ids] if isinstance(ids, str) else list(ids)
    if set(map(type, items)) == {str}:
        found = dict.fromkeys(map(str.strip, items))  # nothing but text: in a third of the time
        items = []
    for position, item in enumerate(items):
        if isinstance(item, str):
            found[item.strip()] = None
        elif item is None or item is pd.NA or item != item:  # noqa: PLR0124 - NaN
            skipped += 1
        else:
            raise TypeError(f"ids must be text; item {position} is {type(item).__name__}.")
    if skipped:
        log.warning("%d missing values among the ids were skipped", skipped)
    asked = list(found)
    # A look at many at once first: a hundred thousand ids are seen through twenty times as fast.
    for start in range(0, len(asked), _LOOKED_AT):
        some = asked[start : start + _LOOKED_AT]
        for position, item in enumerate(some if "sk-" in "\n".join(some).lower() else (), start):
            if foreign_kind(item) == API_KEY:
                raise ConfigError(f"The ids contain an API key (distinct item {position}); take it out, and off disk.")
    return asked


def choose_archive(archive: ArchiveChoice, client: Client) -> Archive | None:
    """Return the archive to use, or None for none.

    Servers on this machine get one only when it is named (as an argument or in ``ORSTATS_ARCHIVE``): what a
    simulator says must not mix with what was really paid.
    """
    if archive is False:
        return None
    if archive is None:
        if client.settings.is_loopback and not os.environ.get("ORSTATS_ARCHIVE"):
            return None
        return Archive()
    return archive if isinstance(archive, Archive) else Archive(archive)


def check_choices(workers: int, errors: str, pending_wait: float) -> None:
    """Check the arguments that every fetch has.

    Raises
    ------
    ConfigError
        A number of workers below 1 or above the connections of the pool; another word for ``errors``; not a wait.
    """
    if not 1 <= workers <= MAX_CONNECTIONS:
        raise ConfigError(f"workers must be between 1 and {MAX_CONNECTIONS}, got {workers!r}.")
    if errors not in ("coerce", "raise"):
        raise ConfigError(f'errors must be "coerce" or "raise", got {errors!r}.')
    if not 0 <= pending_wait < math.inf:
        raise ConfigError(f"pending_wait must be a non-negative number of seconds, got {pending_wait!r}.")


def why_foreign(generation_id: str) -> str | None:
    """Say what kind of other id this is, such as a request's; None for what may be a generation's."""
    kind = foreign_kind(generation_id)
    return None if kind is None else f"Not a generation id: {kind}. {GENERATION_ID_HINT}"
