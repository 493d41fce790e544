"""Files read back: what write_csv, pandas, spreadsheets and the vendor's Activity page write."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import duckdb
import narwhals as nw
import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recomputed import frame_of, simulated

import orstats
from orstats.errors import ColumnError, ConfigError, DuplicateIdsWarning, ReadError
from orstats.export.csv_cells import safe_text, unsafe_text

ACTIVITY = """generation_id,created_at,cost_total,cost_web_search,byok_usage_inference,tokens_prompt,tokens_completion,\
tokens_reasoning,model_permaslug,provider_name,variant,cancelled,streamed,finish_reason_normalized,generation_time_ms,\
time_to_first_token_ms,api_key_disabled,api_key_name,app_name,brand_new
gen-1,2026-09-21 13:33:20.123,0.0123,,0,1000,200,0,openai/gpt-5-mini,OpenAI,standard,false,true,stop,1200,400,false,\
prod,"My app, inc",x
gen-2,2026-09-21 13:33:21.123,0,,0.01,1000,200,0,openai/gpt-5-mini,OpenAI,free,false,true,stop,1200,400,false,,,
"""


@pytest.fixture(scope="module")
def df():
    frame = frame_of(simulated(), lost=["gen-lost-1"])
    frame.loc[frame.index[0], "external_user"] = "=cmd()"
    frame.loc[frame.index[1], "external_user"] = "'=x; =y"
    frame.loc[frame.index[2], "external_user"] = ""
    frame.loc[frame.index[3], "external_user"] = "00123"
    return pd.concat([frame[:150], frame[-1:]])


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.jsonl", "a.ndjson"])
def test_files_of_write_csv_read_back_equal(df, name, tmp_path):
    orstats.write_csv(df, tmp_path / name)
    pd.testing.assert_frame_equal(orstats.read(tmp_path / name), df)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.none(), min_size=1, max_size=5))
@settings(max_examples=50)
def test_any_text_reads_back_from_csv(tmp_path_factory, texts):
    users = pd.array(texts, dtype=pd.StringDtype("pyarrow"))
    ids = pd.Index(pd.array([f"gen-{n}" for n in range(len(texts))], dtype=pd.StringDtype("pyarrow")), name="id")
    status = pd.array(["ok"] * len(texts), dtype=pd.StringDtype("pyarrow"))
    frame = pd.DataFrame({"fetch_status": status, "external_user": users}, index=ids)
    file = tmp_path_factory.mktemp("texts") / "a.csv"
    orstats.write_csv(frame, file)
    pd.testing.assert_frame_equal(orstats.read(file), frame)


@given(st.text(alphabet="'=;+\t\n @a-", max_size=8))
def test_protection_from_formulas_is_undone(text):
    array = pa.array([text], pa.large_string())
    assert unsafe_text(safe_text(array)).to_pylist() == [text]


def test_workbook_with_a_wrong_size_in_it_is_read_completely(df, tmp_path):
    orstats.write_csv(df, tmp_path / "right.xlsx")
    with zipfile.ZipFile(tmp_path / "right.xlsx") as right, zipfile.ZipFile(tmp_path / "wrong.xlsx", "w") as wrong:
        for name in right.namelist():
            wrong.writestr(name, re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', right.read(name)))
    assert len(orstats.read(tmp_path / "wrong.xlsx")) == len(df)


def test_workbook_reads_back_to_the_millisecond(df, tmp_path):
    orstats.write_report(df, tmp_path / "a.xlsx")
    found = orstats.read(tmp_path / "a.xlsx")
    assert found.dtypes.to_dict() == df.dtypes.to_dict()
    assert found.index.equals(df.index)
    assert ((found["created_at"] - df["created_at"]).abs().dropna() <= pd.Timedelta("1ms")).all()
    assert orstats.summary(found).loc["cost_usd", "value"] == orstats.summary(df).loc["cost_usd", "value"]
    assert found["external_user"].iloc[3] == "00123"


def _with_nan(df):
    """Return rows whose missing values are NaN, which Python writes into JSON."""
    return df.reset_index().astype(object).where(df.reset_index().notna(), float("nan")).to_dict("records")


@pytest.mark.parametrize(
    "write",
    [
        lambda df, file: df.to_csv(file.with_suffix(".csv")),
        lambda df, file: df.to_parquet(file.with_suffix(".parquet")),
        lambda df, file: df.reset_index().to_parquet(file.with_suffix(".parquet"), index=False),
        lambda df, file: df.reset_index().to_feather(file.with_suffix(".feather")),
        lambda df, file: df.reset_index().to_csv(file.with_suffix(".csv")),
        lambda df, file: df.rename_axis(None).to_csv(file.with_suffix(".csv")),
        lambda df, file: df.to_csv(file.with_suffix(".csv"), sep=";", decimal=","),
        lambda df, file: df.to_csv(file.with_suffix(".csv"), sep="\t", encoding="utf-16"),
        lambda df, file: df.to_csv(file.with_suffix(".csv"), encoding="utf-8-sig"),
        lambda df, file: df.to_csv(file.with_suffix(".csv"), encoding="utf-16-le"),
        lambda df, file: df.to_csv(file.with_suffix(".csv"), encoding="utf-32"),
        lambda df, file: file.with_suffix(".csv").write_text("\xef\xbb\xbf" + df.to_csv()),
        lambda df, file: df.to_csv(file.with_suffix(".csv"), lineterminator="\r"),
        lambda df, file: df.reset_index().rename(columns=str.upper).to_csv(file.with_suffix(".csv"), index=False),
        lambda df, file: df.set_axis(df.index + "  ").rename_axis("id").to_parquet(file.with_suffix(".parquet")),
        lambda df, file: file.with_suffix(".csv").write_text(df[:9].to_csv() + df[9:].to_csv()),
        lambda df, file: df.to_csv(file.with_suffix(".csv"), quoting=csv.QUOTE_ALL),
        lambda df, file: df.to_csv(file.with_suffix(".csv"), na_rep="NA"),  # as R writes it
        lambda df, file: file.with_suffix(".jsonl").write_text(
            "\n".join(json.dumps(dict(row), default=str) for row in _with_nan(df))
        ),
        lambda df, file: df.reset_index().to_json(file.with_suffix(".json"), orient="records", date_format="iso"),
        lambda df, file: df.reset_index().to_json(
            file.with_suffix(".jsonl"), orient="records", lines=True, date_format="iso"
        ),
        lambda df, file: df.to_json(file.with_suffix(".json"), date_format="iso"),
        lambda df, file: df.to_json(file.with_suffix(".json"), orient="index", date_format="iso"),
        lambda df, file: df.to_json(file.with_suffix(".json"), orient="split", date_format="iso"),
        lambda df, file: df.reset_index().to_json(file.with_suffix(".json"), date_format="iso"),
        lambda df, file: file.with_suffix(".json").write_text(
            "".join(json.dumps(row, default=str, indent=1) for row in df.reset_index().to_dict("records"))
        ),
        lambda df, file: pl.from_pandas(df.reset_index()).write_parquet(file.with_suffix(".parquet")),
        lambda df, file: pl.from_pandas(df.reset_index()).write_csv(file.with_suffix(".csv")),
        lambda df, file: pl.from_pandas(df.reset_index()).write_ndjson(file.with_suffix(".jsonl")),
    ],
)
def test_files_of_other_programs_are_typed(df, write, tmp_path):
    write(df, tmp_path / "a")
    [file] = tmp_path.iterdir()
    found = orstats.read(file)
    assert found.dtypes.to_dict() == df.dtypes.to_dict()
    assert list(found.index) == list(df.index)
    assert orstats.summary(found).loc["cost_usd", "value"] == orstats.summary(df).loc["cost_usd", "value"]
    pd.testing.assert_series_equal(found["is_byok"], df["is_byok"])
    assert found["finish_reason"].isna().equals(df["finish_reason"].isna())


@pytest.mark.parametrize(
    ("name", "pack"), [("a.csv.gz", gzip.compress), ("a.csv.bz2", bz2.compress), ("a.csv.xz", lzma.compress)]
)
def test_compressed_files_are_read_and_broken_ones_named(df, name, pack, tmp_path):
    orstats.write_csv(df, tmp_path / "a.csv")
    packed = pack((tmp_path / "a.csv").read_bytes())
    (tmp_path / name).write_bytes(packed)
    pd.testing.assert_frame_equal(orstats.read(tmp_path / name), df)
    (tmp_path / name).write_bytes(packed[:-20])
    with pytest.raises(ReadError, match=name) as failed:
        orstats.read(tmp_path / name)
    assert failed.value.path == str(tmp_path / name)


def test_columns_of_the_user_keep_their_names(df, tmp_path):
    frame = df[:3].assign(User=[1, 2, 3], Variant="a", Latency=0.5)
    orstats.write_csv(frame, tmp_path / "a.csv")
    assert list(orstats.read(tmp_path / "a.csv").columns) == list(frame.columns)


@pytest.mark.parametrize("numbers", [[2**53 + 1, 2**63 - 1, 7], [2**64 - 1, 0, 7]])
def test_large_integers_of_the_user_keep_their_digits(df, numbers, tmp_path):
    orstats.write_csv(df[:3].assign(account=np.array(numbers, "uint64")), tmp_path / "a.csv")
    assert list(map(int, orstats.read(tmp_path / "a.csv")["account"])) == numbers


def test_nested_columns_of_the_user_are_read(df, tmp_path):
    items = pd.array([[1], None, [2, 3]], pd.ArrowDtype(pa.list_(pa.int64())))
    orstats.write_csv(df[:3].assign(items=items), tmp_path / "a.parquet")
    found = orstats.read(tmp_path / "a.parquet")
    assert (list(found.index), list(found["items"].iloc[2])) == (list(df.index[:3]), [2, 3])


def test_line_ends_inside_of_texts_are_kept(df, tmp_path):
    texts = ["a\rb", "a\nb,\rc", "a\r\nb"]
    frame = df[:3].assign(external_user=pd.array(texts, dtype=df["external_user"].dtype))
    orstats.write_csv(frame, tmp_path / "a.csv", spreadsheet_safe=False)
    assert orstats.read(tmp_path / "a.csv")["external_user"].to_list() == texts


def test_a_directory_whose_name_is_not_utf8_is_read(df, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    with (folder / "a.parquet").open("wb") as file:
        df[:2].to_parquet(file)
    assert list(orstats.read(folder).index) == list(df.index[:2])


def test_zip_zstd_tar_and_directories_are_read(df, tmp_path):
    orstats.write_csv(df, tmp_path / "a.csv")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.csv", "a.csv")
    pd.testing.assert_frame_equal(orstats.read(tmp_path / "a.zip"), df)
    with pa.CompressedOutputStream(str(tmp_path / "a.csv.zst"), "zstd") as file:
        file.write((tmp_path / "a.csv").read_bytes())
    pd.testing.assert_frame_equal(orstats.read(tmp_path / "a.csv.zst"), df)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.csv", "logs/a.csv")
    pd.testing.assert_frame_equal(orstats.read(tmp_path / "a.tar.gz"), df)
    (tmp_path / "parts" / "day=1").mkdir(parents=True)
    orstats.write_csv(df[:100], tmp_path / "parts" / "1.parquet")
    orstats.write_csv(df[100:], tmp_path / "parts" / "day=1" / "2.parquet")
    pd.testing.assert_frame_equal(orstats.read(tmp_path / "parts"), df)


def test_spreadsheets_in_german_are_read(tmp_path):
    file = tmp_path / "a.csv"
    text = (
        "Kosten im Oktober;;;\nid;created_at;cost_usd;is_byok\ngen-1;21.10.26 13:33;1.234,5;WAHR\n"
        "gen-2;1.10.2026 00:00:01;4,2E-07;FALSCH\n;;;\n"
    )
    file.write_bytes(text.encode("cp1252"))
    found = orstats.read(file)
    assert found["cost_usd"].to_list() == [1234.5, 4.2e-07]
    assert found["is_byok"].to_list() == [True, False]
    assert found["created_at"].to_list() == [pd.Timestamp("2026-10-21T13:33Z"), pd.Timestamp("2026-10-01T00:00:01Z")]
    file.write_text("sep=;\n" + text.split("\n", 1)[1])
    pd.testing.assert_frame_equal(orstats.read(file), found)


def test_text_in_an_old_encoding_is_read_with_a_warning(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes("id,model,external_user\ngen-1,m,Jürgen\n".encode("cp1252"))
    with pytest.warns(UserWarning, match="Windows-1252") as warned:
        assert orstats.read(file)["external_user"].item() == "Jürgen"
    assert warned[0].filename == __file__


def test_all_sheets_with_generations_are_read(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Cover"])
    for number in (1, 2):
        sheet = book.create_sheet(f"month {number}")
        sheet.append(["A title"])
        sheet.append(["id", "model", "cost_usd", "created_at"])
        sheet.append([f"gen-{number}", "m", 0.25, pd.Timestamp("2026-10-21T13:33:20.5").to_pydatetime()])
    book.save(tmp_path / "a.xlsx")
    found = orstats.read(tmp_path / "a.xlsx")
    assert found["cost_usd"].to_dict() == {"gen-1": 0.25, "gen-2": 0.25}
    assert found["created_at"].iloc[0] == pd.Timestamp("2026-10-21T13:33:20.5Z")


@pytest.mark.parametrize(
    ("costs", "speeds"), [(["0,00024", 2], [None, 3]), ([2, 3], ["11,2", None]), ([2, 3], [None, "11.2"])]
)
def test_numbers_that_a_spreadsheet_may_have_misread_are_refused(tmp_path, costs, speeds):
    book = openpyxl.Workbook()
    book.active.append(["id", "model", "cost_usd", "throughput_tok_s"])
    for number, cells in enumerate(zip(costs, speeds, strict=True)):
        book.active.append([f"gen-{number}", "m", *cells])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(ReadError, match=r"'cost_usd' has numbers, such as 2, next to .* the original file"):
        orstats.read(tmp_path / "a.xlsx")


def test_activity_export_is_typed_and_reported_on(tmp_path):
    file = tmp_path / "activity.csv"
    file.write_text(ACTIVITY)
    found = orstats.read(file)
    assert found.index.to_list() == ["gen-1", "gen-2"]
    assert found["fetch_status"].to_list() == ["ok", "ok"]
    assert found["cost_usd"].to_list() == [0.0123, 0.01]
    assert found["cost_basis"].to_list() == ["credits", "byok"]
    assert found["model"].to_list() == ["openai/gpt-5-mini", "openai/gpt-5-mini:free"]
    assert found["latency"].to_list() == [400.0, 400.0]
    assert found["tokens_total"].isna().all()  # tokens_prompt is not what is billed
    assert str(found["cost_web_search"].dtype) == "float64"
    assert str(found["tokens_reasoning"].dtype) == "Int64"
    assert str(found["api_key_disabled"].dtype) == "boolean"
    assert found["brand_new"].iloc[0] == "x"
    assert orstats.cost_by(found, "api_key_name").loc["prod", "cost_usd"] == 0.0123
    assert orstats.cost_by(found, "app_name", freq="D")["generations"].sum() == 2
    orstats.write_html(found, tmp_path / "page.html")
    orstats.write_csv(found, tmp_path / "again.csv")
    pd.testing.assert_frame_equal(orstats.read(tmp_path / "again.csv"), found)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", "empty"),
        ("a.txt", "gen-1790000000-AbCdEfGhIjKlMnOpQr00\n", "read_ids"),
        ("a.csv", "id\ngen-1790000000-AbCdEfGhIjKlMnOpQr00\n", "read_ids"),
        ("a.csv", "model,generations,cost_usd\nm,2,0.5\n", "report"),
        ("a.csv", "model,cost_usd,fetch_status\nm,0.5,ok\n", "write_csv"),
        ("a.json", '["gen-1"]', "read_ids"),
        ("a.json", '{"report": [], "coverage": {}}', "report"),
        ("a.jsonl", '{"id": "gen-1", "model": "m"}\n{"id": ', "line 2"),
        ("a.parquet", "id,model\n", "not a .parquet"),
        ("a.xlsx", "PK\x03\x04broken", "broken"),
        ("a.feather", "ARROW1\0\0broken", "Feather"),
        ("a.bin", "\x00\x01\x02", "no table|binary"),
        ("a.csv", "id,model,model\ngen-1,a,b\n", "'model'"),
        ("a.csv", "id,model,cost_usd\ngen-1,m,2\nid,cost_usd,model\ngen-2,3,m\n", "different columns"),
        ("a.csv", "id,cost_usd\ngen-1,many\n", "'cost_usd'.*'many'"),
        ("a.csv", "id,model,created_at\ngen-1,m,01/02/2026\n", "'created_at'.*'01/02/2026'"),
        ("a.csv", "id,model,cost_usd\ngen-1,m\n", "not regular CSV"),
        ("a.csv", "id^model^cost_usd\ngen-1^m^0.5\n", "separated by commas"),
    ],
)
def test_other_files_are_refused_in_words(name, content, words, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ReadError, match=words) as failed:
        orstats.read(tmp_path / name)
    assert failed.value.path == str(tmp_path / name)


def test_missing_files_and_empty_directories_are_refused(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        orstats.read(tmp_path / "nothing.csv")
    with pytest.raises(ReadError, match="without Parquet"):
        orstats.read(tmp_path)
    with pytest.raises(ReadError, match="no such file"):
        orstats.read("a\0b")
    with pytest.raises(ConfigError, match="name of a file, got StringIO"):
        orstats.read(io.StringIO())


def test_rows_without_an_id_and_repeated_ids_are_warned_of(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("id,model,cost_usd\ngen-1,m,0.5\n,m,0.5\ngen-1,m,0.5\n")
    with pytest.warns() as warned:
        found = orstats.read(file)
    assert len(found) == 2
    assert {one.category for one in warned} == {UserWarning, DuplicateIdsWarning}
    assert all(one.filename == __file__ for one in warned)


def test_totals_that_a_spreadsheet_added_are_not_generations(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(ACTIVITY + "Total,,0.0123,,0.01" + "," * 15 + "\n")
    with pytest.warns(UserWarning, match=r"1 row without an id skipped \('Total'\)"):
        found = orstats.read(file)
    assert found["cost_usd"].to_dict() == {"gen-1": 0.0123, "gen-2": 0.01}


def test_keys_of_a_database_next_to_the_ids_are_kept(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("id,generation_id,created_at,cost_total\n7,gen-1,2026-09-21 13:33:20,0.25\n")
    found = orstats.read(file)
    assert (found["cost_usd"].to_dict(), found["row_id"].tolist()) == ({"gen-1": 0.25}, [7])


def test_an_export_read_by_pandas_leads_to_read():
    export = pd.read_csv(io.StringIO(ACTIVITY))
    for take in (orstats.cost_by, orstats.summary, orstats.combine, orstats.attempts):
        with pytest.raises(ConfigError, match=r"Activity export.*orstats\.read\(path\)"):
            take(export)


# ruff: noqa: ARG005 - each way takes the frame and its CSV, and uses one of them
READ_BACK = {
    "read_csv": lambda df, csv: pd.read_csv(csv()),
    "read_csv as text": lambda df, csv: pd.read_csv(csv(), dtype=str),
    "read_csv as objects": lambda df, csv: pd.read_csv(csv(), index_col="id").astype(object),
    "read_csv with Arrow": lambda df, csv: pd.read_csv(csv(), dtype_backend="pyarrow"),
    "categories": lambda df, csv: df.astype({name: "category" for name in df.columns if df[name].dtype == "string"}),
    "ids in an index without a name": lambda df, csv: df.rename_axis(None),
    "ids in a level of the index": lambda df, csv: df.set_index(["model", "created_at"], append=True),
    "times in the index": lambda df, csv: df.reset_index().set_index("created_at"),
    "naive times": lambda df, csv: df.assign(created_at=df["created_at"].dt.tz_localize(None)),
    "counts as floats": lambda df, csv: df.astype({n: "float64" for n in df.columns if df[n].dtype == "Int64"}),
    "flags as words": lambda df, csv: df.assign(is_byok=df["is_byok"].map({True: "yes", False: "NO"})),
    "flags as numbers": lambda df, csv: df.assign(streamed=df["streamed"].astype("float64")),
    "polars": lambda df, csv: pl.read_csv(csv(), infer_schema_length=None),
    "polars as text": lambda df, csv: pl.read_csv(csv(), infer_schema=False),
    "polars lazy as text": lambda df, csv: pl.read_csv(csv(), infer_schema=False).lazy(),
    "duckdb": lambda df, csv: duckdb.read_csv(csv()),
    "duckdb as text": lambda df, csv: duckdb.read_csv(csv(), all_varchar=True),
}


@pytest.fixture(scope="module")
def fetched(df):
    """What reports and summaries are of the frame that was written."""
    reports = (orstats.cost_by, orstats.tokens_by, orstats.latency_by, orstats.failures_by)
    return SimpleNamespace(
        generations={report: report(df, "model", freq="D")["generations"].to_list() for report in reports},
        coverage=orstats.coverage(df),
        summary=orstats.summary(df)["value"].dropna().to_dict(),
        attempts=orstats.attempts(df),
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", READ_BACK)
def test_reports_take_frames_that_were_read_back(df, fetched, how, tmp_path):
    buffer = io.StringIO()
    orstats.write_csv(df, buffer)
    frame = READ_BACK[how](df, lambda: io.StringIO(buffer.getvalue()))
    reports = list(fetched.generations) if isinstance(frame, pd.DataFrame) else [orstats.cost_by, orstats.failures_by]
    for report in reports:
        found = nw.from_native(report(frame, "model", freq="D")).lazy().collect("pandas")
        assert found["generations"].to_list() == fetched.generations[report]
    assert orstats.coverage(frame) == fetched.coverage
    if isinstance(frame, pd.DataFrame):
        assert orstats.summary(frame)["value"].dropna().to_dict() == fetched.summary
        assert len(orstats.failures(frame)) == 1
        assert orstats.attempts(frame).equals(fetched.attempts)
        orstats.write_html(frame, tmp_path / "page.html")
        orstats.plot_latency(frame, freq="W")
        assert len(orstats.explore(frame).filtered) == len(df)
        assert orstats.combine(frame).dtypes.to_dict() == df.dtypes.to_dict()


def test_a_value_that_cannot_be_cast_is_named(df):
    wrong = df.astype({"cost_usd": "string"})
    wrong.loc[wrong.index[0], "cost_usd"] = "one dollar"
    for frame in (wrong, pl.from_pandas(wrong.reset_index())):
        with pytest.raises(ColumnError, match=r"'cost_usd'.*'one dollar'") as failed:
            orstats.cost_by(frame)
        assert (failed.value.column, failed.value.value) == ("cost_usd", "one dollar")
