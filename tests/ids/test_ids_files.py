"""What a file holds: kinds, encodings, gzip, and files that are open already."""

import gzip
import io
import os
import sys
from pathlib import Path

import pytest

from orstats.errors import IdSourceError
from orstats.ids.read import read_ids

pytestmark = pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("x.bin", bytes(range(256)) * 10, "binary file"),
        ("x.log", b"\0" * 100, "binary file"),
        ("x.parquet", A.encode(), r"not \.parquet"),
        ("x.xlsx", A.encode(), r"not \.xlsx"),
        ("x.log.gz", gzip.compress(A.encode() * 100, mtime=0)[:-9], "gzip"),
        ("y.log.gz", gzip.compress(A.encode() * 100, mtime=0)[:20] + b"garbage" * 9, "gzip"),
    ],
)
def test_files_of_unknown_format_are_named(here, name, content, word):
    (here / name).write_bytes(content)
    with pytest.raises(IdSourceError, match=f"{name}.*{word}") as caught:
        read_ids(name)
    assert caught.value.path == name


def test_an_unreadable_file_is_named(here, monkeypatch):
    (here / "ids.txt").write_text(A)

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", "ids.txt")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(IdSourceError, match=r"ids.txt: cannot be read: Permission denied") as caught:
        read_ids("ids.txt")
    assert caught.value.path == "ids.txt"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "cp1252"])
@pytest.mark.parametrize("name", ["x.log", "x.log.gz"])
def test_encodings(here, encoding, name):
    data = f"début {A}\nfin {B}\n".encode(encoding)
    (here / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert read_ids(name) == [A, B]


def test_utf16_of_either_order_and_longer_than_one_piece(here):
    lines = [f"gen-{1790000000 + i}-AbCdEfGhIjKlMnOpQrSt" for i in range(30_000)]
    for order in ("utf-16-le", "utf-16-be"):
        (here / "x.txt").write_bytes("\n".join(["\ufeff" + lines[0], *lines[1:]]).encode(order))
        assert read_ids("x.txt") == lines


def test_a_log_with_a_hole_and_stray_bytes(here):
    (here / "app.log").write_bytes(b"\0" * 5000 + b"INFO \x00\xff done " + A.encode() + b" and more text\n" * 20)
    assert read_ids("app.log") == [A]


def test_gzip_of_several_members(here):
    (here / "app.log.gz").write_bytes(gzip.compress(f"x {A}\n".encode()) + gzip.compress(f"x {B}\n".encode()))
    assert read_ids("app.log.gz") == [A, B]


@pytest.mark.parametrize("name", ["x.csv.gz", "x.tsv.gz"])
def test_gzip_of_a_table(here, name):
    (here / name).write_bytes(gzip.compress(f"cost,id,parent\n1,{A},{B}\n".encode()))
    assert read_ids(name) == [A]
    assert read_ids(name, column="parent") == [B]


def test_gzip_of_json_lines(here):
    (here / "x.jsonl.gz").write_bytes(gzip.compress(f'{{"id":"{A}"}}\n{{"id":"x-1"}}\n'.encode()))
    assert read_ids("x.jsonl.gz") == [A]
    assert read_ids("x.jsonl.gz", column="id") == [A]


def test_gzip_is_recognised_without_its_suffix(here):
    (here / "app.log.1").write_bytes(gzip.compress(f"x {A}\n".encode()))
    assert read_ids("app.log.1") == [A]


def test_open_files(here):
    (here / "x.log").write_text(f"début {A}\n", encoding="utf-8")
    for mode in ("r", "rb"):
        with Path("x.log").open(mode) as file:
            assert read_ids(file) == [A]
            assert not file.closed
    assert read_ids(io.StringIO(f"x {A}\n")) == [A]
    assert read_ids(io.BytesIO(f"x {A}\n".encode())) == [A]
    assert read_ids(io.StringIO(f"n,gen\n1,{A}\n"), column="gen") == [A]
    assert read_ids(io.StringIO("")) == []


def test_an_open_file_is_read_from_its_position(here):
    (here / "x.txt").write_text(f"{A}\n{B}\n")
    for mode in ("r", "rb"):
        with Path("x.txt").open(mode) as file:
            next(file)
            assert read_ids(file) == [B]


def test_open_text_of_another_encoding(here):
    (here / "x.txt").write_bytes(f"x {A}\n".encode("utf-16-le"))
    with Path("x.txt").open(encoding="utf-16-le") as file:
        assert read_ids(file) == [A]


def test_open_text_that_cannot_be_decoded(here):
    (here / "x.txt").write_bytes(b"first\n" + b"caf\xe9 " + A.encode())
    with Path("x.txt").open(encoding="ascii") as file:
        assert read_ids(file) == [A]  # nothing was read yet, so the bytes can be had
    with Path("x.txt").open(encoding="ascii") as file, pytest.raises(UnicodeDecodeError):
        next(file)
    decoder = io.TextIOWrapper(io.BytesIO(b"\xff" + A.encode()), encoding="ascii")
    wrapped = io.StringIO()
    wrapped.read = decoder.read
    with pytest.raises(IdSourceError, match="not ascii text; open the file in binary mode"):
        read_ids(wrapped)


@pytest.mark.parametrize(
    "data", [f"x {A}\n".encode(), gzip.compress(A.encode(), mtime=0), b"caf\xe9 " + A.encode(), A.encode("utf-16")]
)
def test_stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    assert read_ids(sys.stdin) == [A]


def test_a_pipe():
    out, into = os.pipe()
    with os.fdopen(out, "rb") as reader, os.fdopen(into, "wb") as writer:
        writer.write(f"gen,cost\n{A},1\n".encode())
        writer.close()
        assert read_ids(reader, column="gen") == [A]
