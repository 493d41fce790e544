"""orstats fetch: what goes where, exit codes, and what is left after a stop."""

import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from orstats.archive.archive import Archive
from orstats.cli.summary import cost_line
from orstats.errors import ArchiveError
from orstats.export.workbook import MAX_ROWS
from orstats.frame.build import build_frame
from orstats.frame.record_table import to_table
from orstats.frame.summary import summary
from orstats.sim import Faults, SimServer

UNTIL = datetime(2026, 10, 1, tzinfo=UTC)


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_csv_goes_to_standard_output_and_status_to_standard_error(online, orstats):
    done = orstats("fetch", *online.ids[:3])
    assert done.exit_code == 0
    assert [row["id"] for row in rows(done.stdout)] == online.ids[:3]
    assert "3 ids requested · 3 ok" in done.stderr
    assert "Cost $" in done.stderr


def test_ids_come_from_arguments_and_files_once_each(online, orstats, tmp_path):
    (tmp_path / "app.log").write_text(f"x {online.ids[1]} y\nx {online.ids[0]} y\n")
    pd.DataFrame({"n": [1], "call": [online.ids[2]]}).to_csv("t.csv", index=False)
    done = orstats("fetch", online.ids[0], "--ids-from", "app.log", "-q")
    assert [row["id"] for row in rows(done.stdout)] == [online.ids[0], online.ids[1]]
    assert done.stderr == ""
    done = orstats("fetch", ",".join(online.ids[:2]), f"{online.ids[2]}; {online.ids[3]}\n", "-q")
    assert [row["id"] for row in rows(done.stdout)] == online.ids[:4]
    done = orstats("fetch", "--ids-from", "t.csv", "--column", "call", "-q")
    assert [row["id"] for row in rows(done.stdout)] == [online.ids[2]]
    done = orstats("fetch", "--ids-from", "-", "-q", input=f"a {online.ids[3]}\n")
    assert [row["id"] for row in rows(done.stdout)] == [online.ids[3]]


def test_an_output_file_leaves_standard_output_empty(online, orstats, tmp_path):
    for name in ("x.csv", "x.parquet", "x.jsonl"):
        done = orstats("fetch", *online.ids[:3], "-o", tmp_path / name)
        assert (done.exit_code, done.stdout) == (0, "")
        assert f"Written to {tmp_path / name}: 3 rows." in done.stderr
    assert list(pd.read_parquet(tmp_path / "x.parquet").index) == online.ids[:3]
    assert json.loads((tmp_path / "x.jsonl").read_text("utf-8").splitlines()[0])["id"] == online.ids[0]


def test_failed_ids_keep_their_row_and_get_advice_and_exit_code_3(online, orstats):
    lost = online.unknown_ids(7, age=86_400)
    done = orstats("fetch", online.ids[0], *lost, "chatcmpl-abc123def456")
    assert done.exit_code == 3
    assert [row["fetch_status"] for row in rows(done.stdout)] == ["ok", *["not_found"] * 7, "invalid_id"]
    assert "not_found 7: Check that the id is complete" in done.stderr
    assert f"{', '.join(lost[:5])} and 2 more" in done.stderr
    assert "chatcmpl-abc123def456" in done.stderr


def test_cost_parts_include_unknown_costs_and_say_so():
    def line_of(*records):
        ids = [f"gen-{n}" for n in range(len(records))]
        return cost_line(summary(build_frame(ids, [to_table(ids, records, [0.0] * len(ids))], {}))["value"])

    own = {"total_cost": 0.5, "is_byok": True, "upstream_inference_cost": 2.0}
    half = {"total_cost": 0.25, "is_byok": True}
    assert line_of(own) == (
        "Cost $2.5000: $0.5000 from credits ($0.5000 of it fees for calls with your own keys), "
        "$2.0000 charged by providers to your own keys."
    )
    assert line_of(own, half) == (
        "Cost $2.5000; 1 generation with unknown cost is excluded. "
        "Charged including these: $0.7500 from credits ($0.7500 of it fees for calls with your own keys), "
        "$2.0000 charged by providers to your own keys."
    )
    assert "$0.250000 from credits ($0.250000 of it fees for calls with your own keys), unknown charged" in line_of(
        half
    )
    assert line_of({"total_cost": 0.5, "is_byok": False}, {"is_byok": False}) == (
        "Cost $0.5; 1 generation with unknown cost is excluded."
    )


def test_without_ids_it_says_how_to_give_them(orstats):
    done = orstats("fetch")
    assert done.exit_code == 2
    assert "--ids-from FILE" in done.stderr
    assert done.stdout == ""


def test_a_file_given_as_an_id_is_pointed_out(orstats, tmp_path):
    (tmp_path / "ids.txt").write_text("")
    done = orstats("fetch", "ids.txt")
    assert done.exit_code == 2
    assert "Use --ids-from ids.txt" in done.stderr


def test_an_empty_file_gives_a_header(orstats, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    done = orstats("fetch", "--ids-from", "empty.txt")
    assert done.exit_code == 1
    assert done.stdout.startswith("id,fetch_status,")
    assert rows(done.stdout) == []
    assert "no ids found in empty.txt" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["gen-1", "--workers", "0"], 2, "--workers"),
        (["gen-1", "--archive", "a", "--no-archive"], 2, "mutually exclusive"),
        (["gen-1", "--column", "id"], 2, "--ids-from"),
        (["gen-1", "-o", "x.xls"], 2, ".parquet"),
        (["gen-1", "-o", "nowhere/x.csv"], 1, "there is no directory"),
        (["--ids-from", "nowhere.txt"], 1, "nowhere.txt"),
        (["gen-1", "--base-url", "ftp://x"], 2, "https://"),
        (["gen-1"], 1, "OPENROUTER_API_KEY"),
        (["gen-1", "--nonsense"], 2, "--nonsense"),
    ],
)
def test_usage_errors_are_one_line_and_send_no_request(orstats, args, code, word):
    done = orstats("fetch", *args)
    assert done.exit_code == code
    assert word in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""
    assert done.stderr.startswith("orstats: error: ")
    assert done.stderr.count("\n") == 1


def test_an_output_that_cannot_be_written_costs_no_request(online, orstats):
    before = online.requests
    assert orstats("fetch", online.ids[0], "-o", "nowhere/x.csv").exit_code == 1
    assert online.requests == before


def test_a_wrong_key_stops_and_leaves_the_old_file(online, orstats, tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_text("good")
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-" + "0" * 64)
    done = orstats("fetch", *online.ids[:3], "-o", "x.csv")
    assert done.exit_code == 1
    assert "401" in done.stderr
    assert "Check OPENROUTER_API_KEY: the key is wrong" in done.stderr
    assert (tmp_path / "x.csv").read_text() == "good"


def test_partial_results_are_written_when_credits_run_out(orstats, tmp_path):
    with SimServer(20, seed=4) as sim:
        environment = {"OPENROUTER_BASE_URL": sim.base_url, "OPENROUTER_API_KEY": sim.key}
        assert orstats("fetch", *sim.ids[:5], "--archive", "a", "-q", env=environment).exit_code == 0
        sim.out_of_credits = True
        done = orstats("fetch", *sim.ids, "--archive", "a", "-o", "x.csv", env=environment)
    assert done.exit_code == 1
    assert "402" in done.stderr
    assert "Partial results written to x.csv: 5 of 20 ids." in done.stderr
    statuses = [row["fetch_status"] for row in rows((tmp_path / "x.csv").read_text("utf-8"))]
    assert (statuses[:5], len(statuses)) == (["ok"] * 5, 20)


def test_an_archive_that_cannot_be_written_is_an_error(online, orstats, tmp_path):
    (tmp_path / "file").write_text("")
    done = orstats("fetch", online.ids[0], "--archive", tmp_path / "file" / "a")
    assert done.exit_code == 1
    assert "archive" in done.stderr


def test_second_fetch_is_served_from_the_archive_without_a_key(online, orstats, monkeypatch):
    first = orstats("fetch", *online.ids[:20], "--archive", "a")
    before = online.requests
    monkeypatch.delenv("OPENROUTER_API_KEY")
    second = orstats("fetch", *online.ids[:20], "--archive", "a")
    assert second.exit_code == 0
    assert online.requests == before
    assert "20 ok (20 from the archive)" in second.stderr
    same = [{key: row[key] for key in row if key not in ("attempts", "http_status")} for row in rows(first.stdout)]
    assert [
        {key: row[key] for key in row if key not in ("attempts", "http_status")} for row in rows(second.stdout)
    ] == same
    assert orstats("fetch", online.ids[0], "--archive", "a", "--no-archive").exit_code == 2


def test_refresh_requests_again(online, orstats):
    assert orstats("fetch", online.ids[0], "--archive", "a", "-q").exit_code == 0
    before = online.requests
    assert orstats("fetch", online.ids[0], "--archive", "a", "-q", "--refresh").exit_code == 0
    assert online.requests == before + 1


def test_formulas_are_neutralized_without_raw_text(orstats):
    with SimServer(1000, seed=0) as sim:
        hostile = [one for one in sim.ids if str(sim.record(one)["external_user"]).startswith("=")]
        assert hostile
        environment = {"OPENROUTER_BASE_URL": sim.base_url, "OPENROUTER_API_KEY": sim.key}
        safe = rows(orstats("fetch", *hostile, "-q", env=environment).stdout)
        raw = rows(orstats("fetch", *hostile, "-q", "--raw-text", env=environment).stdout)
    assert {row["external_user"][:2] for row in safe} == {"'="}
    assert {row["external_user"][:1] for row in raw} == {"="}


def test_recent_ids_are_pending(online, orstats):
    (young,) = online.young_ids(1, found_after=3600)
    done = orstats("fetch", young, "--pending-wait", "0")
    assert done.exit_code == 3
    assert "pending 1: Try again in a minute" in done.stderr


@pytest.mark.usefixtures("online")
def test_an_id_with_escape_sequences_does_not_reach_the_terminal(orstats):
    done = orstats("fetch", "gen-\x1b[31mred\x07[bold]x[/bold]", "-q", "--pending-wait", "0")
    assert "\x1b" not in done.stdout
    done = orstats("fetch", "gen-\x1b[31mred\x07[bold]x[/bold]", "-o", "x.csv", "--pending-wait", "0")
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr
    assert "gen-red[bold]x[/bold]" in done.stderr
    assert Archive("unused").hosts() == []


def test_partial_results_are_written_when_the_archive_fails(online, orstats, tmp_path, monkeypatch):
    def full(self, *_):
        raise ArchiveError(f"Cannot write the archive {self.path}: disk full.", path=self.path)

    monkeypatch.setattr(Archive, "append", full)
    done = orstats("fetch", *online.ids[:10], "--archive", "a", "-o", "x.csv")
    assert done.exit_code == 1
    assert "disk full" in done.stderr
    assert "Partial results written to x.csv: 10 of 10 ids." in done.stderr
    assert [row["fetch_status"] for row in rows((tmp_path / "x.csv").read_text("utf-8"))] == ["ok"] * 10


def test_export_of_an_archive_with_several_hosts_needs_one(orstats):
    for seed in (1, 2):
        with SimServer(3, seed=seed) as sim:
            environment = {"OPENROUTER_BASE_URL": sim.base_url, "OPENROUTER_API_KEY": sim.key}
            assert orstats("fetch", *sim.ids, "--archive", "a", "-q", env=environment).exit_code == 0
            host = sim.base_url.split("/")[2]
    done = orstats("archive", "export", "x.csv", "--archive", "a")
    assert done.exit_code == 1
    assert "--host" in done.stderr
    assert orstats("archive", "export", "x.csv", "--archive", "a", "--host", host).exit_code == 0
    assert len(pd.read_csv("x.csv")) == 3


def test_most_frequent_error_of_each_status_is_printed_as_in_the_csv(orstats, monkeypatch):
    victims = SimServer(12, seed=3, until=UNTIL).ids[:4]
    faults = Faults(rate=0, always=dict(zip(victims, ["400", "500", "list-200", "list-200"], strict=True)))
    with SimServer(12, seed=3, until=UNTIL, faults=faults) as sim:
        lost = sim.unknown_ids(2, age=90_000)
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        done = orstats("fetch", *victims, *lost, "-o", "x.csv", "--deadline", "3", env={"COLUMNS": "400"})
    table = pd.read_csv("x.csv", index_col="id")
    assert done.exit_code == 3
    for generation_id in (victims[0], victims[2], lost[0]):
        assert table.loc[generation_id, "error"] in done.stderr


def test_deadline_ends_with_the_code_for_partial_results(orstats, monkeypatch):
    with SimServer(200, latency=0.1, until=UNTIL) as sim:
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        done = orstats("fetch", *sim.ids, "-o", "x.csv", "--workers", "2", "--deadline", "0.5")
    table = pd.read_csv("x.csv", index_col="id")
    assert done.exit_code == 3
    assert set(table["fetch_status"]) == {"ok", "not_attempted"}
    assert "not_attempted" in done.stderr


def test_warnings_about_a_source_of_ids_are_printed_once(online, orstats, tmp_path):
    (tmp_path / "x.csv").write_text(f"id,cost\n{online.ids[0]},1\nNULL,2\n")
    result = orstats("fetch", "--ids-from", "x.csv", "--quiet")
    assert result.exit_code == 0
    assert result.stderr.count("skipped 1 missing or empty value") == 1
    assert "IdSourceWarning" not in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_fetch_writes_a_workbook(online, orstats):
    done = orstats("fetch", *online.ids[:5], *online.unknown_ids(1, age=86_400), "-o", "x.xlsx", "--archive", "a")
    assert (done.exit_code, done.stdout) == (3, "")
    book = openpyxl.load_workbook("x.xlsx")
    assert [cell.value for cell in book["generations"]["A"][1:6]] == online.ids[:5]
    about = dict(book["coverage"].iter_rows(max_col=2, values_only=True))
    assert (about["asked"], about["ok"], about["missing"], about["tz"]) == (6, 5, 1, "UTC")
    assert about["source"].endswith(f", archive {Path('a').absolute()}")


@pytest.mark.parametrize(
    ("option", "start"),
    [((), "id,"), (("--excel",), "\ufeffid,fetch_status"), (("--excel=eu",), "\ufeffid;fetch_status")],
)
def test_fetch_writes_csv_for_excel(online, orstats, option, start):
    done = orstats("fetch", *option, *online.ids[:2], "-q")
    assert done.exit_code == 0
    assert done.stdout.startswith(start)
    assert orstats("fetch", *online.ids[:2], *option, "-q", "-o", "x.csv").exit_code == 0
    assert Path("x.csv").read_bytes().decode().startswith(start)


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["--excel=us-east"], 2, "--excel=eu"),
        (["--excel", "-o", "x.parquet"], 2, "applies to CSV"),
        (["-o", "folder.xlsx"], 2, "is a directory"),
        (["-o", "nowhere/x.xlsx"], 1, "no directory"),
        (["-o", "x.xlsx"], 1, "orstats[excel]"),
    ],
)
def test_a_workbook_that_cannot_be_written_costs_no_request(online, orstats, monkeypatch, args, code, word):
    Path("folder.xlsx").mkdir()
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    before = online.requests
    done = orstats("fetch", online.ids[0], *args)
    assert done.exit_code == code
    assert word in done.stderr
    assert online.requests == before


def test_too_many_ids_for_a_sheet_are_refused_before_they_are_fetched(online, orstats, monkeypatch):
    assert MAX_ROWS == 1_048_572
    monkeypatch.setattr("orstats.export.workbook.MAX_ROWS", 1000)
    Path("ids.txt").write_text("".join(f"gen-{number:028}\n" for number in range(1001)))
    before = online.requests
    done = orstats("fetch", "--ids-from", "ids.txt", "-o", "x.xlsx")
    assert done.exit_code == 1
    assert "1,000 rows, got 1,001" in done.stderr
    assert online.requests == before
