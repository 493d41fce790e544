"""Unpack compressed files and archives piece by piece, and refuse those that are small and endless when unpacked."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Final, cast

from orstats.errors import IdSourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from _typeshed import WriteableBuffer

    from orstats.ids.collector import IdCollector

__all__ = [
    "CHUNK",
    "Budget",
    "as_file",
    "as_stream",
    "compression",
    "decompress",
    "open_zip",
    "read_each",
    "tar_members",
    "zip_members",
]

CHUNK: Final = 1 << 20
"""Bytes that are read at a time."""

_DEPTH: Final = 6  # such as: gzip of a tar of zips of gzips
_LEAST: Final = 256 << 20  # from here on the growth is checked; so much can be read in seconds
_MOST_GROWTH: Final = 250  # logs and tables shrink by 5 to 50 times; the formats can do 1,000
_XZ_MEMORY: Final = 256 << 20
_MOST_REASONS: Final = 5
_BLOCK_HEADER: Final = 3  # of zstd
_FRAME_HEADER: Final = 8
_BROKEN: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, ValueError)

_MAGIC: Final = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "lzma": b"\x5d\x00\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
}


class Budget:
    """How much a source may grow while it is unpacked, however its layers are nested.

    Examples
    --------
    >>> budget = Budget()
    >>> budget.packed = 1_000_000
    >>> budget.spend(50_000_000, "app.log.gz")
    >>> budget.spend(1_000_000_000, "app.log.gz")
    Traceback (most recent call last):
        ...
    orstats.errors.IdSourceError: app.log.gz: grows more than 250-fold when it is unpacked; unpack it first
    """

    def __init__(self, outer: Budget | None = None) -> None:
        self.root: Budget = self if outer is None else outer.root
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.packed = 0
        self.unpacked = 0
        self.total = 0
        self.exceeded = False

    def counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Count what the outermost layer reads."""
        for chunk in chunks:
            self.packed += len(chunk)
            yield chunk

    def inner(self, kind: str, where: str) -> Budget:
        """Return the budget of what is packed inside."""
        if self.depth >= _DEPTH:
            message = f"{where}: {kind} inside {kind}, nested more than {_DEPTH} deep; unpack it first"
            raise IdSourceError(message)
        return Budget(self)

    def spend(self, size: int, where: str) -> None:
        """Count unpacked bytes; raise `IdSourceError` above 256 MiB and 250 times the packed size.

        All layers together may unpack four times as much.
        """
        self.unpacked += size
        self.root.total += size
        most = max(_LEAST, _MOST_GROWTH * self.root.packed)
        self.root.exceeded = self.root.exceeded or self.unpacked > most or self.root.total > 4 * most
        self.check(where)

    def check(self, where: str) -> None:
        """Raise `IdSourceError` if some layer grew too much."""
        if self.root.exceeded:
            raise IdSourceError(f"{where}: grows more than {_MOST_GROWTH}-fold when it is unpacked; unpack it first")


def compression(head: bytes) -> str | None:
    """Name the compression of a file by its first bytes."""
    if b"\x50\x2a\x4d\x18" <= head[:4] <= b"\x5f\x2a\x4d\x18" and head[1:4] == b"\x2a\x4d\x18":
        return "zstd"  # it begins with a skippable frame
    return next((kind for kind, magic in _MAGIC.items() if head.startswith(magic) and _is_sure(kind, head)), None)


def _is_sure(kind: str, head: bytes) -> bool:
    if kind == "bzip2":
        return head[4:10] in (b"1AY&SY", b"\x17rE8P\x90")
    return kind != "lzma" or head[5:13] in (b"\xff" * 8, head[5:9] + bytes(4))


def decompress(kind: str, chunks: Iterator[bytes], where: str, budget: Budget) -> Iterator[bytes]:
    """Unpack a compressed stream; the pieces stay small however much a file grows."""
    try:
        with _open(kind, as_stream(_whole_frames(chunks) if kind == "zstd" else chunks)) as file:
            while chunk := file.read(CHUNK):
                budget.spend(len(chunk), where)
                yield chunk
    except _BROKEN as error:
        if isinstance(error, IdSourceError):
            raise
        message = f"{where}: broken or incomplete {kind}: {error}. Decompress what is left of it, and read that."
        raise IdSourceError(message) from error


def _open(kind: str, stream: BinaryIO) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if kind == "bzip2":
        return bz2.BZ2File(stream)
    if kind in ("xz", "lzma"):
        return _Xz(stream)
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light

    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), kind)


def _whole_frames(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass zstd data on, and raise EOFError when the last frame is not complete, which Arrow does not notice.

    The format is https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.
    """
    rest, skip, checksum, inside = b"", 0, 0, False
    for chunk in chunks:
        yield chunk
        rest += chunk
        while rest and skip < len(rest):
            rest, skip = rest[skip:], 0
            if inside and len(rest) >= _BLOCK_HEADER:
                header = int.from_bytes(rest[:_BLOCK_HEADER], "little")
                inside = not header & 1
                size = 1 if header >> 1 & 3 == 1 else header >> 3  # a repeated byte, or a block
                skip = _BLOCK_HEADER + size + (0 if inside else checksum)
            elif not inside and len(rest) >= _FRAME_HEADER and not rest.startswith(_MAGIC["zstd"]):
                skip = _FRAME_HEADER + int.from_bytes(rest[4:8], "little")  # a frame to skip
            elif not inside and len(rest) >= _FRAME_HEADER:
                flags = rest[4]
                single = flags >> 5 & 1
                sizes = (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
                skip, checksum, inside = 6 - single + sizes, flags & 4, True
            else:
                break
        rest, skip = rest[min(skip, len(rest)) :], max(skip - len(rest), 0)
    if rest or skip or inside:
        raise EOFError("the file ends in the middle of a frame")


class _Xz(io.RawIOBase):
    """An xz file whose dictionary may not fill the memory, which `lzma.LZMAFile` cannot limit."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def read(self, size: int = -1) -> bytes:
        while True:
            rest = self._decoder.unused_data.lstrip(b"\0")
            if self._decoder.eof:
                packed = rest or self._stream.read(CHUNK).lstrip(b"\0")
                if not packed:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)  # another stream follows
            elif self._decoder.needs_input:
                packed = self._stream.read(CHUNK)
                if not packed:
                    raise EOFError("compressed file ended before the end-of-stream marker was reached")
            else:
                packed = b""
            if data := self._decoder.decompress(packed, size):
                return data


def tar_members(chunks: Iterator[bytes], where: str, budget: Budget) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Give name and content of each file in a tar archive; the content must be read before the next is taken."""
    try:
        with tarfile.open(fileobj=as_stream(chunks), mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() and not _is_hidden(member.name) else None
                if content is not None:
                    yield member.name, _content(content, f"{where}/{member.name}", budget)
    except _BROKEN as error:
        if isinstance(error, IdSourceError):
            raise
        budget.check(where)  # tarfile takes an error of ours for the end of the archive
        raise IdSourceError(f"{where}: broken or incomplete tar archive: {error}") from error


def open_zip(file: IO[bytes], where: str) -> zipfile.ZipFile:
    """Open a zip archive, or raise `IdSourceError`."""
    try:
        return zipfile.ZipFile(file)
    except (*_BROKEN, NotImplementedError) as error:
        message = (
            f"{where}: broken or incomplete zip archive: {error}. Repair it (zip -FF), or extract what can be read."
        )
        raise IdSourceError(message) from error


def zip_members(archive: zipfile.ZipFile, where: str, budget: Budget) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Give name and content of each file in a zip archive."""
    for member in archive.infolist():
        if not member.is_dir() and not _is_hidden(member.filename):
            yield member.filename, _zip_content(archive, member, f"{where}/{member.filename}", budget)


def _zip_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str, budget: Budget) -> Iterator[bytes]:
    if member.flag_bits & 1:
        raise IdSourceError(f"{where}: encrypted; extract it with its password, and read that")
    try:
        with archive.open(member) as content:
            yield from _content(content, where, budget)
    except (NotImplementedError, RuntimeError) as error:
        raise IdSourceError(f"{where}: cannot be unpacked here: {error}; extract it first") from error


def _content(file: IO[bytes], where: str, budget: Budget) -> Iterator[bytes]:
    try:
        while chunk := file.read(CHUNK):
            budget.spend(len(chunk), where)
            yield chunk
    except _BROKEN as error:
        if isinstance(error, IdSourceError):
            raise
        raise IdSourceError(f"{where}: broken or incomplete: {error}") from error


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.removeprefix("./").split("/"))


def read_each(
    sources: Iterable[Callable[[], None]], found: IdCollector, where: str, budget: Budget | None = None
) -> None:
    """Read what can be read; the rest is named in one warning, or in an error if nothing could be read."""
    failures: list[IdSourceError] = []
    number = 0
    for read in sources:
        number += 1
        try:
            read()
        except IdSourceError as error:
            if budget is not None:
                budget.check(where)
            failures.append(error)
    if failures and len(failures) == number:
        raise failures[0]
    if failures:
        reasons = "; ".join(map(str, failures[:_MOST_REASONS]))
        more = len(failures) - _MOST_REASONS
        reasons += f"; and {more} more" if more > 0 else ""
        found.notes.append(f"{where}: {len(failures)} of {number} files skipped: {reasons}")


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


def as_stream(chunks: Iterator[bytes]) -> BinaryIO:
    """Return chunks as a file that reads forward."""
    return cast("BinaryIO", io.BufferedReader(_Chunks(chunks), 1 << 17))


def as_file(chunks: Iterator[bytes], where: str, budget: Budget) -> io.BytesIO:
    """Return chunks as a file that can seek, in memory; what is packed inside of something else may not fill it."""
    file = io.BytesIO()
    for chunk in chunks:
        if budget.depth and file.tell() > _LEAST:
            raise IdSourceError(f"{where}: too large to be read inside of an archive; extract it first")
        file.write(chunk)
    file.seek(0)
    return file
