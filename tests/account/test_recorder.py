import asyncio
import bz2
import codecs
import copy
import gzip
import json
import logging
import lzma
import multiprocessing
import pickle
import shutil
import subprocess
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import httpx
import openrouter
import orjson
import pandas as pd
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

import orstats
from orstats.account.recorded_ids import GenerationLog
from orstats.errors import ConfigError, IdSourceError
from orstats.frame.build import empty_frame

ID = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
OTHER = "gen-1790000001-AbCdEfGhIjKlMnOpQrSt"
PROCESSING = b": OPENROUTER PROCESSING\n\n"


class Vendor(BaseHTTPRequestHandler):
    """Answer each path with a new id: in the header, or, for /body… and /events…, only in the body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()

    def do_GET(self):
        name = self.path.strip("/")
        self.server.count += 1
        generation_id = f"gen-17900{self.server.count:05d}-AbCdEfGhIjKlMnOpQrSt"
        refused = name == "refused" and self.server.count < self.server.refuse_until
        self.send_response(503 if refused else 302 if name == "redirect" else 200)
        if name == "redirect":
            self.send_header("Location", "/end")
        if not name.startswith(("body", "events", "plain")):
            self.send_header("X-Generation-Id", generation_id)
        if name.endswith("gzip"):
            self.send_header("Content-Encoding", "gzip")
        if name.startswith("events"):
            self.events(name, generation_id)
        else:
            body = json.dumps({"object": "chat.completion", "id": generation_id}).encode()
            body = b"{}" if name == "plain" else gzip.compress(body, mtime=0) if name.endswith("gzip") else body
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def events(self, name, generation_id):
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        compressor = zlib.compressobj(wbits=31)
        for piece in (PROCESSING, b'data: {"id":"%s"}\n\n' % generation_id.encode(), b"data: more\n\n"):
            if name.endswith("gzip"):
                piece = compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)  # noqa: PLW2901
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.server.may_go_on.wait()
        if name == "events-cut":
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.daemon_threads = True
    server.may_go_on = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def vendor(server):
    server.count = server.refuse_until = 0
    server.may_go_on.set()
    return server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ids.jsonl"


@pytest.fixture
def session(path):
    with requests.Session() as session:
        session.trust_env = False
        yield orstats.record(path, session)


def rows(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def recorded(path):
    return [row["id"] for row in rows(path)]


def written(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_session_records_id_time_and_labels(vendor, path):
    with requests.Session() as session:
        assert orstats.record(path, session, team="search", job=7) is session
        session.get(f"{vendor.url}/any")
        session.get(f"{vendor.url}/plain")
        session.post(f"{vendor.url}/plain")
    (row,) = rows(path)
    assert {name: row[name] for name in ("team", "job")} == {"team": "search", "job": "7"}
    assert pd.Timestamp(row["recorded_at"]).tzinfo is not None
    assert orstats.read_ids(path) == [row["id"]]
    assert path.stat().st_mode & 0o077 == 0


def fail(*_, **__):
    raise RuntimeError("the caller's hook")


def with_hooks(session, url, hooks):
    session.hooks = hooks
    return session.get(url)


def mounted(session, url):
    session.mount(url, HTTPAdapter())
    return session.get(url)


@pytest.mark.parametrize(
    "call",
    [
        lambda session, url: session.get(url, hooks={"response": lambda *_, **__: None}),
        lambda session, url: session.get(url, hooks={"response": [fail]}),
        lambda session, url: session.send(requests.Request("POST", url).prepare()),
        lambda session, url: session.send(session.prepare_request(requests.Request("GET", url)), stream=True),
        lambda session, url: with_hooks(session, url, {"response": lambda *_, **__: None}),
        lambda session, url: with_hooks(session, url, {"response": [fail]}),
        lambda session, url: with_hooks(session, url, {}),
        lambda session, url: session.get_adapter(url).send(session.prepare_request(requests.Request("GET", url))),
        lambda session, url: copy.copy(session).get(url),
        lambda session, url: copy.deepcopy(session).get(url),
        lambda session, url: pickle.loads(pickle.dumps(session)).get(url),
        mounted,
    ],
)
def test_every_way_to_send_with_requests_is_recorded(vendor, path, session, call):
    try:
        call(session, f"{vendor.url}/any").close()
    except RuntimeError as error:
        assert str(error) == "the caller's hook"  # noqa: PT017
    assert len(recorded(path)) == 1


def test_responses_before_retry_or_redirect_are_recorded(vendor, path, session):
    session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)))
    vendor.refuse_until = 3
    assert session.get(f"{vendor.url}/refused").status_code == 200
    assert len(recorded(path)) == 3
    session.get(f"{vendor.url}/redirect")
    assert len(recorded(path)) == 5
    vendor.refuse_until = 1000
    with pytest.raises(requests.exceptions.RetryError):
        pickle.loads(pickle.dumps(session)).get(f"{vendor.url}/refused")
    assert len(recorded(path)) == 9
    assert len(set(recorded(path))) == 9


def test_adapter_settings_still_apply_through_the_session(session):
    adapter = session.adapters["https://"]
    session.get_adapter("https://x").max_retries = 7
    assert adapter.max_retries == 7
    assert session.get_adapter("https://x").poolmanager is adapter.poolmanager


def test_adapter_shared_with_another_session_records_only_one(vendor, path, session):
    with requests.Session() as other:
        adapter = HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0))
        for each in (session, other):
            each.mount("http://", adapter)
        session.get(f"{vendor.url}/any")
        vendor.refuse_until = 4
        other.get(f"{vendor.url}/refused")
    assert len(recorded(path)) == 1


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


def test_httpx_records_below_hooks_mounts_and_redirects(vendor, path):
    client = httpx.Client(trust_env=False, mounts={"http://": httpx.HTTPTransport()}, follow_redirects=True)
    with orstats.record(path, client):
        client.event_hooks = {"response": [fail]}
        with pytest.raises(RuntimeError):
            client.get(f"{vendor.url}/any")
        client.event_hooks = {}
        client.send(client.build_request("GET", f"{vendor.url}/redirect"))
    assert len(recorded(path)) == 3


class RetryingTransport(httpx.BaseTransport):
    """Discard responses, as the transports of httpx-retries do."""

    def __init__(self):
        self._wrapped = httpx.HTTPTransport()

    def handle_request(self, request):
        while True:
            response = self._wrapped.handle_request(request)
            if response.status_code == 200:
                return response
            response.close()

    def close(self):
        self._wrapped.close()


def test_httpx_transport_that_retries_is_recorded_for_its_own_client_only(vendor, path):
    transport = RetryingTransport()
    with httpx.Client(transport=transport) as other:
        client = orstats.record(path, httpx.Client(transport=transport))
        vendor.refuse_until = 3
        client.get(f"{vendor.url}/refused")
        vendor.refuse_until = 6
        other.get(f"{vendor.url}/refused")
    assert len(recorded(path)) == 3


def test_aiohttp_records_retries_redirects_and_refused_statuses(vendor, path):
    async def retry(request, handler):
        while (response := await handler(request)).status == 503:
            response.release()
        return response

    async def call():
        async with orstats.record(path, aiohttp.ClientSession()) as client:
            vendor.refuse_until = 3
            async with client.get(f"{vendor.url}/refused", middlewares=[retry]):
                pass
            async with client.get(f"{vendor.url}/redirect"):
                pass
            vendor.refuse_until = 1000
            with pytest.raises(aiohttp.ClientResponseError):
                await client.get(f"{vendor.url}/refused", raise_for_status=True)

    asyncio.run(call())
    assert len(recorded(path)) == 6


def test_two_event_loops_and_many_tasks_may_share_a_file(vendor, path):
    async def call():
        async with orstats.record(path, httpx.AsyncClient(trust_env=False), user="ana") as client:
            await asyncio.gather(*(client.get(f"{vendor.url}/any") for _ in range(5)))

    asyncio.run(call())
    asyncio.run(call())
    assert len(set(recorded(path))) == 10
    assert {row["user"] for row in rows(path)} == {"ana"}


def test_threads_may_share_a_session(vendor, path, session):
    threads = [threading.Thread(target=session.get, args=(f"{vendor.url}/any",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(recorded(path))) == 8


class Stainless:
    """The clients of OpenAI and Anthropic keep their HTTP client like this."""

    def __init__(self):
        self._client = httpx.Client(trust_env=False)


def test_client_of_an_sdk_is_recorded(vendor, path):
    sdk = orstats.record(path, Stainless())
    with sdk._client as client:
        client.get(f"{vendor.url}/any")
    assert len(recorded(path)) == 1


def test_official_sdk_is_recorded(vendor, path):
    with orstats.record(path, openrouter.OpenRouter(api_key="k", server_url=vendor.url)) as sdk:
        with pytest.raises(openrouter.errors.ResponseValidationError):
            sdk.chat.send(model="m", messages=[])

        async def call():
            async with sdk:
                await sdk.chat.send_async(model="m", messages=[])

        with pytest.raises(openrouter.errors.ResponseValidationError):
            asyncio.run(call())
    assert len(recorded(path)) == 2


def test_unrecord_restores_every_client(vendor, path, tmp_path):
    with requests.Session() as session, httpx.Client(trust_env=False) as client:
        adapters, transport = dict(session.adapters), client._transport
        for one in (session, client):
            orstats.record(path, one)
            assert orstats.unrecord(orstats.record(tmp_path / "more.jsonl", one)) is one
            one.get(f"{vendor.url}/any")
        assert dict(session.adapters) == adapters
        assert client._transport is transport

    async def call():
        async with aiohttp.ClientSession() as client:
            response_class = client._response_class
            orstats.unrecord(orstats.record(path, orstats.record(path, client)))
            assert client._response_class is response_class

    asyncio.run(call())
    assert recorded(path) == []


def test_two_recorders_on_one_client_combine_labels_and_the_first_stays(vendor, path):
    with requests.Session() as session, httpx.Client(trust_env=False) as client:
        for one in (session, client):
            orstats.record(path, one, team="a")
            orstats.record(path, one, team="b", job="x")
            one.get(f"{vendor.url}/any")
    found = orstats.labels(path)
    assert found[["team", "job"]].to_numpy().tolist() == [["a", "x"], ["a", "x"]]
    assert orstats.read_ids(path) == list(found.index)


# What record() refuses


@pytest.mark.parametrize("other", [object(), requests, httpx, requests.Session, None, {"hooks": {}}, "session"])
def test_unsupported_client_is_refused(path, other):
    with pytest.raises(TypeError, match=r"must be a requests\.Session"):
        orstats.record(path, other)
    assert not path.exists()


@pytest.mark.parametrize("name", ["id", "recorded_at", "model", "cost_usd", "user_agent", "fetch_status", "extra"])
def test_label_named_like_a_column_is_refused(path, name):
    with pytest.raises(ConfigError, match=f"Label '{name}' is the name of a column"):
        orstats.record(path, requests.Session(), **{name: "1"})


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"team": "\ud800"}, ConfigError, "valid Unicode text"),
        ({"\udcff": "a"}, ConfigError, "valid Unicode text"),
        ({"team": ["a"]}, TypeError, "Label 'team' must be text or a number, got list"),
        ({"team": None}, TypeError, "got NoneType"),
        ({"team": b"a"}, TypeError, "got bytes"),
    ],
)
def test_label_that_cannot_be_written_is_refused(path, given, error, message):
    with pytest.raises(error, match=message):
        orstats.record(path, requests.Session(), **given)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/ids.jsonl", "the folder .*missing does not exist"),
        ("", "Is a directory"),
        ("file/ids.jsonl", "Not a directory"),
        ("ids\0.jsonl", "null byte"),
        ("x" * 300, "name too long"),
        ("ids.jsonl.gz", "JSON Lines file"),
    ],
)
def test_file_that_cannot_be_written_is_refused_at_once(tmp_path, name, message):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=message):
        orstats.record(f"{tmp_path}/{name}", requests.Session())


# Later failures


def test_ids_are_kept_while_the_file_cannot_be_written(vendor, tmp_path, caplog):
    path = tmp_path / "day" / "ids.jsonl"
    path.parent.mkdir()
    with requests.Session() as session:
        orstats.record(path, session)
        path.unlink()
        path.parent.rmdir()
        with pytest.warns(UserWarning, match="kept in memory") as warned:
            statuses = [session.get(f"{vendor.url}/any").status_code for _ in range(3)]
        assert statuses == [200] * 3
        assert [one.filename for one in warned] == [__file__]
        path.parent.mkdir()
        session.get(f"{vendor.url}/any")
    assert len(set(recorded(path))) == 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_warning_that_is_an_error_does_not_reach_the_caller(vendor, tmp_path):
    path = tmp_path / "day" / "ids.jsonl"
    path.parent.mkdir()
    with requests.Session() as session:
        orstats.record(path, session)
        path.unlink()
        path.parent.rmdir()
        assert session.get(f"{vendor.url}/any").status_code == 200
        path.parent.mkdir()
        session.get(f"{vendor.url}/any")
    assert len(recorded(path)) == 2


def test_ids_that_can_never_be_written_are_named_at_exit(tmp_path):
    script = f"""
import os, pathlib, sys
from orstats.account.recorded_ids import GenerationLog
path = pathlib.Path(sys.argv[1], "day", "ids.jsonl")
path.parent.mkdir()
log = GenerationLog(path, {{}})
path.unlink()
path.parent.rmdir()
log.add("{ID}")
print("kept")
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "kept\n"
    assert f"1 generation ids could not be written to {tmp_path}/day/ids.jsonl: {ID}" in done.stderr


def test_full_disk_does_not_spoil_the_next_line(path):
    log = GenerationLog(path, {})
    resource = pytest.importorskip("resource")  # limits of POSIX systems
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
        with pytest.warns(UserWarning, match="cannot be written .* kept in memory"):
            log.add(ID)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.stat().st_size == 10
    log.add(OTHER)
    with pytest.warns(UserWarning, match="Skipped 1 malformed lines"):
        assert list(orstats.labels(path).index) == [ID, OTHER]


def test_id_whose_writing_is_interrupted_is_written_with_the_next(path, monkeypatch):
    log = GenerationLog(path, {})

    def interrupted(_log, _line):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GenerationLog, "_append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.add(ID)
    log.add(OTHER)
    assert list(orstats.labels(path).index) == [ID, OTHER]


def test_fault_in_the_recorder_does_not_reach_the_caller(path, caplog):
    log = GenerationLog(path, {})
    with caplog.at_level(logging.WARNING, "orstats.recorder"):
        log.add("gen-\ud800")
        log.add(ID)
    assert "could not be recorded" in caplog.text
    assert recorded(path) == [ID]


def write_many(path, process):
    log = GenerationLog(path, {"process": process, "filler": "x" * 10_000})
    for number in range(200):
        log.add(f"gen-{process}-{number}")


@pytest.mark.slow
def test_processes_share_a_file(path):
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=write_many, args=(path, number)) for number in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert sorted(recorded(path)) == sorted(f"gen-{p}-{n}" for p in range(2) for n in range(200))


def test_rotated_file_is_created_again(vendor, path, session):
    session.get(f"{vendor.url}/any")
    path.rename(path.with_suffix(".1"))
    session.get(f"{vendor.url}/any")
    assert len(recorded(path)) == len(recorded(path.with_suffix(".1"))) == 1


# Reading back


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "log", "txt"])
def test_only_the_id_of_a_record_is_a_generation(path, tmp_path, suffix):
    with requests.Session() as session:
        orstats.record(path, session, parent=OTHER, note=f'quoted "{{"id":"{OTHER}"')
        session.adapters.logs[0].add(ID)
    file = tmp_path / f"copy.{suffix}"
    file.write_bytes(gzip.compress(path.read_bytes()) if suffix.endswith("gz") else path.read_bytes())
    assert orstats.read_ids(file) == [ID]
    assert orstats.labels(file)["parent"].to_dict() == {ID: OTHER}


@pytest.mark.parametrize(
    "encode",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda text: gzip.compress(gzip.compress(text)),
        lambda text: text.decode().encode("utf-16"),
        lambda text: codecs.BOM_UTF8 + text,
    ],
)
def test_compressed_and_encoded_files_are_read(path, encode):
    path.write_bytes(encode(b'{"id":"gen-1","team":"a"}\n'))
    assert orstats.labels(path)["team"].to_dict() == {"gen-1": "a"}


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_labels_are_read_from_all_files_of_an_archive(tmp_path, kind):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "1.jsonl").write_text(f'{{"id":"{ID}","recorded_at":"2026-11-27T10:00:00Z","team":"a"}}')
    (folder / "2.jsonl").write_text(f'{{"id":"{OTHER}","recorded_at":"2026-11-28T10:00:00Z","team":"b"}}\n')
    packed = shutil.make_archive(str(tmp_path / "packed"), kind, folder)
    assert orstats.labels(packed)["team"].to_dict() == {ID: "a", OTHER: "b"}
    assert orstats.read_ids(packed) == [ID, OTHER]


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


def test_lines_of_another_log_between_records_are_read_too(path):
    written(path, f'{{"id":"{ID}","recorded_at":"2026-11-27T10:00:00Z","parent":"gen-x"}}', f"id={OTHER} done")
    assert orstats.read_ids(path) == [ID, OTHER]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"X-Generation-Id": "(none)"}])
def test_body_is_read_when_the_headers_tell_no_id(path, headers):
    class Answer(httpx.BaseTransport):
        def handle_request(self, _request):
            kind = {"Content-Type": "application/json"} if "X-Generation-Id" in headers else {}
            return httpx.Response(200, headers=headers | kind, content=f'{{"id": "{ID}"}}')

    with orstats.record(path, httpx.Client(transport=Answer())) as client:
        client.post("http://127.0.0.1/")
    assert recorded(path) == [ID]


@pytest.mark.parametrize(
    ("text", "ids", "malformed"),
    [
        ('{"id":"lost","recorded_at":"2026-{"id":"a","team":"x"}\n{"id":\n', ["a"], 2),
        ('{"id":"a"}{"id":"b"}\n{"id":"c"}', ["a", "b", "c"], 0),
        ('{"id":"a"}\r\n\r\n{"id":"b"}\r\n', ["a", "b"], 0),
        ('{"id":"a"}\n\0\0\0{"id":"b"}\n{"id":"c","re', ["a", "b"], 2),
        ('{"id": "a"}\nnonsense\n[1]\n{"id":3}\n', ["a"], 3),
        ("", [], 0),
        ("\n\n", [], 0),
    ],
)
def test_damaged_lines_cost_only_themselves(path, text, ids, malformed):
    path.write_text(text)
    if malformed:
        with pytest.warns(UserWarning, match=f"Skipped {malformed} malformed lines") as warned:
            found = orstats.labels(path)
        assert warned[0].filename == __file__
    else:
        found = orstats.labels(path)
    assert list(found.index) == ids


def test_first_value_of_a_label_stays_and_missing_ones_are_missing(path):
    written(path, '{"id": "a", "team": "x"}', '{"id": "b"}', '{"id": "a", "team": "y", "n": 3}')
    found = orstats.labels(path)
    assert list(found.index) == ["a", "b"]
    assert found["team"].to_list() == ["x", pd.NA]
    assert found.loc["a", "n"] == "3"
    assert found["recorded_at"].isna().all()


def test_labels_of_an_older_file_that_are_named_like_columns_do_not_break_a_join(path):
    written(path, '{"id": "a", "model": "x", "team": "y"}')
    with pytest.warns(UserWarning, match="get the prefix label_: model"):
        found = orstats.labels(path)
    assert list(found.columns) == ["recorded_at", "label_model", "team"]
    assert empty_frame().join(found).empty


def test_labels_join_to_a_frame(path):
    with orstats.sim.SimServer(40) as sim:
        df = orstats.fetch(sim.ids, client=sim.client())
    lines = ({"id": one, "recorded_at": "2026-03-01T00:00:00Z", "team": n % 3} for n, one in enumerate(sim.ids[:30]))
    written(path, *map(json.dumps, lines))
    found = orstats.labels(path)
    assert found.index.name == "id"
    assert str(found["recorded_at"].dtype) == "datetime64[us, UTC]"
    joined = df.join(found)
    assert list(joined.index) == list(df.index)
    assert joined["team"].value_counts(dropna=False).to_dict() == {"0": 10, "1": 10, "2": 10, pd.NA: 10}


def test_file_without_records_is_an_error(tmp_path):
    with pytest.raises(IdSourceError, match="No such file"):
        orstats.labels(tmp_path / "missing")
    with pytest.raises(IdSourceError, match="contains no records"):
        orstats.labels(written(tmp_path / "app.log", f"call {ID}"))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b'{"id":"a"}\n')[:-6])
    with pytest.raises(IdSourceError, match=r"cut\.gz"):
        orstats.labels(tmp_path / "cut.gz")


# LiteLLM


class LoggerOfLiteLLM:
    """Stands for litellm.integrations.custom_logger.CustomLogger, which is not a dependency of the tests."""


@pytest.fixture
def _litellm(monkeypatch):
    modules = {"litellm": object(), "litellm.integrations": object()}
    modules["litellm.integrations.custom_logger"] = type("M", (), {"CustomLogger": LoggerOfLiteLLM})
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


class Response:
    def __init__(self, generation_id, headers=None):
        self.id = generation_id
        self._hidden_params = {"additional_headers": headers}


@pytest.mark.usefixtures("_litellm")
def test_litellm_callback_records_successes_streams_and_failures(path):
    callback = orstats.litellm_callback(path, team="a")
    assert isinstance(callback, LoggerOfLiteLLM)
    failed = type("APIError", (Exception,), {"litellm_response_headers": {"x-generation-id": "gen-failed"}})()
    callback.log_success_event({}, Response("gen-sync"), None, None)
    callback.log_stream_event({}, Response("gen-sync"), None, None)
    headers = {"llm_provider-x-generation-id": "gen-header", "llm_provider-date": "today"}
    later = [
        callback.async_log_success_event(kwargs={}, response_obj=Response("gen-async"), start_time=0, end_time=1),
        callback.async_log_stream_event({}, Response("chatcmpl-1", headers), None, None),
        callback.async_log_failure_event(kwargs={"exception": failed}, response_obj=None, start_time=0, end_time=1),
    ]

    async def report():
        await asyncio.gather(*later)

    asyncio.run(report())
    callback.log_success_event({}, Response("chatcmpl-2"), None, None)
    callback.log_failure_event({"exception": ValueError()}, None, None, None)
    callback.log_failure_event(None, None, None, None)
    assert recorded(path) == ["gen-sync", "gen-async", "gen-header", "gen-failed"]
    assert set(orstats.labels(path)["team"]) == {"a"}
