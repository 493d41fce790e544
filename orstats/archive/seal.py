"""The seal of a part: its size and checksums in the footer, so that every damaged byte is noticed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import IO, Any, Final, NamedTuple, Self

_SEAL: Final = b"orstats:seal"
_EMPTY_SEAL: Final = b"0" * 32
MAGIC: Final = b"PAR1"
#: Metadata that a part needs before it can be sealed: room for the seal.
UNSEALED: Final = {_SEAL: _EMPTY_SEAL}
_CHUNK: Final = 1 << 20

ReadAt = Callable[[int, int], bytes]


class Seal(NamedTuple):
    """The size of a file when it was written, and the CRC-32 of its pages and of its footer, kept in the footer.

    Parquet has checksums of pages, which few engines compare, and none of the footer with its names, types and
    statistics. When another program rewrites a part and copies the footer's metadata, the size differs, and the seal
    does not apply.
    """

    size: int
    pages: int
    footer: int

    @classmethod
    def parse(cls, value: bytes | None) -> Self | None:
        """Return the seal in the footer's metadata, if any."""
        if value is None or len(value) != len(_EMPTY_SEAL):
            return None
        return cls(int(value[:16], 16), int(value[16:24], 16), int(value[24:], 16))


def seal_of(metadata: Any, size: int) -> Seal | None:
    """Return the seal of a part of this size; None when it has none, or one that does not apply."""
    found = Seal.parse((metadata.metadata or {}).get(_SEAL))
    return found if found is not None and found.size == size else None


def seal_file(file: IO[bytes]) -> None:
    """Put the seal of a Parquet file in the place of the empty one in its metadata."""

    def read_at(count: int, at: int) -> bytes:
        file.seek(at)
        return file.read(count)

    size = file.seek(0, 2)
    footer = read_footer(size, read_at)
    start = size - len(footer)
    pages = checksum(start, read_at)
    file.seek(start + _seal_offset(footer))
    file.write(f"{size:016x}{pages:08x}{zlib.crc32(footer):08x}".encode())


def read_footer(size: int, read_at: ReadAt) -> bytes:
    """Return the footer of a Parquet file with its length and the last four bytes, unless its seal is broken."""
    count = min(size, 1 << 16)
    tail = read_at(count, size - count)
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] != MAGIC or length > size - len(MAGIC):
        raise ValueError("it does not end as a Parquet file does")
    footer = tail[-length:] if length <= count else read_at(length, size - length)
    at = _seal_offset(footer)
    value = footer[at : at + len(_EMPTY_SEAL)]
    found = Seal.parse(value) if at else None
    if found is not None and value != _EMPTY_SEAL and found.size == size:
        unsealed = footer[:at] + _EMPTY_SEAL + footer[at + len(_EMPTY_SEAL) :]
        if zlib.crc32(unsealed) != found.footer:
            raise ValueError("its footer is damaged")
    return footer


def checksum(size: int, read_at: ReadAt) -> int:
    """Return the CRC-32 of the first bytes of a file."""
    value = 0
    for at in range(0, size, _CHUNK):
        value = zlib.crc32(read_at(min(_CHUNK, size - at), at), value)
    return value


def _seal_offset(footer: bytes) -> int:
    """Return where the seal's value begins in a footer; 0 when it has none."""
    at = footer.rfind(_SEAL)
    return at + len(_SEAL) + 2 if at >= 0 else 0  # Thrift puts a tag and the length of the text between
