import gzip
import io
import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from orstats.api.errors import IdSourceError
from orstats.data.ids.read import read_ids

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"
C = "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"
KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_path_as_text_or_path_object(here):
    (here / "my ids.txt").write_text(f"{A}\n{B}\n")
    assert read_ids("my ids.txt") == read_ids(Path("my ids.txt")) == read_ids(str(here / "my ids.txt")) == [A, B]


def test_home_is_expanded(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    (here / "ids.txt").write_text(A)
    assert read_ids("~/ids.txt") == [A]


def test_a_file_called_like_an_id_wins(here):
    (here / A).write_text(B)
    assert read_ids(A) == [B]


@pytest.mark.parametrize(
    "text",
    [
        A,
        f"  {A} ",
        f"{A}, {B}",
        f"https://openrouter.ai/logs?transaction={A}",
        f"please look at {A}.json",
        f'{{"id": "{A}"}}',
        f'["{A}"]',
        f"why does {A} cost nothing?",
        "~ " + "very " * 2000 + A,
    ],
)
@pytest.mark.usefixtures("here")
def test_one_line_with_an_id_is_a_text(text):
    assert read_ids(text)[0] == A


@pytest.mark.usefixtures("here")
def test_a_single_id_of_an_unknown_shape_is_kept(caplog):
    assert read_ids("gen-next-years-shape") == ["gen-next-years-shape"]
    assert caplog.text == ""


@pytest.mark.parametrize(
    "name",
    [
        "ids.txt",
        "logs/app.log",
        "generation_ids",
        "~/nowhere/ids.csv",
        "no/*.log",
        "two words",
        f"answers/{A}.json",
        f"{A}.json",
        "x" * 5000,
    ],
)
@pytest.mark.usefixtures("here")
def test_a_missing_file_is_named(name):
    with pytest.raises(IdSourceError, match="no such file") as caught:
        read_ids(name)
    assert name[:50] in str(caught.value)
    assert caught.value.path == name


@pytest.mark.usefixtures("here")
def test_a_missing_path_object_is_named():
    with pytest.raises(IdSourceError, match=r"no such file.*ids.txt") as caught:
        read_ids(Path("ids.txt"))
    assert caught.value.path == "ids.txt"


def test_text_with_a_nul_is_never_a_path():
    assert read_ids(f"a\0/b* {A}") == [A]
    assert read_ids("a few words before\0/b*") == []


def test_an_id_of_another_kind_is_explained():
    with pytest.raises(IdSourceError, match=r"1 x chatcmpl-….*X-Generation-Id"):
        read_ids("chatcmpl-B9MHDbslfkBeAs8l4b")


@pytest.mark.parametrize("text", [KEY, f"Bearer {KEY}", "sk-proj-0123456789abcdef", [KEY], f"{KEY}\n{KEY}"])
def test_a_key_is_never_shown(text, caplog):
    caplog.set_level(logging.DEBUG)
    try:
        shown = str(read_ids(text))
    except IdSourceError as error:
        shown = f"{error} {error.path}"
    assert "0123" not in shown + caplog.text
    assert "API key" in shown + caplog.text


def test_pattern(here):
    (here / "a").mkdir()
    for name, text in {"a/2.log": B, "a/1.log": A, "a/3.txt": C, "4.log": C}.items():
        (here / name).write_text(f"text with {text}\n")
    assert read_ids("a/*.log") == [A, B]
    assert read_ids(str(here / "**" / "*.log")) == [C, A, B]
    assert read_ids("[a-b]") == [A, B, C]


def test_directory(here, caplog):
    for folder in ("logs/deep", "logs/.git", "logs/empty"):
        (here / folder).mkdir(parents=True)
    (here / "logs/b.log").write_text(f"done {B}\n")
    (here / "logs/deep/a.csv").write_text(f"id,x\n{A},1\n")
    (here / "logs/c.log.gz").write_bytes(gzip.compress(f"done {C}\n".encode()))
    (here / "logs/nothing.txt").write_text("")
    (here / "logs/.git/x").write_text("gen-1790000009-AbCdEfGhIjKlMnOpQrSt")
    (here / "logs/.hidden").write_text("gen-1790000009-AbCdEfGhIjKlMnOpQrSt")
    (here / "logs/picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0")
    (here / "logs/prices.csv").write_text("model,price\na,1\n")
    assert read_ids("logs") == [B, C, A]
    assert "2 of 6 files skipped" in caplog.text
    assert "picture.png: a binary file" in caplog.text
    assert "prices.csv: no column" in caplog.text


def test_foreign_ids_in_one_of_several_files_are_no_error(here, caplog):
    (here / "1.log").write_text("only chatcmpl-B9MHDbslfkBeAs8l4b here\n")
    (here / "2.log").write_text(f"done {A}\n")
    assert read_ids("*.log") == [A]
    assert "*.log also holds 1 x chatcmpl-…" in caplog.text
    with pytest.raises(IdSourceError, match=r"1\.log holds no generation id, but 1 x chatcmpl-…") as caught:
        read_ids("1.log")
    assert caught.value.path == "1.log"


def test_a_directory_without_anything_readable_is_an_error(here):
    (here / "x.bin").write_bytes(bytes(range(32)))
    with pytest.raises(IdSourceError, match=r"x\.bin: a binary file"):
        read_ids(here)


def test_an_empty_file_and_an_empty_directory(here, caplog):
    (here / "ids.txt").touch()
    (here / "logs").mkdir()
    assert read_ids("ids.txt") == read_ids("logs") == []
    assert "ids.txt holds no id" in caplog.text
    assert "logs holds no id" in caplog.text


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet", "x.xlsx", "x.log.gz"])
@pytest.mark.parametrize("column", [None, "id"])
def test_an_empty_file_of_a_telling_name(here, name, column):
    (here / name).touch()
    assert read_ids(name, column=column) == []


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("x.bin", bytes(range(256)) * 10, "binary file"),
        ("x.log", b"\0" * 100, "binary file"),
        ("x.parquet", A.encode(), r"not \.parquet"),
        ("x.xlsx", A.encode(), r"not \.xlsx"),
        ("x.log.gz", gzip.compress(A.encode() * 100)[:-9], "gzip"),
        ("y.log.gz", gzip.compress(A.encode() * 100)[:20] + b"garbage" * 9, "gzip"),
    ],
)
def test_files_of_no_known_kind_are_named(here, name, content, word):
    (here / name).write_bytes(content)
    with pytest.raises(IdSourceError, match=f"{name}.*{word}") as caught:
        read_ids(name)
    assert caught.value.path == name


@pytest.mark.usefixtures("here")
def test_other_archives_are_named():
    with zipfile.ZipFile("logs.zip", "w") as archive:
        archive.writestr("app.log", A)
    with pytest.raises(IdSourceError, match=r"logs.zip: a zip archive that is no .xlsx workbook"):
        read_ids("logs.zip")


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
    assert read_ids("x.jsonl.gz", column="id") == [A, "x-1"]


def test_gzip_without_its_ending(here):
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


def test_an_open_file_is_read_from_where_it_stands(here):
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
    "data", [f"x {A}\n".encode(), gzip.compress(A.encode()), b"caf\xe9 " + A.encode(), A.encode("utf-16")]
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


def test_series_and_iterables():
    assert read_ids([A, " x-1\n", A, B]) == [A, "x-1", B]
    assert read_ids(iter((A, B))) == [A, B]
    assert read_ids({A: None}.keys()) == [A]
    assert read_ids(pd.Series([A, B, A])) == [A, B]
    assert read_ids(pd.Series([A, B, A], dtype="category")) == [A, B]
    assert read_ids(pd.Index([A, B])) == [A, B]
    assert read_ids(pd.Series([A], index=["read"])) == [A]
    assert read_ids([]) == []


def test_missing_values_are_skipped_and_counted(caplog):
    assert read_ids(pd.Series([A, None, float("nan"), pd.NA, pd.NaT, "", B], dtype=object)) == [A, B]
    assert "5 missing or empty values skipped" in caplog.text
    assert read_ids(pd.Series([A, None], dtype="string")) == [A]


@pytest.mark.parametrize("value", [7, 0.5, b"gen", [A], {"id": A}, pd.Timestamp(0)])
def test_what_is_no_text_is_refused_by_position(value):
    with pytest.raises(TypeError, match=f"position 2: an id must be text, not {type(value).__name__}"):
        read_ids([A, B, value])


@pytest.mark.parametrize("source", [None, 7, b"gen-1", {"id": A}])
def test_other_sources_are_refused(source):
    with pytest.raises(TypeError, match=f"ids cannot be read from {type(source).__name__}"):
        read_ids(source)


def test_a_column_of_a_list_makes_no_sense():
    with pytest.raises(IdSourceError, match="column="):
        read_ids([A], column="id")


def test_pandas_is_loaded_only_when_needed():
    code = (
        "import sys; from orstats.data.ids.read import read_ids; "
        f"assert read_ids('x {A}') == read_ids(['{A}']) == read_ids('{A}\\n'); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_number_of_ids_is_logged(caplog):
    caplog.set_level(logging.INFO, logger="orstats.ids")
    read_ids([A, A, B])
    assert "the list: 2 distinct ids" in caplog.text
