"""How reports are shown: formatted text and HTML, while the values stay numbers."""

import copy
import io
import pickle
import re

import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

import orstats
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.display import ReportFrame
from orstats.frame.record_table import to_table
from orstats.text.table import Column, cut_middle, fit

LONG = "anthropic/claude-4.5-haiku-20251001"
HOSTILE = "<img src=x onerror=alert(1)>"


def frame(*records, failed=()):
    ids = [f"gen-{number}" for number in range(len(records))]
    outcomes = {name: FetchOutcome("pending", 404, 3, "Not yet.") for name in failed}
    return build_frame([*ids, *failed], [to_table(ids, list(records), [0.0] * len(ids))], outcomes)


@pytest.fixture
def df():
    return frame(
        {"model": LONG, "total_cost": 1234.5, "is_byok": False, "streamed": True, "latency": 327.0,
         "native_tokens_prompt": 1_234_567, "native_tokens_completion": 0},
        {"model": HOSTILE, "total_cost": 0.25, "is_byok": False, "streamed": True, "latency": 33_812.0},
        {"model": "gpt-\u202egnp", "total_cost": 0.0, "is_byok": False, "streamed": True, "latency": 5.0},
    )  # fmt: skip


def test_a_printed_report_shows_model_generations_cost_and_share_in_80_columns(df):
    lines = str(orstats.cost_by(df)).splitlines()
    assert lines[0].split()[:4] == ["model", "generations", "cost_usd", "share"]
    assert lines[1].split()[:4] == [LONG, "1", "$1,234.50", ">99.9%"]
    assert re.search(r"\$0\.25 +<0\.1%", lines[2])
    assert re.search(r"\[U\+202E\].* \$0 +0\.0%", lines[3])
    assert max(map(cell_len, lines)) <= 80
    assert "Not shown: charged_usd" in lines[4]


def test_no_value_is_changed_by_the_display(df):
    report = orstats.cost_by(df)
    assert isinstance(report, pd.DataFrame)
    assert report["cost_usd"].tolist() == [1234.5, 0.25, 0.0]
    assert type(report["cost_usd"]) is pd.Series
    assert pickle.loads(pickle.dumps(report)).equals(report)
    assert copy.deepcopy(report).attrs == report.attrs
    pd.testing.assert_frame_equal(report, pd.DataFrame(report))


@pytest.mark.parametrize(
    "choose",
    [
        lambda report: report.head(2),
        lambda report: report[["cost_usd", "share"]],
        lambda report: report.sort_values("cost_usd"),
        lambda report: report[report["cost_usd"] > 0],
        lambda report: report.loc[[LONG]],
        lambda report: report.iloc[::-1],
        lambda report: report.reset_index(),
        lambda report: report.nlargest(1, "cost_usd"),
        lambda report: report.copy(),
        lambda report: pd.concat([report, report]),
        lambda report: report.rename_axis("llm"),
    ],
)
def test_chosen_and_sorted_rows_keep_the_display(df, choose):
    assert "$1,234.50" in str(choose(orstats.cost_by(df)))


def test_chosen_columns_are_all_printed_in_order(df):
    report = orstats.cost_by(df)
    for names in (["p95_usd", "cost_usd"], list(report.columns[1:])):
        shown = str(report[names])
        assert [name for line in shown.splitlines() for name in line.split() if name in names] == names
        assert "Not shown" not in shown
        assert max(map(cell_len, shown.splitlines())) <= 80
    assert "Not shown" in str(report.head(1))


@pytest.mark.parametrize("width", [20, 40, 80])
def test_what_one_came_for_stays_in_a_narrow_table_and_lines_end_without_spaces(df, width):
    with pd.option_context("display.width", width):
        reports = [(orstats.cost_by(df), "cost_usd"), (orstats.latency_by(df), "latency_p50")]
        reports += [(orstats.tokens_by(df), "tokens_total")]
        for report, name in reports:
            lines = str(report).splitlines()
            assert name in str(report).partition("Not shown")[0].replace("latency_\n", "latency_")
            assert lines == [line.rstrip() for line in lines]


def test_80_columns_show_what_each_report_is_about(df):
    prices = dict.fromkeys(df["model"], (1.0, 0.5, 2.0))
    budgets = ReportFrame(
        {"left_usd": [1.0], "limit_usd": [2.0], "used_share": [0.5], "usd_per_day": [0.1], "outlook": ["runs out"],
         "runs_out_at": [pd.Timestamp("2026-12-01T10:00", tz="UTC")], "resets_at": pd.to_datetime([None], utc=True)},
        index=pd.Index(["credits"], name="scope"),
    )  # fmt: skip
    for report, names in (
        (orstats.tokens_by(df), ("tokens_total", "native_tokens_prompt", "native_tokens_completion")),
        (orstats.what_if(df, prices), ("cost_usd", "what_if_usd", "difference_usd")),
        (budgets, ("left_usd", "limit_usd", "outlook", "runs_out_at")),
    ):
        omitted, _, advice = str(report).replace("\n", " ").partition("Not shown: ")[2].partition(". ")
        assert omitted
        assert not set(names) & set(omitted.split(", "))
        first, second = omitted.split(", ")[:2]
        assert advice == f'To print columns, choose them: report[["{first}", "{second}"]].'
        assert "Not shown" not in str(report[[first, second]])


@pytest.mark.parametrize(
    "compute",
    [
        lambda report: report / report.sum(),
        lambda report: report[["cost_usd"]].apply(lambda column: column / column.sum()),
        lambda report: report[["cost_usd"]].pct_change(),
        lambda report: report[["cost_usd"]].rank(),
        lambda report: report.describe(),
        lambda report: report.T,
        lambda report: report.groupby("model")[["cost_usd"]].count(),
    ],
)
def test_computed_values_are_not_shown_as_money(df, compute):
    assert "$" not in str(compute(orstats.cost_by(df)[["cost_usd"]].rename(index={HOSTILE: "b"})))


def test_notebooks_get_escaped_html(df):
    html = orstats.cost_by(df)._repr_html_()
    assert HOSTILE not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "gpt-[U+202E]gnp" in html
    assert "<td>$1,234.50</td>" in html
    assert "tex2jax_ignore" in html, "text between dollar signs is not mathematics"


def test_durations_of_one_measure_have_one_unit(df):
    report = orstats.latency_by(df)
    assert "0.327 s" in str(report)
    assert "33.812 s" in str(report)
    assert " ms" not in str(report)


def test_failures_show_the_whole_advice():
    failed = orstats.failures(frame(failed=["gen-1790000000-AbCdEfGhIjKlMnOpQrSt"]))
    text = str(failed)
    assert "gen-1790000000-AbCdEfGhIjKlMnOpQrSt" in text
    advice = " ".join(line[50:].strip() for line in text.splitlines()[1:])
    assert failed["advice"].iloc[0] in " ".join(advice.split())
    assert max(map(len, text.splitlines())) <= 80


def test_no_rows_are_said_in_words(df):
    text = str(orstats.failures(df))
    assert text == "No rows.\n0 of 3 rows are not ok."
    assert "Empty DataFrame" not in str(orstats.cost_by(df.iloc[:0]))
    assert "No rows." in orstats.failures(df)._repr_html_()


def test_a_summary_writes_each_figure_in_its_unit(df):
    text = str(orstats.summary(df))
    for figure, shown in (("cost_usd", "$1,234.75"), ("native_tokens_prompt", "1,234,567"), ("byok_share", "0.0%")):
        assert re.search(rf"^{figure} +{re.escape(shown)}", text, re.MULTILINE)


def test_the_coverage_and_the_time_zone_stand_below():
    df = frame({"model": "a", "is_byok": False, "created_at": "2026-10-05T10:00:00Z"}, failed=["gen-9"])
    text = str(orstats.cost_by(df, freq="month", tz="Europe/Lisbon"))
    assert text.splitlines()[1].startswith("2026-10 ")
    assert "Periods: month in Europe/Lisbon." in text
    assert "Covers 1 of 2 generations: 1 pending, 1 with unknown cost." in text


def test_many_rows_are_shortened_as_pandas_does():
    report = orstats.cost_by(frame(*({"model": f"m{n}", "total_cost": 1.0, "is_byok": False} for n in range(100))))
    assert "100 rows; the first 5 and last 5." in str(report)
    with pd.option_context("display.max_rows", None):
        assert len(str(report).splitlines()) > 100


def test_the_readers_options_of_pandas_count(df):
    report = orstats.cost_by(df)
    with pd.option_context("display.width", 200):
        assert "p95_usd" in str(report).splitlines()[0]
    with pd.option_context("display.float_format", "{:.1f}".format):
        assert "1234.5" in str(report[["cost_usd"]])
        assert "$" not in report._repr_html_()
    with pd.option_context("display.notebook_repr_html", False):
        assert report._repr_html_() is None


def test_what_standard_output_cannot_encode_is_replaced(df, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    text = str(orstats.cost_by(df.assign(model="模型")).head(1))
    assert text.isascii()
    assert "??" in text


def test_other_engines_read_a_report(df, tmp_path):
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    report = orstats.cost_by(df).reset_index()
    assert polars.from_pandas(report)["cost_usd"].sum() == 1234.75
    assert duckdb.sql("select sum(cost_usd) from report").fetchall() == [(1234.75,)]
    report.to_parquet(tmp_path / "r.parquet")
    assert pd.read_parquet(tmp_path / "r.parquet")["cost_usd"].sum() == 1234.75


def test_columns_of_one_name_and_of_others_are_shown():
    report = ReportFrame({"cost_usd": [1.5], "other": [0.123456789]}, index=pd.Index(["a"], name="model"))
    assert "0.123457" in str(report)
    assert "$1.5000   $1.5000" in str(pd.concat([report[["cost_usd"]], report[["cost_usd"]]], axis=1))


COLUMNS = [
    Column("model", ["google/gemini-2.5-flash-image", "模型/東京都港区芝公園東京都港区"], "label", footer="total"),
    Column("user", ["customer-48213", "🙂🙂🙂🙂🙂🙂🙂🙂🙂"], "label"),
    Column("generations", ["1", "2"], leaves=1),
    Column("cost", ["$1.50", "$0.20"], footer="$1.70"),
    Column("tokens", ["1,234", "1,234"], leaves=2),
]


@pytest.mark.parametrize(
    ("width", "omitted"),
    [(24, ["generations", "tokens"]), (40, ["generations", "tokens"]), (60, ["tokens"]), (120, [])],
)
def test_tables_fit_and_keep_the_money(width, omitted):
    fitted = fit(COLUMNS, width)
    out = io.StringIO()
    Console(file=out, width=width).print(fitted.table)
    lines = out.getvalue().splitlines()
    assert len(lines) == 4, "no label is broken over lines"
    assert max(map(cell_len, lines)) <= width
    assert fitted.omitted == omitted
    assert [money in line for money, line in zip(("cost", "$1.50", "$0.20", "$1.70"), lines, strict=True)] == [True] * 4


@pytest.mark.parametrize("width", [1, 2, 3, 8, 20])
@pytest.mark.parametrize("text", ["google/gemini-2.5-flash", "模型/東京都港区芝公園", "a👩‍👩‍👧b" * 5, "e\u0301" * 20])
def test_labels_are_cut_in_the_middle(text, width):
    cut = cut_middle(text, width)
    assert cell_len(cut) <= width
    assert "…" in cut or cut == text
