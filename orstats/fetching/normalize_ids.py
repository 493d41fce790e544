"""The ids that a call of fetch is given: cleaned, each once, with keys and file names refused."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from orstats.errors import ConfigError
from orstats.ids.collector import NULL_MARKS, IdCollector, has_empty_id, id_of
from orstats.ids.id_shapes import API_KEY, FILE_NAME, begins_like_id, clean_id, invalid_id_kind, joined_ids, redact
from orstats.ids.table_readers import is_dataframe, read_dataframe

log = logging.getLogger("orstats.fetch")

#: Ids that are checked at a time: as many as fit into the processor's cache.
_CHUNK: Final = 1_000

#: Characters of ids that need no cleaning, and the spellings of a missing value in tables.
_PLAIN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MISSING_WORDS: Final = {case(word) for word in NULL_MARKS for case in (str, str.upper, str.title)} | {"NaN", "NaT"}


def normalize_ids(ids: Any) -> list[str]:
    """Return each id once, cleaned, in the order given; skip missing values, refuse keys and file names."""
    if is_dataframe(ids):
        collector = IdCollector()
        read_dataframe(ids, collector, column=None, advice="use fetch(read_ids(df, column=…)).")
        return collector.finish("the DataFrame")
    found, skipped = _texts(ids)
    other: list[str] = []
    for start in range(0, len(found), _CHUNK):
        chunk = found[start : start + _CHUNK]
        if _are_usual(chunk):
            continue
        chunk = list(map(str.strip, chunk))
        if not _are_usual(chunk):
            _refuse_keys(chunk, start)
            chunk = [clean_id(item) or item for item in chunk]
            other += [item for item in chunk if not begins_like_id(item)]
        found[start : start + _CHUNK] = chunk
    if not _MISSING_WORDS.isdisjoint(other):
        skipped += sum(item in _MISSING_WORDS for item in found)
        found = [item for item in found if item not in _MISSING_WORDS]
    if skipped:
        log.warning("%d missing values among the ids were skipped", skipped)
    if len(set(found)) < len(found):  # a set takes half the time of a dictionary
        found = list(dict.fromkeys(found))
    unlike = [item for item in dict.fromkeys(other) if item not in _MISSING_WORDS and invalid_id_kind(item) is None]
    if unlike:
        log.warning(
            "%d of %d ids do not look like generation ids, and are requested all the same (first: %s)",
            len(unlike),
            len(found),
            redact(unlike[0]),
        )
    return found


def _are_usual(ids: Sequence[str]) -> bool:
    """Tell whether all begin like generation ids and need no cleaning: as one text, 20 times as fast as one by one."""
    joined = "\n".join(ids)
    return (
        joined.isascii()
        and len(joined.encode().translate(None, _PLAIN)) == len(ids) - 1  # the line ends
        and f"\n{joined}".replace("_", "-").count("\ngen-") == len(ids)
        and "sk-" not in joined.lower()
    )


def _texts(ids: Any) -> tuple[list[str], int]:
    """Return ids as texts, and the number of missing values; response objects give their ids."""
    if isinstance(ids, os.PathLike) or (isinstance(ids, str) and _is_file(ids)):
        name = os.fspath(ids)
        raise ConfigError(f"{name!r} is the name of a file, not an id. Use fetch(read_ids({name!r})).")
    if hasattr(ids, "to_pylist"):
        ids = ids.to_pylist()  # Arrow
    elif isinstance(ids, str):
        ids = joined_ids(ids) or [ids]  # several ids that were pasted as one text; in a list, each text is one id
    elif id_of(ids) is not None or has_empty_id(ids):
        ids = [ids]
    elif isinstance(ids, Mapping) or not isinstance(ids, Iterable):
        raise TypeError(f"ids must be a list of generation ids, got {type(ids).__name__}.")
    items = list(ids)
    if set(map(type, items)) <= {str}:
        return items, 0
    texts = [text for position, item in enumerate(items) if (text := _text(item, position)) is not None]
    return texts, len(items) - len(texts)


def _text(item: Any, position: int) -> str | None:
    if isinstance(item, str):
        return str.strip(item)  # a plain str also of a subclass, such as NumPy's
    if item is None or (pd.api.types.is_scalar(item) and pd.isna(item)):
        return None
    if (id_ := id_of(item)) is not None:
        return id_
    if has_empty_id(item):
        return None
    raise TypeError(f"ids must be text; item {position} is {type(item).__name__}.")


def _is_file(text: str) -> bool:
    if begins_like_id(text) or "\0" in text:
        return False
    # os.path: a text may be too long for the name of a file
    return bool((invalid_id_kind(text) or "").startswith(FILE_NAME) or (text and os.path.exists(text)))  # noqa: PTH110


def _refuse_keys(ids: Sequence[str], start: int) -> None:
    if "sk-" not in "\n".join(ids).lower():
        return
    for position, item in enumerate(ids, start):
        if invalid_id_kind(item) == API_KEY:
            raise ConfigError(f"The ids contain an API key (item {position}). Remove it, and delete it from disk.")
