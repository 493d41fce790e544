"""Read the ids and labels that were recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from orstats._warn import warn_caller
from orstats.errors import IdSourceError
from orstats.frame.schema import FIELDS
from orstats.ids.decompression import unpack
from orstats.ids.json_files import read_records
from orstats.ids.sniff import as_utf8, file_chunks
from orstats.ids.source import Source

_ID, _AT = "id", "recorded_at"


def labels(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read the labels that :func:`orstats.record` wrote, to join them to a DataFrame.

    ``orstats.cost_by(df.join(orstats.labels("ids.jsonl")), "team")`` is the cost per team.

    Parameters
    ----------
    path : str or os.PathLike
        The file, which may be compressed or in a zip or tar archive.

    Returns
    -------
    pandas.DataFrame
        Index ``id``, each id once; ``recorded_at`` (UTC), and a text column for each label. If an id was recorded more
        than once, its labels are combined, and the first value of each stays.

    Raises
    ------
    IdSourceError
        The file cannot be read, or contains no record.

    Warns
    -----
    UserWarning
        Some lines are not valid records, for example because the disk was full. They are skipped. Or a label of an
        older file has the name of a column of the DataFrame.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "ids.jsonl")
    ...     _ = file.write_text('{"id": "gen-1", "recorded_at": "2026-11-23T10:00:00Z", "team": "search"}\n')
    ...     labels(file).loc["gen-1", "team"]
    'search'
    """
    found: dict[str, dict[str, Any]] = {}
    names: dict[str, None] = {}
    malformed = 0
    for row in read_records(_chunks(Path(path))):
        if isinstance(row, bytes):
            malformed += 1
            continue
        found[row[_ID]] = row | found.get(row[_ID], {})
        names.update(dict.fromkeys(name for name in row if name not in (_ID, _AT)))
    if malformed and not found:
        raise IdSourceError(f"{path}: contains no records. Pass a file that orstats.record() wrote.", path=str(path))
    if malformed:
        warn_caller(f"Skipped {malformed:,} malformed lines in {path}.")
    if reserved := sorted(names.keys() & FIELDS.keys()):
        warn_caller(f"Labels named like a column of the DataFrame get the prefix label_: {', '.join(reserved)}.")
    index = pd.Index(list(found), name=_ID, dtype="string")
    times = pd.Series([row.get(_AT) for row in found.values()], index=index, dtype="string")
    columns = {_AT: pd.to_datetime(times, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")}
    columns |= {
        f"label_{name}" if name in FIELDS else name: pd.Series(
            [_text(row.get(name)) for row in found.values()], index, "string"
        )
        for name in names
    }
    return pd.DataFrame(columns, index=index)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file, Source(file_chunks(file), str(path), path=str(path)) as source:
            yield from _unpacked(source)
    except OSError as error:
        raise IdSourceError(f"{path}: {error.strerror or error}.", path=str(path)) from error


def _unpacked(source: Source) -> Iterator[bytes]:
    members = unpack(source)
    if members is None:
        yield from as_utf8(source.chunks)
        yield b"\n"
    else:
        for member in members:
            yield from _unpacked(member)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else orjson.dumps(value).decode()
