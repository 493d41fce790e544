"""Read delimited text as tables: commas, semicolons, tabs or bars, whatever the file uses."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, Final, NamedTuple

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector
from orstats.ids.id_column import BATCH_ROWS, SAMPLE_ROWS, Table, check_columns, is_value, name_columns, read_table
from orstats.ids.id_shapes import ID_NAMES, looks_like_id, plain_name
from orstats.ids.source import CHUNK, HEAD, as_stream

_DELIMITERS: Final = ",;\t|"
_LINE_END = re.compile(r"[\r\n]+")
_QUOTED = re.compile(r'"[^"]*"')
_LINE = re.compile(r"(?:row|line) (\d+)")


def read_csv(stream: BinaryIO, found: IdCollector, *, column: str | None, where: str) -> None:
    """Take the ids from a column of delimited text.

    A file whose first row already contains an id has no header; its columns are called ``1``, ``2`` and so on. Titles
    above the header are skipped. Where the header is repeated, also with its columns in another order, as in
    concatenated files, the column is looked up again.
    """
    lines = _Lines(stream)
    while lines.skip_blank():
        _read_table(lines, found, column=column, where=where)


class _Lines:
    """A stream of lines from which one table after the other is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.pending = b""
        self.number = 0

    def skip_blank(self) -> bool:
        """Skip blank lines; False at the end."""
        while not self.pending.strip():
            self.skip(len(self.pending))
            if not self._read():
                return False
        self.skip(len(self.pending) - len(self.pending.lstrip(b"\r\n")))
        return True

    def skip(self, size: int) -> None:
        self.number += self.pending.count(b"\n", 0, size)
        self.pending = self.pending[size:]

    def up_to(self, next_header: Callable[[bytes], int]) -> Iterator[bytes]:
        """Yield the text up to the next header after the first line."""
        first = self.pending.find(b"\n") + 1
        while self.pending:
            place = next_header(self.pending[first:])
            size = len(self.pending) if place < 0 else place + first
            data, first = self.pending[:size], 0
            self.skip(size)
            yield data
            if place >= 0:
                return
            self._read()

    def _read(self) -> bool:
        self.pending = self._stream.read(CHUNK)
        self.pending += self._stream.readline() if self.pending else b""
        return bool(self.pending)


def _read_table(lines: _Lines, found: IdCollector, *, column: str | None, where: str) -> None:
    """Read one table, up to the next header."""
    head = read_head(lines.pending[:HEAD].decode("utf-8", "replace"), column=column, where=where)
    if column is None and not head.has_header and len(head.rows) == 1 and all(map(looks_like_id, head.rows[0])):
        line, _, _ = lines.pending.partition(b"\n")  # a list in one line
        found.add_listed(next(csv.reader([line.decode("utf-8", "replace")], delimiter=head.delimiter)))
        lines.skip(len(line))
        return
    lines.skip(len(b"".join(lines.pending.splitlines(keepends=True)[: head.lines_above])))
    next_header = _header_finder(head.names, head.delimiter) if head.has_header else lambda _: -1

    def batches(places: list[int]) -> Iterator[dict[int, list[Any]]]:
        import pandas as pd  # noqa: PLC0415 - keeps `import orstats` light

        first_line = lines.number
        try:
            with pd.read_csv(
                as_stream(lines.up_to(next_header)),
                sep=head.delimiter,
                header=None,  # also for files that have one: pandas must not rename or infer anything
                names=range(head.width),
                usecols=places,  # with it, rows that are longer than the first are accepted
                dtype=str,
                na_filter=False,
                chunksize=BATCH_ROWS,
                encoding="utf-8",
                encoding_errors="replace",
            ) as frames:
                for number, frame in enumerate(frames):
                    rows = frame.iloc[int(head.has_header and number == 0) :]
                    yield {place: rows[place].tolist() for place in places}
        except pd.errors.ParserError as error:
            match = _LINE.search(str(error))
            line = first_line + int(match[1]) + 1 if match else None
            raise IdSourceError(f"{where}: broken delimited text near line {line}: {error}", line=line) from error

    read_table(Table(where, head.names, head.below, batches), found, column=column)


class Head(NamedTuple):
    """What the beginning of delimited text says about its columns."""

    delimiter: str
    rows: list[list[str]]
    """The first rows, from the header on."""
    names: list[str]
    below: Sequence[Sequence[object]]
    """The first rows below the header."""
    has_header: bool
    lines_above: int
    """Lines with titles above the header."""

    @property
    def width(self) -> int:
        """The number of columns, of which the last ones may have no name."""
        return max(len(self.names), *map(len, self.rows))


def read_head(text: str, *, column: str | None, where: str) -> Head:
    """Find the delimiter, the header and the names of the columns of text that begins with a line that is not blank."""
    delimiter = _delimiter_of(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    ends: list[int] = []  # the line where each row ends
    for row in islice(reader, SAMPLE_ROWS):
        rows.append(row)
        ends.append(reader.line_num)
    names, below, header = name_columns(rows, column=column)
    check_columns(names, below, header=header, column=column, where=where)
    return Head(delimiter, rows[header or 0 :], names, below, header is not None, ends[header - 1] if header else 0)


def _delimiter_of(text: str) -> str:
    """Choose the delimiter that stands equally often in most lines."""
    lines = [line for line in _LINE_END.split(_QUOTED.sub("", text))[:SAMPLE_ROWS] if line.strip(" ")]

    def evenness(delimiter: str) -> tuple[int, int]:
        counts = Counter(number for line in lines if (number := line.count(delimiter)))
        number, lines_alike = max(counts.items(), key=lambda item: item[::-1], default=(0, 0))
        return lines_alike, number

    return max(_DELIMITERS, key=evenness)


def _header_finder(names: Sequence[str], delimiter: str) -> Callable[[bytes], int]:
    """Return a function that finds the next line that repeats the header, in any order; -1 if there is none.

    Without a name for ids, a header may be a row of values, so it is only repeated if all names are words.
    """
    named = [name for name in names if plain_name(name) in ID_NAMES]
    is_certain = bool(named)
    if not is_certain:
        named = [name for name in names if name]
        if not named or any(map(is_value, names)):
            return lambda _: -1
    name = re.escape(named[0].encode())
    edge = re.escape(delimiter.encode()) + rb'\r\n"'
    pattern = re.compile(rb"%s(?<![^%s]%s)(?=[%s]|\Z)" % (name, edge, name, edge))
    known = set(names)

    def find(text: bytes) -> int:
        for match in pattern.finditer(text):
            start = text.rfind(b"\n", 0, match.start()) + 1
            end = text.find(b"\n", match.end())
            line = text[start : end if end >= 0 else len(text)].decode("utf-8", "replace")
            cells = [cell.strip() for cell in next(csv.reader([line.rstrip("\r")], delimiter=delimiter), [])]
            least = len(cells) / 2 if is_certain else len(known)
            if len(known.intersection(cells)) >= least and not any(map(looks_like_id, cells)):
                return start
        return -1

    return find
