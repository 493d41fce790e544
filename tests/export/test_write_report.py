import builtins
import json

import openpyxl
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from orstats.errors import ExportError, MissingExtraError
from orstats.export.write_report import ENDINGS, write_report
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.record_table import to_table
from orstats.reports.cost_tokens_latency import cost_by, latency_by, tokens_by
from orstats.reports.failures import failures_by

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "+1",
    "-1",
    "<script>alert(1)</script>",
    "a|b\nc",
    "🦄",
    "[x](javascript:alert(1)) ![y](http://evil.test/i) `z` http://evil.test www.evil.test",
    "x" * 10_000,
    None,
]
REPORTS = (cost_by, tokens_by, latency_by, failures_by)


def frame(models, others=None):
    ids = [f"gen-{at}" for at in range(len(models))]
    records = [
        {"model": model, "total_cost": at + 0.5, "is_byok": False, "created_at": "2026-03-01T00:00:00Z", "latency": 9.5}
        for at, model in enumerate(models)
    ]
    others = others or {}
    return build_frame([*ids, *others], [to_table(ids, records, [0.0] * len(ids))], others)


def one(model="a"):
    return cost_by(frame([model], {"gen-x": FetchOutcome("not_found", 404, 1, "no")}))


def test_text_that_reads_like_missing_is_text(tmp_path):
    names = ["nan", "NaT", "<NA>", None]
    report = cost_by(frame(names))
    write_report(report, tmp_path / "r.xlsx")
    assert [row[0] for row in sheets(tmp_path / "r.xlsx")["report"][1:5]] == ["(none)", *names[2::-1]]
    write_report(report, tmp_path / "r.md")
    lines = (tmp_path / "r.md").read_text("utf-8").splitlines()[2:6]
    assert [line.split("|")[1].strip() for line in lines] == [r"\(none\)", "&lt;NA&gt;", "NaT", "nan"]


def sheets(path):
    book = openpyxl.load_workbook(path)
    return {sheet.title: [[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in book}


def test_every_table_for_programs_has_the_coverage_as_columns(tmp_path):
    readers = {
        ".csv": pd.read_csv,
        ".csv.gz": pd.read_csv,
        ".parquet": lambda path: pd.read_parquet(path).reset_index(),
        ".jsonl": lambda path: pd.read_json(path, lines=True),
        ".ndjson": lambda path: pd.read_json(path, lines=True),
    }
    for ending, reader in readers.items():
        path = tmp_path / f"report{ending}"
        write_report(one(), path)
        row = reader(path).iloc[0]
        assert (row["model"], row["cost_usd"]) == ("a", 0.5), ending
        assert (row["coverage_asked"], row["coverage_ok"], row["coverage_missing"]) == (2, 1, 1), ending


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_report_still_has_its_coverage(report, ending, tmp_path):
    df = frame([], {"gen-x": FetchOutcome("not_found", 404, 1, "no")})
    path = tmp_path / f"report{ending}"
    write_report(report(df, "model", freq="D"), path)
    if ending == ".csv":
        assert pd.read_csv(path)["coverage_asked"].to_list() == [1]
    elif ending == ".xlsx":
        assert ["asked", 1] in [row[:2] for row in sheets(path)["coverage"]]
    elif ending == ".json":
        assert json.loads(path.read_text())["coverage"]["asked"] == 1
    elif ending == ".md":
        assert "Coverage: asked 1 · ok 0" in path.read_text()
    else:
        assert path.stat().st_size > 0


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_report_can_be_written(report, ending, tmp_path):
    table = report(frame(HOSTILE), "model", freq="W", tz="Europe/Berlin")
    write_report(table, tmp_path / f"r{ending}")
    assert (tmp_path / f"r{ending}").stat().st_size > 10 * len(table)


def test_excel_gets_text_as_text_and_numbers_as_numbers(tmp_path):
    path = tmp_path / "report.xlsx"
    write_report(cost_by(frame(HOSTILE)), path)
    sheet = openpyxl.load_workbook(path)["report"]
    cells = {row[0].value: row for row in sheet.iter_rows(min_row=2, max_row=1 + len(HOSTILE))}
    assert set(cells) == {"(none)" if name is None else name for name in HOSTILE}
    assert {row[0].data_type for row in cells.values()} == {"s"}
    assert all(row[0].quotePrefix for row in cells.values())
    assert all(row[2].data_type == "n" for row in cells.values())
    assert ["asked", 10] in [row[:2] for row in sheets(path)["coverage"]]


def test_excel_gets_periods_as_the_readers_clock_and_no_control_characters(tmp_path):
    path = tmp_path / "report.xlsx"
    with pytest.warns(UserWarning, match="1 texts were cut at 32,767"):
        write_report(cost_by(frame(["a\x00\x1bb" + "c" * 40_000]), freq="D", tz="Europe/Berlin"), path)
    period, model = sheets(path)["report"][1][:2]
    assert str(period) == "2026-03-01 00:00:00"
    assert model.startswith("abc")
    assert len(model) <= 32_767
    assert model.endswith("characters do not fit]")


def test_markdown_escapes_untrusted_markup(tmp_path):
    path = tmp_path / "report.md"
    write_report(cost_by(frame(HOSTILE)), path)
    text = path.read_text("utf-8")
    assert "<script" not in text
    lines = text.splitlines()
    assert len(lines) == 2 + len(HOSTILE) + 2
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert html.count("<tr>") == 1 + len(HOSTILE)
    assert html.count("<td") == len(HOSTILE) * html.count("<th ")
    for tag in ("<script", "<img", "<a ", "<code", "<br"):
        assert tag not in html
    assert "a|b↵c" in html
    assert "http:" not in text
    assert "www." not in text
    assert "$8.5000" in html


def test_json_has_rows_and_coverage(tmp_path):
    path = tmp_path / "report.json"
    write_report(cost_by(frame(HOSTILE)), path)
    found = json.loads(path.read_text("utf-8"))
    assert {row["model"] for row in found["report"]} == set(HOSTILE)
    assert found["coverage"]["ok"] == 10
    assert found["report"][0]["usd_per_mtok"] is None


def test_csv_text_is_safe(tmp_path):
    path = tmp_path / "report.csv"
    write_report(cost_by(frame(HOSTILE)), path)
    cells = set(pd.read_csv(path)["model"].dropna())
    assert {"'=cmd|' /C calc'!A0", "'@SUM(1)", "'+1", "'-1"} <= cells


def test_errors_name_the_file_and_leave_it(tmp_path, monkeypatch):
    with pytest.raises(ExportError, match=r"\.xlsx"):
        write_report(one(), tmp_path / "report.doc")
    with pytest.raises(ExportError, match="no directory"):
        write_report(one(), tmp_path / "nowhere" / "report.md")
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("xlsxwriter"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    path = tmp_path / "report.xlsx"
    path.write_text("before")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"orstats\[excel\]"):
        write_report(one(), path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_frame_without_coverage_is_written_without_it(tmp_path):
    plain = pd.DataFrame({"cost_usd": [1.0]}, index=pd.Index(["a"], name="model"))
    write_report(plain, tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text() == "model,cost_usd\na,1\n"
    write_report(plain, tmp_path / "r.md")
    assert "Coverage" not in (tmp_path / "r.md").read_text()
