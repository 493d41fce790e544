"""Several processes use one archive, and some of them are killed: run as a script, this file is such a process."""

import os
import random
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from stored import HOST, parts, records

from orstats.archive.archive import Archive

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and forks of POSIX")


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(*processes: subprocess.Popen) -> list[str]:
    outputs = [process.communicate("go\n")[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


def ids_of(archive: Archive) -> list[str]:
    return sorted(archive.read(HOST)["id"].to_pylist())


@pytest.fixture
def empty(tmp_path):
    """An empty archive, for tests in which only the other processes use it."""
    return Archive(tmp_path / "archive")


def test_concurrent_writers_lose_nothing(empty):
    writers = 4
    processes = [start("append", empty.path, f"w{number}", 10) for number in range(writers)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    finish(*processes)
    assert ids_of(empty) == sorted(
        f"gen-w{w}-{batch}-{n}" for w in range(writers) for batch in range(10) for n in range(3)
    )
    assert len(parts(empty)) == 10 * writers


def test_concurrent_readers_writers_and_compactions_lose_nothing(archive):
    known = [f"gen-{n}" for n in range(50)]
    for first in range(5):
        archive.append(HOST, records(*known[first::5], model="old"))
    processes = [start("append", archive.path, "w", 20), *(start("compact", archive.path, 6) for _ in range(2))]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    readings = 0
    while readings == 0 or any(process.poll() is None for process in processes):
        assert set(archive.read(HOST, known)["id"].to_pylist()) == set(known)
        assert set(known) <= set(archive.read(HOST)["id"].to_pylist())
        archive.info()
        readings += 1
    assert [process.communicate() and process.returncode for process in processes] == [0, 0, 0]
    archive.compact()
    assert ids_of(archive) == sorted([*known, *(f"gen-w-{batch}-{n}" for batch in range(20) for n in range(3))])
    assert len(parts(archive)) == 1


def test_relation_is_made_again_when_a_compaction_replaces_its_files(empty, monkeypatch):
    for name in ("gen-1", "gen-2"):
        empty.append(HOST, records(name))
    host_parts, compacted = Archive._host_parts, []

    def list_then_compact(archive, host):
        found = host_parts(archive, host)
        if not compacted:
            compacted.extend(empty.compact())
        return found

    monkeypatch.setattr(Archive, "_host_parts", list_then_compact)
    assert len(empty.relation().fetchall()) == 2
    assert compacted[0].parts_after == 1


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_writer_keeps_every_acknowledged_record(empty, seed):
    rng = random.Random(seed)
    process = start("append", empty.path, "w", 10**9)
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    read = rng.randrange(2, 30)
    for _ in range(read):
        process.stdout.readline()
    time.sleep(rng.random() / 50)  # chance, not a deadline: somewhere inside an append
    process.kill()
    told = read + len(process.communicate()[0].splitlines())
    assert told >= read
    assert {f"gen-w-{batch}-{n}" for batch in range(told) for n in range(3)} <= set(ids_of(empty))
    for path in parts(empty):
        assert pq.read_table(path, partitioning=None).num_rows == 3


def test_a_kill_at_each_step_of_appending_and_compacting_loses_nothing(tmp_path):
    (output,) = finish(start("crash", tmp_path))
    steps = [line.split() for line in output.splitlines()]
    assert {kind for kind, *_ in steps} == {"append", "compact"}
    assert {"fsync", "replace", "unlink"} <= {step for _, _, step in steps}
    for kind, place, _step in steps:
        archive = Archive(place)
        old = [f"gen-{n}" for n in range(6)]
        stored = archive.read(HOST)
        models = dict(zip(stored["id"].to_pylist(), stored["model"].to_pylist(), strict=True))
        assert set(old) <= set(models) <= {*old, "gen-new"}
        assert models["gen-0"] == "newest"
        assert archive.info()["damaged"].tolist() == [0]
        (done,) = archive.compact()
        assert (done.parts_after, done.unreadable) == (1, ())
        assert set(ids_of(archive)) == set(models), (kind, place)


def wait_for_go() -> None:
    print("ready", flush=True)  # noqa: T201 - the parent reads it
    sys.stdin.readline()


def crash(place: Path) -> None:
    """Fork for each system call that an append or a compaction makes, and be killed just before it."""
    for kind in ("append", "compact"):
        for number in count():
            archive = Archive(place / f"{kind}-{number}")
            child = os.fork()
            if not child:
                be_killed(archive, kind, number)
            _, status = os.waitpid(child, 0)
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0
                break


def be_killed(archive: Archive, kind: str, number: int) -> None:
    for first in range(3):
        archive.append(HOST, records(*[f"gen-{n}" for n in range(first, 6, 3)], model="old"))
    archive.append(HOST, records("gen-0", model="newest", at=2e9 + 1))
    steps = count()

    def deadly(name, function):
        def call(*arguments, **options):
            if next(steps) == number:
                print(kind, archive.path, name, flush=True)  # noqa: T201 - the parent reads it
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    os.fsync = deadly("fsync", os.fsync)
    Path.replace = deadly("replace", Path.replace)
    Path.unlink = deadly("unlink", Path.unlink)
    if kind == "append":
        archive.append(HOST, records("gen-new"))
    else:
        archive.compact()
    os._exit(0)


def main(action: str, path: str, *arguments: str) -> None:
    if action == "crash":
        crash(Path(path))
        return
    archive = Archive(path)
    wait_for_go()
    if action == "append":
        name, batches = arguments
        for batch in range(int(batches)):
            archive.append(HOST, records(*[f"gen-{name}-{batch}-{n}" for n in range(3)]))
            print(batch, flush=True)  # noqa: T201 - the parent reads it
    else:
        for _ in range(int(arguments[0])):
            archive.append(HOST, records("gen-0", "gen-1"))
            archive.compact()


if __name__ == "__main__":
    main(*sys.argv[1:])
