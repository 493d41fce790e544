"""Recognise the format of a stream of bytes, unpack and decode it, and pass it to the reader of the format."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import IO, Final

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector
from orstats.ids.csv_files import read_csv
from orstats.ids.decompression import unpack
from orstats.ids.id_shapes import SUFFIXES
from orstats.ids.json_files import has_records, read_json, without_labels
from orstats.ids.missing_file import missing_file
from orstats.ids.source import CHUNK, Source, as_stream, peek
from orstats.ids.sqlite_files import read_sqlite
from orstats.ids.table_readers import read_arrow_stream, read_excel, read_feather, read_parquet
from orstats.ids.text import read_text, search_text

_PACKED: Final = re.compile(r"(?:\.(?:gz|bz2|xz|lzma|zst|zstd|lz4))+$")
_READERS: Final = {
    b"PAR1": read_parquet,
    b"ARROW1\0\0": read_feather,
    b"FEA1": read_feather,
    b"\xff\xff\xff\xff": read_arrow_stream,
    b"PK\x03\x04": read_excel,  # other zip archives were unpacked
    b"SQLite format 3\0": read_sqlite,
}
_UNREADABLE: Final = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; extract it first",
    b"Rar!": "a RAR archive; extract it first",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls) or a workbook with a password; save it as .xlsx without a password",
    b"%PDF-": "a PDF; save its text or its table as text or CSV",
}
_SUPPORTED: Final = "text, CSV, JSON, Parquet, Arrow, .xlsx, SQLite, zip, tar, gzip, bzip2, xz, zstd"
_TABLES: Final = (".csv", ".tsv")
_JSON: Final = (".json", ".jsonl", ".ndjson")
_LONE_RETURN = re.compile(rb"\r(?!\n)")
#: Bytes of texts, with the delimiters of Hive and of ASCII.
_PRINTABLE: Final = bytes({1, 7, 8, 9, 10, 12, 13, 27, 30, 31, *range(32, 256)})

_UTF16_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32_BOMS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
# What decoded UTF-16 does not contain: a line of ASCII, and ASCII of the other byte order (or cut in the middle of a
# character), which decodes to characters such as U+6700.
_ASCII_RUN = re.compile(rb"[\t\r\n\x20-\x7e]{30}")
_SWAPPED = "".join(map(chr, (*range(0x0900, 0x0E00, 256), *range(0x2000, 0x7F00, 256))))
_SWAPPED_RUN = re.compile(rf"[{_SWAPPED}]{{8}}|\ufffe")
_WIDE_RUN = re.compile(rb"(?:[^\0](?:\0\0\0|\0)){4,}")


def read_path(path: str, found: IdCollector, *, column: str | None) -> None:
    """Read one file."""
    try:
        with (
            open(path, "rb", buffering=0) as file,  # noqa: PTH123 - a path from the user, read raw
            Source(file_chunks(file), path, path=path) as source,
        ):
            read_source(source, found, column=column)
    except IdSourceError as error:
        error.path = path
        raise
    except FileNotFoundError as error:
        raise missing_file(path) from error
    except OSError as error:
        raise IdSourceError(f"{path}: cannot be read: {error.strerror or error}", path=path) from error


def file_chunks(file: IO[bytes] | IO[str]) -> Iterator[bytes]:
    """Read an open file from its current position, and leave it open."""
    if isinstance(file, io.TextIOWrapper) and _can_read_bytes(file):
        file = file.buffer
    try:
        while chunk := file.read(CHUNK):
            yield chunk if isinstance(chunk, bytes) else chunk.encode("utf-8", "replace")
    except UnicodeDecodeError as error:
        name = getattr(file, "name", "the file")
        message = f"{name}: not {error.encoding} text; open the file in binary mode, or give its path"
        raise IdSourceError(message) from error


def _can_read_bytes(file: io.TextIOWrapper) -> bool:
    """Tell whether the bytes below a text file may be read instead, which no wrong encoding can spoil."""
    if "gen".encode(file.encoding) != b"gen":
        return False  # such as UTF-16
    try:
        # Refused once something was decoded: then the bytes below are ahead of what the user has read.
        file.reconfigure(errors=file.errors)
    except io.UnsupportedOperation:
        return False
    return True


def read_source(source: Source, found: IdCollector, *, column: str | None) -> None:
    """Read a source of any known format: its content decides first, then the suffix of its name."""
    members = unpack(source)
    if members is not None:
        found.read_each(members, lambda member: read_source(member, found, column=column), source.where, source)
        return
    found.sources += 1
    for magic, reader in _READERS.items():
        if source.head.startswith(magic):
            reader(source, found, column=column)
            return
    for magic, advice in _UNREADABLE.items():
        if source.head.startswith(magic):
            raise IdSourceError(f"{source.where}: {advice}")
    if source.head and _suffix(source.where) in (".parquet", ".xlsx", ".feather"):
        raise IdSourceError(f"{source.where}: the content is not {_suffix(source.where)}")
    _read_text_file(source, found, column)


def _read_text_file(source: Source, found: IdCollector, column: str | None) -> None:
    where, suffix = source.where, _suffix(source.where)
    head, chunks = peek(as_utf8(source.chunks))
    if head[:-1].count(b"\r") > head.count(b"\n") + head.count(b"\r\n"):  # as old programs for the Mac end lines
        head, chunks = peek(chunk.replace(b"\r", b"\n") for chunk in chunks)
    if _is_binary(head):
        raise IdSourceError(f"{where}: a binary file of unknown format. Supported: {_SUPPORTED}")
    if not head.strip():
        found.empty_sources += 1
        return
    if suffix in _TABLES:
        read_csv(as_stream(_without_lone_returns(chunks)), found, column=column, where=where)
    elif column is None and has_records(head):
        search_text(without_labels(chunks), found)
    elif column is None:
        read_text(chunks, found, where=where)
    elif suffix in _JSON or head.lstrip()[:1] in b"{[":
        read_json(as_stream(chunks), found, column=column, where=where)
    else:
        read_csv(as_stream(_without_lone_returns(chunks)), found, column=column, where=where)


def _without_lone_returns(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Replace carriage returns inside of cells, which parsers of CSV take for line ends."""
    kept = b""
    for chunk in chunks:
        text = kept + chunk
        kept = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(kept)]
        yield _LONE_RETURN.sub(b" ", text) if b"\r" in text else text
    yield kept


def _suffix(name: str) -> str:
    base = _PACKED.sub("", name.lower())
    return next((suffix for suffix in SUFFIXES if base.endswith(suffix)), "")


def _is_binary(head: bytes) -> bool:
    """Tell binary data from text with a few stray bytes; NULs are the hole of a rotated log."""
    sample = head.replace(b"\0", b"")
    unprintable = len(sample.translate(None, delete=_PRINTABLE))
    return bool(head) and (not sample or unprintable * 20 > len(sample))


def as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Convert UTF-16 and UTF-32 to UTF-8, and remove byte-order marks; other text stays as it is.

    UTF-16 with a byte-order mark is decoded until text of another encoding follows, as when PowerShell writes the
    first lines and another program appends. From there on, and without a byte-order mark, the NULs of wide
    characters are removed, which keeps ASCII, and so ids, in any order of encodings and at any offset.
    """
    decoder: codecs.IncrementalDecoder | None = None
    marks = [codecs.BOM_UTF8]
    for number, chunk in enumerate(chunks):
        if number == 0 and chunk.startswith(_UTF16_BOMS):
            marks += _UTF16_BOMS
            if not chunk.startswith(_UTF32_BOMS):
                decoder = codecs.getincrementaldecoder("utf-16")("replace")
        if decoder is not None:
            pending, _ = decoder.getstate()
            text = decoder.decode(chunk)
            mixed = not text.isascii() and (_ASCII_RUN.search(chunk) or _SWAPPED_RUN.search(text))
            if not mixed and "\0" not in text:
                yield text.replace("\ufeff", "").encode("utf-8", "replace")
                continue
            decoder = None
            chunk = pending + chunk  # noqa: PLW2901 - the half character belongs to it
        if b"\0" in chunk:
            chunk = _WIDE_RUN.sub(lambda run: run[0].replace(b"\0", b""), chunk)  # noqa: PLW2901
            if number == 0:
                chunk = chunk.removeprefix(b"\0")  # noqa: PLW2901 - of the first character, which may be a quote
        for mark in marks:
            chunk = chunk.replace(mark, b"") if mark[:1] in chunk else chunk  # noqa: PLW2901
        yield chunk
