"""orstats ids: listing the account, with filters and labels."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import orstats as library
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def account():
    with SimServer(200, seed=3, analytics_per_minute=None) as server:
        yield server


def test_ids_are_listed_one_a_line(managed, orstats):
    result = orstats("ids", "--since", "30d")
    assert result.exit_code == 0
    assert set(result.stdout.splitlines()) == set(library.list_ids("30d", "now", client=managed.client()))
    assert "ids from" in result.stderr


def test_ids_of_a_model_go_to_a_file(managed, orstats, tmp_path):
    model = managed.record(managed.ids[-1])["model"]
    result = orstats("ids", "--since", "30d", "--model", model, "-o", tmp_path / "ids.txt", "-q")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    ids = (tmp_path / "ids.txt").read_text().splitlines()
    assert managed.ids[-1] in ids
    assert {managed.record(one)["model"] for one in ids} == {model}
    assert [path.name for path in tmp_path.iterdir()] == ["ids.txt"]
    for name in ("ids.csv", "ids.xlsx", "ids.parquet"):
        orstats("ids", "--since", "30d", "--model", model, "-o", tmp_path / name, "-q")
        assert library.read_ids(tmp_path / name, column="ID" if "xlsx" in name else "id") == ids


def test_ids_of_a_key_are_listed_by_its_name(managed, orstats):
    labels = library.list_generations("30d", "now", labels="api_key", client=managed.client())["api_key"]
    for names in (["Batch jobs"], ["CI", "Notebooks"]):
        result = orstats("ids", "--since", "30d", *(part for name in names for part in ("--key", name)))
        assert result.exit_code == 0
        assert result.stdout.splitlines() == labels.index[labels.isin(names)].to_list()


def test_labelled_ids_are_a_table_that_fetch_joins(managed, orstats):
    model = "google/gemini-2.5-flash"
    result = orstats("ids", "--since", "30d", "--labels", "key,user", "--model", model, "-o", "k.csv")
    assert result.exit_code == 0
    table = pd.read_csv("k.csv", index_col="id")
    options = {"filters": {"model": model}, "client": managed.client()}
    expected = library.list_generations("30d", "now", labels=["api_key", "user"], **options)
    assert list(table) == ["api_key", "user", "user_email", "began_at", "account_usd"]
    assert table["api_key"].fillna("").to_dict() == expected["api_key"].fillna("").to_dict()
    assert f"Written to k.csv: {len(expected)} rows." in result.stderr
    assert orstats("fetch", "--ids-from", "k.csv", "--join", "-o", "c.csv", "--no-archive").exit_code == 0
    joined = pd.read_csv("c.csv", index_col="id")
    assert joined["cost_usd"].to_list() == pytest.approx(joined["account_usd"].to_list(), abs=1e-9)
    printed = orstats("ids", "--since", "30d", "--labels", "app", "-q").stdout.splitlines()
    assert printed[0] == "id,app,began_at,account_usd"
    assert len(printed) == 1 + len(library.list_ids("30d", "now", client=managed.client()))


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--labels", "api_kye"], "--labels: Unknown label 'api_kye'. Did you mean 'api_key'?"),
        (["--labels", "app", "-o", "x.txt"], "x.txt"),
    ],
)
def test_wrong_labels_are_named_before_anything_is_sent(managed, orstats, args, words):
    managed.reset_stats()
    result = orstats("ids", "--since", "30d", *args)
    assert result.exit_code in (1, 2)
    assert words in " ".join(result.stderr.split())
    assert managed.requests == 0


@pytest.mark.usefixtures("managed")
def test_unknown_key_is_named_with_similar_ones(orstats):
    result = orstats("ids", "--since", "30d", "--key", "Batch job")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Unknown API key 'Batch job'. Did you mean 'Batch jobs'?" in " ".join(result.stderr.split())


def test_second_listing_uses_the_cache(managed, orstats, tmp_path):
    # until yesterday: an hour that has only just passed may yet change, and is requested again
    since, until = (f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}" for days in (30, 1))
    for _ in range(2):
        managed.reset_stats()
        result = orstats("ids", "--since", since, "--until", until, "--archive", tmp_path / "archive")
        assert result.exit_code == 0
    assert managed.requests == 1  # compares the counts


@pytest.mark.slow
@pytest.mark.parametrize("command", ["report", "reconcile"])
def test_refresh_lists_again_too(managed, orstats, tmp_path, command):
    since, until = (f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}" for days in (30, 1))
    args = (command, "--since", since, "--until", until, "--archive", tmp_path / "archive", "-q")
    assert orstats(*args).exit_code == 0
    (kept,) = (tmp_path / "archive").rglob("*.gz")
    before = kept.stat().st_ino
    assert orstats(*args).exit_code == 0
    assert kept.stat().st_ino == before
    managed.reset_stats()
    assert orstats(*args, "--refresh").exit_code == 0
    assert kept.stat().st_ino != before
    assert managed.requests > 10  # the records too


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["--since", "30d", "--model", "openai/gpt-9"],
            "No usage of openai/gpt-9 in this range. Models found include:",
        ),
        (["--since", "30d", "--user", "nobody"], "No usage of nobody in this range"),
        (["--since", "30d", "--key", "Old laptop"], "No usage of Old laptop in this range. API keys found include:"),
        (["--since", "30d", "--key", "9" * 8], "No generation matches all the filters."),
        (["--since", "2020-01-01", "--until", "2020-01-02"], "The account has no generations in this range."),
        (["--since", "2020-01-01", "--until", "2020-01-02", "--model", "x"], "has no generations in this range."),
        (["--since", "1m"], "Recent ones may not be available yet"),
    ],
)
@pytest.mark.usefixtures("managed")
def test_empty_list_says_why(orstats, args, words):
    result = orstats("ids", *args)
    assert (result.exit_code, result.stdout) == (0, "")
    said = " ".join(result.stderr.split())
    assert words in said
    assert ("not be available yet" in said) == ("1m" in args)


def test_an_account_without_traffic(orstats, monkeypatch):
    with SimServer(0) as sim:
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", sim.management_key)
        result = orstats("ids", "--since", "7d")
        compared = orstats("reconcile", "--since", "7d", "--no-archive")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no generations in this range" in result.stderr
    assert compared.exit_code == 0
    assert "Nothing to compare" in compared.stderr


@pytest.mark.usefixtures("managed")
@pytest.mark.parametrize(
    ("options", "saved"),
    [
        (
            ("--archive", "a"),
            "Completed windows (older than one day) are cached; run the same command again to resume.",
        ),
        (("--no-archive",), "orstats: interrupted.\n"),
    ],
)
def test_interrupted_listing_says_whether_it_is_resumed(orstats, monkeypatch, options, saved):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("orstats.account.list_ids.list_ids", interrupted)
    done = orstats("ids", "--since", "3d", *options)
    assert (done.exit_code, done.stdout) == (130, "")
    assert saved in done.stderr
