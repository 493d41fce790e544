"""Which source is meant: a path, a text, a folder, a pattern, a list."""

import gzip
import io
import logging
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orstats.errors import IdSourceError, IdSourceWarning
from orstats.ids.read import read_ids

pytestmark = pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"
C = "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"
HEADS = [
    b"\x1f\x8b\x08\0", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"PK\3\4", b"PAR1",
    b"ARROW1\0\0", b"FEA1", b"SQLite format 3\0", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0",
    b'{"id":', b"[", b"id,cost\n",
    bytes(257) + b"ustar",
]  # fmt: skip
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


def test_a_file_named_like_an_id_is_read(here):
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
def test_a_single_id_of_an_unknown_shape_is_kept(warned):
    assert read_ids("gen-next-years-shape") == ["gen-next-years-shape"]
    assert warned() == ""


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
def test_a_key_is_never_shown(text, warned):
    try:
        shown = str(read_ids(text))
    except IdSourceError as error:
        shown = f"{error} {error.path}"
    assert "0123" not in shown + warned()
    assert "API key" in shown + warned()


def test_pattern(here):
    (here / "a").mkdir()
    for name, text in {"a/2.log": B, "a/1.log": A, "a/3.txt": C, "4.log": C}.items():
        (here / name).write_text(f"text with {text}\n")
    assert read_ids("a/*.log") == [A, B]
    assert read_ids(str(here / "**" / "*.log")) == [C, A, B]
    assert read_ids("[a-b]") == [A, B, C]


def test_directory(here, warned):
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
    assert "2 of 6 files skipped" in warned()
    assert "picture.png: a binary file" in warned()
    assert "prices.csv: no id column" in warned()


def test_foreign_ids_in_one_of_several_files_are_a_warning(here, warned):
    (here / "1.log").write_text("only chatcmpl-B9MHDbslfkBeAs8l4b here\n")
    (here / "2.log").write_text(f"done {A}\n")
    assert read_ids("*.log") == [A]
    assert "*.log also contains 1 x chatcmpl-…" in warned()
    with pytest.raises(IdSourceError, match=r"1\.log contains no generation id, but 1 x chatcmpl-…") as caught:
        read_ids("1.log")
    assert caught.value.path == "1.log"


def test_a_directory_without_anything_readable_is_an_error(here):
    (here / "x.bin").write_bytes(bytes(range(32)))
    with pytest.raises(IdSourceError, match=r"x\.bin: a binary file"):
        read_ids(here)


def test_an_empty_file_and_an_empty_directory(here, warned):
    (here / "ids.txt").touch()
    (here / "logs").mkdir()
    assert read_ids("ids.txt") == read_ids("logs") == []
    assert "ids.txt is empty" in warned()
    assert "logs contains no id" in warned()


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet", "x.xlsx", "x.log.gz"])
@pytest.mark.parametrize("column", [None, "id"])
def test_an_empty_file_with_a_known_suffix(here, name, column):
    (here / name).touch()
    assert read_ids(name, column=column) == []


def test_series_and_iterables():
    assert read_ids([A, " x-1\n", A, B]) == [A, "x-1", B]
    assert read_ids(iter((A, B))) == [A, B]
    assert read_ids({A: None}.keys()) == [A]
    assert read_ids(pd.Series([A, B, A])) == [A, B]
    assert read_ids(pd.Series([A, B, A], dtype="category")) == [A, B]
    assert read_ids(pd.Index([A, B])) == [A, B]
    assert read_ids(pd.Series([A], index=["read"])) == [A]
    assert read_ids([]) == []


def test_missing_values_are_skipped_and_counted(warned):
    assert read_ids(pd.Series([A, None, float("nan"), pd.NA, pd.NaT, "", B], dtype=object)) == [A, B]
    assert "skipped 5 missing or empty values" in warned()
    assert read_ids(pd.Series([A, None], dtype="string")) == [A]


@pytest.mark.parametrize("value", [7, 0.5, b"gen", [A], {"cost": 1}, pd.Timestamp(0)])
def test_values_that_are_not_text_are_refused_by_position(value):
    with pytest.raises(TypeError, match=f"position 2: an id must be text, got {type(value).__name__}"):
        read_ids([A, B, value])


@pytest.mark.parametrize("source", [None, 7, b"gen-1"])
def test_other_sources_are_refused(source):
    with pytest.raises(TypeError, match=f"source must be a path.*got {type(source).__name__}"):
        read_ids(source)


def test_a_column_of_a_list_is_refused():
    with pytest.raises(IdSourceError, match="column="):
        read_ids([A], column="id")


def test_pandas_is_loaded_only_when_needed():
    code = (
        "import sys; from orstats.ids.read import read_ids; "
        f"assert read_ids('x {A}') == read_ids(['{A}']) == read_ids('{A}\\n'); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_number_of_ids_is_logged(caplog):
    caplog.set_level(logging.INFO, logger="orstats.ids")
    read_ids([A, A, B])
    assert "the list: 2 distinct ids" in caplog.text


def test_warnings_name_the_line_of_the_caller():
    with pytest.warns(IdSourceWarning, match="the text contains no id") as caught:
        read_ids("nothing\nto see")
    assert [warning.filename for warning in caught] == [__file__]


@given(st.binary(max_size=300), st.sampled_from(["", *HEADS]))
def test_any_bytes_are_read_or_refused_with_a_typed_error(data, head):
    ids = []
    with warnings.catch_warnings(), suppress(IdSourceError):
        warnings.simplefilter("ignore")
        ids = read_ids(io.BytesIO((head or b"") + data))
    assert all(found.encode() in (head or b"") + data for found in ids)
