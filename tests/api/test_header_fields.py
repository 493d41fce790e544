"""The header fields of a response: read as http.client does, and those behind an invalid line, too."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orstats.api.header_fields import parse_headers, with_fast_headers

PLAIN = b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
BLOCKS = (
    PLAIN,
    b"A:1\r\nA: 2\r\na:\t3 \r\n\r\n",
    b"Empty:\r\nSpaces:   \r\nColons: a:b:c\r\n\r\n",
    b"X-A_b.c~!#$%&'*+^`|: 1\r\n\r\n",
    b"Folded: one\r\n two\r\n\tthree\r\nNext: 4\r\n\r\n",
    b"Latin-1: caf\xe9\r\nUtf-8: caf\xc3\xa9\r\n\r\n",
    b"Line: feed\nOnly: 1\n\n",
    b"Mixed: 1\r\nLine: feed\nNext: 2\r\n\r\n",
    b": without a name\r\nB: 2\r\n\r\n",
    b"A: 1\rB: 2\r\n\r\n",
    b"A: \x00\x7f\x0b\x0c\r\nB: 2\r\n\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\nB: 2\r\n\r\n",
    b"\r\n",
    b"",
    b"Cut: off",
    b"X: 1\r\n" * 99 + b"\r\n",
    b"X: 1\r\n" * 100 + b"\r\n",
    b"Long: " + b"x" * 9_000 + b"\r\nNext: 1\r\n\r\n",
    b"Long: " + b"x" * 70_000 + b"\r\n\r\n",
)


class _Pieces(io.RawIOBase):
    """Bytes that arrive a few at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__()
        self._rest = io.BytesIO(content)
        self._size = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        piece = self._rest.read(min(self._size, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


def _read(parse, block: bytes, size: int = 1 << 20) -> tuple[object, bytes]:
    stream = io.BufferedReader(_Pieces(block, size))
    try:
        fields: object = parse(stream).items()
    except http.client.HTTPException as error:
        return repr(error), b""
    return fields, stream.read()


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: repr(block[:30]))
def test_fields_are_those_of_http_client(block: bytes, size: int) -> None:
    assert _read(parse_headers, block + b"body", size) == _read(http.client.parse_headers, block + b"body", size)


@given(st.lists(st.sampled_from([bytes([one]) for one in b"Ab-: :\t\r\n1\xe9\x0c"] + [b"\r\n", b": "])))
def test_any_fields_are_those_of_http_client(parts: list[bytes]) -> None:
    block = b"".join(parts) + b"\r\n\r\nbody"
    fields, body = _read(parse_headers, block)
    theirs, their_body = _read(http.client.parse_headers, block)
    assert fields[: len(theirs)] == theirs
    assert body == their_body


@pytest.mark.parametrize(
    "block",
    [
        b"A: 1\r\nno colon here\r\nB: 2\r\nHTTP/1.1 200 OK\r\nC: 3\r\n\r\n",
        b"A: 1\r\n: without a name\r\nB : 2\r\nC:3 \r\n\r\n",
        b"A: 1\r\nB \t: 2\r\nC: 3\r\n\r\n",
        b"A: 1\rsecond half\r\nB: 2\r\nC: 3\r\n\r\n",
    ],
)
def test_fields_behind_an_invalid_line_are_read(block: bytes) -> None:
    fields = [("A", "1"), ("B", "2"), ("C", "3")]
    assert _read(parse_headers, block + b"body") == (fields, b"body")


def test_plain_fields_are_not_left_to_http_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client, "parse_headers", None)
    assert _read(parse_headers, PLAIN + b"OK") == (
        [("Content-Type", "application/json"), ("Content-Length", "2")],
        b"OK",
    )


def test_only_the_parser_of_http_client_is_replaced() -> None:
    class Other(http.client.HTTPResponse):
        begin = with_fast_headers(http.client.HTTPResponse.begin)

    assert Other.begin.__code__ is http.client.HTTPResponse.begin.__code__
    assert "parse_headers" in Other.begin.__code__.co_names, "http.client parses header fields somewhere else"
    assert Other.begin.__globals__["parse_headers"] is parse_headers
    assert http.client.parse_headers is not parse_headers
