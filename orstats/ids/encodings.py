"""Turn text of any encoding into something close to UTF-8; also files in which several encodings follow each other."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["as_utf8"]

_UTF16_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32_BOMS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
# What decoded UTF-16 does not hold: a line of ASCII, and ASCII of the other byte order (or cut in the middle of a
# character), which decodes to characters such as U+6700.
_ASCII_RUN = re.compile(rb"[\t\r\n\x20-\x7e]{30}")
_SWAPPED = "".join(map(chr, (*range(0x0900, 0x0E00, 256), *range(0x2000, 0x7F00, 256))))
_SWAPPED_RUN = re.compile(rf"[{_SWAPPED}]{{8}}|\ufffe")
_WIDE_RUN = re.compile(rb"(?:[^\0](?:\0\0\0|\0)){4,}")


def as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Convert UTF-16 and UTF-32 to UTF-8, and remove byte-order marks; other text stays as it is.

    UTF-16 with a byte-order mark is decoded until text of another encoding follows, as when PowerShell writes the
    first lines and another program appends. From there on, and without a byte-order mark, the NULs of wide
    characters are removed, which keeps ASCII, and so ids, in any order of encodings and at any offset.
    """
    decoder: codecs.IncrementalDecoder | None = None
    first = next(chunks, b"")
    if first.startswith(_UTF16_BOMS) and not first.startswith(_UTF32_BOMS):
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for chunk in _chain(first, chunks):
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
        for mark in (codecs.BOM_UTF8, *_UTF16_BOMS) if first.startswith(_UTF16_BOMS) else (codecs.BOM_UTF8,):
            chunk = chunk.replace(mark, b"") if mark[:1] in chunk else chunk  # noqa: PLW2901
        yield chunk


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
