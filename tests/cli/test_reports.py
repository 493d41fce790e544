"""orstats report: groups, periods, times, and the files it writes."""

import csv
import io
import json
import math
import sys
import time
from collections import Counter
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from rich.console import Console

from orstats.archive.archive import Archive
from orstats.cli.cost_table import cost_columns
from orstats.errors import ConfigError
from orstats.frame.build import FetchOutcome, build_frame, empty_frame
from orstats.frame.record_table import to_table
from orstats.reports.cost_tokens_latency import cost_by
from orstats.text.table import fit


def frame_of(*records):
    ids = [f"gen-{n}" for n in range(len(records))]
    table = to_table(ids, records, [0.0] * len(ids))
    return build_frame([*ids, "gen-lost"], [table], {"gen-lost": FetchOutcome("not_found", 404, 1, "Unknown.")})


def test_cost_by_sums_what_is_known_and_counts_what_is_not():
    report = cost_by(
        frame_of(
            {"model": "a", "total_cost": 1.0, "is_byok": False, "upstream_inference_cost": 9.0},
            {"model": "a", "is_byok": False, "native_tokens_prompt": 5, "native_tokens_completion": 5},
            {
                "model": "b",
                "total_cost": 1.0,
                "upstream_inference_cost": 2.0,
                "is_byok": True,
                "native_tokens_prompt": 10,
                "native_tokens_completion": 20,
            },
            {"model": None, "is_byok": None},
        )
    )
    assert list(report.index[:2]) == ["b", "a"]
    assert pd.isna(report.index[2])
    assert report["generations"].to_list() == [1, 2, 1]
    assert report["cost_usd"].to_list()[:2] == [3.0, 1.0]
    assert math.isnan(report["cost_usd"].iloc[2])
    assert report["share"].to_list()[:2] == [0.75, 0.25]
    assert report["charged_usd"].to_list()[:2] == [1.0, 1.0]
    assert report["byok_usd"].iloc[0] == 2.0
    assert report["cost_unknown"].to_list() == [0, 1, 1]
    assert report["tokens_total"].to_list()[:2] == [30, 10]
    assert report["usd_per_mtok"].iloc[0] == pytest.approx(1e5)
    assert math.isnan(report["usd_per_mtok"].iloc[1])
    assert report["mean_usd"].to_list()[:2] == [3.0, 1.0]


def test_cost_by_several_columns_and_an_unknown_one():
    report = cost_by(frame_of({"model": "a", "total_cost": 0, "is_byok": False}), ["model", "is_byok"])
    assert report.index.names == ["model", "is_byok"]
    assert pd.isna(report["share"].iloc[0])
    assert len(cost_by(empty_frame())) == 0
    with pytest.raises(ConfigError, match="'nope'"):
        cost_by(empty_frame(), "nope")


def test_report_of_ids_and_of_the_archive(online, orstats):
    done = orstats("report", *online.ids[:50], "--archive", "a")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split() == ["model", "generations", "cost", "share", "tokens"]
    assert done.stdout.splitlines()[-1].startswith("total")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "50 ids requested · 50 ok" in done.stderr
    before = online.requests
    again = orstats("report", "--archive", "a")
    assert again.stdout == done.stdout
    assert online.requests == before


def test_report_finds_the_only_host_of_an_archive_by_itself(online, orstats, monkeypatch):
    assert orstats("fetch", *online.ids[:5], "--archive", "a", "-q").exit_code == 0
    monkeypatch.delenv("OPENROUTER_BASE_URL")
    done = orstats("report", "--archive", "a", "--by", "provider_name,is_byok", "-o", "r.csv")
    assert (done.exit_code, done.stdout) == (0, "")
    with open("r.csv", encoding="utf-8", newline="") as file:  # noqa: PTH123
        header = next(csv.reader(file))
    assert header[:4] == ["provider_name", "is_byok", "generations", "cost_usd"]


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["--by", "nope"], 2, "Unknown column 'nope'"),
        (["--by", ","], 2, "--by"),
        (["--by", "", "--freq", "D", "--top", "3"], 2, "--top needs --by COLUMN"),
        (["--no-archive"], 2, "no ids"),
        (["--archive", "missing"], 1, "does not exist"),
        (["--archive", "empty", "--since", "7d"], 1, "OPENROUTER_MANAGEMENT_KEY"),
        (["gen-1", "-o", "x.doc"], 2, ".html"),
        (["--by", "modle"], 2, "Did you mean 'model'"),
        (["--freq", "fortnight"], 2, "hour, day"),
        (["--tz", "Europe/Berlon"], 2, "Europe/Berlin"),
        (["--since", "soon"], 2, "soon"),
        (["--since", "today", "--until", "yesterday"], 2, "must begin before its end"),
    ],
)
def test_invalid_report_options_are_errors(orstats, args, code, word):
    done = orstats("report", *args)
    assert done.exit_code == code
    assert word in done.stderr


@pytest.mark.slow
def test_page_names_options_that_do_not_change_it(online, orstats):
    options = ["--archive", "a", "-o", "x.html"]
    done = orstats("report", *online.ids, *options, "--by", "session_id,model", "--top", "2")
    assert "The page has its own tables. Ignored: --by session_id, --top 2." in done.stderr
    assert "Ignored" not in orstats("report", *options, "--by", "provider_name,model").stderr


def test_report_over_time_fits_a_terminal(online, orstats):
    done = orstats("report", *online.ids, "--archive", "a", "--freq", "W", "--by", "model,provider_name", "--top", "2")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["period", "model", "name", "generations", "cost", "share", "tokens"]
    assert max(map(len, lines)) <= 80
    assert "Not shown: $/Mtok." in done.stderr
    only_time = orstats("report", "--archive", "a", "--freq", "M", "--by", "")
    assert only_time.stdout.splitlines()[0].split()[:2] == ["period", "generations"]
    total = [text.split()[1:3] for text in (lines[-1], only_time.stdout.splitlines()[-1])]
    assert total[0] == total[1]


@pytest.mark.slow
def test_report_since_and_until_use_days_of_the_time_zone(online, orstats):
    assert orstats("fetch", *online.ids, "--archive", "a", "-q").exit_code == 0

    def made(*args):
        orstats("report", "--archive", "a", "--by", "model", "-o", "r.json", *args)
        return json.loads(Path("r.json").read_text())["coverage"]["asked"]

    moment = pd.Timestamp.now("UTC").normalize() - pd.Timedelta(days=10)
    day = moment.strftime("%Y-%m-%d")
    assert made("--since", day) + made("--until", day) == made() == len(online.ids)
    assert 0 < made("--since", day) < len(online.ids)
    assert made("--since", day) == made("--since", f"{day}T00:00:00Z")
    assert made("--since", day, "--tz", "Asia/Tokyo") == made("--since", f"{day}T00:00:00+09:00")


def store(*records):
    ids = [f"gen-{n}" for n in range(len(records))]
    Archive("a").append("openrouter.ai", to_table(ids, records, [time.time()] * len(ids)))


def test_since_and_until_use_the_time_zone(orstats):
    now = pd.Timestamp.now("Asia/Tokyo")
    hours = pd.date_range(end=now - pd.Timedelta(minutes=30), periods=72, freq="h")
    store(*({"total_cost": 1.0, "is_byok": False, "created_at": hour.isoformat()} for hour in hours))
    today = now.normalize()
    yesterday = f"{today - pd.Timedelta(days=1):%Y-%m-%d}"

    def days(*args):
        report = ("report", "--archive", "a", "--freq", "D", "--by", "", "--tz", "Asia/Tokyo", "-o", "r.csv")
        done = orstats(*report, *args)
        table = pd.read_csv("r.csv")
        assert set(table["coverage_tz"]) == {"Asia/Tokyo"}
        table = table.dropna(subset=["period"])
        return dict(zip(table["period"], table["generations"], strict=True)), " ".join(done.stderr.split())

    counts, said = days("--since", "yesterday", "--until", "today")
    assert counts == {yesterday: 24}
    assert f"Times in Asia/Tokyo from {yesterday} 00:00 to {today:%Y-%m-%d} 00:00." in said
    assert "incomplete" not in said
    assert days("--since", yesterday, "--until", f"{yesterday}T12:00")[0] == {yesterday: 12}
    counts, said = days("--since", "1d")
    assert counts == Counter(f"{hour:%Y-%m-%d}" for hour in hours[-24:])
    assert "The first day is incomplete" in said
    assert ("The last day is incomplete: it has not ended." in said) == (hours[-1].normalize() == today)
    assert f"Use --since {yesterday}T00:00+09:00 instead." in said


def test_invalid_times_and_zones_name_their_option(orstats):
    for args, words in {
        ("report", "--since", "yesterdy"): "--since: Unknown time 'yesterdy'. Did you mean 'yesterday'?",
        ("report", "--until", "7 days"): "--until: Unknown time '7 days'. Did you mean '7d'?",
        ("report", "--tz", "utc"): "--tz must be the name of a time zone, got 'utc'. Did you mean 'UTC'?",
        ("report", "--freq", "monthly"): "Did you mean 'month'?",
        ("ids", "--since", "2026-3-1"): "--since: Unknown time '2026-3-1'. Did you mean '2026-03-01'?",
        ("reconcile", "--since", "7d", "--tz", "tokyo"): "Did you mean 'Asia/Tokyo'?",
    }.items():
        done = orstats(*args)
        assert done.exit_code == 2
        assert words in " ".join(done.stderr.split())


def test_rows_of_unknown_time_are_not_excluded_silently(orstats):
    store({"total_cost": 1.0, "is_byok": False}, {"total_cost": 2.0, "created_at": "2026-01-02T00:00:00Z"})
    assert "1 row without created_at excluded" in orstats("report", "--archive", "a", "--since", "2026-01-01").stderr
    assert "created_at" not in orstats("report", "--archive", "a").stderr


@pytest.mark.parametrize("ending", [".html", ".csv", ".csv.gz", ".xlsx", ".md", ".json", ".parquet", ".jsonl"])
def test_report_files(online, orstats, ending):
    done = orstats("report", *online.ids[:20], "--archive", "a", "-o", f"r{ending}", "--tz", "Europe/Lisbon")
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"Written to r{ending}" in done.stderr
    assert Path(f"r{ending}").stat().st_size > 100


def test_total_of_unknown_tokens_is_not_0():
    console = Console(file=io.StringIO(), width=80)
    console.print(fit(cost_columns(cost_by(frame_of({"model": "a", "total_cost": 2.0, "is_byok": False}))), 80).table)
    assert console.file.getvalue().splitlines()[-1].split() == ["total", "1", "$2.0000", "?"]


def test_nothing_at_all_costs_nothing():
    columns = cost_columns(cost_by(frame_of({"model": "a"}).iloc[:0]))
    assert {column.name: column.footer for column in columns}.items() >= {"cost": "$0", "tokens": "0"}.items()


def test_failed_ids_give_3_in_a_report(online, orstats):
    done = orstats("report", online.ids[0], *online.unknown_ids(1, age=86_400))
    assert done.exit_code == 3
    assert "1 failed" in done.stderr


@pytest.mark.parametrize(("option", "start"), [("--excel", "\ufeffmodel,"), ("--excel=eu", "\ufeffmodel;")])
def test_report_writes_csv_for_excel(online, orstats, option, start):
    assert orstats("report", *online.ids[:5], option, "-o", "x.csv").exit_code == 0
    assert Path("x.csv").read_text("utf-8").startswith(start)
    assert orstats("report", *online.ids[:5], option, "-o", "x.xlsx").exit_code == 0
    for arguments in ((option,), (option, "-o", "x.html")):
        assert orstats("report", *online.ids[:5], *arguments).exit_code == 2


def test_report_workbook_names_range_and_source(online, orstats):
    assert orstats("report", *online.ids[:5], "--since", "2020-01-01", "--freq", "M", "-o", "x.xlsx").exit_code == 0
    about = dict(openpyxl.load_workbook("x.xlsx")["coverage"].iter_rows(max_col=2, values_only=True))
    assert about["since"] == pd.Timestamp("2020-01-01")
    assert "until" not in about
    assert about["source"]
    assert about["first_created_at"] <= about["last_created_at"]


def test_report_without_the_excel_extra_costs_no_request(online, orstats, monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    before = online.requests
    done = orstats("report", online.ids[0], "-o", "x.xlsx")
    assert done.exit_code == 1
    assert "orstats[excel]" in done.stderr
    assert online.requests == before
