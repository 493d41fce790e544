"""Damaged, foreign and vanishing files, and full disks: nothing is lost, and everything is reported."""

import contextlib
import errno
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import HOST, parts, records

from orstats.archive.archive import Archive
from orstats.archive.storage import LocalStore
from orstats.errors import ArchiveError


def damage(kind: str, path: Path) -> None:
    whole = path.read_bytes()
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "cut at the end":
            path.write_bytes(whole[:-1])
        case "cut in half":
            path.write_bytes(whole[: len(whole) // 2])
        case "magic only":
            path.write_bytes(b"PAR1PAR1")
        case "noise":
            path.write_bytes(bytes(range(256)) * 40)
        case "noise between the magic":
            path.write_bytes(b"PAR1" + bytes(range(256)) * 40 + (5000).to_bytes(4, "little") + b"PAR1")
        case "noise in the footer":
            path.write_bytes(whole[:-300] + b"\xff" * 200 + whole[-100:])
        case "one bit of the ids":
            flip_in_column(path, "id")
        case "one bit of a value":
            flip_in_column(path, "model")
        case "other columns":
            pq.write_table(pa.table({"a": [1]}), path)
        case "other types":
            table = pq.read_table(path, partitioning=None)
            pq.write_table(table.set_column(0, "id", pa.array(range(table.num_rows))), path)
        case "no time":
            pq.write_table(pq.read_table(path, partitioning=None).drop_columns("fetched_at"), path)
        case "ids missing":
            table = pq.read_table(path, partitioning=None)
            pq.write_table(table.set_column(0, "id", pa.nulls(table.num_rows, pa.string())), path)


def flip_in_column(path: Path, name: str) -> None:
    metadata = pq.read_metadata(path)
    chunk = metadata.row_group(0).column(metadata.schema.names.index(name))
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    whole = bytearray(path.read_bytes())
    whole[start + chunk.total_compressed_size - 3] ^= 1
    path.write_bytes(bytes(whole))


KINDS = (
    "empty",
    "cut at the end",
    "cut in half",
    "magic only",
    "noise",
    "noise between the magic",
    "noise in the footer",
    "one bit of the ids",
    "one bit of a value",
    "other columns",
    "other types",
    "no time",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_logged_and_its_ids_count_as_not_archived(archive, caplog, kind):
    archive.append(HOST, records(*[f"gen-bad-{n}" for n in range(200)], "gen-both", model="new"))
    (bad,) = parts(archive)
    damage(kind, bad)
    broken = bad.read_bytes()
    archive.append(HOST, records("gen-good", "gen-both", model="old", at=1.9e9))
    for ids in (None, ["gen-good", "gen-both", "gen-bad-7"]):
        caplog.clear()
        table = archive.read(HOST, ids)
        assert sorted(table["id"].to_pylist()) == ["gen-both", "gen-good"]
        assert set(table["model"].to_pylist()) == {"old"}
        (record,) = caplog.records
        assert str(bad) in record.getMessage()
        assert (record.levelno, record.name.split(".")[0]) == (logging.WARNING, "orstats")
    assert bad.read_bytes() == broken


@pytest.mark.parametrize("kind", KINDS)
def test_compaction_reports_damaged_files_and_keeps_them(archive, kind):
    archive.append(HOST, records("gen-bad"))
    (bad,) = parts(archive)
    archive.append(HOST, records("gen-1"))
    archive.append(HOST, records("gen-2"))
    damage(kind, bad)
    broken = bad.read_bytes()
    (done,) = archive.compact()
    assert (done.unreadable, done.parts_before, done.parts_after) == ((str(bad),), 2, 1)
    assert bad.read_bytes() == broken
    assert sorted(archive.read(HOST)["id"].to_pylist()) == ["gen-1", "gen-2"]
    info = archive.info().loc[HOST]
    assert (info["damaged"], info["ids"]) == (1, 2)


def test_an_archive_of_damaged_files_reads_as_empty(archive):
    archive.append(HOST, records("gen-1"))
    damage("cut in half", parts(archive)[0])
    assert archive.read(HOST).num_rows == 0
    assert archive.read(HOST, ["gen-1"]).num_rows == 0
    assert archive.compact()[0].parts_after == 0


def test_rows_without_an_id_are_skipped(archive):
    archive.append(HOST, records("gen-1"))
    damage("ids missing", parts(archive)[0])
    archive.append(HOST, records("gen-2"))
    assert archive.read(HOST)["id"].to_pylist() == ["gen-2"]
    assert archive.read(HOST, ["gen-2"])["id"].to_pylist() == ["gen-2"]
    assert archive.compact()[0].rows_after == 1


def test_damaged_contents_count_as_not_stored(archive):
    archive.append_contents(HOST, ["gen-1"], [b"x" * 5000], [1.0])
    flip_in_column(parts(archive)[0], "body")
    archive.append_contents(HOST, ["gen-2"], [b"y"], [1.0])
    assert archive.read_contents(HOST, ["gen-1", "gen-2"]) == {"gen-2": b"y"}


def test_other_files_and_directories_are_ignored(archive):
    archive.append(HOST, records("gen-1"))
    folder = parts(archive)[0].parent
    (folder / "notes.txt").write_text("mine")
    (folder / ".part-x.parquet.tmp").write_bytes(b"half a f")
    (folder / ".hidden.parquet").write_bytes(b"half a f")
    (folder.parent / "host=%zz").mkdir()
    (folder.parent / "elsewhere").mkdir()
    assert archive.read(HOST).num_rows == 1
    assert archive.hosts() == [HOST]
    assert archive.info()["damaged"].tolist() == [0]


def test_temporary_files_are_deleted_after_a_day(archive):
    archive.append(HOST, records("gen-1"))
    folder = parts(archive)[0].parent
    old, young = folder / ".part-old.parquet.tmp", folder / ".part-young.parquet.tmp"
    for path in (old, young):
        path.write_bytes(b"half a f")
    os.utime(old, (time.time() - 86_500,) * 2)
    archive.compact()
    assert (old.exists(), young.exists()) == (False, True)


def test_read_retries_when_a_compaction_replaces_a_part(archive, monkeypatch):
    archive.append(HOST, records("gen-1", model="old"))
    archive.append(HOST, records("gen-2"))
    opened = LocalStore.open
    compacted = []

    def open_late(self, path):
        if len(compacted) < 3:  # each time between listing and opening; something to merge each time
            compacted.append(path)
            with monkeypatch.context() as patch:
                patch.setattr(LocalStore, "open", opened)
                other = Archive(archive.path)
                other.append(HOST, records("gen-1", model="new"))
                other.compact()
        return opened(self, path)

    monkeypatch.setattr(LocalStore, "open", open_late)
    table = archive.read(HOST)
    assert len(compacted) == 3
    assert sorted(table["id"].to_pylist()) == ["gen-1", "gen-2"]
    assert "new" in table["model"].to_pylist()


def test_a_part_that_is_replaced_while_the_directory_is_read_is_not_missed(archive, monkeypatch):
    scan = os.scandir

    def scan_late(folder):
        entries = list(scan(folder))  # the name is listed, then the file vanishes, and its successor is not in the list
        monkeypatch.setattr(os, "scandir", scan)
        Archive(archive.path).compact()
        return contextlib.nullcontext(entries)

    for read in (
        lambda: sorted(archive.read(HOST)["id"].to_pylist()),
        lambda: [one for one in ("gen-1", "gen-2") if archive.read_record(HOST, one)],
    ):
        archive.append(HOST, records("gen-1"))
        archive.append(HOST, records("gen-2"))
        monkeypatch.setattr(os, "scandir", scan_late)
        assert read() == ["gen-1", "gen-2"]
        assert os.scandir is scan


def test_files_that_keep_vanishing_while_the_directory_is_read_are_an_error(archive, monkeypatch):
    archive.append(HOST, records("gen-1"))
    (entry,) = os.scandir(parts(archive)[0].parent)
    parts(archive)[0].unlink()
    monkeypatch.setattr(os, "scandir", lambda _: contextlib.nullcontext([entry]))
    with pytest.raises(ArchiveError, match="vanishing"):
        archive.read(HOST)


def test_parts_that_keep_vanishing_are_an_error(archive, monkeypatch):
    archive.append(HOST, records("gen-1"))

    def gone(_self, path):
        raise FileNotFoundError(errno.ENOENT, "No such file", path)

    monkeypatch.setattr(LocalStore, "open", gone)
    with pytest.raises(ArchiveError, match="vanishing"):
        archive.read(HOST)


def test_an_unreadable_disk_is_not_reported_as_a_damaged_file(archive, monkeypatch):
    archive.append(HOST, records("gen-1"))

    class BadDisk(pa.PythonFile):
        pass

    class Failing:
        closed = False

        def read(self, *_):
            raise OSError(errno.EIO, "Input/output error")

        def seek(self, *_):
            return 0

        def tell(self):
            return 0

        def size(self):
            return 100

        def close(self):
            pass

    monkeypatch.setattr(LocalStore, "open", lambda _self, _path: BadDisk(Failing(), mode="r"))
    with pytest.raises(ArchiveError, match="Input/output"):
        archive.read(HOST)


def test_a_compaction_keeps_the_result_of_a_concurrent_one(archive, monkeypatch):
    archive.append(HOST, records("gen-1"))
    archive.append(HOST, records("gen-2"))
    write = LocalStore.write
    overtaken = []

    def write_late(self, directory, name, produce):
        write(self, directory, name, produce)
        if not overtaken:
            overtaken.append(name)
            Archive(archive.path).compact()

    monkeypatch.setattr(LocalStore, "write", write_late)
    archive.compact()
    assert sorted(archive.read(HOST)["id"].to_pylist()) == ["gen-1", "gen-2"]
    assert len(parts(archive)) == 1


def test_contents_forgotten_during_a_compaction_stay_deleted(archive, monkeypatch):
    archive.append_contents(HOST, ["gen-1"], [b"secret"], [1.0])
    archive.append_contents(HOST, ["gen-2"], [b"secret"], [1.0])
    write = LocalStore.write

    def write_late(self, directory, name, produce):
        Archive(archive.path).forget_contents()
        write(self, directory, name, produce)

    monkeypatch.setattr(LocalStore, "write", write_late)
    archive.compact()
    assert parts(archive) == []


def test_contents_forgotten_before_a_compaction_ends_stay_deleted(archive, monkeypatch):
    archive.append_contents(HOST, ["gen-1"], [b"secret"], [1.0])
    archive.append_contents(HOST, ["gen-2"], [b"secret"], [1.0])
    listed = parts(archive)
    write = LocalStore.write

    def write_early(self, directory, name, produce):
        write(self, directory, name, produce)
        for path in listed:  # as forgetting does that listed the files before the new one was there
            path.unlink(missing_ok=True)

    monkeypatch.setattr(LocalStore, "write", write_early)
    archive.compact()
    assert parts(archive) == []


def test_forget_contents_deletes_parts_that_appear_meanwhile(archive, monkeypatch):
    archive.append_contents(HOST, ["gen-1"], [b"secret"], [1.0])
    (path,) = parts(archive)
    delete = LocalStore.delete

    def delete_late(self, relative):
        if not path.with_name("part-new.parquet").exists() and path.exists():
            path.with_name("part-new.parquet").write_bytes(path.read_bytes())
        delete(self, relative)

    monkeypatch.setattr(LocalStore, "delete", delete_late)
    archive.forget_contents()
    assert parts(archive) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_failed_append_leaves_the_archive_unchanged(archive, monkeypatch, number):
    archive.append(HOST, records("gen-1"))
    before = {path: path.read_bytes() for path in Path(archive.path).rglob("*") if path.is_file()}

    def full(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    for action in (
        lambda: archive.append(HOST, records("gen-2")),
        lambda: archive.check_writable(HOST),
    ):
        with pytest.raises(ArchiveError, match=os.strerror(number)) as caught:
            action()
        assert isinstance(caught.value.__cause__, OSError)
        assert ("Free up disk space" in str(caught.value)) == (number in {errno.ENOSPC, errno.EDQUOT})
    assert {path: path.read_bytes() for path in Path(archive.path).rglob("*") if path.is_file()} == before


LIMITED = """
import resource, sys
from test_archive_damage import ArchiveError, Archive, HOST, records
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
archive = Archive(sys.argv[1])
archive.append(HOST, records("gen-small"))
for action in (
    lambda: archive.append(HOST, records(*[f"gen-{n * 7919 ** 5 % 10 ** 18}" for n in range(9000)])),
    archive.compact,
):
    try:
        action()
    except ArchiveError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits on files")
def test_a_file_size_limit_is_an_error_and_leaves_no_file(archive):
    names = [f"gen-{n * 7919**5 % 10**18}" for n in range(3000)]
    for first in range(10):
        archive.append(HOST, records(*names[first::10]))
    before = set(parts(archive))
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, archive.path],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.count("File too large") == 2, run.stderr
    assert run.stdout.count("Free up disk space") == 2
    assert len(set(parts(archive)) - before) == 1
    assert before <= set(parts(archive))
    assert not [path for path in Path(archive.path).rglob(".*") if path.is_file()]
    assert sorted(archive.read(HOST)["id"].to_pylist()) == sorted({*names, "gen-small"})
