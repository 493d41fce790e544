"""Unpack compressed files and archives in small pieces."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Final, cast

from orstats.errors import IdSourceError
from orstats.ids.source import CHUNK, Source, as_stream

_MAX_DEPTH: Final = 6  # such as: gzip of a tar of zips of gzips
_XZ_MEMORY: Final = 256 << 20
_ZSTD_BLOCK_HEADER: Final = 3
_ZSTD_FRAME_HEADER: Final = 8
_BROKEN: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, ValueError)
_MAGIC: Final = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "lzma": b"\x5d\x00\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
}


def unpack(source: Source) -> Iterator[Source] | None:
    """Return what a compressed file or an archive contains, to be read in order; None if it is neither."""
    if kind := compression(source.head):
        members = _decompressed(kind, source)
    elif source.head[257:262] == b"ustar":
        members = _tar_members(source)
    elif source.head.startswith(b"PK\x03\x04") and "xl/workbook.xml" not in (archive := _open_zip(source)).namelist():
        if "xl/workbook.bin" in archive.namelist():
            raise IdSourceError(f"{source.where}: a binary workbook (.xlsb); save it as .xlsx")
        kind, members = "zip", _zip_members(archive, source)
    else:
        return None
    if source.depth >= _MAX_DEPTH:
        raise IdSourceError(
            f"{source.where}: {kind or 'tar'} nested more than {_MAX_DEPTH} levels; decompress it first"
        )
    return members


def compression(head: bytes) -> str | None:
    """Name the compression of a file by its first bytes."""
    if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # noqa: PLR2004 - 0x50 to 0x5f
        return "zstd"  # it begins with a skippable frame
    return next((kind for kind, magic in _MAGIC.items() if head.startswith(magic) and _is_certain(kind, head)), None)


def _is_certain(kind: str, head: bytes) -> bool:
    if kind == "bzip2":
        return head[4:10] in (b"1AY&SY", b"\x17rE8P\x90")
    return kind != "lzma" or head[5:13] in (b"\xff" * 8, head[5:9] + bytes(4))


@contextmanager
def _naming_broken(source: Source, where: str, what: str = "", advice: str = "") -> Iterator[None]:
    try:
        yield
    except IdSourceError:
        raise
    except (*_BROKEN, NotImplementedError) as error:
        source.check_decompression_ratio(where)  # tarfile takes this error for the end of the archive
        raise IdSourceError(f"{where}: broken or incomplete{what}: {error}.{advice}") from error


def _decompressed(kind: str, source: Source) -> Iterator[Source]:
    chunks = _complete_frames(source.chunks) if kind == "zstd" else source.chunks
    advice = " Decompress what is left of it, and read that."
    with _open(kind, as_stream(chunks)) as file:
        yield Source(_read(file, source, source.where, f" {kind}", advice), source.where, outer=source)


def _read(file: IO[bytes], source: Source, where: str, what: str = "", advice: str = "") -> Iterator[bytes]:
    with _naming_broken(source, where, what, advice):
        while chunk := file.read(CHUNK):
            source.count_unpacked(len(chunk), where)
            yield chunk


def _open(kind: str, stream: BinaryIO) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if kind == "bzip2":
        return bz2.BZ2File(stream)
    if kind in ("xz", "lzma"):
        return _XzFile(stream)
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light

    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), kind)


def _complete_frames(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass zstd data on, and raise EOFError when the last frame is not complete, which Arrow does not notice.

    The format is https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.
    """
    rest, skip, checksum, inside = b"", 0, 0, False
    for chunk in chunks:
        yield chunk
        rest += chunk
        while rest and skip < len(rest):
            rest, skip = rest[skip:], 0
            if inside and len(rest) >= _ZSTD_BLOCK_HEADER:
                header = int.from_bytes(rest[:_ZSTD_BLOCK_HEADER], "little")
                inside = not header & 1
                size = 1 if header >> 1 & 3 == 1 else header >> 3  # a repeated byte, or a block
                skip = _ZSTD_BLOCK_HEADER + size + (0 if inside else checksum)
            elif not inside and len(rest) >= _ZSTD_FRAME_HEADER and not rest.startswith(_MAGIC["zstd"]):
                skip = _ZSTD_FRAME_HEADER + int.from_bytes(rest[4:8], "little")  # a skippable frame
            elif not inside and len(rest) >= _ZSTD_FRAME_HEADER:
                flags = rest[4]
                single = flags >> 5 & 1
                sizes = (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
                skip, checksum, inside = 6 - single + sizes, flags & 4, True
            else:
                break
        rest, skip = rest[min(skip, len(rest)) :], max(skip - len(rest), 0)
    if rest or skip or inside:
        raise EOFError("the file ends in the middle of a frame")


class _XzFile(io.RawIOBase):
    """An xz file with a memory limit, which `lzma.LZMAFile` does not have."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def read(self, size: int = -1) -> bytes:
        while True:
            packed = b""
            if self._decoder.eof:
                packed = self._decoder.unused_data.lstrip(b"\0") or self._stream.read(CHUNK).lstrip(b"\0")
                if not packed:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)  # another stream follows
            elif self._decoder.needs_input:
                packed = self._stream.read(CHUNK)
                if not packed:
                    raise EOFError("compressed file ended before the end-of-stream marker was reached")
            if data := self._decoder.decompress(packed, size):
                return data


def _tar_members(source: Source) -> Iterator[Source]:
    with (
        _naming_broken(source, source.where, " tar archive"),
        tarfile.open(fileobj=as_stream(source.chunks), mode="r|") as archive,
    ):
        for member in archive:
            if member.isfile() and not _is_hidden(member.name):
                where = f"{source.where}/{member.name}"
                content = cast("IO[bytes]", archive.extractfile(member))
                yield Source(_read(content, source, where), where, outer=source)


def _open_zip(source: Source) -> zipfile.ZipFile:
    with _naming_broken(source, source.where, " zip archive", " Repair it (zip -FF), or extract what can be read."):
        return zipfile.ZipFile(source.file)


def _zip_members(archive: zipfile.ZipFile, source: Source) -> Iterator[Source]:
    with archive:
        for member in archive.infolist():
            if not member.is_dir() and not _is_hidden(member.filename):
                where = f"{source.where}/{member.filename}"
                yield Source(_zip_content(archive, member, source, where), where, outer=source)


def _zip_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source, where: str) -> Iterator[bytes]:
    if member.flag_bits & 1:
        raise IdSourceError(f"{where}: encrypted; extract it with its password, and read that")
    with _naming_broken(source, where):
        try:
            with archive.open(member) as content:
                yield from _read(content, source, where)
        except RuntimeError as error:
            raise IdSourceError(f"{where}: cannot be unpacked: {error}; extract it first") from error


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.removeprefix("./").split("/"))
