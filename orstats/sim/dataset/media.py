"""Small images, sounds and documents that messages carry."""

from __future__ import annotations

import base64
import functools
import struct
import zlib


def base64_text(data: bytes) -> str:
    """Encode bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def data_url(kind: str, data: bytes) -> str:
    """Return a data URL of a media type."""
    return f"data:{kind};base64,{base64_text(data)}"


@functools.lru_cache(maxsize=256)
def png(shade: int) -> bytes:
    """Draw a picture of 16 by 16 points in one colour (PNG, ISO/IEC 15948)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\x00" + bytes((shade, 120, 200 - shade // 2)) * 16
    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 16)) + chunk(b"IEND", b"")


@functools.cache
def wav() -> bytes:
    """Record a twentieth of a second of silence (8 kHz, 8 bit, mono)."""
    samples = b"\x80" * 400
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def pdf() -> bytes:
    """Return an empty document."""
    return b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"
