"""Each fault looks on the wire as it should, hits as many as it should, and heals when it should."""

import socket
from collections import Counter
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time

import orjson
import pytest
import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from orstats.sim import Faults, SimServer
from orstats.sim.faults import ALL_KINDS, DEFAULT_KINDS

JSON_STATUSES = ["400", "401", "402", "403", "404", "408", "429", "500", "502", "503", "504", "524", "529"]
WORDS = {
    400: "Invalid request parameters",
    402: "Insufficient credits. Add more using https://openrouter.ai/credits",
    403: "Only management keys can perform this operation",
    404: "Resource not found",
    408: "Operation timed out. Please try again later.",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    502: "Provider returned error",
    524: "Request timed out. Please try again later.",
    529: "Provider returned error",
}


@pytest.fixture(scope="module")
def faulty():
    """A server where identifier number n always meets fault number n."""
    server = SimServer(len(ALL_KINDS), seed=4)
    always = dict(zip(server.ids, ALL_KINDS, strict=True))
    with SimServer(
        len(ALL_KINDS), seed=4, until=server._account.until, faults=Faults(rate=0, always=always, drip_s=0)
    ) as running:
        yield running


@pytest.fixture
def meet(faulty):
    """Meet one fault."""
    pool = urllib3.PoolManager(retries=False, timeout=5)

    def request(kind, *, timeout=5, path="/generation"):
        url = f"{faulty.base_url}{path}?id={faulty.ids[ALL_KINDS.index(kind)]}"
        headers = {"Authorization": f"Bearer {faulty.key}"}
        return pool.request("GET", url, headers=headers, timeout=timeout, redirect=False)

    yield request
    pool.clear()


@pytest.mark.parametrize("kind", JSON_STATUSES)
@pytest.mark.parametrize("path", ["/generation", "/generation/content"])
def test_statuses_have_the_body_of_the_specification(meet, kind, path):
    answer = meet(kind, path=path)
    error = orjson.loads(answer.data)["error"]
    assert (answer.status, error["code"]) == (int(kind), int(kind))
    assert error["message"] == WORDS.get(int(kind), error["message"])
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("kind", ["520", "521", "522", "523", "525", "527", "530"])
def test_cdn_speaks_plain_text(meet, kind):
    answer = meet(kind)
    assert (answer.status, answer.data) == (int(kind), f"error code: {kind}".encode())
    assert answer.headers["content-type"].startswith("text/plain")


def test_429_asks_to_wait_in_four_ways(meet):
    assert meet("429").headers["retry-after"] == "1"
    date = parsedate_to_datetime(meet("429-date").headers["retry-after"])
    assert abs(date.timestamp() - time() - 1) < 30
    reset = meet("429-reset")
    assert "retry-after" not in reset.headers
    assert reset.headers["x-ratelimit-remaining"] == "0"
    assert int(reset.headers["x-ratelimit-limit"]) > 0
    assert abs(int(reset.headers["x-ratelimit-reset"]) / 1000 - time() - 1) < 30
    bare = meet("429-bare")
    assert bare.status == 429
    assert not {"retry-after", "x-ratelimit-reset"} & {name.lower() for name in bare.headers}


@pytest.mark.parametrize("status", ["429", "503"])
def test_refusals_may_ask_to_wait_in_milliseconds(meet, status):
    assert meet(f"{status}-ms").headers["retry-after-ms"] == "1000"
    both = meet(f"{status}-both").headers
    assert (both["retry-after"], both["retry-after-ms"]) == ("1", "1000")
    assert "retry-after" not in meet("503").headers


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind.endswith("-metadata")])
def test_error_bodies_may_carry_the_optional_fields(meet, kind):
    body = orjson.loads(meet(kind).data)
    assert body["error"]["code"] == int(kind.partition("-")[0])
    assert body["error"]["metadata"]["provider_name"] == "OpenAI"
    assert {"openrouter_metadata", "user_id"} <= body.keys()


@pytest.mark.parametrize("status", [400, 403, 404, 502])
def test_other_gateways_answer_json_without_an_error(meet, status):
    answer = meet(f"json-{status}")
    assert answer.status == status
    assert "error" not in orjson.loads(answer.data)


def test_200_may_have_no_record(meet):
    assert orjson.loads(meet("empty-200").data) == {"data": {}}
    assert orjson.loads(meet("null-200").data) == {"data": None}
    assert orjson.loads(meet("list-200").data) == {"data": []}
    assert "id" not in orjson.loads(meet("foreign-200").data)["data"]
    assert meet("blank-200").data == b""


def test_200_may_wrap_the_record(meet, faulty):
    record = faulty.record(faulty.ids[ALL_KINDS.index("wrapped-200")])
    assert orjson.loads(meet("wrapped-200").data) == {"data": {"data": record}}


def test_reset_comes_before_any_answer(meet):
    with pytest.raises(ProtocolError, match="reset"):
        meet("reset")


def test_reset_is_one_on_the_wire(faulty):
    with socket.create_connection(("127.0.0.1", faulty.port), timeout=5) as sock:
        identifier = faulty.ids[ALL_KINDS.index("reset")]
        head = (
            f"GET /api/v1/generation?id={identifier} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {faulty.key}\r\n\r\n"
        )
        sock.sendall(head.encode())
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_closed_connection_has_no_answer(meet):
    with pytest.raises(ProtocolError, match="without response"):
        meet("close")


def test_cut_body_is_shorter_than_announced(meet):
    with pytest.raises(ProtocolError, match="IncompleteRead"):
        meet("cut")


def test_truncated_body_has_its_announced_length_but_is_not_valid_json(meet):
    answer = meet("truncated")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) == len(answer.data)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.data)


PAGES = [kind for kind in ALL_KINDS if kind.startswith(("html-", "captive-"))]


@pytest.mark.parametrize(("kind", "status"), [(kind, int(kind[-3:])) for kind in PAGES])
def test_proxies_answer_pages(meet, kind, status):
    answer = meet(kind)
    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.data.startswith(b"<!DOCTYPE html>")
    assert b"<title>" in answer.data


def test_proxies_answer_plain_text(meet):
    answer = meet("text-502")
    assert (answer.status, answer.data) == (502, b"502 Bad Gateway\n")


def test_200_may_carry_an_error(meet):
    answer = meet("error-200")
    assert (answer.status, orjson.loads(answer.data)) == (200, {"error": {"code": 502, "message": WORDS[502]}})


def test_hanging_request_is_never_answered(meet, faulty):
    with pytest.raises(ReadTimeoutError):
        meet("hang", timeout=0.2)
    assert faulty.stats.faults["hang"] >= 1


def test_dripping_response_is_complete_in_the_end(meet, faulty):
    answer = meet("drip")
    assert orjson.loads(answer.data)["data"] == faulty.record(faulty.ids[ALL_KINDS.index("drip")])


def test_redirect_points_elsewhere(meet):
    answer = meet("redirect")
    assert (answer.status, answer.headers["location"]) == (302, Faults().redirect_to)


def test_request_after_a_fault_succeeds(ask):
    server = SimServer(len(DEFAULT_KINDS))
    script = {identifier: [kind] for identifier, kind in zip(server.ids, DEFAULT_KINDS, strict=False)}
    with SimServer(len(DEFAULT_KINDS), until=server._account.until, faults=Faults(rate=0, per_id=script)) as faulty:
        for identifier in script:
            with suppress(ProtocolError, orjson.JSONDecodeError):
                ask(faulty, "/generation", id=identifier)
            assert ask(faulty, "/generation", id=identifier) == (200, {"data": faulty.record(identifier)})
        assert faulty.stats.faults == dict.fromkeys(DEFAULT_KINDS, 1)


def test_scripts_run_in_order_and_separately_for_content(ask):
    faults = Faults(rate=0, per_id={"x": ["429", "ok", "502"], "/key": ["500"]})
    with SimServer(5, faults=faults) as server:
        assert [ask(server, "/generation", id="x")[0] for _ in range(4)] == [429, 404, 502, 404]
        assert [ask(server, "/generation/content", id="x")[0] for _ in range(2)] == [429, 404]
        assert [ask(server, "/key")[0] for _ in range(2)] == [500, 200]


def test_same_share_of_ids_always_gets_faults():
    faults = Faults(rate=0.3, seed=7)
    ids = SimServer(2000).ids
    hit = {identifier: faults.kind(identifier, 0) for identifier in ids}
    assert 0.25 < sum(kind is not None for kind in hit.values()) / 2000 < 0.35
    assert {identifier: Faults(rate=0.3, seed=7).kind(identifier, 0) for identifier in ids} == hit
    assert {identifier: Faults(rate=0.3, seed=8).kind(identifier, 0) for identifier in ids} != hit
    assert {kind for kind in hit.values() if kind} == set(DEFAULT_KINDS)
    assert not any(faults.kind(identifier, 1) for identifier in ids)


def test_repeat_bounds_the_faults_of_an_identifier():
    faults = Faults(rate=1, repeat=3)
    counts = {sum(faults.kind(f"gen-{n}", attempt) is not None for attempt in range(10)) for n in range(200)}
    assert counts == {1, 2, 3}


def test_number_is_a_share_of_faults(ask):
    with SimServer(50, faults=1.0) as server:
        for identifier in server.ids:
            with suppress(ProtocolError, orjson.JSONDecodeError):
                ask(server, "/generation", id=identifier)
        assert sum(server.stats.faults.values()) == 50
        assert ask(server, "/key")[0] == 200


def test_each_kind_of_fault_has_its_own_share(ask):
    faults = Faults(kinds={"html-403": 0.2, "429-ms": 0.1}, seed=3)
    hit = Counter(faults.kind(f"gen-{number}", 0) for number in range(5000))
    assert set(hit) == {None, "html-403", "429-ms"}
    assert hit["html-403"] == pytest.approx(1000, rel=0.15)
    assert hit["429-ms"] == pytest.approx(500, rel=0.2)
    with SimServer(20, faults={"json-404": 1.0}) as server:
        assert [ask(server, "/generation", id=server.ids[0])[0] for _ in range(2)] == [404, 200]
        assert server.stats.faults == {"json-404": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["teapot"]}, "unknown kinds of fault: teapot"),
        ({"per_id": {"x": ["418"]}}, "unknown kinds of fault: 418"),
        ({"always": {"x": "never"}}, "unknown kinds of fault: never"),
        ({"rate": 1.5}, "share from 0 to 1"),
        ({"kinds": {"500": 0.6, "502": 0.6}}, "share from 0 to 1"),
        ({"kinds": {"teapot": 0.1}}, "unknown kinds of fault: teapot"),
        ({"repeat": 0}, "1 or more"),
        ({"kinds": []}, "needs kinds"),
    ],
)
def test_invalid_faults_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Faults(**options)


def test_lasting_faults_are_not_drawn_by_default():
    lasting = {"hang", "drip", "redirect", "400", "401", "402", "403", "404", "html-403", "html-404", "captive-200"}
    assert not lasting & set(DEFAULT_KINDS)
