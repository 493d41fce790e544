"""Ids that only the body names are recorded, however it is read or streamed."""

import asyncio
import json
import pickle

import aiohttp
import httpx
import pytest
import requests
from recordings import ID, OTHER, PROCESSING, recorded

import orstats

BODIES = ["body", "body-gzip", "events", "events-gzip"]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(
    "read",
    [
        lambda response: response.content,
        lambda response: list(response.iter_lines()),
        lambda response: list(response.iter_content(7)),
        lambda response: response.raw.read(),
        lambda response: response.raw.read(decode_content=True),
        lambda response: [response.raw.read1() for _ in range(9)],
        lambda response: list(response.raw.stream()),
        lambda response: response.raw.readlines(),
    ],
)
def test_id_in_body_is_recorded_however_requests_reads_it(vendor, path, session, name, read):
    with requests.Session() as plain:
        expected = read(plain.post(f"{vendor.url}/{name}", stream=True))
    vendor.count = 0
    with session.post(f"{vendor.url}/{name}", stream=True) as response:
        assert read(response) == expected
    assert len(recorded(path)) == 1


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("read", ["iter_lines", "iter_bytes", "iter_text", "iter_raw", "read"])
def test_id_in_body_is_recorded_however_httpx_reads_it(vendor, path, name, read):
    with orstats.record(path, httpx.Client(trust_env=False)) as client:
        with client.stream("POST", f"{vendor.url}/{name}") as response:
            list(getattr(response, read)())
        assert len(recorded(path)) == 1
        response = client.post(f"{vendor.url}/{name}")
        assert pickle.loads(pickle.dumps(response)).content == response.content


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("read", ["aiter_lines", "aiter_bytes", "aiter_text", "aiter_raw"])
def test_id_in_body_is_recorded_however_httpx_reads_it_asynchronously(vendor, path, name, read):
    async def call():
        async with (
            orstats.record(path, httpx.AsyncClient(trust_env=False)) as client,
            client.stream("POST", f"{vendor.url}/{name}") as response,
        ):
            return [piece async for piece in getattr(response, read)()]

    assert asyncio.run(call())
    assert len(recorded(path)) == 1


async def drain(iterator):
    return [piece async for piece in iterator]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(
    "read",
    [
        lambda response: response.read(),
        lambda response: response.text(),
        lambda response: response.content.read(),
        lambda response: drain(response.content),
        lambda response: drain(response.content.iter_any()),
        lambda response: drain(response.content.iter_chunked(7)),
        lambda response: drain(response.content.iter_chunks()),
    ],
)
def test_id_in_body_is_recorded_however_aiohttp_reads_it(vendor, path, name, read):
    async def call():
        async with aiohttp.ClientSession() as plain, plain.post(f"{vendor.url}/{name}") as response:
            expected = await read(response)
        vendor.count = 0
        async with (
            orstats.record(path, aiohttp.ClientSession()) as client,
            client.post(f"{vendor.url}/{name}") as response,
        ):
            return await read(response), expected

    read_, expected = asyncio.run(call())
    if not name.startswith("events"):  # its pieces arrive as the network delivers them
        assert read_ == expected
    assert len(recorded(path)) == 1


def test_stream_is_neither_delayed_nor_consumed(vendor, path):
    vendor.may_go_on.clear()
    with (
        orstats.record(path, httpx.Client(trust_env=False)) as client,
        client.stream("POST", f"{vendor.url}/events") as response,
    ):
        pieces = response.iter_bytes()
        assert next(pieces) == PROCESSING
        assert recorded(path) == []
        vendor.may_go_on.set()
        assert b"more" in b"".join(pieces)
    assert len(recorded(path)) == 1


def test_stream_that_the_caller_breaks_off_is_recorded(vendor, path, session):
    with session.post(f"{vendor.url}/events", stream=True) as response:
        for line in response.iter_lines():
            if b"gen-" in line:
                break
    with orstats.record(path, httpx.Client(trust_env=False)) as client:
        with client.stream("POST", f"{vendor.url}/events") as response:
            for line in response.iter_lines():
                if "gen-" in line:
                    break
        with client.stream("GET", f"{vendor.url}/header"):
            pass
    assert len(recorded(path)) == 3


def test_error_within_a_stream_reaches_the_caller(vendor, path, session):
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        session.post(f"{vendor.url}/events-cut")
    with (
        orstats.record(path, httpx.Client(trust_env=False)) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.post(f"{vendor.url}/events-cut")
    assert len(recorded(path)) == 2


def test_read_request_for_a_record_is_not_a_call(vendor, path, session):
    assert session.get(f"{vendor.url}/body").json()["id"].startswith("gen-")
    assert recorded(path) == []


def test_quoted_id_in_a_prompt_is_not_a_call(path):
    answer = {"choices": [{"message": {"content": json.dumps({"id": OTHER})}}], "id": ID}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    with orstats.record(path, httpx.Client(transport=transport)) as client:
        client.post("https://example.org")
    assert recorded(path) == [ID]


@pytest.mark.parametrize(
    ("header", "ids"), [(f"{ID}, {OTHER}", [ID, OTHER]), (f'"{ID}",{ID}', [ID]), ('not an id; "quoted"', []), ("", [])]
)
def test_header_that_a_proxy_joined_or_spoiled_names_only_ids(path, header, ids):
    class Answer(httpx.BaseTransport):
        def handle_request(self, _request):
            return httpx.Response(200, headers={"X-Generation-Id": header}, json={})

    with orstats.record(path, httpx.Client(transport=Answer())) as client:
        client.post("http://127.0.0.1/")
    assert recorded(path) == ids


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"X-Generation-Id": "(none)"}])
def test_body_is_read_when_the_headers_tell_no_id(path, headers):
    class Answer(httpx.BaseTransport):
        def handle_request(self, _request):
            kind = {"Content-Type": "application/json"} if "X-Generation-Id" in headers else {}
            return httpx.Response(200, headers=headers | kind, content=f'{{"id": "{ID}"}}')

    with orstats.record(path, httpx.Client(transport=Answer())) as client:
        client.post("http://127.0.0.1/")
    assert recorded(path) == [ID]
