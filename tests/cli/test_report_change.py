"""orstats report --compare previous: two periods, recomputed from the simulator's own records."""

import json
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from recomputed import cost, midnight

from orstats.sim import SimServer

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def account():
    with SimServer(1500, seed=5) as sim:
        yield sim


def spent(account, start, end, **having):
    """The costs of the records that were created in a period."""
    records = [account.record(one) for one in account.ids]
    return [
        cost(one)
        for one in records
        if start <= datetime.fromisoformat(one["created_at"]) < end
        and one["total_cost"] is not None
        and all(one[name] == value for name, value in having.items())
    ]


def test_the_period_before_is_fetched_and_compared(managed, orstats):
    start, end = midnight(8), midnight(1)
    options = ("--since", f"{start:%Y-%m-%d}", "--until", f"{end:%Y-%m-%d}", "--compare", "previous", "--archive", "a")
    result = orstats("report", *options, "-o", "x.csv")
    assert result.exit_code == 0, result.output
    table = pd.read_csv("x.csv")
    before, after = spent(managed, start - 7 * DAY, start), spent(managed, start, end)
    assert table["before_usd"].sum() == pytest.approx(math.fsum(before), abs=1e-9)
    assert table["after_usd"].sum() == pytest.approx(math.fsum(after), abs=1e-9)
    assert [table[f"{side}_generations"].sum() for side in ("before", "after")] == [len(before), len(after)]
    parts = table[["volume_usd", "mix_usd", "size_usd", "price_usd"]].sum(axis=1)
    assert (parts - table["change_usd"]).abs().max() < 1e-9
    for model, row in table.head(3).set_index("model").iterrows():
        assert row["after_usd"] == pytest.approx(math.fsum(spent(managed, start, end, model=model)), abs=1e-9)
    ends = table.filter(like="coverage_").iloc[0]
    assert ends["coverage_before_start"] == (start - 7 * DAY).isoformat()
    assert ends["coverage_before_end"] == ends["coverage_after_start"] == start.isoformat()
    assert (ends["coverage_after_end"], ends["coverage_tz"]) == (end.isoformat(), "UTC")
    assert f"Before: {start - 7 * DAY:%Y-%m-%d} 00:00 to {start:%Y-%m-%d} 00:00. After:" in result.stderr
    assert f"${math.fsum(after):,.4f} for {len(after):,} after" in result.stderr
    assert "incomplete" not in result.stderr


def test_the_table_fits_a_terminal_and_ends_with_the_total(managed, orstats):  # noqa: ARG001 - the environment
    result = orstats("report", "--since", "7d", "--compare", "previous", "--archive", "a", "--top", "3")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:4] == ["model", "before", "after", "change"]
    assert lines[-2].startswith("other (")
    assert lines[-1].startswith("total ")
    assert len(lines) == 6
    assert "Times in UTC." in result.stderr
    assert "Cost $" not in result.stderr, "one cost of both periods would be misleading"


def test_columns_to_group_by_and_every_kind_of_file(managed, orstats):  # noqa: ARG001 - the environment
    options = ("--since", "7d", "--compare", "previous", "--by", "model,provider_name", "--archive", "a")
    assert orstats("report", *options, "-o", "x.xlsx", "--top", "4").exit_code == 0
    book = openpyxl.load_workbook("x.xlsx")
    rows = list(book["report"].iter_rows(values_only=True))
    assert (
        rows[0][:5] == ("model", "Provider name", "Before (USD)", "After (USD)", "Change (USD)") or "Model" in rows[0]
    )
    assert [row[0] for row in rows[1:6]][-1].startswith("other (")
    about = {row[0]: row[1] for row in book["coverage"].iter_rows(values_only=True)}
    assert {"before_start", "before_end", "after_start", "after_end", "tz"} <= set(about)
    for name in ("x.json", "x.md", "x.parquet"):
        assert orstats("report", *options, "-o", name).exit_code == 0
    found = json.loads(Path("x.json").read_bytes())
    assert found["coverage"]["tz"] == "UTC"
    assert orstats("report", *options, "-o", "x.html", "--freq", "D").exit_code == 0
    page = Path("x.html").read_text("utf-8")
    assert "<h2>What changed</h2>" in page
    assert "Model · provider name" in page


def test_weeks_begin_at_the_same_time_of_day_although_the_clocks_change(managed, orstats):  # noqa: ARG001 - the environment
    result = orstats(
        *("report", "--since", "2024-04-01", "--until", "2024-04-08", "--tz", "Europe/Berlin"),
        *("--compare", "previous", "--archive", "a", "-o", "x.json"),
    )
    ends = json.loads(Path("x.json").read_bytes())["coverage"]
    assert ends["before_start"] == "2024-03-25T00:00:00+01:00"
    assert ends["after_end"] == "2024-04-08T00:00:00+02:00"
    assert "Times in Europe/Berlin." in result.stderr


def test_a_period_that_is_not_over_ends_now(managed, orstats):  # noqa: ARG001 - the environment
    until = f"{datetime.now(UTC) + 3 * DAY:%Y-%m-%d}"
    result = orstats("report", "--since", "yesterday", "--until", until, "--compare", "previous", "--archive", "a")
    assert "--until is in the future: the period after ends now" in result.stderr
    ends = [datetime.fromisoformat(one) for one in re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", result.stderr)]
    assert ends[0] < ends[1] == ends[2] < ends[3] <= datetime.now(UTC).replace(tzinfo=None)
    assert abs((ends[1] - ends[0]) - (ends[3] - ends[2])) <= timedelta(minutes=1)


def test_records_at_hand_that_do_not_cover_both_periods_are_mentioned(managed, orstats, monkeypatch):
    recent = [one for one in managed.ids if managed.record(one)["created_at"] >= midnight(4).isoformat()]
    old = [one for one in managed.ids if managed.record(one)["created_at"] < midnight(20).isoformat()]
    monkeypatch.delenv("OPENROUTER_MANAGEMENT_KEY")
    monkeypatch.setenv("OPENROUTER_API_KEY", managed.key)
    options = ("--since", "7d", "--compare", "previous")
    assert "the period before is incomplete" in orstats("report", *recent[:40], *options, "--no-archive").stderr
    stale = orstats("report", *old[-40:], *options, "--archive", "a").stderr
    assert "the period after is incomplete" in stale
    assert "$0 for 0 generations before, $0 for 0 after" in stale
    archived = orstats("report", *options, "--archive", "a")
    assert archived.exit_code == 0
    assert "The newest record is from" in archived.stderr


def test_ids_that_failed_count_in_the_period_of_their_time(managed, orstats, monkeypatch):
    monkeypatch.delenv("OPENROUTER_MANAGEMENT_KEY")
    monkeypatch.setenv("OPENROUTER_API_KEY", managed.key)
    recent = [one for one in managed.ids if managed.record(one)["created_at"] >= midnight(13).isoformat()]
    lost = [f"gen-{int(midnight(days).timestamp())}-AbCdEfGhIjKlMnOpQrS{days}" for days in (9, 9, 8, 2)]
    lost += ["gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"]
    result = orstats("report", *recent, *lost, "--since", "7d", "--compare", "previous", "--no-archive", "-o", "x.html")
    assert result.exit_code == 3
    assert "not_found 4:" in result.stderr
    rows = [
        re.sub("<[^>]+>", " ", row).split() for row in re.findall("<tr>.*?</tr>", Path("x.html").read_text("utf-8"))
    ]
    assert ["not", "found", "2"] in [row[:3] for row in rows]  # the one of this week, and the one without a time


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--since", "7d", "--compare", "last"], "--compare must be previous, got 'last'"),
        (["--compare", "previous"], "needs --since"),
        (["--since", "7d", "--compare", "previous", "--freq", "D"], "mutually exclusive"),
        (["--since", "2999-01-01", "--compare", "previous"], "must begin before now"),
        (["--since", "0003-01-01", "--compare", "previous"], "no earlier period"),
    ],
)
def test_wrong_options_are_usage_errors(online, orstats, options, word):  # noqa: ARG001 - the environment
    result = orstats("report", *options)
    assert result.exit_code == 2
    assert word in " ".join(result.stderr.split())
