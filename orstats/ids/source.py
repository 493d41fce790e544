"""A source of bytes with a name: its beginning, its pieces, and a guard against decompression bombs."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

from orstats.errors import IdSourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK: Final = 1 << 20
"""Bytes that are read at a time."""

HEAD: Final = 1 << 17
"""Bytes that are enough to recognise a format."""

_UNCHECKED_SIZE: Final = 256 << 20  # this much can be read in seconds
_MAX_RATIO: Final = 250  # logs and tables shrink by 5 to 50 times; the formats can do 1,000


class _Growth:
    """Bytes of a file, and of everything that was unpacked from it."""

    def __init__(self) -> None:
        self.size = self.unpacked = 0
        self.is_bomb = False


class Source:
    """A stream of bytes with a name: a file, or a member of another source."""

    def __init__(
        self, chunks: Iterable[bytes], where: str, *, path: str | None = None, outer: Source | None = None
    ) -> None:
        self.where = where
        self.path = path
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.growth: _Growth = _Growth() if outer is None else outer.growth
        self.chunks = self._counted(chunks) if outer is None else iter(chunks)
        self._unpacked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "file" in vars(self):
            self.file.close()

    @cached_property
    def head(self) -> bytes:
        """The first bytes; they stay in `chunks`."""
        head, self.chunks = peek(self.chunks)
        return head

    @cached_property
    def file(self) -> BinaryIO:
        """A file that can seek: the one at the path, or a copy in memory."""
        file: BinaryIO
        if self.path is not None:
            file = open(self.path, "rb")  # noqa: PTH123, SIM115 - closed at exit
            self.growth.size = file.seek(0, io.SEEK_END)
        else:
            file = io.BytesIO()
            for chunk in self.chunks:
                if self.depth and file.tell() > _UNCHECKED_SIZE:
                    raise IdSourceError(f"{self.where}: too large to read inside an archive; extract it first")
                file.write(chunk)
        file.seek(0)
        self.chunks = iter(lambda: file.read(CHUNK), b"")
        return file

    def count_unpacked(self, size: int, where: str) -> None:
        """Count bytes that were unpacked from this source."""
        self._unpacked += size
        self.growth.unpacked += size
        self.check_decompression_ratio(where)

    def check_decompression_ratio(self, where: str) -> None:
        """Raise `IdSourceError` if a layer grew above 256 MiB and 250 times the file, or all layers four times that."""
        growth = self.growth
        limit = max(_UNCHECKED_SIZE, _MAX_RATIO * growth.size)
        if growth.is_bomb or self._unpacked > limit or growth.unpacked > 4 * limit:
            growth.is_bomb = True  # tarfile suppresses the error, so it must be raised again
            raise IdSourceError(f"{where}: decompresses to more than {_MAX_RATIO}x its size; decompress it first")

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.growth.size += len(chunk)
            yield chunk


def peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, and the chunks including them."""
    taken = bytearray()
    for chunk in chunks:
        taken += chunk
        if len(taken) >= HEAD:
            break
    data = bytes(taken)
    return data[:HEAD], itertools.chain([data], chunks)


class _Chunks(io.RawIOBase):
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
    return cast("BinaryIO", io.BufferedReader(_Chunks(chunks), HEAD))
