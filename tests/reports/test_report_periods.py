"""How the periods of a report over time, and their time zone, stand in every format and in plots."""

import io
import re
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import openpyxl
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest
from recomputed import frame_of
from rich.console import Console

import orstats
from orstats.cli.cost_table import cost_columns
from orstats.text.table import fit

LISBON = "Europe/Lisbon"
LABELS = {"year": "2026", "quarter": "2026-Q4", "month": "2026-10", "week": "2026-09-28", "day": "2026-10-01"}


def frame(start, steps):
    """A generation every 20 minutes."""
    return frame_of(
        {
            str(number): {
                "model": "m",
                "total_cost": 1.0,
                "is_byok": False,
                "latency": 5.0,
                "streamed": True,
                "created_at": (start + timedelta(minutes=20 * number)).isoformat(),
            }
            for number in range(steps)
        }
    )


@pytest.fixture(scope="module")
def first_minutes():
    """The first minutes of October in Lisbon, which are of September in UTC."""
    return frame(datetime(2026, 9, 30, 23, tzinfo=UTC), 3)


@pytest.fixture(scope="module")
def change():
    """Six hours around the end of summer time in Lisbon."""
    return frame(datetime(2026, 10, 24, 23, tzinfo=UTC), 18)


HOURS = [
    "2026-10-25T00:00+01:00",
    "2026-10-25T01:00+01:00",
    "2026-10-25T01:00+00:00",
    *(f"2026-10-25T0{hour}:00+00:00" for hour in (2, 3, 4)),
]


def written(report, folder, ending, *, write=orstats.write_report):
    """The periods in a file, and what it says of their zone."""
    path = folder / f"report{ending}"
    write(report, path)
    if ending == ".csv":
        table = pd.read_csv(path, dtype=str)
        return table["period"].to_list(), set(table["coverage_tz" if "coverage_tz" in table else "tz"])
    if ending == ".jsonl":
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        return [row["period"] for row in rows], {row.get("coverage_tz", row.get("tz")) for row in rows}
    if ending == ".json":
        found = orjson.loads(path.read_bytes())
        return [row["period"] for row in found["report"]], {found["coverage"]["tz"]}
    if ending == ".md":
        text = path.read_text("utf-8")
        return re.findall(r"^\| (\d{4}\S*) ", text, re.MULTILINE), set(re.findall(r"tz (\S+)", text))
    book = openpyxl.load_workbook(path)
    shown = list(takewhile(lambda cell: cell.value is not None, book["report"]["A"][1:]))
    forms = {"yyyy-mm-dd": "%Y-%m-%d", "yyyy-mm": "%Y-%m"}
    texts = [f"{cell.value:{forms[cell.number_format]}}" if cell.is_date else cell.value for cell in shown]
    return texts, {dict(book["coverage"].iter_rows(max_col=2, values_only=True))["tz"]}


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".json", ".md", ".xlsx"])
def test_periods_are_named_in_their_own_zone_which_is_named_too(first_minutes, change, tmp_path, ending):
    for freq, label in LABELS.items():
        report = orstats.cost_by(first_minutes, freq=freq, tz=LISBON)
        assert written(report, tmp_path, ending) == ([label], {LISBON})
    assert written(orstats.cost_by(change, freq="h", tz=LISBON), tmp_path, ending) == (HOURS, {LISBON})


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_write_csv_names_periods_and_their_zone(first_minutes, change, tmp_path, ending):
    for freq, label in LABELS.items():
        report = orstats.cost_by(first_minutes, freq=freq, tz=LISBON)
        assert written(report, tmp_path, ending, write=orstats.write_csv) == ([label], {LISBON})
        assert written(report.reset_index(), tmp_path, ending, write=orstats.write_csv) == ([label], {LISBON})
    report = orstats.cost_by(change, freq="h", tz=LISBON)
    assert written(report, tmp_path, ending, write=orstats.write_csv) == (HOURS, {LISBON})


def test_parquet_keeps_the_moment_and_the_zone(first_minutes, tmp_path):
    orstats.write_report(orstats.cost_by(first_minutes, freq="M", tz=LISBON), tmp_path / "report.parquet")
    table = pq.read_table(tmp_path / "report.parquet")
    assert str(table.schema.field("period").type) == "timestamp[us, tz=Europe/Lisbon]"
    assert table["period"].to_pylist() == [datetime(2026, 9, 30, 23, tzinfo=UTC)]
    assert table["coverage_tz"].to_pylist() == [LISBON]


def test_the_terminal_tells_the_two_hours_apart(change):
    text = io.StringIO()
    Console(file=text, width=120).print(
        fit(cost_columns(orstats.cost_by(change, None, freq="h", tz=LISBON)), 120).table
    )
    assert re.findall(r"^(2026\S*)", text.getvalue(), re.MULTILINE) == HOURS


def test_a_period_without_a_report_is_written_with_its_offset():
    """A frame that lost its coverage, as after pd.concat."""
    periods = pd.DatetimeIndex(["2026-10-01", "2026-12-01", None], name="period").tz_localize(LISBON).as_unit("us")
    text = io.StringIO()
    orstats.write_csv(pd.DataFrame({"cost_usd": 1.0}, index=periods), text)
    assert text.getvalue().split() == [
        "period,cost_usd",
        "2026-10-01T00:00:00.000000+01:00,1",
        "2026-12-01T00:00:00.000000+00:00,1",
        ",1",
    ]


def test_an_empty_report_over_time_names_its_zone(first_minutes, tmp_path):
    report = orstats.cost_by(first_minutes.head(0), freq="M", tz=LISBON)
    assert written(report, tmp_path, ".json") == ([], {LISBON})
    assert written(report, tmp_path, ".csv")[1] == {LISBON}


@pytest.mark.parametrize(
    ("zone", "start", "label"),
    [
        (LISBON, datetime(2026, 10, 24, 23, tzinfo=UTC), "25 Oct 01:00 "),
        ("Australia/Lord_Howe", datetime(2024, 4, 6, 13, tzinfo=UTC), "07 Apr 01:30"),
        ("America/Havana", datetime(2024, 11, 3, 3, tzinfo=UTC), "03 Nov 00:00 "),
    ],
)
def test_plots_and_page_tell_the_two_hours_apart(zone, start, label, tmp_path):
    df = frame(start, 18)
    axes = orstats.plot_cost(df, freq="h", tz=zone)
    starts = [bar.get_x() for bar in axes.patches]
    assert len(set(starts)) == len(starts) >= 6
    assert [bar.get_height() for bar in axes.patches[1:-1]].count(3) >= 4
    axes.figure.canvas.draw()
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert len(set(labels)) == len(labels)
    assert any(re.search(r"[+-]\d{4}$", text) for text in labels)
    orstats.write_html(df, tmp_path / "page.html", freq="h", tz=zone)
    titles = re.findall("<title>([^<]*): [$]", (tmp_path / "page.html").read_text("utf-8"))
    assert len(set(titles)) == len(titles) == len(starts)
    assert sum(title.startswith(label) for title in titles) == (2 if label.endswith(" ") else 1)
    orstats.plot_latency(df, freq="h", tz=zone)


@pytest.mark.parametrize("freq", ["D", "W", "M", "Q", "Y"])
def test_plots_take_every_freq(first_minutes, tmp_path, freq):
    assert len(orstats.plot_cost(first_minutes, freq=freq, tz="Pacific/Apia").patches) == 1
    orstats.write_html(first_minutes, tmp_path / "page.html", freq=freq, tz="Pacific/Apia")
