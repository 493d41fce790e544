"""Find ids in the tables of a SQLite database, such as the logs of other tools."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector
from orstats.ids.column_values import ColumnValues
from orstats.ids.id_column import SAMPLE_ROWS, no_such_column
from orstats.ids.id_shapes import looks_like_id
from orstats.ids.source import Source
from orstats.ids.text import search_text

_LONGEST_CELL: Final = 256 << 20
_WAIT_S: Final = 2.0


def read_sqlite(source: Source, found: IdCollector, *, column: str | None) -> None:
    """Take the ids from all text of a database, or from one column of its tables."""
    try:
        with closing(_open_file(source.path) if source.path else _open_copy(source)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)  # a cell may be computed
            database.execute("PRAGMA trusted_schema = OFF")
            database.text_factory = lambda data: data.decode("utf-8", "replace")
            _read_tables(database, found, column, source.where)
    except sqlite3.Error as error:
        locked = "locked" in str(error)
        advice = "close the program that uses it, or read a copy" if locked else "not a readable SQLite database"
        raise IdSourceError(f"{source.where}: {error}; {advice}") from error


def _open_file(path: str) -> sqlite3.Connection:
    uri = Path(path).absolute().as_uri()
    database = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=_WAIT_S)
    try:
        database.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.Error as error:
        database.close()
        if not isinstance(error, sqlite3.OperationalError) or "unable to open" not in str(error):
            raise
        return sqlite3.connect(f"{uri}?immutable=1", uri=True)  # in write-ahead mode, in a read-only directory
    return database


def _open_copy(source: Source) -> sqlite3.Connection:
    data = source.file.read()
    database = sqlite3.connect(":memory:")
    # The bytes 18 and 19 ask for a write-ahead log, which a database in memory cannot have.
    try:
        database.deserialize(data[:18] + b"\x01\x01" + data[20:])
    except sqlite3.Error:
        database.close()
        raise
    return database


def _read_tables(database: sqlite3.Connection, found: IdCollector, column: str | None, where: str) -> None:
    names: list[str] = []
    with_ids: list[str] = []
    met = False
    chosen = None if column is None else ColumnValues(found, column, where)
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")
    for (table,) in tables.fetchall():
        quoted = '"' + table.replace('"', '""') + '"'
        rows = database.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - the name is quoted
        columns = [description[0] for description in rows.description]
        if chosen is None:
            search_text(_cells(rows), found)
            continue
        names += columns
        with_ids += _columns_with_ids(database, quoted, columns)
        places = [place for place, name in enumerate(columns) if column in (name, f"{table}.{name}")]
        for row in rows if places else ():
            met = True
            chosen.add("" if row[place] is None else str(row[place]) for place in places)
        met = met or bool(places)
    if chosen is None or column is None:
        return
    if not met:
        raise no_such_column(column, list(dict.fromkeys(names)), where=where)
    chosen.finish(list(dict.fromkeys(with_ids)))


def _columns_with_ids(database: sqlite3.Connection, table: str, columns: Sequence[str]) -> list[str]:
    rows = database.execute(f"SELECT * FROM {table} LIMIT {SAMPLE_ROWS}").fetchall()  # noqa: S608 - the name is quoted
    return [name for place, name in enumerate(columns) if any(looks_like_id(row[place]) for row in rows)]


def _cells(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    for row in rows:
        texts = [cell.encode("utf-8", "replace") if isinstance(cell, str) else cell for cell in row]
        yield b"\n".join(text for text in texts if isinstance(text, bytes)) + b"\n"
