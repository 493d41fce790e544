"""orstats report --by api_key: columns that no record has, recomputed from the simulator's own records."""

import math
from datetime import datetime

import pandas as pd
import pytest
from recomputed import cost, midnight

import orstats as library
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def account():
    with SimServer(600, seed=5, analytics_per_minute=None) as sim:
        yield sim


def days(first, last):
    return "--since", f"{midnight(first):%Y-%m-%d}", "--until", f"{midnight(last):%Y-%m-%d}"


def costs_by_key(sim, first, last, *columns):
    """The costs of the records of some days, by the key of the application that made the call and by columns."""
    names = {(app.app_id, app.origin): key.name for key in sim._service.state.keys.listed for app in key.apps}
    costs = {}
    for record in map(sim.record, sim.ids):
        if midnight(first) <= datetime.fromisoformat(record["created_at"]) < midnight(last):
            key = (names.get((record["app_id"], record["origin"]), ""), *(record[name] for name in columns))
            costs.setdefault(key, []).append(cost(record))
    return costs


def test_report_by_key_and_model_lists_fetches_and_joins(managed, orstats):
    done = orstats("report", *days(20, 1), "--by", "api_key,model", "-o", "x.csv", "--archive", "a")
    assert done.exit_code == 0, done.output
    table = pd.read_csv("x.csv", keep_default_na=False)
    costs = costs_by_key(managed, 20, 1, "model")
    rows = {tuple(row[:2]): tuple(row[2:]) for row in table[["api_key", "model", "generations", "cost_usd"]].to_numpy()}
    assert rows == {key: (len(all_), pytest.approx(math.fsum(all_), abs=1e-9)) for key, all_ in costs.items()}
    unknown = [cost for (key, _), all_ in costs.items() if not key for cost in all_]
    assert f"{len(unknown)} generations" in done.stderr
    assert "without API key in the account's analytics." in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("by", "requests"), [("model", 1), ("api_key", 1), ("user,app,model", 2), ("external_user", 1)]
)
def test_labels_are_requested_only_where_they_are_grouped_by(managed, orstats, by, requests):
    done = orstats("report", *days(20, 1), "--by", by, "--no-archive", "-q")
    assert done.exit_code == 0
    assert managed.stats.paths["/api/v1/analytics/query"] == requests


@pytest.mark.parametrize(("given", "shown"), [("key", "api_key"), ("member", "user"), ("app_name", "app")])
@pytest.mark.usefixtures("managed")
def test_other_names_of_labels_are_accepted(orstats, given, shown):
    done = orstats("report", *days(9, 1), "--by", given, "--no-archive")
    assert done.exit_code == 0
    assert done.stdout.startswith(shown)
    assert "(none)" in done.stdout
    assert "(unknown)" not in done.output


@pytest.mark.usefixtures("managed")
def test_members_are_told_from_the_users_of_an_application(orstats):
    done = orstats("report", *days(9, 1), "--by", "user", "--no-archive")
    assert "--by external_user groups by the users" in " ".join(done.stderr.split())


def test_given_ids_are_labelled_too(managed, orstats, tmp_path):
    ids = library.list_ids(midnight(9), midnight(1), client=managed.client())
    (tmp_path / "ids.txt").write_text("\n".join(ids[::2]))
    done = orstats("report", "--ids-from", "ids.txt", *days(9, 1), "--by", "api_key", "-o", "x.csv", "--no-archive")
    assert done.exit_code == 0
    table = pd.read_csv("x.csv", keep_default_na=False)
    labels = library.list_generations(midnight(9), midnight(1), labels="api_key", client=managed.client())["api_key"]
    expected = labels[ids[::2]].fillna("").value_counts().to_dict()
    assert table.set_index("api_key")["generations"].to_dict() == expected


def test_the_largest_groups_may_have_no_label(managed, orstats):
    costs = {key: math.fsum(all_) for key, all_ in costs_by_key(managed, 50, 1, "model").items()}
    top = next(at for at, key in enumerate(sorted(costs, key=costs.get, reverse=True), 1) if not key[0])
    done = orstats("report", *days(50, 1), "--by", "api_key,model", "--top", top, "--no-archive", "-q")
    lines = done.stdout.splitlines()
    assert lines[top].startswith("(none)")
    assert lines[top + 1].startswith(f"other ({len(costs) - top} groups)")


def test_periods_are_compared_by_key(managed, orstats):
    done = orstats("report", *days(15, 1), "--by", "api_key", "--compare", "previous", "--no-archive", "-o", "x.csv")
    assert done.exit_code == 0, done.output
    table = pd.read_csv("x.csv", keep_default_na=False).set_index("api_key")
    for side, range_ in (("before", (29, 15)), ("after", (15, 1))):
        costs = {
            key[0]: pytest.approx(math.fsum(all_), abs=1e-9) for key, all_ in costs_by_key(managed, *range_).items()
        }
        counted = table[table[f"{side}_generations"] > 0]
        assert counted[f"{side}_usd"].to_dict() == costs


@pytest.mark.usefixtures("managed")
def test_a_page_has_the_cost_per_key(orstats, tmp_path):
    done = orstats("report", *days(20, 1), "--by", "api_key,user", "--no-archive", "-o", "x.html")
    assert done.exit_code == 0
    page = (tmp_path / "x.html").read_text("utf-8")
    for words in ("Cost per API key", "Cost per member", "<bdi>Batch jobs</bdi>", "<bdi>(none)</bdi>"):
        assert words in page
    assert "Cost per application" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--by", "api_key"], "--by api_key needs --since: a record has no api_key"),
        (["--by", "model,user"], "run `orstats usage --by user --since 30d`"),
        (["--by", "api_kye", "--since", "7d"], "Unknown column 'api_kye'. Did you mean 'api_key'"),
        (["--by", "contry", "--since", "7d"], "Did you mean 'country'?"),
    ],
)
def test_wrong_usage_is_named_before_anything_is_sent(managed, orstats, arguments, words):
    done = orstats("report", *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert managed.requests == 0


@pytest.mark.usefixtures("managed")
def test_a_plain_key_is_told_which_key_is_needed(orstats, monkeypatch):
    monkeypatch.delenv("OPENROUTER_MANAGEMENT_KEY")
    done = orstats("report", "--by", "api_key", "--since", "7d", "--no-archive")
    assert done.exit_code == 1
    assert "This needs a management key: make one at" in " ".join(done.stderr.split())


@pytest.mark.usefixtures("managed")
def test_an_empty_range_is_a_report_without_rows(orstats):
    done = orstats("report", "--since", "2020-01-01", "--until", "2020-01-02", "--by", "api_key,app", "--no-archive")
    assert done.exit_code == 0, done.output
