"""Bytes on the wire, from a socket that answers whatever a test wants: framings, limits, and what must not leak."""

import contextlib
import gc
import gzip
import itertools
import logging
import socket
import threading
import time
import traceback

import pytest

from orstats.api.client import Client
from orstats.api.retry import Retry
from orstats.errors import ApiError, BadResponseError, NetworkError, ServerError

KEY = "sk-or-v1-" + "ab" * 32
ID = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
BODY = b'{"data": {"id": "%s", "total_cost": 0.5}}' % ID.encode()
ONCE = Retry(attempts=1)


@contextlib.contextmanager
def answering(*answers, keep=False):
    """A server that gives one of ``answers`` (bytes) to each connection or request, and records what it was sent."""
    seen, listener = [], socket.create_server(("127.0.0.1", 0))

    def serve():
        left = list(answers)
        while left:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while left:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        piece = connection.recv(65536)
                        if not piece:
                            break
                        request += piece
                    if not request:
                        break
                    seen.append(request)
                    connection.sendall(left.pop(0))
                    if not keep:
                        break

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def ask(*answers, retry=ONCE, **options):
    with answering(*answers) as (url, seen), Client(KEY, base_url=url, retry=retry, timeout=2) as client:
        return client.generation(ID, **options), seen


def head(*lines, status="200 OK"):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def chunked(*pieces, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


@pytest.mark.parametrize(
    "answer",
    [
        head(f"Content-Length: {len(BODY)}") + BODY,
        head("Transfer-Encoding: chunked") + chunked(BODY[:7], BODY[7:]),
        head("Connection: close") + BODY,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        head(f"content-length: {len(gzip.compress(BODY))}", "content-encoding: gzip") + gzip.compress(BODY),
        head("Transfer-Encoding: chunked", "content-encoding: gzip") + chunked(gzip.compress(BODY)),
        head(status="100 Continue") + head(f"Content-Length: {len(BODY)}") + BODY,
        head("Link: </x>", status="103 Early Hints") * 2 + head(f"Content-Length: {len(BODY)}") + BODY,
    ],
    ids=["length", "chunked", "until close", "HTTP/1.0", "gzip", "gzip chunked", "after 100", "after 103"],
)
def test_every_framing_of_a_body_is_read(answer):
    record, _ = ask(answer)
    assert record["total_cost"] == 0.5


@pytest.mark.parametrize("size", [(1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3 << 18])
@pytest.mark.parametrize("members", [0, 1, 2], ids=["plain", "gzip", "gzip of two members"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_longer_than_one_read_is_complete(size, members, is_chunked):
    body = BODY[:-2] + b', "user_agent": "%s"}}' % (b"a" * (size - len(BODY) - 18))
    sent = {0: [body], 1: [gzip.compress(body)], 2: [gzip.compress(body[:999]), gzip.compress(body[999:])]}[members]
    lines = ["Content-Encoding: gzip"] if members else []
    length = f"Content-Length: {sum(map(len, sent))}"
    answer = head(*lines, "Transfer-Encoding: chunked" if is_chunked else length)
    record, _ = ask(answer + (chunked(*sent) if is_chunked else b"".join(sent)))
    assert len(body) == size
    assert set(record["user_agent"]) == {"a"}


@pytest.mark.parametrize(
    "answer",
    [
        head(f"Content-Length: {len(BODY) + 5}") + BODY,
        head("Transfer-Encoding: chunked") + chunked(BODY[:9], end=b""),
        head(f"Content-Length: {len(BODY)}"),
        head("Content-Length: 20", "Content-Encoding: gzip") + b"this is not gzip at a",
        b"",
        b"not HTTP at all\r\n\r\n",
    ],
    ids=["cut", "cut chunked", "no body", "bad gzip", "closed", "no HTTP"],
)
def test_incomplete_response_is_a_retryable_network_error_with_the_id(answer):
    with pytest.raises(NetworkError) as caught:
        ask(answer)
    assert caught.value.retryable
    assert caught.value.generation_id == ID
    assert ID in str(caught.value)


def test_retry_returns_the_record():
    good = head(f"Content-Length: {len(BODY)}", "Connection: close") + BODY
    record, seen = ask(
        b"", head("Content-Length: 3", status="502 Bad Gateway") + b"<h>", good, retry=Retry(first_wait=0)
    )
    assert record["total_cost"] == 0.5
    assert len(seen) == 3


def test_request_has_the_user_agent_and_the_key_once():
    _, (request,) = ask(head(f"Content-Length: {len(BODY)}") + BODY)
    assert request.startswith(f"GET /api/v1/generation?id={ID} HTTP/1.1\r\n".encode())
    assert request.lower().count(b"authorization") == 1
    assert f"Authorization: Bearer {KEY}".encode() in request
    assert b"User-Agent: orstats/" in request
    assert b"cookie" not in request.lower()


def test_connection_is_reused_and_cookies_are_not_kept():
    good = head(f"Content-Length: {len(BODY)}", "Set-Cookie: spy=1") + BODY
    with answering(good, good, keep=True) as (url, seen), Client(KEY, base_url=url, timeout=2) as client:
        client.generation(ID)
        client.generation(ID)
        assert len(seen) == 2
        assert b"spy" not in seen[1]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_redirect_is_not_followed_so_the_key_stays(status):
    with answering(b"") as (elsewhere, visitors):
        target = elsewhere.replace("127.0.0.1", "localhost")
        with pytest.raises(BadResponseError, match="not followed"):
            ask(head(f"Location: {target}/steal", "Content-Length: 0", status=status))
        assert visitors == []


def test_huge_response_is_not_read_to_its_end():
    bomb = gzip.compress(b'{"data": "' + b"0" * (64 << 20))
    with pytest.raises(NetworkError, match="longer than 16 MiB"):
        ask(head(f"Content-Length: {len(bomb)}", "Content-Encoding: gzip") + bomb)


def test_server_that_never_responds_times_out():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with (
            Client(KEY, base_url=url, retry=ONCE, timeout=0.2) as client,
            pytest.raises(NetworkError, match="time-out"),
        ):
            client.generation(ID)


@contextlib.contextmanager
def dripping(endless, every=0.01):
    """A server that sends a piece of ``endless`` at a time, for much longer than anybody should listen."""
    listener, heard_out = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.recv(65536)
            for piece in itertools.islice(endless, 500):
                connection.sendall(piece)
                time.sleep(every)
            heard_out.append(True)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join()
    assert not heard_out


ENDLESS = {
    "status line": (b"x" for _ in itertools.count()),
    "head": (bytes([one]) for one in itertools.chain(b"HTTP/1.1 200 OK\r\nX-A: ", itertools.repeat(97))),
    "interim answers": (b"HTTP/1.1 100 Continue\r\n\r\n" for _ in itertools.count()),
    "body": itertools.chain([head("Content-Length: 99999999")], itertools.repeat(b"7")),
    "chunks": itertools.chain([head("Transfer-Encoding: chunked")], itertools.repeat(b"1\r\n7\r\n")),
    "chunk head": itertools.chain([head("Transfer-Encoding: chunked")], itertools.repeat(b"0")),
    "compressed body": itertools.chain(
        [head("Content-Encoding: gzip"), gzip.compress(b"", mtime=0)[:10]], itertools.repeat(b"\0\0\0\xff\xff")
    ),
}


@pytest.mark.parametrize("where", ENDLESS)
def test_endless_slow_response_times_out_in_every_part(where):
    with (
        dripping(ENDLESS[where]) as url,
        Client(KEY, base_url=url, retry=ONCE, timeout=(0.1, 0.2)) as client,
        pytest.raises(NetworkError, match="response within the time-out") as caught,
    ):
        client.generation(ID)
    assert caught.value.retryable


def test_deadline_of_a_response_does_not_affect_the_next():
    good = head(f"Content-Length: {len(BODY)}") + BODY
    with answering(good, good, keep=True) as (url, _), Client(KEY, base_url=url, timeout=1) as client:
        client.generation(ID)
        time.sleep(1.2)
        assert client.generation(ID)["total_cost"] == 0.5


def test_refused_connection_has_a_plain_message():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with Client(KEY, base_url=url, retry=ONCE) as client, pytest.raises(NetworkError, match="connection refused"):
        client.generation(ID)


def test_key_shows_nowhere(caplog, capsys):
    caplog.set_level(logging.DEBUG)
    echo = b'{"error": {"code": 500, "message": "your header was Bearer %s"}}' % KEY.encode()
    with answering(head(f"Content-Length: {len(echo)}", status="500 Oops") + echo) as (url, _):
        client = Client(KEY, management_key=KEY, base_url=url, retry=ONCE, timeout=2)
        with client, pytest.raises(ServerError) as caught:
            client.generation(ID)
    shown = [
        repr(client),
        str(caught.value),
        repr(caught.value),
        repr(client.settings),
        caplog.text,
        *capsys.readouterr(),
    ]
    assert not [text for text in shown if KEY in text or KEY[9:] in text]
    assert caught.value.__cause__ is None


def values_in_traceback(error):
    """Everything that a debugger shows of an error: local variables of all frames, also of the errors behind it."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "orstats/api" in frame.f_code.co_filename or "site-packages" in frame.f_code.co_filename:
                yield from map(repr, frame.f_locals.values())
            if frame.f_code.co_filename.endswith("http/client.py"):
                yield from map(repr, frame.f_locals.values())
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("status", [200, 302, 400, 401, 500])
def test_echoed_key_is_in_no_variable_of_a_traceback(status):
    echo = b'{"error": {"code": 400, "message": "your header was Bearer %s"}}' % KEY.encode()
    with pytest.raises(ApiError) as caught:
        ask(head(f"Content-Length: {len(echo)}", f"Location: /?{KEY}", status=f"{status} x") + echo)
    assert not [value for value in values_in_traceback(caught.value) if KEY in value]


def test_refused_connection_leaves_the_key_in_no_variable_of_a_traceback():
    with Client(KEY, base_url="http://127.0.0.1:1", retry=ONCE) as client, pytest.raises(NetworkError) as caught:
        client.generation(ID)
    assert not [value for value in values_in_traceback(caught.value) if KEY in value]


# urllib3 leaves the socket of such an answer to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_contradictory_headers_have_a_plain_message():
    with pytest.raises(NetworkError, match="contradict each other"):
        ask(head("Content-Length: 5, 6") + BODY)
    gc.collect()  # urllib3 leaves the socket of such an answer to the garbage collector


def test_error_does_not_mention_the_http_library():
    with pytest.raises(ApiError) as caught:
        ask(b"")
    for word in ("urllib3", "0x", "HTTPConnectionPool", "requests."):
        assert word not in str(caught.value)
