"""record() and unrecord(): labels, several recorders, and what is refused."""

import asyncio

import aiohttp
import httpx
import pandas as pd
import pytest
import requests
from recordings import recorded, rows

import orstats
from orstats.errors import ConfigError


def test_session_records_id_time_and_labels(vendor, path):
    with requests.Session() as session:
        assert orstats.record(path, session, team="search", job=7) is session
        session.get(f"{vendor.url}/any")
        session.get(f"{vendor.url}/plain")
        session.post(f"{vendor.url}/plain")
    (row,) = rows(path)
    assert {name: row[name] for name in ("team", "job")} == {"team": "search", "job": "7"}
    assert pd.Timestamp(row["recorded_at"]).tzinfo is not None
    assert orstats.read_ids(path) == [row["id"]]
    assert path.stat().st_mode & 0o077 == 0


def test_unrecord_restores_every_client(vendor, path, tmp_path):
    with requests.Session() as session, httpx.Client(trust_env=False) as client:
        adapters, transport = dict(session.adapters), client._transport
        for one in (session, client):
            orstats.record(path, one)
            assert orstats.unrecord(orstats.record(tmp_path / "more.jsonl", one)) is one
            one.get(f"{vendor.url}/any")
        assert dict(session.adapters) == adapters
        assert client._transport is transport

    async def call():
        async with aiohttp.ClientSession() as client:
            response_class = client._response_class
            orstats.unrecord(orstats.record(path, orstats.record(path, client)))
            assert client._response_class is response_class

    asyncio.run(call())
    assert recorded(path) == []


def test_two_recorders_on_one_client_combine_labels_and_the_first_stays(vendor, path):
    with requests.Session() as session, httpx.Client(trust_env=False) as client:
        for one in (session, client):
            orstats.record(path, one, team="a")
            orstats.record(path, one, team="b", job="x")
            one.get(f"{vendor.url}/any")
    found = orstats.labels(path)
    assert found[["team", "job"]].to_numpy().tolist() == [["a", "x"], ["a", "x"]]
    assert orstats.read_ids(path) == list(found.index)


@pytest.mark.parametrize("other", [object(), requests, httpx, requests.Session, None, {"hooks": {}}, "session"])
def test_unsupported_client_is_refused(path, other):
    with pytest.raises(TypeError, match=r"must be a requests\.Session"):
        orstats.record(path, other)
    assert not path.exists()


@pytest.mark.parametrize("name", ["id", "recorded_at", "model", "cost_usd", "user_agent", "fetch_status", "extra"])
def test_label_named_like_a_column_is_refused(path, name):
    with pytest.raises(ConfigError, match=f"Label '{name}' is the name of a column"):
        orstats.record(path, requests.Session(), **{name: "1"})


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"team": "\ud800"}, ConfigError, "valid Unicode text"),
        ({"\udcff": "a"}, ConfigError, "valid Unicode text"),
        ({"team": ["a"]}, TypeError, "Label 'team' must be text or a number, got list"),
        ({"team": None}, TypeError, "got NoneType"),
        ({"team": b"a"}, TypeError, "got bytes"),
    ],
)
def test_label_that_cannot_be_written_is_refused(path, given, error, message):
    with pytest.raises(error, match=message):
        orstats.record(path, requests.Session(), **given)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/ids.jsonl", "the folder .*missing does not exist"),
        ("", "Is a directory"),
        ("file/ids.jsonl", "Not a directory"),
        ("ids\0.jsonl", "null byte"),
        ("x" * 300, "name too long"),
        ("ids.jsonl.gz", "JSON Lines file"),
    ],
)
def test_file_that_cannot_be_written_is_refused_at_once(tmp_path, name, message):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=message):
        orstats.record(f"{tmp_path}/{name}", requests.Session())
