"""Recognise what a stream of bytes is, unpack and decode it, and hand it to the reader of its kind."""

from __future__ import annotations

import functools
import io
import itertools
import re
from typing import IO, TYPE_CHECKING, Final

from orstats.errors import IdSourceError
from orstats.ids.csv_files import read_csv
from orstats.ids.decompression import (
    CHUNK,
    Budget,
    as_file,
    as_stream,
    compression,
    decompress,
    open_zip,
    read_each,
    tar_members,
    zip_members,
)
from orstats.ids.encodings import as_utf8
from orstats.ids.json_fields import read_json
from orstats.ids.sqlite_files import read_sqlite
from orstats.ids.tables import read_excel, read_feather, read_parquet
from orstats.ids.text import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from orstats.ids.collector import IdCollector

__all__ = ["SUFFIXES", "file_chunks", "read_chunks", "read_path"]

SUFFIXES: Final = (
    *(".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx"),
    *(".feather", ".arrow", ".ods", ".db", ".sqlite", ".sqlite3", ".har", ".eml", ".mbox"),
    *(".txt", ".log", ".out", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".zstd", ".lz4"),
)
"""Endings by which a text is taken for the name of a file."""

_PACKED: Final = re.compile(r"(?:\.(?:gz|bz2|xz|lzma|zst|zstd|lz4))+$")
_KNOWN: Final = "text, CSV, JSON, Parquet, Arrow, .xlsx, SQLite, zip, tar, gzip, bzip2, xz, zstd"
_TABLE_FILES: Final = {b"PAR1": read_parquet, b"ARROW1\0\0": read_feather, b"FEA1": read_feather}
_UNREADABLE: Final = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; extract it first",
    b"Rar!": "a RAR archive; extract it first",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls) or a workbook with a password; save it as .xlsx without a password",
    b"%PDF-": "a PDF; save its text or its table as text or CSV",
}
_HEAD: Final = 1 << 17
_TABLES: Final = (".csv", ".tsv")
_JSON: Final = (".json", ".jsonl", ".ndjson")
_PRINTABLE: Final = bytes({7, 8, 9, 10, 12, 13, 27} | set(range(32, 256)))


def read_path(path: str, found: IdCollector, *, column: str | None) -> None:
    """Read one file."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a path from the user, read raw
            read_chunks(file_chunks(file), found, column=column, where=path, path=path)
    except IdSourceError as error:
        error.path = path
        raise
    except FileNotFoundError as error:
        raise IdSourceError(f"{path}: no such file", path=path) from error
    except OSError as error:
        raise IdSourceError(f"{path}: cannot be read: {error.strerror or error}", path=path) from error


def file_chunks(file: IO[bytes] | IO[str]) -> Iterator[bytes]:
    """Read an open file from where it stands, and leave it open."""
    if isinstance(file, io.TextIOWrapper) and _is_untouched(file):
        file = file.buffer
    try:
        while chunk := file.read(CHUNK):
            yield chunk if isinstance(chunk, bytes) else chunk.encode("utf-8", "replace")
    except UnicodeDecodeError as error:
        name = getattr(file, "name", "the file")
        message = f"{name}: not {error.encoding} text; open the file in binary mode, or give its path"
        raise IdSourceError(message) from error


def _is_untouched(file: io.TextIOWrapper) -> bool:
    """Tell whether the bytes below a text file may be read instead, which no encoding and no gzip can spoil."""
    if "gen".encode(file.encoding) != b"gen":
        return False  # such as UTF-16
    try:
        # Refused once something was decoded: then the bytes below are ahead of what the user has read.
        file.reconfigure(errors=file.errors)
    except io.UnsupportedOperation:
        return False
    return True


def read_chunks(
    chunks: Iterable[bytes],
    found: IdCollector,
    *,
    column: str | None,
    where: str,
    path: str | None = None,
    budget: Budget | None = None,
) -> None:
    """Read a stream of any known kind.

    Content decides first (compression, archive, database, table, encoding), then the ending of the name.
    """
    if budget is None:
        budget = Budget()
        chunks = budget.counted(chunks)
    head, chunks = _peek(iter(chunks))
    if (kind := compression(head)) is not None:
        inner = budget.inner(kind, where)
        unpacked = decompress(kind, chunks, where, inner)
        read_chunks(unpacked, found, column=column, where=where, budget=inner)
    elif head[257:262] == b"ustar":
        inner = budget.inner("tar", where)
        _read_members(tar_members(chunks, where, inner), found, column, where, inner)
    elif head.startswith(b"PK\x03\x04"):
        with _seekable(chunks, path, where, budget) as file:
            _read_zip(file, found, column, where, budget)
    elif (
        reader := next((reader for magic, reader in _TABLE_FILES.items() if head.startswith(magic)), None)
    ) is not None:
        with _seekable(chunks, path, where, budget) as file:
            reader(file, found, column=column, where=where)
    elif head.startswith(b"SQLite format 3\0"):
        read_sqlite(path or as_file(chunks, where, budget).getbuffer(), found, column=column, where=where)
    else:
        _read_unpacked(head, chunks, found, column=column, where=where)


def _read_unpacked(head: bytes, chunks: Iterator[bytes], found: IdCollector, *, column: str | None, where: str) -> None:
    """Read text, or raise the error that fits."""
    suffix = _suffix(where)
    for magic, what in _UNREADABLE.items():
        if head.startswith(magic):
            raise IdSourceError(f"{where}: {what}")
    if head and suffix in (".parquet", ".xlsx", ".feather"):
        raise IdSourceError(f"{where}: the content is not {suffix}")
    head, chunks = _peek(as_utf8(chunks))
    if _is_binary(head):
        raise IdSourceError(f"{where}: a binary file of no known kind ({_KNOWN})")
    if head.strip():
        _read_decoded(chunks, head, found, column=column, where=where)


def _read_zip(file: BinaryIO, found: IdCollector, column: str | None, where: str, budget: Budget) -> None:
    with open_zip(file, where) as archive:
        budget.packed = budget.packed if budget.depth else file.seek(0, io.SEEK_END)
        inner = budget.inner("zip", where)
        if "xl/workbook.xml" in archive.namelist():
            inner.spend(sum(member.file_size for member in archive.infolist()), where)
            read_excel(archive, file, found, column=column, where=where)
        else:
            _read_members(zip_members(archive, where, inner), found, column, where, inner)


def _read_members(
    members: Iterator[tuple[str, Iterator[bytes]]], found: IdCollector, column: str | None, where: str, budget: Budget
) -> None:
    def readers() -> Iterator[Callable[[], None]]:
        for name, content in members:
            place = f"{where}/{name}"
            yield functools.partial(read_chunks, content, found, column=column, where=place, budget=budget)

    read_each(readers(), found, where, budget)


def _seekable(chunks: Iterator[bytes], path: str | None, where: str, budget: Budget) -> BinaryIO:
    return as_file(chunks, where, budget) if path is None else open(path, "rb")  # noqa: PTH123 - as in read_path


def _read_decoded(chunks: Iterator[bytes], head: bytes, found: IdCollector, *, column: str | None, where: str) -> None:
    """Read text that is UTF-8 or close enough, by the ending of its name or its first character."""
    suffix = _suffix(where)
    if column is None and suffix not in _TABLES:
        read_text(chunks, found)
    elif column is not None and (suffix in _JSON or (suffix not in _TABLES and head.lstrip()[:1] in b"{[")):
        read_json(as_stream(chunks), found, column=column, where=where)
    else:
        read_csv(as_stream(chunks), found, column=column, where=where)


def _suffix(name: str) -> str:
    base = _PACKED.sub("", name.lower())
    return next((suffix for suffix in SUFFIXES if base.endswith(suffix)), "")


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    taken = bytearray()
    for chunk in chunks:
        taken += chunk
        if len(taken) >= _HEAD:
            break
    whole = bytes(taken)
    return whole[:_HEAD], itertools.chain([whole], chunks)


def _is_binary(head: bytes) -> bool:
    """Tell random bytes from text with a few odd ones; NULs are the hole of a rotated log."""
    sample = head.replace(b"\0", b"")
    odd = len(sample.translate(None, delete=_PRINTABLE))
    return bool(head) and (not sample or odd * 20 > len(sample))
