"""The seal of a part: checksums of its pages and of its footer, kept in the footer.

Parquet has checksums of pages, which few engines compare, and none of the footer with its names, types and statistics.
The seal covers every byte of the file. It names the file's size too: when another program rewrites a part and takes the
footer's metadata along, the size is another one, and the seal does not apply.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Final, Self

_KEY: Final = b"orstats:seal"
_NONE: Final = b"0" * 32
_CHUNK: Final = 1 << 20
_END: Final = b"PAR1"

#: Metadata to write into the footer of a file that is to be sealed.
UNSEALED: Final = {_KEY: _NONE}


@dataclass(frozen=True, slots=True)
class Seal:
    """What a file was when it was written: its size, and the CRC-32 of its pages and of its footer."""

    size: int
    pages: int
    footer: int

    @classmethod
    def of(cls, value: bytes | None) -> Self | None:
        """Return the seal that the metadata of a footer holds, if any."""
        if value is None or len(value) != len(_NONE):
            return None
        return cls(int(value[:16], 16), int(value[16:24], 16), int(value[24:], 16))

    def __bytes__(self) -> bytes:
        return f"{self.size:016x}{self.pages:08x}{self.footer:08x}".encode()


def seal_of(metadata: Any, size: int) -> Seal | None:
    """Return the seal of a part of this size; None when there is none, or none that applies."""
    found = Seal.of((metadata.metadata or {}).get(_KEY))
    return found if found is not None and found.size == size else None


def seal(file: IO[bytes]) -> None:
    """Seal a Parquet file that was written with :data:`UNSEALED` in its metadata."""
    size = file.seek(0, 2)
    footer = read_footer(size, lambda count, at: (file.seek(at), file.read(count))[1])
    start = size - len(footer)
    pages = checksum(start, lambda count, at: (file.seek(at), file.read(count))[1])
    file.seek(start + _place(footer))
    file.write(bytes(Seal(size, pages, zlib.crc32(footer))))


def read_footer(size: int, read_at: Callable[[int, int], bytes]) -> bytes:
    """Return the footer of a Parquet file with its length and the last four bytes, unless its seal is broken."""
    count = min(size, 1 << 16)
    tail = read_at(count, size - count)
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] != _END or length > size - len(_END):
        raise ValueError("it does not end as a Parquet file does")
    footer = tail[-length:] if length <= count else read_at(length, size - length)
    at = _place(footer)
    value = footer[at : at + len(_NONE)]
    found = Seal.of(value) if at else None
    if found is not None and value != _NONE and found.size == size:
        unsealed = footer[:at] + _NONE + footer[at + len(_NONE) :]
        if zlib.crc32(unsealed) != found.footer:
            raise ValueError("its footer is damaged")
    return footer


def checksum(size: int, read_at: Callable[[int, int], bytes]) -> int:
    """Return the CRC-32 of the first bytes of a file."""
    value = 0
    for at in range(0, size, _CHUNK):
        value = zlib.crc32(read_at(min(_CHUNK, size - at), at), value)
    return value


def _place(footer: bytes) -> int:
    """Return where the seal's value is in a footer; 0 when it has none."""
    at = footer.rfind(_KEY)
    return at + len(_KEY) + 2 if at >= 0 else 0  # Thrift puts a tag and the length of the text between
