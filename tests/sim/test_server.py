"""The server follows HTTP and the rules of the API, and counts its requests."""

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime
from itertools import pairwise

import orjson
import pytest
import urllib3

import orstats
from orstats import errors
from orstats.sim import Faults, SimServer
from orstats.sim.http_connection import Connection


def talk(server, data, *, half_close=True):
    """Send bytes and read until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        out = b""
        while chunk := sock.recv(65536):
            out += chunk
    return out


def request_bytes(server, target, *headers, key=None):
    lines = [f"GET {target} HTTP/1.1", "Host: x", f"Authorization: Bearer {key or server.key}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def test_base_url_is_on_loopback(sim):
    assert sim.base_url == f"http://127.0.0.1:{sim.port}/api/v1"
    assert sim.base_url in repr(sim)
    assert sim.key not in repr(sim)


def test_response_has_the_headers_of_the_real_api(sim):
    answer = urllib3.PoolManager().request(
        "GET", f"{sim.base_url}/generation?id={sim.ids[3]}", headers={"Authorization": f"Bearer {sim.key}"}
    )
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.data)
    assert parsedate_to_datetime(answer.headers["date"]).year >= 2025


@pytest.mark.parametrize("path", ["/generations", "/generation/", "/nope", "/key/"])
def test_unknown_paths_are_not_found(sim, ask, path):
    assert ask(sim, path) == (404, {"error": {"code": 404, "message": "Not Found"}})


def test_path_without_the_prefix_gets_the_page_of_the_web_site(sim):
    answer = talk(sim, request_bytes(sim, f"/generation?id={sim.ids[0]}", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"content-type: text/html" in answer
    with (
        orstats.Client(sim.key, base_url=f"http://127.0.0.1:{sim.port}/router/v2") as client,
        pytest.raises(errors.ApiError),
    ):
        orstats.fetch(sim.ids, client=client)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_wrong_methods_are_refused(sim, ask, method):
    status, body = ask(sim, "/generation", method=method, id=sim.ids[0])
    assert (status, body["error"]["code"]) == (405, 405)


def test_head_request_gets_the_headers_of_get(sim):
    data = request_bytes(sim, f"/api/v1/generation?id={sim.ids[0]}", "Connection: close")
    head, _, body = talk(sim, data.replace(b"GET", b"HEAD", 1)).partition(b"\r\n\r\n")
    whole = talk(sim, data)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""
    length = len(whole.partition(b"\r\n\r\n")[2])
    assert f"content-length: {length}".encode() in head


@pytest.mark.parametrize("fields", [{}, {"id": ""}])
def test_missing_id_is_a_bad_request(sim, ask, fields):
    for path in ("/generation", "/generation/content"):
        assert ask(sim, path, **fields) == (400, {"error": {"code": 400, "message": "Invalid request parameters"}})


def test_escaped_identifiers_are_understood(sim, ask):
    identifier = sim.ids[500]
    escaped = identifier.replace("-", "%2D")
    assert ask(sim, f"/generation?x=1&id={escaped}")[1]["data"]["id"] == identifier


def test_missing_key_is_unauthorised(sim):
    answer = urllib3.request("GET", f"{sim.base_url}/generation?id={sim.ids[0]}", retries=False)
    assert answer.status == 401
    assert orjson.loads(answer.data) == {"error": {"code": 401, "message": "Missing Authentication header"}}


@pytest.mark.parametrize("path", ["/generation", "/generation/content", "/key", "/credits", "/analytics/meta"])
def test_unknown_key_is_unauthorised(sim, ask, path):
    status, body = ask(sim, path, key="sk-or-v1-" + "0" * 64, id=sim.ids[0])
    assert (status, body["error"]["code"]) == (401, 401)


@pytest.mark.parametrize("start", ["Bearer ", "bearer ", "BEARER  "])
def test_scheme_of_a_key_may_be_written_in_any_case(sim, start):
    headers = {"Authorization": f"{start}{sim.key}"}
    assert urllib3.request("GET", f"{sim.base_url}/key", headers=headers, retries=False).status == 200


@pytest.mark.parametrize("start", ["", "Bearer", "Basic ", "Token "])
def test_key_without_its_scheme_is_unauthorised(sim, start):
    headers = {"Authorization": f"{start}{sim.key}"}
    assert urllib3.request("GET", f"{sim.base_url}/key", headers=headers, retries=False).status == 401


def test_all_keys_read_metadata(sim, ask):
    for key in (sim.key, sim.plain_key, sim.management_key):
        assert ask(sim, "/generation", key=key, id=sim.ids[9])[0] == 200


def test_keys_look_real_and_differ(sim):
    keys = [sim.key, sim.plain_key, sim.management_key]
    assert len(set(keys)) == 3
    assert all(key.startswith("sk-or-v1-") and len(key) == 73 and int(key[9:], 16) for key in keys)
    assert SimServer(1, seed=12).key != sim.key


def test_account_without_credits_answers_402(ask):
    with SimServer(3) as server:
        server.out_of_credits = True
        status, body = ask(server, "/generation", id=server.ids[0])
        assert (status, body["error"]["code"]) == (402, 402)
        server.out_of_credits = False
        assert ask(server, "/generation", id=server.ids[0])[0] == 200


def test_gzip_is_used_where_accepted():
    with SimServer(5, gzip=True) as server:
        url, headers = f"{server.base_url}/generation?id={server.ids[0]}", {"Authorization": f"Bearer {server.key}"}
        packed = urllib3.request("GET", url, headers=headers | {"Accept-Encoding": "gzip"})
        plain = urllib3.request("GET", url, headers=headers)
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.data == plain.data


@pytest.mark.parametrize("accepted", ["gzip;q=0", "identity", "gzip; q=0.0, deflate", "*;q=0", ""])
def test_gzip_is_not_used_where_it_is_not_accepted(accepted):
    with SimServer(5, gzip=True) as server:
        url, headers = f"{server.base_url}/key", {"Authorization": f"Bearer {server.key}"}
        answer = urllib3.request("GET", url, headers=headers | {"Accept-Encoding": accepted})
    assert "content-encoding" not in answer.headers


# ---- connections ---------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(sim):
    requested = sim.ids[100:130]
    last = request_bytes(sim, f"/api/v1/generation?id={sim.ids[130]}", "Connection: close")
    data = b"".join(request_bytes(sim, f"/api/v1/generation?id={identifier}") for identifier in requested) + last
    answer = talk(sim, data, half_close=False)
    found = [orjson.loads(part[: part.rindex(b"}") + 1])["data"]["id"] for part in answer.split(b"\r\n\r\n")[1:]]
    assert found == [*requested, sim.ids[130]]


def test_pipelined_requests_keep_their_order_when_responses_are_slow():
    with SimServer(40, latency=(0.0, 0.02)) as server:
        requested = server.ids[:12]
        parts = [request_bytes(server, f"/api/v1/generation?id={identifier}") for identifier in requested]
        parts.append(request_bytes(server, "/api/v1/key", "Connection: close"))
        answer = talk(server, b"".join(parts), half_close=False)
        positions = [answer.index(identifier.encode()) for identifier in requested]
        assert positions == sorted(positions)
        assert server.stats.connections == 1


def test_request_may_arrive_in_pieces(sim):
    data = request_bytes(sim, f"/api/v1/generation?id={sim.ids[0]}", "Connection: close")
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
        for place in range(0, len(data), 7):
            sock.sendall(data[place : place + 7])
        assert sock.recv(12) == b"HTTP/1.1 200"


def test_http_1_0_is_closed_after_the_answer(sim):
    data = request_bytes(sim, "/api/v1/key").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert b"connection: close" in talk(sim, data, half_close=False)


HOST = b"Host: x\r\n"
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (TLS_HELLO, 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
    ],
)
def test_invalid_requests_are_answered_and_closed(sim, data, status):
    assert talk(sim, data, half_close=False).startswith(f"HTTP/1.1 {status} ".encode())


def test_requests_before_an_invalid_one_are_answered_first(sim):
    answer = talk(sim, request_bytes(sim, "/api/v1/key") + b"hello\r\n\r\n", half_close=False)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"400"]


@pytest.mark.parametrize("target", ["http://x/api/v1/key", "http://127.0.0.1:1/api/v1/key?x=1"])
def test_absolute_form_of_a_target_is_understood(sim, target):
    assert talk(sim, request_bytes(sim, target, "Connection: close")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "headers", [("Connection: Upgrade", "Upgrade: h2c"), ("Connection: upgrade", "Upgrade: websocket")]
)
def test_upgrades_are_not_taken_and_the_connection_stays(sim, headers):
    data = request_bytes(sim, "/api/v1/key", *headers) + request_bytes(sim, "/api/v1/key", "Connection: close")
    assert talk(sim, data, half_close=False).count(b"HTTP/1.1 200 ") == 2


def test_connect_is_refused_and_closed(sim):
    assert talk(sim, request_bytes(sim, "x:443").replace(b"GET", b"CONNECT", 1)).startswith(b"HTTP/1.1 404 ")


def test_server_listens_on_ipv6(sim):
    with socket.create_server(("127.0.0.1", 0)):
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            return  # this machine has no IPv6
    with socket.create_connection(("::1", sim.port), timeout=10) as sock:
        sock.sendall(request_bytes(sim, "/api/v1/key"))
        assert sock.recv(12) == b"HTTP/1.1 200"


QUERY = b'{"metrics":["request_count"]}'


def query_head(server, *headers):
    data = request_bytes(server, "/api/v1/analytics/query", *headers, key=server.management_key)
    return data.replace(b"GET", b"POST", 1)


def in_chunks(body, size):
    parts = [body[place : place + size] for place in range(0, len(body), size)]
    return b"".join(b"%x;x=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nX-Sum: 1\r\n\r\n"


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_body_may_come_in_chunks(sim, size):
    data = query_head(sim, "Transfer-Encoding: chunked") + in_chunks(QUERY, size)
    answer = talk(sim, data + request_bytes(sim, "/api/v1/key", "Connection: close"), half_close=False)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b'"request_count":"' in answer


@pytest.mark.parametrize("body", [b"-1\r\n", b"0x2\r\n{}\r\n", b"\r\n", b"1" * 2000])
def test_invalid_chunks_are_answered_and_closed(sim, body):
    data = query_head(sim, "Transfer-Encoding: chunked") + body
    assert talk(sim, data, half_close=False).startswith(b"HTTP/1.1 400 ")


def test_bodies_that_are_too_large_are_refused(sim):
    data = query_head(sim, "Transfer-Encoding: chunked") + in_chunks(b"x" * 5_000_000, 1_000_000)
    with socket.create_connection(("127.0.0.1", sim.port), timeout=60) as sock:
        with suppress(OSError):
            sock.sendall(data)
        with suppress(ConnectionResetError):
            assert sock.recv(100).startswith(b"HTTP/1.1 413 ")
    assert talk(sim, request_bytes(sim, "/api/v1/key", "Connection: close")).startswith(b"HTTP/1.1 200 ")


def test_expect_100_continue_is_answered(sim):
    with socket.create_connection(("127.0.0.1", sim.port), timeout=60) as sock:
        sock.sendall(query_head(sim, f"Content-Length: {len(QUERY)}", "Expect: 100-continue"))
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(QUERY)
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("version", "header", "announced"),
    [
        ("1.1", "x", b"keep-alive"),
        ("1.1", "TE, close", b"close"),
        ("1.1", "Close", b"close"),
        ("1.0", "x", b"close"),
        ("1.0", "Keep-Alive", b"keep-alive"),
    ],
)
def test_responses_announce_whether_the_connection_stays_open(sim, version, header, announced):
    data = request_bytes(sim, "/api/v1/key", f"Connection: {header}").replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    last = request_bytes(sim, "/api/v1/key", "Connection: close")
    answer = talk(sim, data + last, half_close=False)
    assert b"\r\nconnection: " + announced + b"\r\n" in answer
    assert answer.count(b"HTTP/1.1 200 ") == (2 if announced == b"keep-alive" else 1)


def test_half_closed_connections_still_get_slow_responses():
    with SimServer(3, latency=0.05) as server:
        assert talk(server, request_bytes(server, "/api/v1/key") * 2).count(b"HTTP/1.1 200 ") == 2
        body = query_head(server, f"Content-Length: {len(QUERY)}") + QUERY
        assert talk(server, body).startswith(b"HTTP/1.1 200 ")


def test_half_closed_hanging_connection_is_closed():
    with SimServer(3, faults=Faults(rate=0, always={"/key": "hang"})) as server:
        assert talk(server, request_bytes(server, "/api/v1/key")) == b""


class FullPipe(asyncio.Transport):
    """A client that never reads: what is written fills the pipe at once."""

    def __init__(self, connection):
        super().__init__()
        self.connection, self.written, self.reading = connection, [], True

    def write(self, data):
        self.written.append(data)
        self.connection.pause_writing()

    def is_reading(self):
        return self.reading

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


def test_pipelined_requests_wait_for_a_client_that_does_not_read(sim):
    connection = Connection(sim._service, None)
    pipe = FullPipe(connection)
    connection.connection_made(pipe)
    request = request_bytes(sim, f"/api/v1/generation?id={sim.ids[0]}")
    connection.data_received(request * 3)
    assert (len(pipe.written), pipe.reading) == (1, True)
    connection.data_received(request * 200)
    assert (len(pipe.written), pipe.reading) == (1, False)
    for served in range(2, 204):
        connection.resume_writing()
        assert len(pipe.written) == served
    connection.resume_writing()
    assert (len(pipe.written), pipe.reading) == (203, True)
    connection.connection_lost(None)


def test_many_concurrent_clients_are_served(ask):
    with SimServer(300, latency=0.01) as server, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda identifier: ask(server, "/generation", id=identifier), server.ids))
        assert [body["data"]["id"] for _, body in answers] == server.ids
        stats = server.stats
    assert stats.requests == 300
    assert 1 < stats.peak_concurrent <= 16


# ---- young and unknown identifiers ----------------------------------------------------------------------------


def test_recent_generations_become_available(ask):
    with SimServer(10) as server:
        old, young = server.young_ids(2, found_after=0), server.young_ids(3, found_after=3600)
        assert len({*old, *young, *server.ids}) == 15
        for identifier in old:
            status, body = ask(server, "/generation", id=identifier)
            assert (status, body["data"]) == (200, server.record(identifier))
        for identifier in young:
            assert ask(server, "/generation", id=identifier)[0] == 404
            assert ask(server, "/generation/content", id=identifier)[0] == 404
        assert server.record(young[0])["id"] == young[0]


def test_lag_hides_the_most_recent_generations(ask):
    with SimServer(500, lag=30 * 86_400) as server:
        assert ask(server, "/generation", id=server.ids[0])[0] == 200
        assert ask(server, "/generation", id=server.ids[-1])[0] == 404


@pytest.mark.parametrize(("age", "shape"), [(None, 32), (0.0, 35), (1e6, 35)])
def test_unknown_identifiers_look_real_and_are_never_found(sim, ask, age, shape):
    unknown = sim.unknown_ids(5, age=age)
    assert len(set(unknown) | set(sim.unknown_ids(5, age=age))) == 10
    for identifier in unknown:
        assert len(identifier) == shape
        assert ask(sim, "/generation", id=identifier) == (
            404,
            {"error": {"code": 404, "message": "Resource not found"}},
        )
        with pytest.raises(KeyError):
            sim.record(identifier)


def test_statistics_count_everything(ask):
    with SimServer(10, faults=Faults(rate=0, per_id={"gen-x": ["502"]})) as server:
        for identifier in (server.ids[0], server.ids[0], "gen-x", "gen-x"):
            ask(server, "/generation", id=identifier)
        ask(server, "/key")
        stats = server.stats
        assert stats.requests == server.requests == 5
        assert stats.paths == {"/api/v1/generation": 4, "/api/v1/key": 1}
        assert stats.ids == {server.ids[0]: 2, "gen-x": 2}
        assert stats.statuses == {200: 3, 502: 1, 404: 1}
        assert stats.faults == {"502": 1}
        assert stats.refusals == 0
        assert [(hit.id, hit.status) for hit in stats.log][1:3] == [(server.ids[0], 200), ("gen-x", 502)]
        assert all(a.at <= b.at for a, b in pairwise(stats.log))
        server.reset_stats()
        assert server.requests == 0
        assert server.stats.log == ()
