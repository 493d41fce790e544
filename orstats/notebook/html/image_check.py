"""Whether a data URL is a small raster image: bytes in, a verdict out.

An image is shown only if it is base64 of PNG, JPEG, GIF, WebP or AVIF by its first bytes, whatever its declared type,
and small enough to send and to draw: an image of 50,000 x 50,000 pixels fits in a few kilobytes and takes ten gigabytes
to draw.
"""

from __future__ import annotations

import base64
import re
import struct
from typing import Final

from orstats.text.format import byte_size

#: Largest image that is sent to the browser, in bytes, and that is drawn, in pixels.
MAX_BYTES: Final = 2 << 20
MAX_PIXELS: Final = 50_000_000

_DATA_URL: Final = re.compile(r"data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w=-]+)*?;base64,", re.ASCII | re.IGNORECASE)
_HEADER_LENGTH: Final = 200
#: Where an AVIF file has its properties.
_AVIF_HEAD: Final = 1 << 16
_STANDARD_ALPHABET: Final = str.maketrans("-_", "+/")
# Start-of-frame markers (ISO/IEC 10918-1), which are followed by height and width.
_JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def checked_image(url: str) -> str:
    """Return the image of a ``data:`` URL as a URL encoded here; raise ValueError with what is wrong with it.

    Examples
    --------
    >>> checked_image("data:image/png;base64,AAAA")
    Traceback (most recent call last):
    ValueError: not a PNG, JPEG, GIF, WebP or AVIF
    """
    head = _DATA_URL.match(url[:_HEADER_LENGTH])
    if head is None:
        raise ValueError("not a base64 image")
    size = (len(url) - head.end()) * 3 // 4
    if size > MAX_BYTES:
        raise ValueError(f"{byte_size(size)}, too large to show here")
    try:
        body = _decoded("".join(url[head.end() :].split()))
    except ValueError:
        raise ValueError("invalid base64") from None
    kind = _kind(body)
    try:
        pixels = _pixels(kind, body)
    except struct.error:  # it ends before its size
        pixels = None
    if pixels is None:
        raise ValueError(f"a damaged {kind} image")
    if pixels > MAX_PIXELS:
        raise ValueError(f"{pixels / 1e6:,.0f} million pixels, too large to draw")
    return f"data:image/{kind};base64,{base64.b64encode(body).decode('ascii')}"


def _decoded(text: str) -> bytes:
    """Decode base64 of either alphabet, with or without padding."""
    text = text.rstrip("=").translate(_STANDARD_ALPHABET)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _kind(body: bytes) -> str:
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if body.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if body.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        return "webp"
    if body[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    raise ValueError("not a PNG, JPEG, GIF, WebP or AVIF")


def _pixels(kind: str, body: bytes) -> int | None:
    """Return width times height, or None where the image does not say."""
    if kind == "jpeg":
        return _jpeg_pixels(body)
    if kind == "avif":
        return _avif_pixels(body)
    chunk = body[12:16]
    if kind == "png":
        width, height = struct.unpack_from(">II", body, 16)
    elif kind == "gif":
        width, height = struct.unpack_from("<HH", body, 6)
    elif chunk == b"VP8X":
        width = int.from_bytes(body[24:27], "little") + 1
        height = int.from_bytes(body[27:30], "little") + 1
    elif chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", body, 26))
    else:
        return None
    return int(width * height)


def _jpeg_pixels(body: bytes) -> int | None:
    place = 2
    while place + 9 <= len(body) and body[place] == 0xFF:  # noqa: PLR2004 - the first byte of every marker
        marker = body[place + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            place += 1
            continue
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", body, place + 5)
            return int(height * width)
        place += 2 + int(struct.unpack_from(">H", body, place + 2)[0])
    return None


def _avif_pixels(body: bytes) -> int | None:
    """Return the pixels of the largest image in the file: each has an ``ispe`` box (ISO/IEC 23008-12)."""
    places = [match.end() for match in re.finditer(b"ispe", body[:_AVIF_HEAD])]
    sizes = [struct.unpack_from(">II", body, place + 4) for place in places]  # after version and flags
    return max((int(width * height) for width, height in sizes), default=None)
