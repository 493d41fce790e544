"""Compressed files, archives and databases; also broken, locked, encrypted and endless ones."""

import bz2
import gzip
import io
import lzma
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from contextlib import closing

import pyarrow as pa
import pytest

from orstats.errors import IdSourceError
from orstats.ids.read import read_ids

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"
C = "gen-1790000002-0123456789abcdefghij"
LOG = f"INFO done {A} ok\nINFO done {B} ok\n".encode()


def arrow_codec(name):
    def pack(data):
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, name) as stream:
            stream.write(data)
        return sink.getvalue().to_pybytes()

    return pack


def zipped(data, name="app.log", **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data, **options)
    return file.getvalue()


def tarred(data, name="app.log", mode="w"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        member = tarfile.TarInfo(f"logs/{name}")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zst": arrow_codec("zstd"),
    "lz4": arrow_codec("lz4"),
    "zip": zipped,
    "tar": tarred,
    "tar.gz": lambda data: tarred(data, mode="w:gz"),
    "tar.zst": lambda data: arrow_codec("zstd")(tarred(data)),
}


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("named", [True, False])
def test_compressed_logs_are_read_whatever_their_name(tmp_path, kind, named):
    path = tmp_path / (f"app.log.{kind}" if named else "backup")
    path.write_bytes(PACKERS[kind](LOG))
    assert read_ids(path) == read_ids(io.BytesIO(path.read_bytes())) == [A, B]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_compressed_tables_are_read_as_tables(tmp_path, kind):
    path = tmp_path / f"x.csv.{kind}"
    path.write_bytes(PACKERS[kind](f"cost,id,parent\n1,{A},{B}\n".encode()))
    assert read_ids(path) == [A]
    assert read_ids(path, column="parent") == [B]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_concatenated_files_are_read(kind):
    lines = LOG.splitlines(keepends=True)
    assert read_ids(io.BytesIO(b"".join(map(PACKERS[kind], lines)))) == [A, B]


def test_archives_inside_archives_are_read():
    inner = tarred(gzip.compress(LOG), "app.log.gz", mode="w:gz")
    assert read_ids(io.BytesIO(zipped(inner, "logs.tar.gz"))) == [A, B]


def test_members_of_many_kinds(tmp_path, warned):
    with zipfile.ZipFile(tmp_path / "logs.zip", "w") as archive:
        archive.writestr("a/b/ids.csv", f"cost,id\n1,{A}\n")
        archive.writestr("a/lines.jsonl", f'{{"id":"{B}"}}\n'.encode("utf-16"))
        archive.writestr("c.log.gz", gzip.compress(f"x {C} y\n".encode()))
        archive.writestr("empty/", b"")
        archive.writestr("__MACOSX/._x", b"\0\1\2")
        archive.writestr("picture.png", bytes(range(32)) * 9)
    assert read_ids(tmp_path / "logs.zip") == [A, B, C]
    assert "1 of 4 files skipped" in warned()
    assert "logs.zip/picture.png: a binary file" in warned()


@pytest.mark.parametrize("kind", PACKERS)
def test_broken_archives_are_named(tmp_path, kind):
    data = PACKERS[kind]("".join(f"{n} {n * n % 9973} nothing\n" for n in range(20_000)).encode())
    damaged = [data[: len(data) // 2]]
    if kind in ("gz", "bz2", "xz", "zip", "tar.gz"):  # the others have no checksums
        damaged.append(data[:600] + bytes(range(256)) * 2 + data[1112:])
    path = tmp_path / f"x.{kind}"
    for broken in damaged:
        path.write_bytes(broken)
        with pytest.raises(IdSourceError, match=rf"x\.{kind}.*broken") as caught:
            read_ids(path)
        assert caught.value.path == str(path)


def test_an_encrypted_member_is_named(tmp_path):
    data = bytearray(zipped(LOG))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(IdSourceError, match=r"x\.zip/app\.log: encrypted; extract it with its password"):
        read_ids(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"7z\xbc\xaf'\x1c\0\4", "a 7z archive; extract it first"),
        (b"Rar!\x1a\7\1\0", "a RAR archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file"),
        (b"%PDF-1.7\n", "a PDF"),
    ],
)
def test_unsupported_formats_advise_what_to_do(tmp_path, head, words):
    (tmp_path / "x").write_bytes(head + bytes(500))
    with pytest.raises(IdSourceError, match=words):
        read_ids(tmp_path / "x")


def database(path, rows, *, journal="delete"):
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(f"PRAGMA journal_mode = {journal}")
        base.execute('CREATE TABLE "my responses" (id TEXT, body, raw BLOB)')
        base.executemany('INSERT INTO "my responses" VALUES (?, ?, ?)', rows)
        base.execute("CREATE TABLE numbers (n INTEGER)")
        base.execute("CREATE VIEW endless AS SELECT 1")


ROWS = [("01abc", f'{{"id": "{A}"}}', None), ("01abd", 7, B.encode()), (None, None, None)]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_databases_are_searched(tmp_path, journal):
    path = tmp_path / "logs.db"
    database(path, ROWS, journal=journal)
    assert read_ids(path) == read_ids(io.BytesIO(path.read_bytes())) == [A, B]
    assert read_ids(io.BytesIO(zipped(path.read_bytes(), "logs.db"))) == [A, B]
    assert {file.name for file in tmp_path.iterdir()} <= {"logs.db", "logs.db-wal", "logs.db-shm"}


def test_a_database_is_read_while_it_is_written(tmp_path):
    path = tmp_path / "logs.db"
    database(path, ROWS[:1], journal="wal")
    with closing(sqlite3.connect(path)) as base:
        base.execute('INSERT INTO "my responses" VALUES (?, ?, ?)', ROWS[1])
        base.commit()
        base.execute('INSERT INTO "my responses" VALUES (?, ?, ?)', (C, C, C))
        assert read_ids(path) == [A, B]


@pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")
def test_a_column_of_a_database(tmp_path):
    database(tmp_path / "logs.db", [*ROWS, (C, "x", None)])
    assert read_ids(tmp_path / "logs.db", column="id") == [C]
    assert read_ids(tmp_path / "logs.db", column="my responses.raw") == [B]
    with pytest.raises(IdSourceError, match=r"Unknown column 'bodi'\. Did you mean 'body'"):
        read_ids(tmp_path / "logs.db", column="bodi")


def test_a_locked_database_is_named(tmp_path):
    database(tmp_path / "logs.db", ROWS)
    with closing(sqlite3.connect(tmp_path / "logs.db", isolation_level=None)) as base:
        base.execute("BEGIN EXCLUSIVE")
        with pytest.raises(IdSourceError, match=r"logs\.db: database is locked; close the program that uses it"):
            read_ids(tmp_path / "logs.db")


def test_a_damaged_database_is_named(tmp_path):
    database(tmp_path / "logs.db", ROWS * 500)
    data = (tmp_path / "logs.db").read_bytes()
    for broken in (data[:3000], data[:100], data[: len(data) // 2]):
        (tmp_path / "x.db").write_bytes(broken)
        with pytest.raises(IdSourceError, match=r"x\.db: .*not a readable SQLite database"):
            read_ids(tmp_path / "x.db")


def test_a_database_whose_cells_are_computed_does_not_fill_the_memory(tmp_path):
    with closing(sqlite3.connect(tmp_path / "x.db")) as base, base:
        base.execute("CREATE TABLE t (n, big GENERATED ALWAYS AS (zeroblob(900000000)) VIRTUAL)")
        base.execute("INSERT INTO t (n) VALUES (1)")
    with pytest.raises(IdSourceError, match="too big"):
        read_ids(tmp_path / "x.db")


@pytest.mark.parametrize(("tool", "suffix"), [("zstd", "zst"), ("xz", "xz"), ("bzip2", "bz2"), ("gzip", "gz")])
def test_files_of_the_command_line_tools(tmp_path, tool, suffix):
    if shutil.which(tool) is None or sys.platform == "win32":
        return
    (tmp_path / "app.log").write_bytes(LOG)
    subprocess.run([tool, "-q", "app.log"], cwd=tmp_path, check=True)
    assert read_ids(tmp_path / f"app.log.{suffix}") == [A, B]


def test_unsupported_method_of_a_zip_file_is_not_called_broken(tmp_path):
    path = tmp_path / "log.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.log", "gen-1790000000-AbCdEfGhIjKlMnOpQrSt\n" * 20)
    deflate64, raw = 9, bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # the method, in both headers
        raw[raw.index(mark) + offset] = deflate64
    path.write_bytes(raw)
    with pytest.raises(IdSourceError, match=r"cannot be unpacked: .* not supported; extract it first") as caught:
        read_ids(path)
    assert "broken" not in str(caught.value)
