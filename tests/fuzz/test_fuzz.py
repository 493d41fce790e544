"""A thousand spoilt answers in every run of the tests; `python tests/fuzz` feeds many more."""

import contextlib
import gc
import gzip
import itertools
import random
import socket
import threading
import zlib

import fuzz_payloads
import fuzz_targets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orstats
from orstats import errors

HELD = ("/generation", "/generation/content", "/key", "/credits", "/analytics/query", "/activity")


@pytest.fixture(scope="module")
def seeds():
    return fuzz_payloads.seeds()


@pytest.mark.parametrize("path", HELD)
def test_corrupted_responses_raise_typed_errors_only(seeds, path):
    mine = [seed for seed in seeds if seed[0] == path]
    read = 0
    for number in range(100):
        rng = random.Random(f"{path} {number}")
        _, generation_id, payload = rng.choice(mine)
        body = fuzz_payloads.spoil(rng, payload)
        status = 200 if number % 4 else rng.choice(fuzz_targets.STATUSES)
        read += fuzz_targets.run(path, generation_id, status, rng.choice(fuzz_targets.HEADERS), body)
    assert read > 10, "some must get through the decoder, or nothing behind it is tried"


def test_unexpected_values_in_record_fields_are_read():
    fields = [*orstats.field_table().index, "colour"]
    unexpected = {
        f"gen-1780000001-{number:020d}": fuzz_targets.GOOD[next(iter(fuzz_targets.GOOD))] | {field: value}
        for number, (field, value) in enumerate(itertools.product(fields, fuzz_payloads.ODD))
    }
    fuzz_targets.read_records(unexpected)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60)
@given(data=st.data(), fields=st.dictionaries(st.sampled_from(list(next(iter(fuzz_targets.GOOD.values())))), values))
def test_any_json_in_record_fields_is_read(data, fields):
    fields |= data.draw(st.dictionaries(st.text(max_size=8), values, max_size=2))
    fuzz_targets.read_record("gen-1780000000-AbCdEfGhIjKlMnOpQrSt", fields)


@settings(max_examples=100)
@given(content=st.fixed_dictionaries({}, optional=dict.fromkeys(("input", "output", "error", "else"), values)))
def test_any_json_in_content_is_read(content):
    fuzz_targets.read_content("gen-1780000000-AbCdEfGhIjKlMnOpQrSt", content)


BODY = b'{"data": {"id": "gen-1780000000-00000000000000000007", "total_cost": 0.25}}'
ENCODED = {
    "gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "cut gzip": gzip.compress(BODY)[:-9],
    "twice gzip": gzip.compress(gzip.compress(BODY)),
    "plain": BODY,
    "noise": random.Random(0).randbytes(200),
    "nothing": b"",
}
READABLE = {
    ("gzip", "gzip"),
    ("deflate", "deflate"),
    ("twice gzip", "gzip, gzip"),
    ("plain", "identity"),
    ("plain", ""),
}
LABELS = ["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", ", ".join(["gzip"] * 40), "x-unknown", "", "\xff"]


@pytest.fixture(scope="module")
def saying():
    """A client, and a function that says what its server answers next, byte by byte."""
    listener, next_answer = socket.create_server(("127.0.0.1", 0)), [b""]

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(next_answer[0])

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with orstats.Client("sk-or-v1-" + "0" * 64, base_url=url, retry=orstats.Retry(attempts=1), timeout=2) as client:

        def ask(answer):
            next_answer[0] = answer
            return client.generation("gen-1780000000-00000000000000000007")

        yield ask
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("encoding", ENCODED)
def test_bodies_with_a_wrong_encoding_header_are_typed_errors(saying, encoding, label):
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: " + label.encode("latin-1") + b"\r\n\r\n"
    try:
        record = saying(head + ENCODED[encoding])
    except (errors.NetworkError, errors.BadResponseError):
        assert (encoding, label) not in READABLE
    else:
        assert record["total_cost"] == 0.25
        assert encoding not in ("cut gzip", "noise", "nothing")


# urllib3 leaves the socket of a head that contradicts itself to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_corrupted_http_raises_typed_errors_only(saying):
    good = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    lines = [
        b"Content-Length: -1",
        b"Content-Length: 9, 9",
        b"Content-Length: x",
        b": x",
        b"A" * 70_000,
        b"Retry-After: \0",
    ]
    well = 0
    for number in range(400):
        rng = random.Random(number)
        answer = bytearray(rng.choice([good, chunked]) % (len(BODY), BODY))
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(answer) if rng.random() < 0.3 else 60)
            answer[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
        if rng.random() < 0.3:
            first = answer.index(b"\n") + 1 if b"\n" in answer else 0
            answer[first:first] = rng.choice([*lines, b"\r\n".join(itertools.repeat(b"X: y", 150))]) + b"\r\n"
        with contextlib.suppress(errors.ApiError):
            well += saying(bytes(answer)).get("total_cost") == 0.25
    assert 0 < well < 400
    gc.collect()  # here, where its warnings are expected
