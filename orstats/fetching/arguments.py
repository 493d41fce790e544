"""What a call of fetch is given: which ids, which archive, how many workers. Said clearly when it cannot be used."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, Final, Literal

import pandas as pd

from orstats.api.client import Client
from orstats.api.config import is_duration
from orstats.api.transport import MAX_CONNECTIONS
from orstats.archive.archive import Archive
from orstats.errors import ConfigError
from orstats.ids.collector import NULL_MARKS, has_empty_id, id_of
from orstats.ids.formats import API_KEY, FILE_NAME, GENERATION_ID_HINT, clean_id, invalid_id_kind
from orstats.ids.read import read_ids
from orstats.ids.table_files import is_dataframe

log = logging.getLogger("orstats.fetch")

#: Ids that are looked through at a time for keys: as many as the processor's cache holds.
_LOOKED_AT: Final = 1_000

#: Characters of ids that need no cleaning, and words that a table has for a missing value.
_PLAIN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MISSING_WORDS: Final = {case(word) for word in NULL_MARKS for case in (str, str.upper, str.title)} | {"NaN", "NaT"}

#: Why the default archive has no records of a simulator, and what to do; an option or argument follows.
UNARCHIVED: Final = (
    "Records from servers on this machine are archived only in a directory that you name: set ORSTATS_ARCHIVE or pass"
)

#: An archive, the place of one, None for the usual one, False for none.
ArchiveChoice = Archive | str | os.PathLike[str] | Literal[False] | None


def distinct(ids: Any) -> list[str]:
    """Return each id once, cleaned, in the order first asked; skip missing values, refuse keys and files."""
    if is_dataframe(ids):
        return read_ids(ids)
    items = _items(ids)
    texts = [item for item in items if isinstance(item, str)]
    found = dict.fromkeys(map(str.strip, texts))
    stripped = list(found)
    # A look at many at once first: a hundred thousand ids are seen through twenty times as fast.
    for start in range(0, len(stripped), _LOOKED_AT):
        some = stripped[start : start + _LOOKED_AT]
        joined = "\n".join(some)
        if "sk-" in joined.lower():
            _refuse_keys(some, start)
        if not joined.isascii() or len(joined.encode().translate(None, _PLAIN)) >= len(some):
            stripped[start : start + _LOOKED_AT] = [clean_id(item) or item for item in some]
            found = {}
    skipped = len(items) - len(texts)
    if not found or _MISSING_WORDS & found.keys():
        found = dict.fromkeys(item for item in stripped if item not in _MISSING_WORDS)
        skipped += sum(clean_id(item) in _MISSING_WORDS for item in texts)
    if skipped:
        log.warning("%d missing values among the ids were skipped", skipped)
    return list(found)


def _items(ids: Any) -> list[str | None]:
    """Return ids as texts, with None for a missing value; response objects give their ids."""
    if isinstance(ids, os.PathLike) or (isinstance(ids, str) and _is_file(ids)):
        name = os.fspath(ids)
        raise ConfigError(f"{name!r} is the name of a file, not an id. Use fetch(read_ids({name!r})).")
    if hasattr(ids, "to_pylist"):
        ids = ids.to_pylist()  # Arrow
    elif isinstance(ids, str | Mapping) or id_of(ids) is not None:
        ids = [ids]
    elif not isinstance(ids, Iterable):
        raise TypeError(f"ids must be a list of generation ids, got {type(ids).__name__}.")
    items = list(ids)
    if set(map(type, items)) <= {str}:
        return items
    return [_item(item, position) for position, item in enumerate(items)]


def _item(item: Any, position: int) -> str | None:
    if isinstance(item, str):
        return item
    if item is None or item is pd.NA or item != item:  # noqa: PLR0124 - NaN
        return None
    if (id_ := id_of(item)) is not None:
        return id_
    if has_empty_id(item):
        return None
    raise TypeError(f"ids must be text; item {position} is {type(item).__name__}.")


def _is_file(text: str) -> bool:
    if text.startswith(("gen-", "gen_")) or "\0" in text:
        return False
    # os.path: a text may be too long for the name of a file
    return bool((invalid_id_kind(text) or "").startswith(FILE_NAME) or (text and os.path.exists(text)))  # noqa: PTH110


def _refuse_keys(ids: Sequence[str], start: int) -> None:
    for position, item in enumerate(ids, start):
        if invalid_id_kind(item) == API_KEY:
            raise ConfigError(f"The ids contain an API key (item {position}). Remove it, and delete it from disk.")


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
    """Check the arguments that every fetch has."""
    if not isinstance(workers, Integral) or not 1 <= workers <= MAX_CONNECTIONS:
        raise ConfigError(f"workers must be between 1 and {MAX_CONNECTIONS}, got {workers!r}.")
    if errors not in ("coerce", "raise"):
        raise ConfigError(f'errors must be "coerce" or "raise", got {errors!r}.')
    if not (is_duration(pending_wait) and pending_wait < math.inf):
        raise ConfigError(f"pending_wait must be a non-negative number of seconds, got {pending_wait!r}.")


def why_foreign(generation_id: str) -> str | None:
    """Say what kind of other id this is, such as a request's; None for what may be a generation's."""
    kind = invalid_id_kind(generation_id)
    return None if kind is None else f"Not a generation id: {kind}. {GENERATION_ID_HINT}"
