"""orstats fields and demo, and the program itself."""

import csv
import json
import shlex

import pandas as pd
import pytest
import typer.main

from orstats.cli.app import app
from orstats.frame.build import empty_frame


def test_fields_explains_columns(orstats):
    done = orstats("fields", "latency")
    assert "Time to first token" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80
    everything = json.loads(orstats("fields", "--json").stdout)
    assert [field["name"] for field in everything] == ["id", *empty_frame().columns]
    assert orstats("fields", "-o", "d.csv").exit_code == 0
    assert list(pd.read_csv("d.csv")["name"]) == ["id", *empty_frame().columns]
    assert orstats("fields", "nope").exit_code == 2


def test_demo_runs_twice(orstats):
    for _ in range(2):
        done = orstats("demo", "--generations", "60", "--out", "demo")
        assert done.exit_code == 0
        assert "62 ids requested · 60 ok · 2 failed" in done.stderr
        assert "60 ids in" in done.stderr
        assert "total" in done.stdout
    with open("demo/costs.csv", encoding="utf-8", newline="") as file:  # noqa: PTH123
        statuses = [row["fetch_status"] for row in csv.DictReader(file)]
    assert sorted(statuses) == ["not_found"] * 2 + ["ok"] * 60
    (line,) = [line.strip() for line in done.stderr.splitlines() if " report --archive " in line]
    program, _, arguments = line.partition(" report ")
    assert program
    assert orstats("report", *shlex.split(arguments)).exit_code == 0


def test_version_help_and_no_arguments(orstats):
    assert orstats("--version").stdout.startswith("orstats ")
    assert orstats().exit_code == 2
    text = orstats("fetch", "--help").stdout
    assert "OPENROUTER_API_KEY" in text
    assert "orstats fetch --ids-from app.log -o costs.csv" in text


def commands(group, *path):
    yield path
    for name, below in getattr(group, "commands", {}).items():
        yield from commands(below, *path, name)


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_fits_80_columns(orstats, path):
    done = orstats(*path, "--help")
    assert done.exit_code == 0
    assert "Usage: " + " ".join(("orstats", *path)) in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert " range>" not in done.stdout, "a number says what it is of"
