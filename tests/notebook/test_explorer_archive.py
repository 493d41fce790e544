"""The explorer opens an archive, and searches its stored texts."""

import time

import pytest
from explorer_actions import fill_in

import orstats
from orstats.frame.record_table import to_table
from orstats.notebook.explorer import explore


def test_stored_texts_are_searched_when_this_is_chosen(sim, df, tmp_path, monkeypatch):
    monkeypatch.setattr("orstats.notebook.explorer.in_thread", lambda work: work())
    client = sim.client()
    stored = next(i for i in sim.ids if sim.content_reason(i) == "stored")
    one = explore(df, client=client, archive=tmp_path)
    fill_in(one, text="gen-", contents=True)
    assert "No prompts or completions" in one.table.message["text"]
    fill_in(one, text="")
    assert one.table.message["text"] == "", "it was about other rows"
    orstats.fetch_contents([stored], client=client, archive=tmp_path, store_content=True)
    text = orstats.get(stored, client=client, archive=tmp_path).content().completion[:40]
    one = explore(df, client=client, archive=tmp_path)
    fill_in(one, text=text)
    assert stored not in one.filtered.index
    fill_in(one, text=text.upper(), contents=True)
    assert one.filtered.index.tolist() == [stored]
    assert "of 1 generation" in one.table.message["text"]


def test_opens_from_an_archive(sim, tmp_path, monkeypatch):
    client = sim.client()
    orstats.fetch(sim.ids[:30], client=client, archive=tmp_path / "a", progress=False)
    assert set(explore(client=client, archive=tmp_path / "a").filtered.index) == set(sim.ids[:30])
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "a"))
    monkeypatch.delenv("OPENROUTER_BASE_URL", raising=False)
    assert len(explore().filtered) == 30


def test_files_that_cannot_be_read_are_named(sim, tmp_path):
    for first in (0, 2):
        orstats.fetch(sim.ids[first : first + 2], client=sim.client(), archive=tmp_path, progress=False)
    damaged = min(tmp_path.glob("*/*/*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=f"Unreadable archive files are excluded.*{damaged.name}"):
        assert explore(client=sim.client(), archive=tmp_path).filtered.index.tolist() == sim.ids[2:4][::-1]


def test_an_archive_without_records_is_an_error(sim, tmp_path):
    with pytest.raises(orstats.errors.ArchiveError, match="empty"):
        explore(archive=tmp_path)
    with pytest.raises(orstats.errors.ConfigError):
        explore(archive=False)
    orstats.fetch(sim.ids[:2], client=sim.client(), archive=tmp_path, progress=False)
    with pytest.raises(orstats.errors.ArchiveError, match=r"has no records of example\.test"):
        explore(client=orstats.Client("k", base_url="https://example.test/api/v1"), archive=tmp_path)


def test_an_account_is_never_explored_as_the_simulator(sim, tmp_path, monkeypatch):
    monkeypatch.delenv("ORSTATS_ARCHIVE", raising=False)
    monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path)
    advice = r"set ORSTATS_ARCHIVE or pass archive=\.$"
    with pytest.raises(orstats.errors.ArchiveError, match=f"is empty.*{advice}"):
        explore()
    table = to_table(sim.ids[:1], [sim.record(sim.ids[0])], [time.time()])
    orstats.Archive(tmp_path).append("openrouter.ai", table)
    with pytest.raises(orstats.errors.ArchiveError, match=f"has no records of 127.*{advice}"):
        explore()
