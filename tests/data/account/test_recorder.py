import asyncio
import logging
import multiprocessing
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import orjson
import pandas as pd
import pytest
import requests

import orstats

ID = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"


class Vendor(BaseHTTPRequestHandler):
    """Answers each path with an id made of it; /plain without one, /stream in two pieces."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        if self.path != "/plain":
            self.send_header("X-Generation-Id", self.path.strip("/"))
        if self.path == "/stream":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nfirst\r\n")
            self.server.may_go_on.wait()
            self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")
            return
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture(scope="module")
def vendor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.daemon_threads = True
    server.may_go_on = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.may_go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


def rows(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_a_session_notes_the_id_the_time_and_the_labels(vendor, tmp_path):
    path = tmp_path / "ids.jsonl"
    with requests.Session() as session:
        assert orstats.record(path, session, team="search", job=7) is session
        assert session.get(f"{vendor.url}/{ID}").json() == {}
        session.get(f"{vendor.url}/plain")
    (row,) = rows(path)
    assert {name: row[name] for name in ("id", "team", "job")} == {"id": ID, "team": "search", "job": "7"}
    assert pd.Timestamp(row["recorded_at"]).tzinfo is not None
    assert orstats.read_ids(path) == [ID]


def test_an_httpx_client_notes_before_the_body_has_come(vendor, tmp_path):
    path = tmp_path / "ids.jsonl"
    vendor.may_go_on.clear()
    with (
        orstats.record(path, httpx.Client(trust_env=False)) as client,
        client.stream("GET", f"{vendor.url}/stream") as response,
    ):
        pieces = response.iter_bytes()
        assert next(pieces) == b"first"
        assert [row["id"] for row in rows(path)] == ["stream"]
        vendor.may_go_on.set()
        assert b"".join(pieces) == b"second"


def test_an_async_client_is_awaited(vendor, tmp_path):
    path = tmp_path / "ids.jsonl"

    async def call():
        async with orstats.record(path, httpx.AsyncClient(trust_env=False), user="ana") as client:
            answers = await asyncio.gather(*(client.get(f"{vendor.url}/gen-{n}") for n in range(5)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(call()) == [200] * 5
    assert sorted(row["id"] for row in rows(path)) == [f"gen-{n}" for n in range(5)]
    assert {row["user"] for row in rows(path)} == {"ana"}


def test_hooks_that_are_there_stay(vendor, tmp_path):
    met = []
    client = httpx.Client(trust_env=False, event_hooks={"response": [met.append]})
    with orstats.record(tmp_path / "ids.jsonl", client):
        client.get(f"{vendor.url}/{ID}")
    assert len(met) == 1
    assert rows(tmp_path / "ids.jsonl")[0]["id"] == ID


def test_what_cannot_be_written_is_logged_and_not_raised(vendor, tmp_path, caplog):
    with requests.Session() as session, caplog.at_level(logging.WARNING, "orstats.recorder"):
        orstats.record(tmp_path / "missing" / "ids.jsonl", session)
        assert session.get(f"{vendor.url}/{ID}").status_code == 200
    assert "could not be written" in caplog.text


def write_many(path, process):
    session = requests.Session()
    orstats.record(path, session, process=process, filler="x" * 300)
    (note,) = session.hooks["response"]
    response = requests.Response()
    for number in range(500):
        response.headers["x-generation-id"] = f"gen-{process}-{number}"
        note(response)


def test_processes_share_a_file(tmp_path):
    path = tmp_path / "ids.jsonl"
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=write_many, args=(path, number)) for number in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert {row["id"] for row in rows(path)} == {f"gen-{p}-{n}" for p in range(2) for n in range(500)}
    assert len(rows(path)) == 1000


def test_a_full_disk_does_not_spoil_the_next_line(monkeypatch, tmp_path, caplog):
    path = tmp_path / "ids.jsonl"
    session = requests.Session()
    orstats.record(path, session)
    (note,) = session.hooks["response"]
    response = requests.Response()
    response.headers["X-Generation-Id"] = ID
    with monkeypatch.context() as full:
        write = orstats.data.account.recorder.os.write
        full.setattr("orstats.data.account.recorder.os.write", lambda file, data: write(file, data[:10]))
        note(response)
    note(response)
    assert "an id was cut" in caplog.text
    assert list(orstats.labels(path).index) == [ID]
    assert "1 lines" in caplog.text


def test_a_line_behind_a_cut_one_is_read(tmp_path):
    path = tmp_path / "ids.jsonl"
    path.write_text(
        '{"id":"gen-lost","recorded_at":"2026-{"id":"gen-kept","recorded_at":"2026-11-27T10:00:00Z","team":"a"}\n{"id":\n'
    )
    labels = orstats.labels(path)
    assert labels["team"].to_dict() == {"gen-kept": "a"}


@pytest.mark.parametrize("other", [object(), requests, None, {"hooks": {}}])
def test_something_else_is_refused(tmp_path, other):
    with pytest.raises(TypeError, match=r"requests\.Session"):
        orstats.record(tmp_path / "ids.jsonl", other)


def test_labels_that_cannot_be(tmp_path):
    with pytest.raises(orstats.errors.ConfigError, match="must not be called id"):
        orstats.record(tmp_path / "x", requests.Session(), id="1")
    with pytest.raises(TypeError, match="label team"):
        orstats.record(tmp_path / "x", requests.Session(), team=["a"])


def test_labels_join_to_a_frame(tmp_path):
    path = tmp_path / "ids.jsonl"
    with orstats.sim.SimServer(40) as sim:
        df = orstats.fetch(sim.ids, client=sim.client())
    for number, one in enumerate(sim.ids[:30]):
        line = {"id": one, "recorded_at": "2026-03-01T00:00:00Z", "team": f"team-{number % 3}"}
        with path.open("ab") as file:
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    found = orstats.labels(path)
    assert found.index.name == "id"
    assert str(found["recorded_at"].dtype) == "datetime64[us, UTC]"
    joined = df.join(found)
    assert list(joined.index) == list(df.index)
    assert joined["team"].value_counts(dropna=False).to_dict() == {
        "team-0": 10,
        "team-1": 10,
        "team-2": 10,
        pd.NA: 10,
    }


def test_the_last_record_of_an_id_counts_and_missing_labels_are_missing(tmp_path):
    path = tmp_path / "ids.jsonl"
    path.write_text('{"id": "a", "team": "x"}\n{"id": "b"}\nnonsense\n[1]\n{"id": "a", "team": "y", "n": 3}\n')
    found = orstats.labels(path)
    assert list(found.index) == ["a", "b"]
    assert found["team"].to_list() == ["y", pd.NA]
    assert found.loc["a", "n"] == "3"
    assert found["recorded_at"].isna().all()


def test_no_records_are_an_empty_frame_and_no_file_is_an_error(tmp_path):
    (tmp_path / "empty").touch()
    assert len(orstats.labels(tmp_path / "empty")) == 0
    with pytest.raises(orstats.errors.IdSourceError, match="No such file"):
        orstats.labels(tmp_path / "missing")
