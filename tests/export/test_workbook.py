"""Workbooks for finance: formats, totals, coverage, and the limits of Excel."""

import datetime as dt
import io
import re
import sys
import warnings
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from recomputed import frame_of

import orstats
from orstats.errors import ConfigError, ExportError, IdSourceWarning, MissingExtraError
from orstats.export.workbook import MAX_ROWS, write_workbook
from orstats.export.write_csv import check_target
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.column_units import NAMES, heading
from orstats.frame.display import ReportFrame
from orstats.frame.record_table import to_table

RECORD = {
    "model": "m",
    "created_at": "2026-10-25T00:30:00.125Z",
    "is_byok": False,
    "streamed": True,
    "latency": 1234.5,
    "native_tokens_prompt": 1_000_000,
    "native_tokens_completion": 5,
}
TEXTS = ["00123", "12345678901234567890", "=1+1", "+1", "-1", "@x", "https://evil.test/x", "mailto:a@b.test", "1e5"]
TEXTS += ["<r>a</r>", "<r></r>", "_x0041_", "_x005F_", "TRUE", " a ", "a\nb", "a\tb", "{=1}", "'=1", "internal:A1"]


def records(*changes):
    made = {f"gen-{number}": RECORD | change for number, change in enumerate(changes)}
    return build_frame([*made, "gen-x"], [to_table(list(made), list(made.values()), [0.0] * len(made))], OTHERS)


OTHERS = {"gen-x": FetchOutcome("pending", 404, 1, "Not yet.")}


def book_of(frame, **options):
    file = io.BytesIO()
    write_workbook(frame, file, "x.xlsx")
    return openpyxl.load_workbook(file, **options)


def column_of(sheet, title, rows):
    (place,) = [cell.column for cell in sheet[1] if cell.value == title]
    return [sheet.cell(row + 2, place) for row in range(rows)]


def usd_format(places):
    decimals = "0" * places
    return f"$#,##0.{decimals};-$#,##0.{decimals};$0"


def below(sheet, title, row):
    return column_of(sheet, title, row + 1)[-1]


def about(book):
    return dict(book["coverage"].iter_rows(max_col=2, values_only=True))


def test_header_is_bold_filtered_and_frozen_and_columns_are_wide_enough():
    sheet = book_of(records({"total_cost": 0.00008208}))["generations"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:{sheet.cell(3, sheet.max_column).coordinate}"
    assert all(cell.font.bold for cell in sheet[1])
    for cell in sheet[1]:
        assert sheet.column_dimensions[cell.column_letter].width > len(cell.value)
    table = book_of(pd.DataFrame({"hash": ["f" * 64], "user_agent": ["x" * 900]}))["table"]
    assert [table.column_dimensions[letter].width // 1 for letter in "AB"] == [66, 50]


@pytest.mark.parametrize(
    ("title", "number_format"),
    [
        ("Cost (USD)", usd_format(8)),
        ("Total tokens", "#,##0"),
        ("Latency (ms)", "#,##0"),
        ("Cache hit rate", "0.0 %"),
        ("Cost per Mtok (USD)", usd_format(3)),
        ("Throughput (tokens/s)", "#,##0.0"),
        ("Created at (UTC)", "yyyy-mm-dd hh:mm:ss"),
        ("App ID", "0"),
    ],
)
def test_columns_are_formatted_by_what_they_measure(title, number_format):
    change = {"total_cost": 0.00008208, "native_tokens_cached": 5, "generation_time": 100.0, "app_id": 12345}
    assert column_of(book_of(records(change))["generations"], title, 1)[0].number_format == number_format


@pytest.mark.parametrize(
    ("amounts", "places"), [([1.5], 2), ([0.25, 0.00008208], 8), ([0, 3], 2), ([1e-12], 12), ([1 / 3, 2e-4], 7)]
)
def test_amounts_have_as_many_places_as_they_need(amounts, places):
    frame = pd.DataFrame({"cost_usd": amounts})
    assert book_of(frame)["table"]["A2"].number_format == usd_format(places)


def test_amounts_of_a_report_have_the_same_decimals_and_a_missing_group_its_name():
    made = orstats.cost_by(records({"total_cost": 0.12345678, "external_user": None}), "external_user")
    cells = next(book_of(made)["report"].iter_rows(2))
    assert {cell.number_format for cell in cells if "$" in cell.number_format} == {usd_format(6), usd_format(3)}
    assert cells[0].value == "(none)"


def test_headings_are_unique_and_keep_the_columns_of_the_user():
    names = list(orstats.field_table().index)
    assert [NAMES[heading(name)] for name in names] == names
    assert NAMES["Num media prompt"] == "num_media_prompt", "as version 0.1.0 wrote it"
    frame = pd.DataFrame({"latency": [1.0], "Latency (ms)": [2.0], "team": ["a"], "=x": [1]})
    sheet = book_of(frame)["table"]
    assert [cell.value for cell in sheet[1]] == ["latency", "Latency (ms)", "team", "=x"]
    assert {cell.data_type for cell in sheet[1]} == {"s"}


def test_totals_follow_the_filter_and_name_exclusions():
    frame = records({"total_cost": 0.1}, {"total_cost": 0.2}, {"total_cost": None})
    sheet, values = (book_of(frame, data_only=only)["generations"] for only in (False, True))
    assert [cell.value for cell in sheet[6]] == [None] * sheet.max_column
    assert below(sheet, "Cost (USD)", 5).value.count("F2:F5") == 2
    assert "SUBTOTAL(109,F2:F5)" in below(sheet, "Cost (USD)", 5).value
    assert below(values, "Cost (USD)", 5).value == 0.3
    assert below(values, "Total tokens", 5).value == 3_000_015
    assert below(values, "Fetch status", 5).value == "Total"
    assert below(values, "ID", 5).value is None
    assert below(values, "Latency (ms)", 5).value is None
    assert below(values, "Fetch status", 6).value == ("Excluded from the totals: unknown cost (1), pending (1).")


def test_totals_are_not_missing_ids_of_a_workbook_that_is_read_again(tmp_path):
    path, ids = tmp_path / "x.xlsx", [f"gen-1790000000-AbCdEfGhIjKlMnOpQr{end}" for end in "abcd"]
    made = to_table(ids[:2], [RECORD | {"total_cost": cost} for cost in (0.1, None)], [0.0] * 2)
    orstats.write_report(build_frame(ids[:2], [made], {}), path)
    assert orstats.read_ids(path) == ids[:2]
    assert list(orstats.join(path, build_frame(ids[:2], [made], {}))["ID"]) == ids[:2]
    book = openpyxl.load_workbook(path)
    sheet = book["generations"]
    assert below(sheet, "Fetch status", 4).value.startswith("Excluded")
    for row in ([ids[2]], [None, "lost"], [ids[3]]):  # of the user
        sheet.append(row)
    book.save(path)
    with pytest.warns(IdSourceWarning, match="skipped 1 missing or empty value"):
        assert orstats.read_ids(path) == ids


def test_the_total_of_unknown_amounts_is_missing():
    sheet = book_of(records({"total_cost": None}))["generations"]
    assert below(sheet, "Cost (USD)", 3).value is None
    assert below(sheet, "Total tokens", 3).value is not None


def test_workbooks_of_the_same_ids_are_read_without_a_warning(tmp_path):
    ids = [f"gen-1790000000-AbCdEfGhIjKlMnOpQr{end}" for end in "ab"]
    frame = build_frame(ids, [to_table(ids, [RECORD] * 2, [0.0] * 2)], {})
    for name in ("a.xlsx", "b.xlsx"):
        orstats.write_report(frame, tmp_path / name)
    assert orstats.read_ids(tmp_path) == ids


@pytest.mark.parametrize("report", [orstats.cost_by, orstats.tokens_by, orstats.latency_by, orstats.failures_by])
def test_reports_have_totals_of_amounts_and_counts_only(report):
    made = report(records({"total_cost": 0.1}, {"total_cost": 0.2, "model": "n"}), "model")
    sheet = book_of(made, data_only=True)["report"]
    totals = {cell.value: below(sheet, cell.value, 3).value for cell in sheet[1]}
    assert totals["Model"] == "Total"
    assert totals["Generations"] == 2
    words = (" p50", " p9", "P50", "P95", "Mean", "rate", "per")
    rates = [name for name in totals if any(word in name for word in words)]
    assert {totals[name] for name in rates} <= {None}
    assert totals.get("Cost (USD)", 0.3) == 0.3


def test_a_summary_has_the_format_of_each_row():
    sheet = book_of(orstats.summary(records({"total_cost": 0.125})))["report"]
    formats = {row[0].value: row[1].number_format for row in sheet.iter_rows(2)}
    assert formats["cost_usd"] == formats["byok_usd"] == usd_format(3)
    assert formats["byok_share"] == "0.0 %"
    assert formats["native_tokens_prompt"] == "#,##0"
    assert formats["first_created_at"] == "yyyy-mm-dd hh:mm:ss"


def test_coverage_names_source_zone_period_and_version():
    frame = records({"total_cost": 0.1}, {"total_cost": None, "created_at": "2026-10-26T00:00:00Z"})
    frame.attrs["source"] = "openrouter.ai"
    for made, zone in ((frame, "UTC"), (orstats.cost_by(frame, freq="D", tz="Europe/Lisbon"), "Europe/Lisbon")):
        found = about(book_of(made))
        assert (found["asked"], found["ok"], found["pending"], found["cost_unknown"]) == (3, 2, 1, 1)
        assert (found["source"], found["tz"]) == ("openrouter.ai", zone)
        assert found["first_created_at"] == pd.Timestamp("2026-10-25T00:30:00.125")
        assert found["last_created_at"] == pd.Timestamp("2026-10-26")
        assert found["orstats_version"] == orstats.__version__
        assert abs(found["written_at"] - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=10)


@pytest.mark.parametrize("text", TEXTS)
def test_text_stays_the_same_text(text, tmp_path):
    frame = records({"external_user": text, "total_cost": 0.5})
    sheet = book_of(frame)["generations"]
    (cell,) = column_of(sheet, "External user", 1)
    unescaped = cell.value.replace("_x005F_x", "_x")  # which Excel does itself
    assert (unescaped, cell.data_type, cell.hyperlink) == (text, "s", None)
    assert cell.quotePrefix or text.startswith("<r>")
    orstats.write_csv(frame, tmp_path / "x.xlsx")
    assert orstats.read(tmp_path / "x.xlsx")["external_user"].iloc[0] == text
    with zipfile.ZipFile(tmp_path / "x.xlsx") as archive:
        assert not [name for name in archive.namelist() if "_rels/sheet" in name]


@pytest.mark.parametrize(
    ("text", "is_cut"),
    [("a" * 32_767, False), ("a" * 32_768, True), ("a" * 100_000, True), ("🦄" * 16_383, False), ("🦄" * 16_384, True)],
)
def test_texts_that_do_not_fit_are_cut_with_a_mark(text, is_cut):
    frame = pd.DataFrame({"text": [text, "b"]})
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        cell = book_of(frame)["table"]["A2"].value
    assert len(cell.encode("utf-16-le")) <= 2 * 32_767
    assert len(found) == is_cut
    if is_cut:
        assert "1 texts were cut" in str(found[0].message)
        assert found[0].filename == __file__
        kept, mark = cell.split(" … [cut: ")
        assert text.startswith(kept)
        assert mark == f"{len(text) - len(kept):,} characters do not fit]"
    else:
        assert cell == text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False, None], [True, False, None]),
        ([float("nan"), float("inf"), float("-inf")], [None, "inf", "-inf"]),
        (pd.array([1, None, 10**15], "Int64"), [1, None, str(10**15)]),
        (np.array([2**64 - 1], "uint64"), [str(2**64 - 1)]),
        (pd.array([None, None], "string"), [None, None]),
        (["a\x00\x1b\x7fb", "a\r\nb\rc"], ["a\x7fb", "a\nb\nc"]),
        ([["x"], {"a": 1}, 5], ['["x"]', '{"a":1}', 5]),
        (
            pd.to_datetime(["1899-12-31", "1900-02-28", "1900-03-01"]).as_unit("us"),
            ["1899-12-31T00:00:00.000000", "1900-02-28T00:00:00.000000", pd.Timestamp("1900-03-01")],
        ),
        (pd.to_datetime(["2026-10-25T02:30+02:00"], utc=True), [pd.Timestamp("2026-10-25T00:30")]),
        (pd.DatetimeIndex(["2026-10-25T02:30"]).tz_localize("Asia/Tokyo"), [pd.Timestamp("2026-10-24T17:30")]),
        (pd.array([b"x", None], pd.ArrowDtype(pa.binary())), ["x", None]),
        (pd.Series([pd.Timestamp("2026-01-02", tz="Asia/Tokyo"), None], dtype=object), [pd.Timestamp("2026-01-01T15")]),
    ],
)
def test_values_fit_into_excel_cells(values, expected):
    found = [row[0] for row in book_of(pd.DataFrame({"x": values}))["table"].iter_rows(2, values_only=True)]
    assert found + [None] * (len(expected) - len(found)) == expected


def test_columns_of_text_have_the_types_of_their_fields():
    frame = records({"total_cost": 0.25}, {"total_cost": 0.5})
    text = pd.read_csv(io.StringIO(frame.to_csv()), dtype=str, keep_default_na=False)
    cells, typed = (
        [[cell.value for cell in row if cell.value != ""] for row in book_of(one).worksheets[0]["D":"Z"]]
        for one in (text, frame)
    )
    assert [column[:2] for column in cells] == [column[:2] for column in typed]
    assert "many" in {cell.value for cell in book_of(text.assign(cost_usd="many")).worksheets[0][2]}


def test_times_name_their_zone():
    frame = pd.DataFrame({"when": pd.DatetimeIndex(["2026-10-25T02:30"]).tz_localize("Asia/Tokyo"), "created_at": 1})
    frame["naive"] = pd.Timestamp("2026-01-01")
    assert [cell.value for cell in book_of(frame)["table"][1]] == ["when (UTC)", "Created at (UTC)", "naive"]


def test_more_rows_than_a_sheet_holds_are_refused(tmp_path):
    with pytest.raises(ExportError, match=r"holds 1,048,572 rows, got 1,048,573; write \.csv"):
        orstats.write_csv(pd.DataFrame({"x": range(MAX_ROWS + 1)}), tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_programs_read_the_workbook(tmp_path):
    frame = records({"total_cost": 0.25, "external_user": "00123"}, {"total_cost": 0.5})
    orstats.write_report(frame, tmp_path / "x.xlsx")
    found = pd.read_excel(tmp_path / "x.xlsx", dtype={"External user": str}).dropna(subset="ID")
    assert found["Cost (USD)"].sum() == 0.75
    assert found["External user"].iloc[0] == "00123"
    assert found["Created at (UTC)"].iloc[0] == pd.Timestamp("2026-10-25T00:30:00.125")
    rows = pl.from_pandas(found)
    assert rows["Total tokens"].sum() == 2_000_010
    again = orstats.read(tmp_path / "x.xlsx")
    pd.testing.assert_frame_equal(again, frame)
    assert orstats.read_ids(tmp_path / "x.xlsx") == frame.index.to_list()
    for report in (orstats.summary, orstats.failures, orstats.sessions, orstats.explore, orstats.combine):
        with pytest.raises(ConfigError, match=r"headings of a workbook, such as 'Cost \(USD\)'.*orstats\.read\(path\)"):
            report(found)
    for by in ("model", "Model"):
        for table in (found, rows):
            with pytest.raises(ConfigError, match=r"headings of a workbook"):
                orstats.cost_by(table, by)
    assert len(orstats.cost_by(frame.assign(ID="mine", Model="mine"), "Model")) == 1, "a user's own columns"


def test_reports_are_not_read_as_generations(tmp_path):
    orstats.write_report(orstats.cost_by(records({"total_cost": 0.25})), tmp_path / "x.xlsx")
    with pytest.raises(orstats.errors.ReadError, match="a report, not generations"):
        orstats.read(tmp_path / "x.xlsx")


def test_empty_frames_have_a_header():
    sheet = book_of(frame_of({}).head(0))["generations"]
    assert [cell.value for cell in sheet[1]][:2] == ["ID", "Fetch status"]
    assert sheet.max_row == 1


def test_a_missing_library_is_reported_before_writing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(MissingExtraError, match=r"orstats\[excel\]"):
        check_target(tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []


DIALECTS = {
    "plain": b'id,user,cost_usd,n,x\ngen-1,J\xc3\xb6rg,0.5,1000,"a;b,1.5"\n',
    "excel": b'\xef\xbb\xbfid,user,cost_usd,n,x\ngen-1,J\xc3\xb6rg,0.5,1000,"a;b,1.5"\n',
    "excel-eu": b'\xef\xbb\xbfid;user;cost_usd;n;x\ngen-1;J\xc3\xb6rg;0,5;1000;"a;b,1.5"\n',
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_of_csv(dialect, tmp_path):
    frame = pd.DataFrame({"id": ["gen-1"], "user": ["Jörg"], "cost_usd": [0.5], "n": [1000], "x": ["a;b,1.5"]})
    for write in (orstats.write_csv, orstats.write_report):
        write(frame, tmp_path / "x.csv", dialect=dialect)
        assert (tmp_path / "x.csv").read_bytes() == DIALECTS[dialect]
    text = io.StringIO()
    orstats.write_csv(frame, text, dialect=dialect)
    assert text.getvalue().encode() == DIALECTS[dialect]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_read_back(dialect, tmp_path):
    frame = records({"total_cost": 1.25e-05, "external_user": "Jörg; =1+1"}, {"total_cost": 1234.5, "latency": -0.5})
    orstats.write_csv(frame, tmp_path / "x.csv", dialect=dialect)
    pd.testing.assert_frame_equal(orstats.read(tmp_path / "x.csv"), frame)


@pytest.mark.parametrize("text", ["00123", "1234567890123456", "1e5"])
def test_excel_dialects_warn_of_digits_that_excel_changes(text, tmp_path):
    frame = pd.DataFrame({"user": [text, "a", None]})
    with pytest.warns(UserWarning, match=f"1 texts of digits in column 'user', such as '{text}'.*xlsx"):
        orstats.write_csv(frame, tmp_path / "x.csv", dialect="excel")
    orstats.write_csv(frame, tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("name", "dialect", "words"),
    [
        ("x.csv", "excel_eu", "must be one of 'plain', 'excel', 'excel-eu'"),
        ("x.parquet", "excel", "applies to CSV"),
        ("x.md", "excel", "applies to CSV"),
        ("x.json", "excel-eu", "applies to CSV"),
    ],
)
def test_dialects_that_do_not_fit_are_refused(name, dialect, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        orstats.write_report(pd.DataFrame({"x": [1]}), tmp_path / name, dialect=dialect)
    assert list(tmp_path.iterdir()) == []


def test_headings_of_report_columns():
    named = [
        "generations",
        "usd_per_mtok",
        "p50_usd",
        "latency_p95",
        "throughput_tok_s_n",
        "byok_usd",
        "failed_attempt_ms",
        "usd",
        "account_usd",
        "usd_per_day_7d",
        "x_blended",
    ]
    assert [heading(name) for name in named] == [
        *("Generations", "Cost per Mtok (USD)", "Cost p50 (USD)", "Latency p95 (ms)", "Throughput count", "BYOK (USD)"),
        *("Failed attempt time (ms)", "Cost (USD)", "Account cost (USD)", "Spent per day, last 7 days (USD)"),
        "Price vs. average",
    ]


@pytest.mark.parametrize(
    ("row", "delimiter"),
    [("gen-1,ok,m,$0.00008208,36.5 %,0.5,1040", ","), ("gen-1;ok;m;$0,00008208;36,5%;0,5;1040", ";")],
)
def test_csv_saved_from_a_workbook_is_read_without_its_signs(row, delimiter, tmp_path):
    names = ["ID", "Fetch status", "Model", "Cost (USD)", "Cache hit rate", "Latency (ms)", "Total tokens"]
    (tmp_path / "x.csv").write_text(f"{delimiter.join(names)}\n{row}\n")
    found = orstats.read(tmp_path / "x.csv").iloc[0]
    assert found[["cost_usd", "cache_hit_rate", "latency", "tokens_total"]].to_list() == [0.00008208, 0.365, 0.5, 1040]


def test_columns_of_reports_have_headings_and_those_of_the_user_keep_their_names(tmp_path):
    with orstats.sim.SimServer(40) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(), archive=False)
    half = df["created_at"].median()
    found = orstats.compare(df[df["created_at"] < half], df[df["created_at"] >= half])
    for report, name, wanted in (
        (orstats.sessions(df), "first_at", "First at (UTC)"),
        (found, "presence", "Presence"),
        (df.assign(note="mine"), "note", "note"),
    ):
        orstats.write_report(report, tmp_path / "x.xlsx")
        headings = [cell.value for cell in next(openpyxl.load_workbook(tmp_path / "x.xlsx").worksheets[0].iter_rows())]
        assert wanted in headings, name


def test_days_have_no_time_and_text_keeps_a_distance_from_the_number_before_it(tmp_path):
    days = pd.DataFrame({"day": pd.to_datetime(["2026-03-01"]).tz_localize("UTC"), "usd": [1.5], "reason": ["x"]})
    orstats.write_report(days, tmp_path / "x.xlsx")
    heads, cells = list(openpyxl.load_workbook(tmp_path / "x.xlsx").worksheets[0].iter_rows(max_row=2))
    assert [cell.value for cell in heads] == ["Day (UTC)", "Cost (USD)", "Reason"]
    assert [cell.number_format for cell in cells] == ["yyyy-mm-dd", usd_format(2), "General"]
    assert [cell.alignment.indent for cell in (*heads, *cells)] == [1, 0, 1, 1, 0, 1]


def test_distinct_values_are_not_added_up():
    some = [{"session_id": one, "model": "m"} for one in ("a", "a", "b")]
    sheet = book_of(orstats.sessions(records(*some))).worksheets[0]
    assert [below(sheet, name, 3).value is None for name in ("Models", "Generations")] == [True, False]


@pytest.mark.parametrize(("columns", "area"), [(5, None), (30, r"'table'!\$A\$1:\$[N-T]\$5")])
def test_prints_are_one_page_wide(columns, area, tmp_path):
    orstats.write_report(pd.DataFrame({f"a_longer_name_{at}": [1] for at in range(columns)}), tmp_path / "x.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx").worksheets[0]
    assert sheet.page_setup.orientation == "landscape"
    assert (sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.page_setup.fitToHeight) == (True, 0)
    assert sheet.print_title_rows == "$1:$1"
    assert re.fullmatch(area, sheet.print_area) if area else not sheet.print_area


def test_limits_have_no_totals_and_reports_say_their_note_and_source():
    limits = ReportFrame({"left_usd": [1.0, 2.0], "limit_usd": [5.0, 5.0], "spent_usd": [4.0, 3.0]})
    sheet = book_of(limits)["report"]
    assert [cell.value for cell in sheet[1]] == ["Left (USD)", "Limit (USD)", "Spent (USD)"]
    assert sheet.max_row == 3
    frame = records({"total_cost": 0.1}, {"total_cost": 0.2, "created_at": "2026-10-26T00:00:00Z"})
    frame.attrs["source"] = "openrouter.ai"
    compared = orstats.compare(frame.iloc[:1], frame.iloc[1:2], "model")
    book = book_of(compared)
    headings = [cell.value for cell in book["report"][1]]
    assert headings[1:4] == ["Cost before (USD)", "Cost after (USD)", "Change of cost (USD)"]
    found = about(book)
    assert found["note"] == compared.attrs["note"]
    assert (found["source"], found["first_created_at"]) == ("openrouter.ai", pd.Timestamp("2026-10-25T00:30:00.125"))
    assert found["last_created_at"] == pd.Timestamp("2026-10-26")
    joined = orstats.join(pd.DataFrame({"id": frame.index}), frame)
    for made in (orstats.summary(frame), orstats.failures(frame), orstats.attempts(frame), joined):
        assert about(book_of(made))["source"] == "openrouter.ai"
    row = [one[0].value for one in book["coverage"].iter_rows()].index("note") + 1
    assert book["coverage"].row_dimensions[row].height >= 30, "LibreOffice overlaps rows of several lines"
