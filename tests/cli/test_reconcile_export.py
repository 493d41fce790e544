"""``orstats reconcile --activity``: each generation compared with the Activity export, without a key."""

import json

import pandas as pd
import pytest


@pytest.fixture
def archived(orstats, online, tmp_path, monkeypatch):
    """All records but the last three are archived; then there is no key and no network."""
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "archive"))
    (tmp_path / "ids.txt").write_text("\n".join(online.ids[:-3]))
    (tmp_path / "activity.csv").write_text(online.activity_export(), "utf-8")
    assert orstats("fetch", "--ids-from", "ids.txt", "-o", "costs.csv", "-q").exit_code == 0
    monkeypatch.delenv("OPENROUTER_API_KEY")
    return online


def test_archive_is_compared_without_a_key(orstats, archived, tmp_path):
    before = archived.requests
    done = orstats("reconcile", "--activity", "activity.csv", "--tolerance", 0, "-o", "differences.csv")
    assert archived.requests == before
    missing = archived.ids[-3:]
    costs = {one: archived.record(one)["total_cost"] for one in missing}
    assert done.exit_code == (3 if sum(costs.values()) else 0)
    assert all(one in done.stdout for one in missing)
    assert "3 missing in your ids." in done.stderr
    assert "missing in ids: the export has it, your ids do not" in done.stderr
    written = pd.read_csv(tmp_path / "differences.csv", index_col="id")
    assert set(written.index) == set(missing)
    assert set(written["difference"]) == {"missing_in_ids"}


def test_ids_of_a_file_and_json(orstats, archived, tmp_path):
    (tmp_path / "all.csv").write_text(archived.activity_export(archived.ids[:-3]), "utf-8")
    done = orstats("reconcile", "--activity", "all.csv", "--ids-from", "ids.txt", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
    assert "every generation agrees. 100% explained." in done.stderr
    quiet = orstats("reconcile", "--activity", "all.csv", "-q")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")


def test_range_is_required_without_an_export(orstats, online):
    done = orstats("reconcile")
    assert done.exit_code == 2
    assert "--since is missing" in done.stderr
    assert orstats("reconcile", "--activity", "none.csv", online.ids[0]).exit_code == 1


@pytest.mark.usefixtures("archived")
def test_range_limits_the_export(orstats):
    done = orstats("reconcile", "--activity", "activity.csv", "--since", "2020-01-01", "--until", "2020-02-01")
    assert done.exit_code == 0
    assert "Export $0 for 0 generations" in done.stderr
    early = orstats("reconcile", "--activity", "activity.csv", "--until", "2020-02-01")
    assert "Export $0 for 0 generations" in early.stderr


@pytest.mark.usefixtures("archived")
def test_other_files_are_not_taken_for_an_export(orstats):
    own = orstats("reconcile", "--activity", "costs.csv")
    assert own.exit_code == 2
    assert "got records fetched by orstats, which would be compared with themselves" in own.stderr
    ids = orstats("reconcile", "--activity", "ids.txt")
    assert "ids.txt: a list or log of generation ids, without their costs. Read it with" in ids.stderr
