"""write_csv: what stands in the cells, what a spreadsheet must not run, and files that appear whole or not at all."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from orstats.errors import ConfigError, ExportError
from orstats.export.write_csv import check_target, write_csv
from orstats.frame.build import FetchOutcome, build_frame, empty_frame
from orstats.frame.record_table import to_table

FORMULAS = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(1)",
    "  =1",
    "\u3000\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "\ufeff=1",
    "\u200b@x",
    "\x01=1",
]


def written(frame, **options):
    file = io.StringIO(newline="")
    write_csv(frame, file, **options)
    return file.getvalue()


def cells(frame, **options):
    return list(csv.reader(io.StringIO(written(frame, **options), newline=""), strict=True))


def column(values, **options):
    return [row[1] for row in cells(pd.DataFrame({"x": values}, index=pd.RangeIndex(len(values), name="n")), **options)]


def frame_of(**record):
    table = to_table(["gen-1"], [record], [1_790_000_000.25])
    return build_frame(["gen-1", "gen-2"], [table], {"gen-2": FetchOutcome("not_found", 404, 1, "Unknown id.")})


def test_decimals_are_plain_and_read_back_equal():
    values = [4.2e-07, 1e-4, 0.1, 0.30000000000000004, 5.0, 1e16, 1.7e308, 5e-324, -4.2e-07, -0.0]
    texts = column(values)[1:]
    assert texts[:6] == ["0.00000042", "0.0001", "0.1", "0.30000000000000004", "5", "10000000000000000"]
    assert not [text for text in texts if "e" in text.lower()]
    assert [float(text) for text in texts] == values


def test_single_precision_has_no_noise():
    assert column(np.array([0.1, 1e-7], dtype="float32"))[1:] == ["0.1", "0.0000001"]


def test_integers_flags_times_and_missing_values():
    frame = pd.DataFrame(
        {
            "count": pd.array([3, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "plain": [False, True],
            "at": pd.to_datetime(["2026-11-23T11:00:00.123456+01:00", None]).astype("datetime64[us, UTC]"),
            "berlin": pd.to_datetime(["2026-11-23T10:00:00Z", None]).tz_convert("Europe/Berlin"),
            "naive": pd.to_datetime(["2026-11-23", None]),
            "none": [None, None],
            "big": np.array([2**64 - 1, 0], dtype="uint64"),
        },
        index=pd.Index(["a", "b"], name="id"),
    )
    assert [row[:5] for row in cells(frame)[1:]] == [
        ["a", "3", "true", "false", "2026-11-23T10:00:00.123456Z"],
        ["b", "", "", "true", ""],
    ]
    first = cells(frame)[1]
    assert datetime.fromisoformat(first[5]) == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert first[6].startswith("2026-11-23T00:00:00")
    assert not first[6].endswith("Z")
    assert first[7:] == ["", "18446744073709551615"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_neutralised_in_cells_ids_and_headers(text):
    clean = text.replace("\x01", "")
    assert column([text, "ok"])[1] == "'" + clean
    assert column(pd.Series([text, "ok"], dtype="string"))[1] == "'" + clean
    assert column(pd.Series([text, "ok"], dtype="category"))[1] == "'" + clean
    frame = pd.DataFrame({text: [1]}, index=pd.Index([text], name=text))
    assert cells(frame) == [["'" + clean, "'" + clean], ["'" + clean, "1"]]


def test_leading_tab_and_line_breaks_are_neutralised():
    assert column(["\tx", "\rx", "\nx", "\r\nx"])[1:] == ["'\tx", "'\nx", "'\nx", "'\nx"]


def test_times_as_objects_keep_their_zone(tmp_path):
    times = pd.Series([pd.Timestamp("2026-01-02", tz="Asia/Tokyo"), None], dtype=object)
    days = pd.array([date(2026, 1, 2), None], pd.ArrowDtype(pa.date32()))
    assert column(times)[1:] == ["2026-01-02T00:00:00.000000+09:00", ""]
    write_csv(pd.DataFrame({"at": times, "day": days}), tmp_path / "x.jsonl")
    row = json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])
    assert row == {"at": "2026-01-02T00:00:00.000000+09:00", "day": "2026-01-02"}


def test_ordinary_text_and_negative_numbers_are_left_alone():
    texts = ["a-b", "gen-1", "x=1", "'quoted", "naïve 日本 🙂", "1,5"]
    assert column(texts)[1:] == texts
    assert column([-1.5, -2.0])[1:] == ["-1.5", "-2"]
    assert column(pd.array([-3], dtype="Int64"))[1:] == ["-3"]


def test_values_of_several_kinds_in_one_column():
    mixed = [-1.5, "-1.5", Decimal("1E-7"), {"a": [1]}, None, True, date(2026, 1, 2), b"\xff", "\ud800", float("nan")]
    mixed += [datetime(2026, 1, 2, 3, tzinfo=UTC), np.float64(-0.5), np.int64(-5), np.bool_(True)]
    assert column(pd.Series(mixed, dtype=object))[1:] == [
        "-1.5",
        "'-1.5",
        "0.0000001",
        '{"a":[1]}',
        "",
        "true",
        "2026-01-02",
        "\ufffd",
        "?",
        "",
        "2026-01-02T03:00:00Z",
        *("-0.5", "-5", "true"),
    ]


def test_control_characters_go_and_line_breaks_stay_inside_their_cell():
    texts = ["a\x00b\x1b[31mc\x7fd\x85e", "one\r\ntwo\rthree\nfour", 'say "hi", you', " padded "]
    assert column(texts)[1:] == ["ab[31mcde", "one\ntwo\nthree\nfour", 'say "hi", you', " padded "]


def test_raw_text_is_exactly_as_it_is():
    texts = ["=1+1", "a\x00b", "one\r\ntwo\rthree", "\t=x", '"', "", "\x1b[31m"]
    assert column(texts, spreadsheet_safe=False)[1:] == texts


def test_two_index_levels_names_of_two_levels_and_a_counting_index():
    index = pd.MultiIndex.from_tuples([("m", 1)], names=["model", None])
    frame = pd.DataFrame({("cost", "sum"): [1.0], ("cost", ""): [2.0]}, index=index)
    assert written(frame) == "model,level_1,cost.sum,cost\nm,1,1,2\n"
    assert written(pd.DataFrame({"x": [1, 2]})) == "x\n1\n2\n"
    assert written(pd.DataFrame([[1, 2]], columns=["x", "x"])) == "x,x\n1,2\n"
    periods = pd.DataFrame({"x": [1]}, index=pd.period_range("2026-01", periods=1, freq="M", name="month"))
    assert written(periods) == "month,x\n2026-01,1\n"


def test_a_line_of_one_missing_cell_is_not_empty():
    assert written(pd.DataFrame({"x": ["a", None]})) == 'x\na\n""\n'


def test_every_id_has_its_line_and_more_rows_than_one_slice(tmp_path):
    frame = pd.DataFrame({"x": range(50_001)}, index=pd.Index([f"gen-{n}" for n in range(50_001)], name="id"))
    write_csv(frame, tmp_path / "a.csv.gz")
    with gzip.open(tmp_path / "a.csv.gz", "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert lines[0] == "id,x"
    assert lines[1:] == [f"gen-{n},{n}" for n in range(50_001)]


def test_a_fetched_frame_in_every_format(tmp_path):
    frame = frame_of(total_cost=4.2e-07, is_byok=False, colour="red", provider_responses=[{"status": 200}])
    frame.attrs["note"] = object()
    for ending in ("csv", "parquet", "jsonl", "ndjson", "CSV"):
        write_csv(frame, tmp_path / f"x.{ending}")
    text = pd.read_csv(tmp_path / "x.csv", index_col="id")
    assert list(text.columns) == list(frame.columns)
    assert text.loc["gen-2", ["fetch_status", "error"]].to_list() == ["not_found", "Unknown id."]
    assert text.loc["gen-1", "cost_usd"] == 4.2e-07
    typed = pd.read_parquet(tmp_path / "x.parquet")
    frame.attrs = {}
    assert typed.dtypes.map(str).to_dict() == frame.dtypes.map(str).to_dict()
    pd.testing.assert_frame_equal(typed, frame, check_dtype=False, check_index_type=False)
    first, second = map(json.loads, (tmp_path / "x.jsonl").read_text("utf-8").splitlines())
    assert (first["id"], first["extra"], first["provider_responses"]) == ("gen-1", {"colour": "red"}, [{"status": 200}])
    assert first["fetched_at"] == "2026-09-21T14:13:20.250000Z"
    assert second["cost_usd"] is None
    assert second["native_tokens_prompt"] is None


def test_an_empty_frame_has_a_header_and_types(tmp_path):
    assert written(empty_frame()).startswith("id,fetch_status,")
    assert written(empty_frame()).count("\n") == 1
    write_csv(empty_frame(), tmp_path / "x.parquet")
    typed = pd.read_parquet(tmp_path / "x.parquet")
    assert typed.dtypes.map(str).to_dict() == empty_frame().dtypes.map(str).to_dict()
    write_csv(empty_frame(), tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_bytes() == b""


@pytest.mark.parametrize("name", ["out.xls", "out", "-", "csv", ".parquet.bak"])
def test_other_endings_are_refused_and_the_known_ones_named(tmp_path, name):
    with pytest.raises(ExportError, match=r"\.csv, \.csv\.gz, \.xlsx, \.parquet, \.jsonl, \.ndjson") as caught:
        write_csv(empty_frame(), tmp_path / name)
    assert caught.value.path == str(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_paths_have_distinct_errors(tmp_path):
    (tmp_path / "dir.csv").mkdir()
    (tmp_path / "file").write_text("")
    for name, word in [
        ("missing/x.csv", "there is no directory"),
        ("dir.csv", "is a directory"),
        ("file/x.csv", "is not a directory"),
        ("n" * 300 + ".csv", "name too long"),
    ]:
        for write in (check_target, lambda path: write_csv(empty_frame(), path)):
            with pytest.raises(ExportError, match=f"(?i){word}") as caught:
                write(tmp_path / name)
            assert caught.value.path == str(tmp_path / name)


def test_no_name_is_no_directory():
    with pytest.raises(ExportError, match="name of the file to write is empty"):
        write_csv(empty_frame(), "")
    with pytest.raises(ExportError, match="cannot contain a NUL"):
        write_csv(empty_frame(), "a\0b.csv")
    with pytest.raises(ConfigError, match="name of a file, got list"):
        check_target(["a.csv"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(ExportError, match="not an ordinary file"):
        write_csv(empty_frame(), tmp_path / "x.csv")


def test_check_target_leaves_no_file(tmp_path):
    check_target(tmp_path / "x.csv")
    (tmp_path / "old.csv").write_text("old")
    check_target(tmp_path / "old.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]
    assert (tmp_path / "old.csv").read_text() == "old"


def test_a_failed_write_leaves_the_old_file_and_no_half_one(tmp_path):
    (tmp_path / "x.parquet").write_text("old")
    mixed = pd.DataFrame({"x": pd.Series([1, "a", {}], dtype=object)})
    with pytest.raises(ExportError, match=r"write it as \.csv"):
        write_csv(mixed, tmp_path / "x.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]
    assert (tmp_path / "x.parquet").read_text() == "old"


FULL = """
import resource, signal, sys
import pandas as pd
from orstats.export.write_csv import write_csv
from orstats.errors import ExportError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_csv(pd.DataFrame({"x": range(100_000)}), sys.argv[1])
except ExportError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "jsonl"])
def test_no_room_leaves_the_old_file(tmp_path, ending):
    pytest.importorskip("resource")  # limits of POSIX systems
    target = tmp_path / f"x.{ending}"
    target.write_text("old")
    done = subprocess.run([sys.executable, "-c", FULL, str(target)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{target} cannot be written: ")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_link_is_followed_and_the_mode_is_kept(tmp_path):
    real = tmp_path / "real.csv"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(real)
    write_csv(pd.DataFrame({"x": [1]}), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert real.read_text() == "x\n1\n"
    assert real.stat().st_mode & 0o777 == 0o640


class FullDisk(io.StringIO):
    def write(self, _):
        raise OSError(28, "No space left on device")


def test_an_open_file_of_bytes_gets_the_same_csv(tmp_path):
    frame, buffer = pd.DataFrame({"x": ["é"]}), io.BytesIO()
    write_csv(frame, buffer)
    with tempfile.NamedTemporaryFile(dir=tmp_path) as file:
        write_csv(frame, file)
        file.seek(0)
        assert file.read() == buffer.getvalue() == written(frame).encode()
    with pytest.raises(ConfigError, match="open file, got NoneType"):
        write_csv(frame, None)


def test_an_open_file_raises_its_own_error():
    with pytest.raises(OSError, match="No space left"):
        write_csv(pd.DataFrame({"x": [1]}), FullDisk())
