"""The file of recorded ids: full disks, missing folders, several processes."""

import logging
import multiprocessing
import subprocess
import sys

import pytest
import requests
from recordings import ID, OTHER, recorded

import orstats
from orstats.recording.generation_log import GenerationLog


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
from orstats.recording.generation_log import GenerationLog
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
