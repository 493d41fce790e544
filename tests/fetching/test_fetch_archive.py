"""fetch and its archive: what is stored, what is requested again, what happens if the archive fails."""

import pandas as pd
import pytest

import orstats
from orstats import errors


def test_settled_records_are_requested_only_once(sim, tmp_path):
    first = orstats.fetch(sim.ids, client=sim.client(), archive=tmp_path)
    sim.reset_stats()
    keyless = orstats.Client(base_url=sim.base_url)
    again = orstats.fetch(sim.ids, client=keyless, archive=tmp_path)
    assert sim.requests == 0
    same = [column for column in first.columns if column not in ("attempts", "http_status", "fetched_at")]
    pd.testing.assert_frame_equal(first[same], again[same])
    assert (again["attempts"] == 0).all()


def test_refresh_requests_archived_ids(sim, tmp_path):
    orstats.fetch(sim.ids[:50], client=sim.client(), archive=tmp_path)
    sim.reset_stats()
    df = orstats.fetch(sim.ids[:50], client=sim.client(), archive=tmp_path, refresh=True)
    assert sim.requests == 50
    assert (df["attempts"] == 1).all()


def test_misses_and_recent_records_are_not_archived_as_settled(sim, tmp_path):
    young, unknown = sim.young_ids(2, found_after=0), sim.unknown_ids(2, age=7200)
    orstats.fetch([*young, *unknown], client=sim.client(), archive=tmp_path)
    sim.reset_stats()
    df = orstats.fetch([*young, *unknown], client=sim.client(), archive=tmp_path)
    assert sim.requests == 4
    assert list(df["fetch_status"]) == ["ok", "ok", "not_found", "not_found"]


def test_servers_on_this_machine_do_not_write_to_the_default_archive(sim, tmp_path, monkeypatch):
    monkeypatch.delenv("ORSTATS_ARCHIVE", raising=False)
    for variable in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    orstats.fetch(sim.ids[:5], client=sim.client())
    assert list(tmp_path.rglob("*")) == []


def test_unwritable_archive_costs_no_request(sim, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(errors.ArchiveError) as caught:
        orstats.fetch(sim.ids, client=sim.client(), archive=tmp_path / "file" / "archive")
    assert str(tmp_path / "file") in str(caught.value)
    assert sim.requests == 0


def test_archive_error_midway_carries_the_fetched_rows(sim, tmp_path, monkeypatch):
    archive = orstats.Archive(tmp_path)

    def full(*_):
        raise errors.ArchiveError("No space left on device.", path=str(tmp_path))

    monkeypatch.setattr(orstats.Archive, "append", full)
    with pytest.raises(errors.ArchiveError) as caught:
        orstats.fetch(sim.ids, client=sim.client(), archive=archive)
    assert (caught.value.frame["fetch_status"] == "ok").sum() > 0
    assert len(caught.value.frame) == len(sim.ids)


def test_many_small_files_are_merged_at_the_end_of_a_fetch(sim, tmp_path):
    archive = orstats.Archive(tmp_path)
    for number in range(70):
        orstats.fetch([sim.ids[number]], client=sim.client(), archive=archive)
    assert archive.info()["parts"].item() < 64
    sim.reset_stats()
    assert (orstats.fetch(sim.ids[:70], client=sim.client(), archive=archive)["fetch_status"] == "ok").all()
    assert sim.requests == 0
