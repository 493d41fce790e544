"""Recognise what a stream of bytes is, unpack and decode it, and hand it to the reader of its kind."""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import zlib
from typing import IO, TYPE_CHECKING, Final, cast

from orstats.api.errors import IdSourceError
from orstats.data.ids.bombs import check_growth
from orstats.data.ids.from_json import read_json
from orstats.data.ids.from_tables import read_csv, read_excel, read_parquet
from orstats.data.ids.from_text import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from _typeshed import WriteableBuffer

    from orstats.data.ids.found import Found

__all__ = ["SUFFIXES", "file_chunks", "read_chunks", "read_path"]

SUFFIXES: Final = (
    *(".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx"),
    *(".txt", ".log", ".out", ".gz"),
)
"""Endings by which a text is taken for the name of a file."""

_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1 << 20
_HEAD: Final = 1 << 17
_TABLES: Final = (".csv", ".tsv")
_JSON: Final = (".json", ".jsonl", ".ndjson")
_PRINTABLE: Final = bytes({7, 8, 9, 10, 12, 13, 27} | set(range(32, 256)))


def read_path(path: str, found: Found, *, column: str | None) -> None:
    """Read one file.

    Parameters
    ----------
    path
        The file.
    found
        Receives the ids.
    column
        The column or field; None finds it, or searches.

    Raises
    ------
    IdSourceError
        The file is missing, unreadable, broken, or of no known kind.
    """
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
    """Read an open file from where it stands, and leave it open.

    Parameters
    ----------
    file
        Binary or text; text is handed on as UTF-8.

    Yields
    ------
    bytes
        Pieces of about 1 MiB.

    Raises
    ------
    IdSourceError
        A text file is not in the encoding with which it was opened.
    """
    if isinstance(file, io.TextIOWrapper) and _is_untouched(file):
        file = file.buffer
    try:
        while chunk := file.read(_CHUNK):
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
    chunks: Iterable[bytes], found: Found, *, column: str | None, where: str, path: str | None = None
) -> None:
    """Read a stream of any known kind.

    Content decides first (gzip, Parquet, Excel, UTF-16), then the ending of the name.

    Parameters
    ----------
    chunks
        The stream.
    found
        Receives the ids.
    column
        The column or field; None finds it, or searches. With it, a stream without a telling name is read as JSON
        when it starts with a bracket, else as delimited text.
    where
        What the source is called in messages; its ending tells the kind.
    path
        A file with the same content, for kinds that need to seek; None reads them into memory.

    Raises
    ------
    IdSourceError
        The stream is broken or of no known kind, or the column is not there.
    """
    head, chunks = _peek(iter(chunks))
    suffix = _suffix(where)
    if head.startswith(_GZIP):
        read_chunks(_gunzip(chunks, where), found, column=column, where=where)
    elif head.startswith(b"PAR1"):
        source = path or io.BytesIO(b"".join(chunks))
        read_parquet(source, found, column=column, where=where)
    elif head.startswith(b"PK\x03\x04"):
        read_excel(io.BytesIO(b"".join(chunks)), found, column=column, where=where)
    elif head and suffix in (".parquet", ".xlsx"):
        raise IdSourceError(f"{where}: the content is not {suffix}")
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        read_chunks(_from_utf16(chunks), found, column=column, where=where)
    elif head.startswith(codecs.BOM_UTF8):
        first = next(chunks).removeprefix(codecs.BOM_UTF8)
        read_chunks(itertools.chain([first], chunks), found, column=column, where=where)
    elif _is_binary(head):
        raise IdSourceError(f"{where}: a binary file of no known kind (text, CSV, JSON, Parquet, .xlsx, gzip)")
    elif head.strip():
        _read_decoded(chunks, head, found, column=column, where=where)


def _read_decoded(chunks: Iterator[bytes], head: bytes, found: Found, *, column: str | None, where: str) -> None:
    """Read text that is UTF-8 or close enough, by the ending of its name or its first character."""
    suffix = _suffix(where)
    if column is None and suffix not in _TABLES:
        read_text(chunks, found)
    elif column is not None and (suffix in _JSON or (suffix not in _TABLES and head.lstrip()[:1] in b"{[")):
        read_json(_as_stream(chunks), found, column=column, where=where)
    else:
        read_csv(_as_stream(chunks), head, found, column=column, where=where)


def _suffix(name: str) -> str:
    base = name.lower().removesuffix(".gz")
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
    """Tell random bytes from text with a few odd ones; leading NULs are the hole of a rotated log."""
    sample = head.lstrip(b"\0")
    odd = len(sample.translate(None, delete=_PRINTABLE))
    return bool(head) and (not sample or odd * 20 > len(sample))


def _gunzip(chunks: Iterator[bytes], where: str) -> Iterator[bytes]:
    packed = unpacked = 0

    def counted() -> Iterator[bytes]:
        nonlocal packed
        for chunk in chunks:
            packed += len(chunk)
            yield chunk

    try:
        with gzip.GzipFile(fileobj=_as_stream(counted())) as file:
            while chunk := file.read(_CHUNK):
                if not unpacked and chunk.startswith(_GZIP):
                    raise IdSourceError(f"{where}: gzip inside gzip; unpack it first")  # there are files without an end
                unpacked += len(chunk)
                check_growth(packed, unpacked, where)
                yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise IdSourceError(f"{where}: broken or incomplete gzip: {error}") from error


def _from_utf16(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


class _Chunks(io.RawIOBase):
    """Chunks as a file, for readers that want one."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: WriteableBuffer) -> int:
        view = memoryview(target)
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _as_stream(chunks: Iterator[bytes]) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Chunks(chunks), _HEAD))
