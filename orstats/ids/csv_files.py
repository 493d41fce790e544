"""Take ids from one column of delimited text."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

from orstats.errors import IdSourceError
from orstats.ids.columns import SAMPLE_ROWS, ColumnSearch, name_columns, pick_column, plausible
from orstats.ids.decompression import CHUNK, as_stream
from orstats.ids.formats import ID_NAMES, looks_like_id, plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from orstats.ids.collector import IdCollector

__all__ = ["read_csv"]

_HEAD: Final = 1 << 17
_ROWS_AT_ONCE: Final = 50_000
_DELIMITERS: Final = ",;\t|"
_QUOTED = re.compile(r'"[^"]*"')
_LINE = re.compile(r"(?:row|line) (\d+)")


def read_csv(stream: BinaryIO, found: IdCollector, *, column: str | None, where: str) -> None:
    """Take the ids from a column of delimited text: commas, semicolons, tabs or bars, whatever the file uses.

    A file whose first row already holds an id has no header; its columns are called ``1``, ``2`` and so on. Titles
    above the header are skipped. Where the header is repeated, also with its columns in another order, as when
    several files were put one after the other, the column is looked up again.
    """
    source = _Source(stream)
    while source.skip_blank():
        _read_table(source, found, column=column, where=where)


class _Source:
    """A stream of lines of which one table after the other is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.pending = b""
        self.line = 0

    def skip_blank(self) -> bool:
        """Skip blank lines; False at the end."""
        while not self.pending.strip():
            self.line += self.pending.count(b"\n")
            self.pending = self._stream.read(CHUNK)
            if not self.pending:
                return False
            self.pending += self._stream.readline()
        self.skip(len(self.pending) - len(self.pending.lstrip(b"\r\n")))
        return True

    def skip(self, size: int) -> None:
        """Skip bytes that are pending."""
        self.line += self.pending.count(b"\n", 0, size)
        self.pending = self.pending[size:]

    def table(self, next_header: Callable[[bytes], int]) -> Iterator[bytes]:
        """Give the text up to the next header after the first line."""
        first = self.pending.find(b"\n") + 1
        while self.pending:
            place = next_header(self.pending[first:])
            size = len(self.pending) if place < 0 else place + first
            data, first = self.pending[:size], 0
            self.skip(size)
            yield data
            if place >= 0:
                return
            self.pending = self._stream.read(CHUNK)
            self.pending += self._stream.readline() if self.pending else b""


def _read_table(source: _Source, found: IdCollector, *, column: str | None, where: str) -> None:
    """Read one table, up to the next header."""
    import pandas as pd  # noqa: PLC0415 - keeps `import orstats` light

    start = source.pending[:_HEAD].decode("utf-8", "replace")
    delimiter = _delimiter(start)
    reader = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    ends: list[int] = []  # the line where each row ends
    for row in islice(reader, SAMPLE_ROWS):
        rows.append(row)
        ends.append(reader.line_num)
    names, below, header = name_columns(rows, column=column)
    place = pick_column(names, below, column=column, where=where)
    if header:
        source.skip(len(b"".join(source.pending.splitlines(keepends=True)[: ends[header - 1]])))
    line = source.line
    header_place = _header_finder(names, delimiter) if header is not None else lambda _: -1
    width = max(len(names), *map(len, rows[header or 0 :]))
    places = range(len(names)) if place is None else [place]
    search = ColumnSearch(names, where)
    try:
        with pd.read_csv(
            as_stream(source.table(header_place)),
            sep=delimiter,
            header=None,  # also for files that have one: pandas must not rename or infer anything
            names=range(width),
            usecols=places,  # with it, rows that are longer than the first are accepted
            dtype=str,
            na_filter=False,
            chunksize=_ROWS_AT_ONCE,
            encoding="utf-8",
            encoding_errors="replace",
        ) as chunks:
            for number, chunk in enumerate(chunks):
                cells = chunk.iloc[int(header is not None and number == 0) :]
                if place is None:
                    for at in places:
                        search.add(at, cells[at].tolist())
                else:
                    values = cells[place].tolist()
                    found.add_cells(values if column else plausible(values, names[place], found, where=where))
    except pd.errors.ParserError as error:
        match = _LINE.search(str(error))
        at_line = line + int(match[1]) + 1 if match else None
        message = f"{where}: broken delimited text near line {at_line}: {error}"
        raise IdSourceError(message, line=at_line) from error
    if place is None:
        search.finish(found)


def _delimiter(text: str) -> str:
    """Choose the delimiter that stands equally often in most lines."""
    lines = [line for line in _QUOTED.sub("", text).split("\n")[:SAMPLE_ROWS] if line.strip()]

    def evenness(delimiter: str) -> tuple[int, int]:
        counts = Counter(number for line in lines if (number := line.count(delimiter)))
        number, lines_alike = max(counts.items(), key=lambda item: item[::-1], default=(0, 0))
        return lines_alike, number

    return max(_DELIMITERS, key=evenness)


def _header_finder(names: Sequence[str], delimiter: str) -> Callable[[bytes], int]:
    """Return a function that gives the place of the next line that repeats the header, in any order; else -1."""
    named = [name for name in names if plain_name(name) in ID_NAMES] or [name for name in names if name][:1]
    if not named:
        return lambda _: -1
    name = named[0].encode()
    edge = re.escape(delimiter.encode()) + rb'\r\n"'
    pattern = re.compile(
        rb"%s(?:(?<=[%s]%s)|(?<![\s\S]%s))(?=[%s]|\Z)" % (re.escape(name), edge, re.escape(name), re.escape(name), edge)
    )
    known = set(names)

    def find(text: bytes) -> int:
        for match in pattern.finditer(text):
            start = text.rfind(b"\n", 0, match.start()) + 1
            end = text.find(b"\n", match.end())
            line = text[start : end if end >= 0 else len(text)].decode("utf-8", "replace")
            cells = [cell.strip() for cell in next(csv.reader([line.rstrip("\r")], delimiter=delimiter), [])]
            if len(known.intersection(cells)) * 2 >= len(cells) and not any(map(looks_like_id, cells)):
                return start
        return -1

    return find
