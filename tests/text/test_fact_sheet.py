"""The notebook representation of objects: escaped, and without secrets."""

import os

import pandas as pd
import pytest

import orstats
from orstats.text.fact_sheet import fact_sheet

HOSTILE = '<img src=x onerror="alert(1)">'


def test_everything_is_escaped():
    text = fact_sheet(HOSTILE, HOSTILE, {HOSTILE: [HOSTILE, HOSTILE]})
    assert "<img" not in text
    assert text.count("&lt;img") == 5


def test_client_shows_whether_keys_are_set_and_no_key():
    client = orstats.Client("sk-or-v1-secret", base_url="https://openrouter.ai")
    text = client._repr_html_()
    assert "https://openrouter.ai/api/v1" in text
    assert "none met so far" in text
    assert text.count(">set<") == 1
    assert text.count(">not set<") == 1
    assert "sk-or" not in text
    assert "secret" not in text


def test_client_shows_the_rate_that_it_learnt():
    client = orstats.Client("sk-or-v1-secret")
    client.rate_limiter = type("Limiter", (), {"pace": 12.34})()
    assert "12.3 requests per second" in client._repr_html_()
    client.rate_limiter = type("Limiter", (), {"pace": 0.0})()
    assert "paused after refusals" in client._repr_html_()


def test_archive_shows_hosts_files_and_size(tmp_path):
    archive = orstats.Archive(tmp_path / "new")
    assert "none yet" in archive._repr_html_()
    assert not (tmp_path / "new").exists()
    with orstats.sim.SimServer(5) as sim:
        orstats.fetch(sim.ids, client=sim.client(), archive=archive)
        text = archive._repr_html_()
        assert f"127.0.0.1:{sim.port}" in text
    assert "1 file of records" in text


def test_archive_in_an_object_store_is_not_accessed_and_shows_no_credentials():
    text = orstats.Archive("s3://id:secret@bucket/orstats?endpoint_override=127.0.0.1:9")._repr_html_()
    assert "bucket/orstats" in text
    assert "secret" not in text


@pytest.mark.skipif(os.name == "nt", reason="names of files")
def test_archive_path_is_escaped(tmp_path):
    text = orstats.Archive(tmp_path / "<b>bold")._repr_html_()
    assert "<b>bold" not in text
    assert "&lt;b&gt;bold" in text


def test_archive_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(orstats.Archive, "_datasets", refuse)
    assert "Permission denied" in orstats.Archive(tmp_path)._repr_html_()


def test_fetch_says_in_attrs_where_its_rows_come_from(tmp_path):
    with orstats.sim.SimServer(5) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(), archive=False)
        host = f"127.0.0.1:{sim.port}"
    assert df.attrs["host"] == host
    assert df.attrs["orstats_version"] == orstats.__version__
    assert pd.Timestamp(df.attrs["fetched_at"]).tzinfo is not None
    filtered = df[df["fetch_status"] == "ok"].sort_values("cost_usd").head(2)
    assert filtered.attrs == df.attrs
    df.to_parquet(tmp_path / "df.parquet")
    assert pd.read_parquet(tmp_path / "df.parquet").attrs == df.attrs
