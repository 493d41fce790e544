"""Deleting generations: every copy of them is deleted, and nothing else."""

import errno
import logging
import os
import signal
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import HOST, SETTLED, ids_of, parts

from orstats.archive.archive import Archive
from orstats.archive.storage import LocalStore
from orstats.errors import ArchiveError, ConfigError
from orstats.frame.record_table import to_table


def add(archive: Archive, *rows: tuple[str, str | None, str | None], at: float = SETTLED, host: str = HOST) -> None:
    """Store records: id, external_user, created_at."""
    wire = [{"external_user": user, "created_at": created, "model": "a/b"} for _, user, created in rows]
    archive.append(host, to_table([row[0] for row in rows], wire, [at] * len(rows)))


def content(archive: Archive, *ids: str, at: float = SETTLED, host: str = HOST) -> None:
    archive.append_contents(host, ids, [f"prompt of {i}".encode() for i in ids], [at] * len(ids))


def bytes_of(archive: Archive) -> bytes:
    """Everything that an archive has on disk, uncompressed."""
    texts = [str(pq.read_table(path, partitioning=None).to_pydict()) for path in parts(archive)]
    return " ".join(texts).encode() + b"".join(p.read_bytes() for p in Path(archive.path).rglob("*") if p.is_file())


@pytest.fixture
def people(archive):
    """Records and contents of two users in several parts, some stored twice, on two hosts."""
    add(archive, ("gen-a1", "alice", "2025-01-01T00:00:00Z"), ("gen-b1", "bob", "2025-01-02T00:00:00Z"))
    add(archive, ("gen-a1", "alice", "2025-01-01T00:00:00Z"), at=SETTLED + 5)
    add(archive, ("gen-a2", "alice", "2025-03-01T00:00:00Z"), ("gen-n1", None, "2025-03-02T00:00:00Z"), at=SETTLED + 9)
    add(archive, ("gen-a1", None, "2025-01-01T00:00:00Z"), at=SETTLED + 20, host="eu.example")
    content(archive, "gen-a1", "gen-b1")
    content(archive, "gen-a1", "gen-a2", at=SETTLED + 30)
    return archive


def test_a_user_is_forgotten_with_every_copy(people):
    preview = people.forget(user="alice", dry_run=True)
    assert (preview.generations, preview.records, preview.contents) == (2, 4, 3)
    assert ids_of(people.read(HOST)) == ["gen-a1", "gen-a2", "gen-b1", "gen-n1"]
    done = people.forget(user="alice")
    assert done == preview
    assert ids_of(people.read(HOST)) == ["gen-b1", "gen-n1"]
    assert people.read("eu.example").num_rows == 0
    assert people.read_contents(HOST, ["gen-a1", "gen-a2", "gen-b1"]) == {"gen-b1": b"prompt of gen-b1"}
    assert b"alice" not in bytes_of(people)
    assert b"gen-a" not in bytes_of(people)
    assert people.forget(user="alice").records == 0
    assert people.info()["damaged"].sum() == 0


@pytest.mark.parametrize(
    ("criteria", "gone"),
    [
        ({"ids": "gen-b1"}, ["gen-b1"]),
        ({"ids": ["gen-b1", "gen-zzz", None]}, ["gen-b1"]),
        ({"ids": []}, []),
        ({"user": ["alice", "bob"]}, ["gen-a1", "gen-a2", "gen-b1"]),
        ({"user": "ALICE"}, []),
        ({"model": "a/b", "user": "bob"}, ["gen-b1"]),
        ({"model": "other"}, []),
        ({"before": "2025-02-01"}, ["gen-a1", "gen-b1"]),
        ({"before": datetime(2025, 1, 2, tzinfo=UTC)}, ["gen-a1"]),
        ({"before": "2025-01-02T01:00:00+02:00"}, ["gen-a1"]),
        ({"after": date(2025, 3, 1)}, ["gen-a2", "gen-n1"]),
        ({"after": "2025-03-01T00:00:01"}, ["gen-n1"]),
        ({"user": "alice", "before": "2025-02-01"}, ["gen-a1"]),
        ({"user": "alice", "host": "eu.example"}, []),
        ({"ids": "gen-a1", "host": "eu.example"}, []),
    ],
    ids=str,
)
def test_all_criteria_must_be_met(people, criteria, gone):
    everything = ids_of(people.read(HOST))
    people.forget(**criteria)
    assert ids_of(people.read(HOST)) == [i for i in everything if i not in gone]
    kept = people.read_contents(HOST, everything)
    assert sorted(kept) == [i for i in ("gen-a1", "gen-a2", "gen-b1") if i not in gone]


def test_pasted_ids_are_cleaned(people):
    assert people.forget(ids=['"gen-a1",', "gen-b1\u200b"]).generations == 2
    pasted = [f"gen-179000000{number}-AbCdEfGhIjKlMnOpQrSt" for number in range(2)]
    add(people, *((one, None, None) for one in pasted))
    assert people.forget(ids=", ".join(pasted)).generations == 2


def test_contents_can_be_forgotten_without_their_records(people):
    done = people.forget(before="2025-02-01", contents_only=True)
    assert (done.records, done.contents) == (0, 3)
    assert len(ids_of(people.read(HOST))) == 4
    assert list(people.read_contents(HOST, ["gen-a1", "gen-a2", "gen-b1"])) == ["gen-a2"]
    assert people.forget(contents_only=True).contents == 1
    assert not (Path(people.path) / "contents" / f"host={HOST}").exists()


def test_contents_without_a_record_are_counted_when_their_user_is_unknown(archive):
    add(archive, ("gen-a1", "alice", "2025-01-01T00:00:00Z"))
    content(archive, "gen-a1", "gen-lost", "gen-1735700000-x")
    done = archive.forget(user="alice")
    assert (done.contents, done.unattributed) == (1, 2)
    assert archive.forget(before="2025-01-02").contents == 1  # by the second in the id
    assert list(archive.read_contents(HOST, ["gen-lost"])) == ["gen-lost"]
    assert archive.forget(before=datetime.fromtimestamp(SETTLED + 1, UTC)).contents == 1  # by the time of fetching
    assert archive.read_contents(HOST, ["gen-lost"]) == {}


@pytest.mark.parametrize("criteria", [{}, {"dry_run": True}, {"host": HOST}])
def test_forget_needs_a_criterion(people, criteria):
    with pytest.raises(ConfigError, match="what to forget"):
        people.forget(**criteria)
    assert people.read(HOST).num_rows == 4


@pytest.mark.parametrize("value", ["soon", "", float("nan"), object()])
def test_invalid_times_are_refused(people, value):
    with pytest.raises(ConfigError, match="before must be a time"):
        people.forget(before=value)


def test_unknown_columns_are_preserved(archive):
    add(archive, ("gen-1", "alice", None), ("gen-2", "bob", None))
    (path,) = parts(archive)
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.append_column("from_the_future", pa.array([1, 2])), path)
    archive.forget(user="alice")
    (path,) = parts(archive)
    assert pq.read_table(path, partitioning=None).select(["id", "from_the_future"]).to_pylist() == [
        {"id": "gen-2", "from_the_future": 2}
    ]


def test_renamed_and_rewritten_parts_are_searched(people):
    for number, path in enumerate(parts(people)):
        if number % 2:
            pq.write_table(pq.read_table(path, partitioning=None), path, compression="gzip")
        path.rename(path.with_name(f"copy {number}.parquet"))
    people.forget(user="alice")
    assert b"gen-a" not in bytes_of(people)


@pytest.mark.parametrize(
    "kind",
    [
        "cut",
        "nested",
        "directory",
        "gen.parquet.bak",
        ".gen.parquet.Ab12Cd",
        ".part-1.parquet.Ab12Cd",
        "part-1",
        "../part-1.parquet",
        "../host=Openrouter.ai/part-1.parquet",
        "../host=openrouter.ai (1)/part-1.parquet",
        "../../generations copy/host=openrouter.ai/part-1.parquet",
        "../../contents/x/part-1.parquet",
    ],
)
def test_unsearchable_files_are_an_error_after_the_rest_is_deleted(people, kind):
    path = parts(people)[-1]
    if kind == "cut":
        odd = path.with_name("part-cut.parquet")
        odd.write_bytes(path.read_bytes()[:-9])
    elif kind == "nested":
        (path.parent / "old").mkdir()
        odd = path.parent / "old" / "part-1.parquet"
        odd.write_bytes(path.read_bytes())
    elif kind == "directory":
        odd = path.with_name("part-odd.parquet")
        odd.mkdir()
    else:
        odd = Path(os.path.normpath(path.parent / kind))
        odd.parent.mkdir(exist_ok=True, parents=True)
        odd.write_bytes(path.read_bytes())
    assert [str(odd) in line for line in people.forget(user="alice", dry_run=True).unsearched] == [True]
    with pytest.raises(ArchiveError, match="cannot be searched") as caught:
        people.forget(user="alice")
    assert str(odd) in str(caught.value)
    assert ids_of(people.read(HOST)) == ["gen-b1", "gen-n1"]


def test_a_part_with_damaged_pages_is_kept_and_reported(archive):
    add(archive, *[(f"gen-{n}", "alice" if n % 2 else "bob", None) for n in range(200)])
    (path,) = parts(archive)
    metadata = pq.read_metadata(path)
    chunk = metadata.row_group(0).column(metadata.schema.names.index("model"))
    whole = bytearray(path.read_bytes())
    whole[(chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size - 3] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(ArchiveError, match="cannot be searched"):
        archive.forget(user="alice")
    assert path.read_bytes() == bytes(whole)


def test_forget_finishes_despite_concurrent_compactions(people, monkeypatch):
    write = LocalStore.write

    def write_late(self, directory, name, produce):
        tick = next(ticks)
        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "write", write)
            if tick < 2:
                Archive(people.path).compact()
            write(self, directory, name, produce)
            if tick < 4:
                add(people, ("gen-new", "bob", None), at=SETTLED + 100 + tick)
                Archive(people.path).compact()

    ticks = count()
    monkeypatch.setattr(LocalStore, "write", write_late)
    people.forget(user="alice")
    monkeypatch.undo()
    assert ids_of(people.read(HOST, settled_only=False)) == ["gen-b1", "gen-n1", "gen-new"]
    assert b"gen-a" not in bytes_of(people)


def test_two_concurrent_calls_of_forget_both_finish(people, monkeypatch):
    write = LocalStore.write

    def write_late(self, directory, name, writer):
        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "write", write)
            Archive(people.path).forget(user="bob")
        write(self, directory, name, writer)

    monkeypatch.setattr(LocalStore, "write", write_late)
    people.forget(user="alice")
    monkeypatch.undo()
    assert ids_of(people.read(HOST)) == ["gen-n1"]
    assert people.read_contents(HOST, ["gen-a1", "gen-a2", "gen-b1"]) == {}


@pytest.mark.skipif(os.name == "nt", reason="forks of POSIX")
def test_a_kill_at_each_step_loses_nothing_and_the_same_call_finishes(tmp_path):
    for number in count():
        archive = Archive(tmp_path / str(number))
        add(archive, ("gen-a1", "alice", None), ("gen-b1", "bob", None))
        add(archive, ("gen-a2", "alice", None), ("gen-b2", "bob", None))
        content(archive, "gen-a1", "gen-b1")
        child = os.fork()
        if not child:
            steps = count()

            def deadly(function, steps=steps, number=number):
                def call(*arguments, **options):
                    if next(steps) == number:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return function(*arguments, **options)

                return call

            os.fsync, Path.replace, Path.unlink = map(deadly, (os.fsync, Path.replace, Path.unlink))
            archive.forget(user="alice")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        everything = archive.read(HOST, settled_only=False)
        assert {"gen-b1", "gen-b2"} <= set(ids_of(everything))
        assert "gen-b1" in archive.read_contents(HOST, ["gen-b1"])
        archive.forget(user="alice")
        assert ids_of(archive.read(HOST, settled_only=False)) == ["gen-b1", "gen-b2"]
        assert list(archive.read_contents(HOST, ["gen-a1", "gen-b1"])) == ["gen-b1"]
        if os.WIFEXITED(status):
            assert number > 5
            break


def test_forget_contents_deletes_renamed_copies(archive, caplog):
    content(archive, "gen-1")
    (path,) = parts(archive)
    path.with_name("renamed.parquet").write_bytes(path.read_bytes())
    path.with_name("part-cut.parquet").write_bytes(path.read_bytes()[:-5])
    path.with_name(".part-x.parquet.0.tmp").write_bytes(b"secret")
    archive.forget_contents()
    assert not path.parent.exists()
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


@pytest.mark.parametrize(
    "name",
    ["mine.parquet", "backup/part-1.parquet", ".stversions/part-1.parquet", "x.parquet.bak", "../Copy/part-1.parquet"],
)
def test_remaining_files_that_may_contain_contents_are_an_error(archive, name):
    content(archive, "gen-1")
    folder = parts(archive)[0].parent
    (folder / name).parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": ["gen-1"], "text": ["secret"]}), folder / name)
    with pytest.raises(ArchiveError, match=str(Path(name).name)):
        archive.forget_contents()
    assert archive.read_contents(HOST, ["gen-1"]) == {}


def test_an_archive_that_does_not_exist_is_named(tmp_path):
    with pytest.warns(UserWarning, match="typo does not exist"):
        assert Archive(tmp_path / "typo").forget(user="alice").records == 0


@pytest.mark.parametrize("place", ["generations copy", "generations/host=openrouter.ai/old"])
def test_a_directory_that_cannot_be_listed_is_an_error(people, monkeypatch, place):
    closed = Path(people.path, place)
    closed.mkdir(parents=True)
    listed = os.scandir

    def scandir(path):
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ArchiveError, match=place):
        people.forget(user="alice")
    assert b"gen-a" not in bytes_of(people)
