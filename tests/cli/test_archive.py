"""orstats archive: info, compact, export, forget."""

import json
from types import SimpleNamespace

import pandas as pd

from orstats.archive.archive import Archive


def test_archive_commands(online, orstats, tmp_path):
    assert orstats("archive", "path", "--archive", "a").stdout == f"{tmp_path / 'a'}\n"
    assert f"The archive {tmp_path / 'a'} does not exist." in orstats("archive", "info", "--archive", "a").stderr
    for start in (0, 5, 10):
        assert orstats("fetch", *online.ids[start : start + 5], "--archive", "a", "-q").exit_code == 0
    info = orstats("archive", "info", "--archive", "a", "--json")
    (host,) = json.loads(info.stdout)
    assert (host["ids"], host["parts"]) == (15, 3)
    assert host["host"] in orstats("archive", "info", "--archive", "a").stdout
    done = orstats("archive", "compact", "--archive", "a")
    assert done.exit_code == 0
    assert "3 files → 1" in done.stderr
    assert orstats("archive", "export", "all.parquet", "--archive", "a").exit_code == 0
    assert sorted(pd.read_parquet("all.parquet").index) == sorted(online.ids[:15])
    assert orstats("archive", "export", "all.parquet", "--archive", "a", "--host", "other").exit_code == 1
    assert orstats("archive", "export", "all.xlsx", "--archive", "a").exit_code == 0
    assert orstats("archive", "export", "all.xls", "--archive", "a").exit_code == 2


def test_compact_names_what_it_cannot_read(online, orstats, tmp_path):
    assert orstats("fetch", *online.ids[:5], "--archive", "a", "-q").exit_code == 0
    (part,) = (tmp_path / "a").rglob("part-*.parquet")
    part.with_name("part-broken.parquet").write_bytes(b"no parquet")
    done = orstats("archive", "compact", "--archive", "a")
    assert done.exit_code == 1
    assert "part-broken.parquet" in done.stderr
    assert "1 damaged file" in orstats("archive", "info", "--archive", "a").stderr


def test_files_that_cannot_be_read_are_counted_and_set_the_exit_code(online, orstats, tmp_path):
    for start in (0, 5):
        assert orstats("fetch", *online.ids[start : start + 5], "--archive", "a", "-q").exit_code == 0
    part = next((tmp_path / "a").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    for command in (("report", "-o", "r.json"), ("archive", "export", "x.csv"), ("archive", "info")):
        done = orstats(*command, "--archive", "a")
        assert (done.exit_code, part.name in done.stderr) == (3, True)
    assert json.loads((tmp_path / "r.json").read_text())["coverage"]["unreadable_files"] == 1


def test_forget_asks_at_a_terminal_and_deletes_nothing_without_a_yes(online, orstats, monkeypatch):
    monkeypatch.setattr("orstats.cli.commands.archive.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    assert orstats("fetch", *online.ids[:2], "--archive", "a", "-q").exit_code == 0
    stored = Archive("a")
    for answer, code, left in (("n", 1, 2), ("y", 0, 1)):
        done = orstats("archive", "forget", online.ids[0], "--archive", "a", input=f"{answer}\n")
        assert done.exit_code == code, done.output
        assert ("Nothing was deleted." in done.stderr) == (code == 1)
        assert stored.info()["rows"].sum() == left


def test_generations_are_forgotten_after_a_preview(online, orstats):
    assert orstats("fetch", *online.ids[:5], "--archive", "a", "-q").exit_code == 0
    preview = orstats("archive", "forget", *online.ids[:2], "--archive", "a")
    assert (preview.exit_code, "2 records" in preview.stderr, "--yes" in preview.stderr) == (2, True, True)
    assert orstats("archive", "forget", *online.ids[:2], "--archive", "a", "--dry-run").exit_code == 0
    assert orstats("archive", "forget", "--archive", "a").exit_code == 2
    assert orstats("archive", "forget", "--before", "nonsense", "--archive", "a").exit_code == 2
    assert orstats("archive", "forget", *online.ids[:2], "--archive", "a", "--yes").exit_code == 0
    assert orstats("report", "--archive", "a", "--by", "model", "-o", "r.csv").exit_code == 0
    assert pd.read_csv("r.csv")["generations"].sum() == 3
