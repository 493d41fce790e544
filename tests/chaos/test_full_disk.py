"""A disk that fills up, or turns read-only, in the middle of a fetch: a clear error, and nothing had is lost."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import orstats
from orstats.sim import SimServer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits and mounts of POSIX")

IDS = 3000


@pytest.fixture(scope="module")
def sim():
    with SimServer(IDS, seed=6, latency=0.004) as server:
        yield server


@pytest.fixture
def ids(sim, tmp_path):
    sim.reset_stats()
    (tmp_path / "ids.txt").write_text("\n".join(sim.ids))
    return tmp_path / "ids.txt"


def command(sim, ids, archive, output, before="pass"):
    """``orstats fetch`` in a process of its own, with a statement run before it."""
    code = f"import sys; {before}; from orstats.cli import main; sys.exit(main())"
    arguments = ["fetch", "--ids-from", ids, "--archive", archive, "-q", "-o", output, "--base-url", sim.base_url]
    environment = os.environ | {"OPENROUTER_API_KEY": sim.key}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments), "--workers", "2"],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


def await_half(sim, process):
    """Wait until so many requests came in that more than a second's worth of records must be archived."""
    while sim.requests < IDS // 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def check_error(process, words, path):
    """One clear line, no traceback, exit 1."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("orstats: error: ")
    for word in (*words, str(path), "Existing data is intact"):
        assert word in " ".join(err.split()), err
    return err


def check_kept(sim, place, output, before):
    """What was stored before is there; what came after is in the output; a second run asks for the rest only."""
    archive = orstats.Archive(place)
    stored = set(archive.read(sim.client().settings.host)["id"].to_pylist())
    assert stored >= before
    assert archive.info()["damaged"].sum() == 0
    assert not [path for path in Path(place).rglob(".*") if path.is_file()], "no half file is left"
    saved = pd.read_csv(output, index_col="id")
    assert list(saved.index) == sim.ids, "a row for each id"
    had = set(saved.index[saved["fetch_status"] == "ok"])
    assert had >= stored
    assert set(saved["fetch_status"]) == {"ok", "not_attempted"}
    assert len(had) > len(before)
    asked = set(sim.stats.ids)
    assert len(asked - had) <= 2, "what had been answered when it stopped is in the output"
    return stored


@contextlib.contextmanager
def mounted(place, size):
    """A small disk. Needs root."""
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "orstats", place], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def store(sim, place, number):
    """Archive some records beforehand."""
    df = orstats.fetch(sim.ids[:number], client=sim.client(), archive=place, workers=16)
    assert (df["fetch_status"] == "ok").all()
    sim.reset_stats()
    return set(df.index)


def test_a_file_that_may_not_grow_in_mid_fetch(sim, ids, tmp_path):
    place, output = tmp_path / "archive", tmp_path / "out.csv"
    before = store(sim, place, 20)
    # The parts of a second are larger than 48 KB. The limit is lifted for the output, as if it lay elsewhere.
    limit = (
        "import resource, signal, orstats.cli.commands.fetch as f; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "old = resource.getrlimit(resource.RLIMIT_FSIZE); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (48 << 10, old[1])); "
        "save = f._write_partial; "
        "f._write_partial = lambda *a, **o: (resource.setrlimit(resource.RLIMIT_FSIZE, old), save(*a, **o))"
    )
    check_error(command(sim, ids, place, output, limit), ["File too large", "Free up disk space"], place)
    check_kept(sim, place, output, before)


def test_a_disk_that_is_full_in_mid_fetch_and_has_room_again(sim, ids, tmp_path):
    output = tmp_path / "out.csv"
    with mounted(tmp_path / "disk", "400k") as disk:
        place = disk / "archive"
        before = store(sim, place, 20)
        err = check_error(command(sim, ids, place, output), ["No space left on device", "Free up disk space"], place)
        assert str(output) in err
        stored = check_kept(sim, place, output, before)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        sim.reset_stats()
        df = orstats.fetch(sim.ids, client=sim.client(), archive=place, workers=32)
        assert (df["fetch_status"] == "ok").all()
        assert set(sim.stats.ids) == set(sim.ids) - stored


def test_a_disk_that_turns_read_only_in_mid_fetch(sim, ids, tmp_path):
    output = tmp_path / "out.csv"
    with mounted(tmp_path / "disk", "64m") as disk:
        place = disk / "archive"
        before = store(sim, place, 20)
        process = command(sim, ids, place, output)
        await_half(sim, process)
        # A file being written makes the kernel say that the disk is busy: try until it is not.
        while subprocess.run(["mount", "-o", "remount,ro", disk], capture_output=True, check=False).returncode:
            time.sleep(0.005)
        check_error(process, ["Read-only file system", "Make it accessible"], place)
        check_kept(sim, place, output, before)
        with pytest.raises(orstats.errors.ArchiveError, match="Read-only file system"):
            orstats.fetch(sim.ids, client=sim.client(), archive=place)
        sim.reset_stats()
        df = orstats.fetch(sorted(before), client=sim.client(), archive=place)
        assert (df["fetch_status"] == "ok").all(), "what is archived can be read"
        assert sim.requests == 0


def test_an_archive_that_becomes_a_file_in_mid_fetch(sim, ids, tmp_path):
    """Needs no root: nothing can be written below a file, whoever writes."""
    place, output = tmp_path / "archive", tmp_path / "out.csv"
    process = command(sim, ids, place, output)
    await_half(sim, process)
    place.rename(tmp_path / "away")
    place.write_text("no directory")
    check_error(process, ["Make it accessible"], place)
    place.unlink()
    (tmp_path / "away").rename(place)
    check_kept(sim, place, output, set())
