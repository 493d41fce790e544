"""Is this data URL really a small raster image? Pure: bytes in, a verdict out.

An image is shown only when it is base64 of PNG, JPEG, GIF or WebP by its first bytes, whatever it says it is, and when
it is small enough to send and to draw: a picture of 50,000 by 50,000 points fits in a few kilobytes and takes ten
gigabytes to draw.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from typing import Final

from orstats.text.format import byte_size

#: Largest image that is sent to the browser, in bytes, and drawn, in points.
MAX_BYTES: Final = 2 << 20
MAX_POINTS: Final = 50_000_000

_DATA_URL: Final = re.compile(r"data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w=-]+)*?;base64,", re.ASCII | re.IGNORECASE)
_HEADER_LENGTH: Final = 200
_BLANK: Final = re.compile(r"\s+")
# Start of frame, by the markers of ISO/IEC 10918-1 that carry height and width.
_JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


@dataclass(frozen=True, slots=True)
class Image:
    """A good image: its ``data`` URL, encoded here, or, when it is none, ``problem`` in words."""

    data: str = ""
    problem: str = ""


def read_image(url: str) -> Image:
    """Check a ``data:`` URL and encode it anew; nothing of the given text goes into the result.

    Examples
    --------
    >>> read_image("data:image/png;base64,AAAA").problem
    'not a PNG, JPEG, GIF or WebP'
    >>> read_image("data:image/svg+xml,anything").problem
    'not base64 of an image'
    """
    head = _DATA_URL.match(url[:_HEADER_LENGTH])
    if head is None:
        return Image(problem="not base64 of an image")
    estimate = (len(url) - head.end()) * 3 // 4
    if estimate > MAX_BYTES:
        return Image(problem=f"{byte_size(estimate)}, too large to show here")
    try:
        body = base64.b64decode(_BLANK.sub("", url[head.end() :]), validate=True)
    except (binascii.Error, ValueError):
        return Image(problem="broken base64")
    kind, points = _measured(body)
    if kind is None or points is None or points > MAX_POINTS:
        return Image(problem=_complaint(kind, points))
    return Image(f"data:image/{kind};base64,{base64.b64encode(body).decode('ascii')}")


def _complaint(kind: str | None, points: int | None) -> str:
    if kind is None:
        return "not a PNG, JPEG, GIF or WebP"
    return f"a damaged {kind} image" if points is None else f"{points / 1e6:,.0f} million points, too large to draw"


def _measured(body: bytes) -> tuple[str | None, int | None]:
    """Tell the kind by the first bytes, and width times height; None for what cannot be told."""
    try:
        if body.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", body, 16)
            return "png", width * height
        if body.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", body, 6)
            return "gif", width * height
        if body.startswith(b"\xff\xd8\xff"):
            return "jpeg", _jpeg_points(body)
        if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
            return "webp", _webp_points(body)
    except struct.error:
        return "cut", None  # it ends before its size is told
    return None, None


def _jpeg_points(body: bytes) -> int | None:
    place = 2
    while place + 9 <= len(body) and body[place] == 0xFF:  # noqa: PLR2004 - every marker begins so
        marker = body[place + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            place += 1
            continue
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", body, place + 5)
            return int(height * width)
        place += 2 + int(struct.unpack_from(">H", body, place + 2)[0])
    return None


def _webp_points(body: bytes) -> int | None:
    chunk = body[12:16]
    if chunk == b"VP8X":
        width = int.from_bytes(body[24:27], "little") + 1
        height = int.from_bytes(body[27:30], "little") + 1
    elif chunk == b"VP8L":
        bits = struct.unpack_from("<I", body, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", body, 26))
    else:
        return None
    return int(width * height)
