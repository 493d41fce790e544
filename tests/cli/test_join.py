"""``orstats fetch --join``: the table of ``--ids-from`` with what each row cost."""

import csv
import io
import json
from decimal import Decimal

import pytest


@pytest.fixture
def runs(online, tmp_path):
    """A table as a European spreadsheet saves it: one id twice, one row without, one unknown."""
    path = tmp_path / "runs.csv"
    ids = [online.ids[0], online.ids[1], online.ids[0], "", online.unknown_ids(1)[0]]
    lines = [f"{number:03d};1.234,5{number};{one}" for number, one in enumerate(ids)]
    path.write_text("\n".join(["run;amount;generation_id", *lines]) + "\n", encoding="utf-8-sig")
    return path, ids


def test_rows_are_written_with_their_costs(orstats, online, runs):
    path, ids = runs
    done = orstats("fetch", "--ids-from", path, "--join", "--pending-wait", 0)
    assert done.exit_code == 3
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["run"], row["amount"], row["generation_id"]) for row in rows] == [
        (f"{number:03d}", f"1.234,5{number}", one) for number, one in enumerate(ids)
    ]
    records = [online.record(one) for one in ids[:2]]
    charged = sum(Decimal(repr(one["total_cost"])) for one in records)
    byok = sum(Decimal(repr(one["upstream_inference_cost"])) for one in records if one["is_byok"])
    assert sum(Decimal(row["cost_usd"] or 0) for row in rows) == charged + byok
    assert [row["fetch_status"] for row in rows] == ["ok", "ok", "ok", "", "not_found"]
    assert rows[2]["cost_basis"] == "repeated"
    assert "1 id in more than one row" in done.stderr
    assert "1 of 5 rows without a generation id" in done.stderr
    assert "3 ids requested" in done.stderr


@pytest.mark.parametrize("ending", [".xlsx", ".jsonl", ".parquet", ".csv.gz"])
def test_other_formats_have_the_same_rows(orstats, runs, tmp_path, ending):
    path, _ = runs
    out = tmp_path / f"out{ending}"
    done = orstats("fetch", "--ids-from", path, "--join", "-o", out, "--pending-wait", 0)
    assert done.exit_code == 3
    assert f"Written to {out}: 5 rows." in done.stderr
    again = orstats("fetch", "--ids-from", out, "--column", "generation_id", "--join", "-o", tmp_path / "again.jsonl")
    assert again.exit_code == 3
    rows = [json.loads(line) for line in (tmp_path / "again.jsonl").read_text().splitlines()]
    assert [row["run"] for row in rows] == [f"{number:03d}" for number in range(5)]
    assert "openrouter_error" in rows[0] or ending == ".xlsx"


def test_standard_input_is_joined(orstats, online):
    done = orstats("fetch", "--ids-from", "-", "--join", "-q", input=f"run,id\n007,{online.ids[0]}\n")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].startswith(f"007,{online.ids[0]},ok,")


@pytest.mark.parametrize("arguments", [[], ["--ids-from", "runs.csv", "--ids-from", "runs.csv"], ["gen-1"]])
def test_join_needs_one_table(orstats, runs, arguments):
    assert runs
    done = orstats("fetch", "--join", *arguments)
    assert done.exit_code == 2
    assert "--ids-from" in done.stderr


def test_two_candidates_name_the_option(orstats, online, tmp_path):
    (tmp_path / "two.csv").write_text(f"first,second\n{online.ids[0]},{online.ids[1]}\n")
    done = orstats("fetch", "--ids-from", "two.csv", "--join")
    assert done.exit_code == 2
    assert "several columns contain generation ids ('first', 'second'); pass --column" in done.stderr
    assert orstats("fetch", "--ids-from", "two.csv", "--join", "--column", "second", "-q").exit_code == 0


def test_table_without_any_id_is_an_error(orstats, online, tmp_path):
    (tmp_path / "empty.csv").write_text("run,generation_id\n1,\n2,\n")
    done = orstats("fetch", "--ids-from", "empty.csv", "--join", "-o", "out.csv")
    assert (done.exit_code, online.requests) == (1, online.requests)
    assert "no row has a generation id" in done.stderr
    assert not (tmp_path / "out.csv").exists()
