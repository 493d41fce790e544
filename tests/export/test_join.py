"""``join``: the user's rows stay exactly as they are, and each generation is charged once."""

import csv
import datetime as dt
import gzip
import json
from decimal import Decimal

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import orstats
from orstats import errors
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def sim():
    with SimServer(60, seed=5) as server:
        yield server


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch(sim.ids, client=sim.client(), archive=False, progress=False)


def decimals(records):
    """What some records cost, added up by hand from the simulator's own."""
    return sum(
        Decimal(repr(one["total_cost"]))
        + (Decimal(repr(one["upstream_inference_cost"] or 0)) if one["is_byok"] else Decimal(0))
        for one in records
    )


# ---- values stay as they are -----------------------------------------------------------------------------------

NOON = dt.datetime(2026, 2, 1, 12)  # noqa: DTZ001 - as workbooks have them
CELLS = ["00123", "9007199254740993123", "01.02.2026", "-1.234,50", "", "TRUE", "1e5", " padded ", 'say "hi"', "a;b\nc"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_is_written_with_the_same_cells(sim, df, tmp_path, separator, encoding):
    rows = [[str(number), f"Müller {number}", cell, sim.ids[number]] for number, cell in enumerate(CELLS)]
    header = ["run", "customer", "value", "generation_id"]
    with (tmp_path / "runs.csv").open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])
    joined = orstats.join(tmp_path / "runs.csv", df)
    orstats.write_csv(joined, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.reader(file))
    assert [row[:4] for row in written] == [header, *rows]
    costs = [row[written[0].index("cost_usd")] for row in written[1:]]
    assert [Decimal(one) for one in costs] == [decimals([sim.record(sim.ids[number])]) for number in range(len(CELLS))]


def test_latin_csv_with_a_title_and_without_a_header(sim, df, tmp_path):
    latin = f"Läufe im März\n\nname;id\nJosé;{sim.ids[0]}\n".encode("cp1252")
    (tmp_path / "latin.csv").write_bytes(latin)
    with pytest.warns(errors.IdSourceWarning, match="Windows-1252"):
        joined = orstats.join(tmp_path / "latin.csv", df)
    assert joined.loc[0, ["name", "id"]].tolist() == ["José", sim.ids[0]]
    (tmp_path / "bare.csv").write_text(f"a,{sim.ids[0]}\nb,{sim.ids[1]}\n")
    bare = orstats.join(tmp_path / "bare.csv", df)
    assert bare[["1", "2"]].to_numpy().tolist() == [["a", sim.ids[0]], ["b", sim.ids[1]]]


def test_repeated_headers_and_short_rows(sim, df, tmp_path):
    text = f"run,id,note\n1,{sim.ids[0]}\nrun,id,note\n2,{sim.ids[1]},x\n"
    (tmp_path / "cat.csv").write_text(text)
    with pytest.warns(errors.IdSourceWarning, match="1 repeated header line"):
        joined = orstats.join(tmp_path / "cat.csv", df)
    assert joined[["run", "id"]].to_numpy().tolist() == [["1", sim.ids[0]], ["2", sim.ids[1]]]
    assert joined["note"].tolist() == [None, "x"]
    (tmp_path / "long.csv").write_text(f"run,id\n{'1,' + sim.ids[0] + chr(10)}" * 1 + "2,x\n" * 300 + "3,y,z\n")
    with pytest.raises(errors.IdSourceError, match="broken delimited text"):
        orstats.join(tmp_path / "long.csv", df)


def test_row_names_of_r(sim, df, tmp_path):
    (tmp_path / "r.csv").write_text(f'"run","id"\n"1",7,"{sim.ids[0]}"\n"2",8,"{sim.ids[1]}"\n')
    joined = orstats.join(tmp_path / "r.csv", df)
    assert joined[["", "run", "id"]].to_numpy().tolist() == [["1", "7", sim.ids[0]], ["2", "8", sim.ids[1]]]


def test_a_first_row_of_values_is_not_a_header(sim, df, tmp_path):
    (tmp_path / "runs.csv").write_text(f"2026-11-01,,a\n2026-11-02,{sim.ids[0]},b\n")
    with pytest.warns(errors.IdSourceWarning, match="1 of 2 rows"):
        joined = orstats.join(tmp_path / "runs.csv", df)
    assert joined["1"].tolist() == ["2026-11-01", "2026-11-02"]
    pd.DataFrame({0: ["a"], 1: [sim.ids[0]]}).to_csv(tmp_path / "numbered.csv", index=False)
    assert orstats.join(tmp_path / "numbered.csv", df)[["0", "1"]].to_numpy().tolist() == [["a", sim.ids[0]]]


def test_compressed_csv(sim, df, tmp_path):
    (tmp_path / "runs.csv.gz").write_bytes(gzip.compress(f"run,id\n007,{sim.ids[0]}\n".encode()))
    assert orstats.join(tmp_path / "runs.csv.gz", df).loc[0, "run"] == "007"


def test_jsonl_keeps_integers_nested_values_and_missing_ones(sim, df, tmp_path):
    rows = [
        {"n": 2**80, "flag": True, "response": {"id": sim.ids[0], "usage": [1, 2]}, "extra": '{"a": 1}'},
        {"n": -7, "flag": None, "response": {"id": sim.ids[1], "usage": []}, "extra": "x"},
    ]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for column in (None, "response.id", "response"):
        joined = orstats.join(tmp_path / "runs.jsonl", df, column)
        orstats.write_csv(joined, tmp_path / "out.jsonl")
        written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [{name: row[name] for name in rows[0]} for row in written] == rows
        assert [row["cost_usd"] for row in written] == df["cost_usd"].iloc[:2].tolist()


def test_parquet_keeps_every_type(sim, df, tmp_path):
    table = pa.table(
        {
            "big": pa.array([2**62 + 1, None], pa.int64()),
            "price": pa.array([Decimal("1.10"), None], pa.decimal128(9, 2)),
            "day": pa.array([dt.date(2026, 2, 1), None]),
            "at": pa.array([1, None], pa.timestamp("ns", "Europe/Lisbon")),
            "tags": pa.array([["a", "b"], None]),
            "part": pa.array([{"x": 1}, None]),
            "gen": sim.ids[:2],
        }
    )
    pq.write_table(table, tmp_path / "runs.parquet")
    orstats.write_csv(orstats.join(tmp_path / "runs.parquet", df), tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.select(table.column_names).equals(table)
    assert written["cost_usd"].to_pylist() == df["cost_usd"].iloc[:2].tolist()
    orstats.write_csv(orstats.join(tmp_path / "runs.parquet", df), tmp_path / "out.csv")
    line = (tmp_path / "out.csv").read_text().splitlines()[1]
    assert line.startswith(f"{2**62 + 1},1.10,2026-02-01,")


def test_workbook_keeps_text_numbers_and_times(sim, df, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Amount", "Customer no", "When", "=evil", "Model", "Generation ID"])
    book.active.append([12.5, "00123", NOON, "=1+1", "a", sim.ids[0]])
    for cell in ("D1", "D2"):
        book.active[cell].data_type = "s"
    book.active.append([None, "9007199254740993123", None, -3, "b", sim.ids[1]])
    book.create_sheet("Notes").append(["nothing here"])
    book.save(tmp_path / "runs.xlsx")
    orstats.write_csv(orstats.join(tmp_path / "runs.xlsx", df), tmp_path / "out.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").worksheets[0]
    cells = list(sheet.iter_rows(values_only=True, max_row=3))
    assert cells[0][:8] == ("Amount", "Customer no", "When", "=evil", "Model", "Generation ID", "Fetch status", "model")
    assert cells[1][:6] == (12.5, "00123", NOON, "=1+1", "a", sim.ids[0])
    assert cells[2][:6] == (None, "9007199254740993123", None, -3, "b", sim.ids[1])
    assert sheet["D2"].data_type == "s"
    assert cells[1][cells[0].index("Cost (USD)")] == pytest.approx(df["cost_usd"].iloc[0], abs=1e-15)


def test_workbook_keeps_times_beside_text(sim, df, tmp_path):
    book = openpyxl.Workbook()
    for row in (["When", "ID"], [NOON, sim.ids[0]], ["n/a", sim.ids[1]], [7, sim.ids[2]]):
        book.active.append(row)
    book.save(tmp_path / "runs.xlsx")
    orstats.write_csv(orstats.join(tmp_path / "runs.xlsx", df), tmp_path / "out.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").worksheets[0]
    assert [row[0] for row in sheet.iter_rows(min_row=2, max_row=4, values_only=True)] == [NOON, "n/a", 7]


def test_dataframe_keeps_index_dtypes_and_objects(sim, df):
    table = pd.DataFrame(
        {"n": np.array([1, 2], "int8"), "what": [object(), {1, 2}], "gen": sim.ids[:2]},
        index=pd.Index([10, 20], name="row"),
    )
    before = table.copy()
    joined = orstats.join(table, df)
    pd.testing.assert_frame_equal(joined[["n", "what", "gen"]], before, check_flags=False)
    pd.testing.assert_frame_equal(table, before)
    assert joined["cost_usd"].tolist() == df["cost_usd"].iloc[:2].tolist()
    assert joined["native_tokens_prompt"].dtype == "Int64"
    by_id = orstats.join(table.set_index("gen"), df)
    assert by_id.index.tolist() == sim.ids[:2]
    assert by_id["cost_usd"].tolist() == joined["cost_usd"].tolist()


def test_polars_gives_polars(sim, df):
    table = pl.DataFrame({"run": ["001", "002"], "gen": [sim.ids[1], sim.ids[1]], "n": [2**62 + 1, None]})
    with pytest.warns(errors.DuplicateIdsWarning):
        joined = orstats.join(table.lazy(), df)
    assert joined.select(table.columns).equals(table)
    assert joined["cost_usd"].to_list() == [df["cost_usd"].iloc[1], None]
    assert joined["cost_basis"].to_list()[1] == "repeated"


# ---- each id is charged once -----------------------------------------------------------------------------------


def test_sums_charge_every_id_once(sim, df, tmp_path):
    rng = np.random.default_rng(1)
    drawn = [sim.ids[place] for place in rng.integers(0, 40, 200)]
    table = pd.DataFrame({"customer": rng.integers(0, 5, 200).astype(str), "generation_id": drawn})
    repeats = len(drawn) - len(set(drawn))
    several = sum(drawn.count(one) > 1 for one in set(drawn))
    with pytest.warns(
        errors.DuplicateIdsWarning, match=rf"{several} ids in more than one row.*on {repeats} other rows"
    ):
        joined = orstats.join(table, df)
    records = [sim.record(one) for one in set(drawn)]
    orstats.write_csv(joined, tmp_path / "out.csv")  # does not warn that sums count twice
    cells = pd.read_csv(tmp_path / "out.csv", dtype=str)["cost_usd"].dropna()
    assert sum(map(Decimal, cells)) == decimals(records)
    for name in ("native_tokens_prompt", "native_tokens_completion", "native_tokens_cached"):
        assert joined[name].sum() == sum(one[name] or 0 for one in records)
    assert (joined["cost_basis"] == "repeated").sum() == repeats
    assert joined["model"].tolist() == [sim.record(one)["model"] for one in drawn]
    assert joined["latency"].fillna(-1).tolist() == [sim.record(one)["latency"] or -1 for one in drawn]
    first = ~table["generation_id"].duplicated()
    expected = {
        customer: float(decimals(sim.record(one) for one in rows["generation_id"]))
        for customer, rows in table[first].groupby("customer")
    }
    assert joined.groupby("customer")["cost_usd"].sum().to_dict() == pytest.approx(expected, abs=1e-12)


def test_rows_without_an_id_stay(sim, df):
    cells = [None, sim.ids[0], "", "n/a", "chatcmpl-123", f"{sim.ids[1]} and {sim.ids[2]}", sim.unknown_ids(1)[0]]
    table = pd.DataFrame({"run": range(7), "gen": cells})
    with pytest.warns(errors.IdSourceWarning) as warned:
        joined = orstats.join(table, df)
    texts = "\n".join(str(one.message) for one in warned)
    assert "5 of 7 rows without a generation id" in texts
    assert "1 x chatcmpl-" in texts
    assert "1 x a text with several ids" in texts
    assert "1 row with an id that df does not have" in texts
    assert joined["run"].tolist() == list(range(7))
    assert joined["cost_usd"].notna().tolist() == [number == 1 for number in range(7)]
    status = [None if pd.isna(one) else one for one in joined["fetch_status"]]
    assert status == [None, "ok", None, None, "invalid_id", "invalid_id", None]
    assert joined["error"].iloc[4].startswith("chatcmpl-")
    assert joined["error"].iloc[5] == "a text with several ids"


def test_links_json_and_pasted_ids_are_found(sim, df):
    cells = [f"https://openrouter.ai/logs?transaction={sim.ids[0]}", f'{{"id": "{sim.ids[1]}"}}', f" '{sim.ids[2]}',"]
    joined = orstats.join(pd.DataFrame({"link": cells}), df)
    assert joined["link"].tolist() == cells
    assert joined["cost_usd"].tolist() == df["cost_usd"].iloc[:3].tolist()


def test_failed_rows_say_why(sim):
    missing = sim.unknown_ids(1)
    failed = orstats.fetch([sim.ids[0], *missing], client=sim.client(), archive=False, pending_wait=0, progress=False)
    joined = orstats.join(pd.DataFrame({"gen": [*missing, sim.ids[0]]}), failed)
    assert joined["fetch_status"].tolist() == ["not_found", "ok"]
    assert missing[0] in joined["error"].iloc[0]
    assert joined["cost_usd"].isna().tolist() == [True, False]


def test_best_row_of_an_id_counts(df):
    worse = df.iloc[:1].assign(fetch_status="pending", cost_usd=np.nan)
    joined = orstats.join(pd.DataFrame({"gen": df.index[:1]}), pd.concat([df.iloc[:1], worse]))
    assert joined["cost_usd"].tolist() == df["cost_usd"].iloc[:1].tolist()


# ---- names, columns, errors ------------------------------------------------------------------------------------


def test_own_columns_win_over_added_ones(sim, df):
    table = pd.DataFrame({"model": ["mine"], "cost_usd": [9.0], "openrouter_cost_usd": [8.0], "gen": [sim.ids[0]]})
    joined = orstats.join(table, df)
    assert joined.iloc[0, :3].tolist() == ["mine", 9.0, 8.0]
    assert joined["openrouter_model"].iloc[0] == sim.record(sim.ids[0])["model"]
    assert joined["openrouter_cost_usd_2"].iloc[0] == df["cost_usd"].iloc[0]
    assert joined.columns.is_unique


def test_columns_are_chosen(sim, df):
    table = pd.DataFrame({"gen": sim.ids[:1]})
    assert list(orstats.join(table, df, columns=["origin", "cost_usd"])) == ["gen", "origin", "cost_usd"]
    with pytest.raises(errors.ConfigError, match="Did you mean 'origin'"):
        orstats.join(table, df, columns=["orign"])


def test_id_column_must_be_decided(sim, df):
    both = pd.DataFrame({"first": sim.ids[:2], "second": sim.ids[2:4], "n": [1, 2]})
    with pytest.raises(errors.IdSourceError, match=r"several columns contain generation ids \('first', 'second'\)"):
        orstats.join(both, df)
    assert orstats.join(both, df, "second")["cost_usd"].tolist() == df["cost_usd"].iloc[2:4].tolist()
    with pytest.raises(errors.IdSourceError, match=r"no id column found; pass column=.*'a', 'b'"):
        orstats.join(pd.DataFrame({"a": ["x"], "b": ["y"]}), df)
    with pytest.raises(errors.ConfigError, match="name of a column as text, such as '0', got 0"):
        orstats.join(both, df, 0)
    with pytest.raises(errors.IdSourceError, match="Did you mean 'second'"):
        orstats.join(both, df, "secnd")
    late = pd.DataFrame({"id": range(500), "ref": [None] * 400 + sim.ids[:50] + [None] * 50})
    with pytest.warns(errors.IdSourceWarning, match="450 of 500"):
        assert orstats.join(late, df)["cost_usd"].notna().sum() == df["cost_usd"].iloc[:50].notna().sum()


@pytest.mark.parametrize(
    ("table", "words"),
    [([1], "must be a DataFrame"), (None, "must be a DataFrame"), (pa.table({"id": ["a"]}), "pandas")],
)
def test_other_tables_are_refused(df, table, words):
    with pytest.raises(errors.ConfigError, match=words):
        orstats.join(table, df)


def test_files_that_are_not_tables(sim, df, tmp_path):
    with pytest.raises(errors.IdSourceError, match="no such file") as absent:
        orstats.join(tmp_path / "none.csv", df)
    assert absent.value.path == str(tmp_path / "none.csv")
    for name, content, words in [
        ("empty.csv", b"", "is empty"),
        ("broken.xlsx", b"PK\x03\x04 broken", "none.csv|workbook|zip|broken"),
        ("text.parquet", b"hello", "not a table"),
        ("broken.jsonl", b'{"id": "gen-1"}\n{"id": \n', "line 2: not valid JSON"),
        ("list.json", b'["gen-1"]', "not a list of JSON objects"),
        ("header.csv", b"run,id\n", "without rows"),
        (
            "log.txt",
            f"08:00:01,592 done {sim.ids[0]}\n08:00:02,101 done {sim.ids[1]}\n".encode(),
            "not a header, but has an id",
        ),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(errors.IdSourceError, match=words):
            orstats.join(tmp_path / name, df)
    book = openpyxl.Workbook()
    book.active.append(["id"])
    book.active.append([sim.ids[0]])
    book.create_sheet("B").append([sim.ids[1]])
    book.save(tmp_path / "two.xlsx")
    with pytest.raises(errors.IdSourceError, match=r"several sheets have ids \(Sheet, B\)"):
        orstats.join(tmp_path / "two.xlsx", df)


# ---- untrusted text --------------------------------------------------------------------------------------------


def test_own_formulas_are_neutralized_and_numbers_stay(sim, df, tmp_path):
    cells = ["=HYPERLINK(1)", "-1,5", "+49 30 123", "-2+3", "@SUM(A1)", "-12 %", "- item", "-€5", "1\r\n2", "-cmd|x"]
    table = pd.DataFrame({"note": cells, "gen": sim.ids[: len(cells)]})
    joined = orstats.join(table, df)
    orstats.write_csv(joined, tmp_path / "safe.csv")
    written = pd.read_csv(tmp_path / "safe.csv", dtype=str)["note"].tolist()
    protected = [
        "'=HYPERLINK(1)",
        "-1,5",
        "+49 30 123",
        "'-2+3",
        "'@SUM(A1)",
        "-12 %",
        "'- item",
        "-€5",
        "1\n2",
        "'-cmd|x",
    ]
    assert written == protected
    orstats.write_csv(joined, tmp_path / "raw.csv", spreadsheet_safe=False)
    with (tmp_path / "raw.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == cells


def test_duplicate_names_are_not_lost_in_json(sim, df, tmp_path):
    (tmp_path / "twice.csv").write_text(f"a,a,id\n1,2,{sim.ids[0]}\n")
    joined = orstats.join(tmp_path / "twice.csv", df)
    orstats.write_csv(joined, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().startswith("a,a,id,")
    with pytest.raises(errors.ExportError, match="two columns are named 'a'"):
        orstats.write_csv(joined, tmp_path / "out.jsonl")
