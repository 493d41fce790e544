import json
from datetime import UTC, datetime, timedelta

import pytest

import orstats as library
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def account():
    with SimServer(200, seed=3, analytics_per_minute=None) as server:
        yield server


@pytest.fixture
def managed(account, monkeypatch):
    monkeypatch.setenv("OPENROUTER_BASE_URL", account.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", account.key)
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", account.management_key)
    return account


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


def test_second_listing_uses_the_cache(managed, orstats, tmp_path):
    # until yesterday: an hour that has only just passed may yet change, and is asked for again
    since, until = (f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}" for days in (30, 1))
    for _ in range(2):
        managed.reset_stats()
        result = orstats("ids", "--since", since, "--until", until, "--archive", tmp_path / "archive")
        assert result.exit_code == 0
    assert managed.requests == 1  # compares the counts


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


@pytest.mark.usefixtures("managed")
def test_refresh_of_a_report_without_ids_is_wrong_usage(orstats, tmp_path):
    result = orstats("report", "--refresh", "--archive", tmp_path)
    assert result.exit_code == 2
    assert "no ids to fetch again" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["--since", "30d", "--model", "openai/gpt-9"],
            "No usage of openai/gpt-9 in this range. Models found include:",
        ),
        (["--since", "30d", "--user", "nobody"], "No usage of nobody in this range"),
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


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--since", "2099-01-01"], "in the future"),
        (["--since", "today", "--until", "yesterday"], "before its end"),
        (["--since", "soon"], "Unknown time"),
        (["--since", "7d", "--archive", "a", "--no-archive"], "mutually exclusive"),
        ([], "Missing option"),
    ],
)
@pytest.mark.parametrize("command", ["ids", "reconcile"])
@pytest.mark.usefixtures("managed")
def test_wrong_usage(orstats, command, args, words):
    result = orstats(command, *args)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", ["ids", "reconcile"])
@pytest.mark.usefixtures("online")
def test_ordinary_key_gets_advice_on_the_management_key(orstats, command):
    result = orstats(command, "--since", "3d")
    assert result.exit_code == 1
    assert "make one at https://openrouter.ai/settings/management-keys" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("managed")
def test_all_agrees_when_all_is_fetched(orstats, tmp_path):
    result = orstats("reconcile", "--since", "30d", "--archive", tmp_path / "archive", "-o", tmp_path / "all.csv")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "100 % explained" in result.stderr
    assert (tmp_path / "all.csv").read_text().startswith("day,model,account_requests,requests,missing")


def test_missing_ids_are_named_and_exit_with_3(managed, orstats, tmp_path):
    ids = library.list_ids("30d", "now", client=managed.client())
    (tmp_path / "some.txt").write_text("\n".join(ids[::2]))
    result = orstats("reconcile", "--since", "30d", "--ids-from", tmp_path / "some.txt", "-q")
    assert result.exit_code == 3
    assert "missing from" in " ".join(result.stdout.split())
    assert "beyond the tolerance of 1.00%" in result.stderr
    assert result.stderr.count("not logged, or from another workspace") == 1
    loose = orstats("reconcile", "--since", "30d", "--ids-from", tmp_path / "some.txt", "--tolerance", "1")
    assert loose.exit_code == 0
    assert "within the tolerance" in loose.stderr


@pytest.mark.usefixtures("managed")
def test_reconcile_as_json(orstats):
    result = orstats("reconcile", "--since", "yesterday", "--until", "today", "--json", "-q")
    assert all(row["agrees"] for row in json.loads(result.stdout))


def test_key_shows_limits_and_where_to_make_a_management_key(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", online.plain_key)
    result = orstats("key")
    assert result.exit_code == 0
    assert "not a management key" in result.stdout
    for word in ("today", "this week", "this month", "$100.00", "left"):
        assert word in result.stdout
    assert "make one at https://openrouter.ai/settings/management-keys" in result.stderr
    assert online.plain_key not in result.output


@pytest.mark.usefixtures("managed")
def test_key_shows_both_keys_and_the_credits(orstats):
    result = orstats("key", "--json")
    answer = json.loads(result.stdout)
    assert [key["is_management_key"] for key in answer["keys"]] == [False, True]
    assert set(answer["credits"]) == {"total_credits", "total_usage"}
    assert "bought" in orstats("key").stdout


def test_key_without_a_key(orstats):
    result = orstats("key")
    assert result.exit_code == 1
    assert "No API key" in result.stderr


def test_amounts_that_are_no_numbers_are_unknown(online, orstats, monkeypatch):  # noqa: ARG001 - the environment
    monkeypatch.setattr(library.Client, "key", lambda _: {"label": "k", "limit": "much", "usage": "25.5"})
    monkeypatch.setattr(library.Client, "credits", lambda _: {"total_credits": "100.5", "total_usage": "x"})
    result = orstats("key")
    assert result.exit_code == 0
    assert "unknown; unknown left" in result.stdout
    assert "$25.5000 in total" in result.stdout
    assert "unknown left: $100.50 bought, unknown used" in result.stdout


def test_awkward_account_is_explained_by_what_it_lists_itself(orstats, monkeypatch):
    with SimServer(1500, seed=4, account="awkward", analytics_per_minute=None) as sim:
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", sim.management_key)
        for days in (1, 2, 9, 20):
            since, until = (f"{datetime.now(UTC) - timedelta(days=n):%Y-%m-%d}" for n in (days + 1, 1))
            result = orstats("reconcile", "--since", since, "--until", until)
            assert (result.exit_code, result.stdout) == (0, "")
            assert "100 % explained" in result.stderr


@pytest.mark.usefixtures("managed")
def test_keys_are_listed_with_their_usage(orstats, account):
    listed = account.client().keys()
    result = orstats("keys")
    assert result.exit_code == 0
    assert f"{len(listed)} keys." in result.stderr
    assert all(one["name"] in result.stdout for one in listed)
    assert {one["hash"] for one in json.loads(orstats("keys", "--json").stdout)} == {one["hash"] for one in listed}


def test_keys_need_a_management_key(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", online.plain_key)
    result = orstats("keys")
    assert result.exit_code == 1
    assert "management key" in " ".join(result.stderr.split())


def test_key_shows_the_budget_that_blocks_it(orstats, monkeypatch):
    with SimServer(300, seed=2, account="awkward") as sim:
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        shown = " ".join(orstats("key").stdout.split())
        assert "Limit none of its own" in shown
        assert "Budget 1 workspace:" in shown
        assert shown.count("(effective)") == 1
        assert "963 requests left today" in shown
        warned = orstats("key", "--warn", "0.8")
        assert warned.exit_code == 3
        assert "of the budget of the workspace" in " ".join(warned.stderr.split())
        assert orstats("key", "--warn", "1").exit_code == 0


@pytest.mark.parametrize(("left", "code"), [(30.0, 0), (10.0, 3), (-5.0, 3), (None, 0)])
def test_key_warns_beyond_a_share_of_its_limit(online, orstats, monkeypatch, left, code):  # noqa: ARG001 - the environment
    monkeypatch.setattr(library.Client, "key", lambda *_, **__: {"label": "k", "limit": 100.0, "limit_remaining": left})
    monkeypatch.setattr(library.Client, "credits", lambda _: {})
    assert orstats("key", "--warn", "0.8").exit_code == code
