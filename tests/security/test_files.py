"""Files: private where others' words are kept, inside the place that was named, and only data when they are read."""

import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

import orstats
from orstats.archive.dataset import CONTENTS, GENERATIONS
from orstats.archive.directories import host_directory
from orstats.frame.build import build_frame
from orstats.frame.record_table import RECORD_SCHEMA, to_table
from orstats.recording.responses import HEADER
from orstats.sim import SimServer

HOST = "openrouter.ai"
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")

HOSTILE = [
    "../../../etc/passwd",
    "/etc/passwd",
    "..",
    "C:\\Windows\\x",
    "a/../../b",
    "x\0.parquet",
    "~root",
    "$HOME",
    "`id`",
    "con",
    "name\nline",
    "\u202excod.exe",
    "%2e%2e%2fpasswd",
    "host=x",
    "x" * 5000,
]


@pytest.fixture
def umask():
    def use(mask):
        old.append(os.umask(mask))

    old = []
    yield use
    if old:
        os.umask(old[0])


def modes_below(folder):
    return {path: path.stat().st_mode & 0o777 for path in Path(folder).rglob("*")}


@posix
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_archive_files_are_readable_by_their_owner_only(mask, umask, tmp_path):
    umask(mask)
    with SimServer(20) as sim, sim.client(management_key=sim.management_key) as client:
        orstats.fetch(sim.ids, client=client, archive=tmp_path / "archive")
        orstats.fetch_contents(sim.ids, client=client, archive=tmp_path / "archive", store_content=True)
        orstats.list_ids("8d", "2d", client=client, archive=tmp_path / "archive")
    modes = modes_below(tmp_path / "archive") | {tmp_path / "archive": (tmp_path / "archive").stat().st_mode & 0o777}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert any("contents" in path.parts for path in modes)


@posix
def test_recorder_files_are_readable_by_their_owner_only(umask, tmp_path):
    umask(0o000)
    with requests.Session() as session:
        orstats.record(tmp_path / "ids.jsonl", session, user="ana")
        for hook in session.hooks["response"]:
            hook(SimpleNamespace(headers={HEADER: "gen-1"}))
    assert (tmp_path / "ids.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@posix
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_exports_follow_the_umask(mask, umask, tmp_path):
    umask(mask)
    df = build_frame(["gen-1"], [to_table(["gen-1"], [{"model": "a/b"}], [0.0])], {})
    orstats.write_csv(df, tmp_path / "x.csv")
    orstats.write_html(df, tmp_path / "x.html")
    orstats.write_report(orstats.cost_by(df), tmp_path / "x.md")
    assert set(modes_below(tmp_path).values()) == {0o666 & ~mask}


@posix
def test_private_export_stays_private(umask, tmp_path):
    umask(0o022)
    (tmp_path / "x.csv").touch(mode=0o600)
    orstats.write_csv(pd.DataFrame({"x": [1]}), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", HOSTILE)
def test_ids_and_hosts_cannot_choose_a_path(name, tmp_path):
    archive = orstats.Archive(tmp_path / "a" / "archive")
    archive.append(HOST, good(name))
    archive.append_contents(HOST, [name], [b"{}"], [1.0])
    assert archive.read(HOST)["id"].to_pylist() == [name]
    if len(name) < 200:
        archive.append(name, good("gen-1"))
        assert name.lower() in archive.hosts()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["archive"]
    assert {path.name for path in (tmp_path / "a" / "archive").iterdir()} == {"generations", "contents"}
    for dataset in (GENERATIONS, CONTENTS):
        assert host_directory(dataset, name).count("/") == 1


def test_filters_and_labels_cannot_choose_a_path(tmp_path):
    with SimServer(5) as sim, sim.client(management_key=sim.management_key) as client:
        for name in HOSTILE[:4]:
            orstats.list_ids("8d", "2d", client=client, archive=tmp_path / "a", filters={"external_user": name})
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"listings"}


class Payload:
    """What an untrusted pickle would do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def untrusted_file(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def good(*ids):
    return to_table(
        ids, [{"model": "a/b", "created_at": "2025-10-09T08:53:20Z"} for _ in ids], [1_770_000_000.0] * len(ids)
    )


@pytest.mark.filterwarnings("ignore:(pickle-based|pyarrow.PyExtensionType)")  # pyarrow 17 says that it loads none
def test_code_in_parquet_metadata_never_runs(tmp_path):
    ran = tmp_path / "ran"
    bomb = pickle.dumps(Payload(ran))
    names = ["arrow.py_extension_type", "orstats.evil"]
    fields = [
        pa.field(f"evil{place}", pa.string(), metadata={"ARROW:extension:name": name, "ARROW:extension:metadata": bomb})
        for place, name in enumerate(names)
    ]
    table = good("gen-1")
    for field in fields:
        table = table.append_column(field, pa.array(["x"]))
    table = table.replace_schema_metadata({b"pandas": bomb, b"orstats:archive": bomb, b"PANDAS_ATTRS": bomb})
    untrusted_file(tmp_path / "a" / host_directory(GENERATIONS, HOST) / "part-1.parquet", table)
    untrusted_file(tmp_path / "ids.parquet", table)
    archive = orstats.Archive(tmp_path / "a")
    assert archive.read(HOST)["id"].to_pylist() == ["gen-1"]
    assert set(archive.read(HOST).column_names) == set(RECORD_SCHEMA.names)
    archive.info()
    archive.compact()
    assert orstats.read_ids(tmp_path / "ids.parquet", column="id") == ["gen-1"]
    client = orstats.Client(base_url=f"https://{HOST}")
    assert orstats.fetch(["gen-1"], client=client, archive=archive)["fetch_status"].tolist() == ["ok"]
    assert not ran.exists()


def test_part_with_pandas_metadata_runs_no_code(tmp_path):
    pa.array(pd.period_range("2026-01", periods=1, freq="M"))  # from now on pandas reads the metadata of its types
    ran = tmp_path / "ran"
    claims = {"ARROW:extension:name": "pandas.period", "ARROW:extension:metadata": pickle.dumps(Payload(ran))}
    table = good("gen-1").append_column(pa.field("evil", pa.string(), metadata=claims), pa.array(["x"]))
    untrusted_file(tmp_path / "a" / host_directory(GENERATIONS, HOST) / "part-1.parquet", table)
    untrusted_file(tmp_path / "ids.parquet", table)
    assert orstats.Archive(tmp_path / "a").read(HOST)["id"].to_pylist() == []  # it is named, and left out
    with pytest.raises(orstats.errors.IdSourceError, match="not a readable"):
        orstats.read_ids(tmp_path / "ids.parquet", column="id")
    assert not ran.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        b"PAR1" + b"\xff" * 100 + b"PAR1",
        pickle.dumps(Payload("ran")),
        b"\x80\x04.",
        b"#!/bin/sh\ntouch ran\n",
    ],
    ids=["empty", "magic", "noise", "pickle", "short pickle", "script"],
)
def test_invalid_part_is_skipped_and_named(content, tmp_path, caplog):
    archive = orstats.Archive(tmp_path / "a")
    archive.append(HOST, good("gen-1"))
    part = tmp_path / "a" / host_directory(GENERATIONS, HOST) / "part-0.parquet"
    part.write_bytes(content)
    assert archive.read(HOST)["id"].to_pylist() == ["gen-1"]
    assert "part-0.parquet" in caplog.text
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["cost_usd", "id", "fetched_at"])
@pytest.mark.parametrize("kind", [pa.binary(), pa.list_(pa.string()), pa.struct([("x", pa.int8())])], ids=str)
def test_part_with_other_column_types_is_skipped(name, kind, tmp_path, caplog):
    archive = orstats.Archive(tmp_path / "a")
    archive.append(HOST, good("gen-1"))
    table = good("gen-2")
    place = table.column_names.index(name)
    untrusted_file(
        tmp_path / "a" / host_directory(GENERATIONS, HOST) / "part-9.parquet",
        table.set_column(place, name, pa.nulls(1, kind)),
    )
    assert archive.read(HOST)["id"].to_pylist() == ["gen-1"]
    assert "part-9.parquet" in caplog.text


def test_columns_with_hostile_names_are_ignored(tmp_path):
    table = good("gen-1")
    for name in ("__class__", "=cmd|' /C calc'!A0", "../x", "<script>", "\x1b[2J", "ID", "id "):
        table = table.append_column(name, pa.array(["x"]))
    untrusted_file(tmp_path / "a" / host_directory(GENERATIONS, HOST) / "part-1.parquet", table)
    archive = orstats.Archive(tmp_path / "a")
    assert archive.read(HOST).schema.names == RECORD_SCHEMA.names
    archive.append(HOST, good("gen-2"))
    archive.compact()
    assert sorted(archive.read(HOST)["id"].to_pylist()) == ["gen-1", "gen-2"]


def test_hidden_directories_and_dangling_links_are_ignored(tmp_path):
    archive = orstats.Archive(tmp_path / "a")
    archive.append(HOST, good("gen-1"))
    folder = tmp_path / "a" / host_directory(GENERATIONS, HOST)
    (folder / "part-5.parquet").mkdir()
    (folder / "part-6.parquet").symlink_to(tmp_path / "nowhere")
    assert archive.read(HOST)["id"].to_pylist() == ["gen-1"]


def test_reading_an_untrusted_archive_writes_nothing(tmp_path):
    archive = orstats.Archive(tmp_path / "a")
    archive.append(HOST, good("gen-1"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    archive.read(HOST)
    archive.info()
    archive.hosts()
    archive.read_contents(HOST, ["gen-1"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_forgetting_contents_deletes_archive_files_only(tmp_path):
    """An untrusted archive may hold a link to a directory of ours."""
    archive = orstats.Archive(tmp_path / "a")
    archive.append_contents(HOST, ["gen-1"], [b"{}"], [1.0])
    (tmp_path / "mine").mkdir()
    for name in ("thesis.txt", ".profile", "table.parquet"):
        (tmp_path / "mine" / name).write_text("dear to me")
    (tmp_path / "a" / "contents" / "host=evil.example").symlink_to(tmp_path / "mine", target_is_directory=True)
    archive.forget_contents()
    assert archive.read_contents(HOST, ["gen-1"]) == {}
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"thesis.txt", ".profile", "table.parquet"}
