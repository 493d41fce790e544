"""``orstats usage``: what the account's keys and models cost."""

import json

import pandas as pd
import pytest

import orstats as orstats_package


def test_keys_are_listed_by_cost(managed, orstats):
    done = orstats("usage", "--by", "key", "--since", "50d")
    assert done.exit_code == 0
    expected = orstats_package.usage("api_key", start="50d", end="now", client=managed.client())
    lines = done.stdout.splitlines()
    assert lines[-len(expected) - 1].startswith(expected.index[0])
    assert lines[-1].split()[:2] == ["total", str(expected["generations"].sum())]
    assert f"{len(expected)} rows from 1 request." in done.stderr


@pytest.mark.parametrize("more", [[], ["--freq", "W"]])
def test_top_keeps_the_most_expensive_groups(orstats, managed, more):
    done = orstats("usage", "--by", "user", "--since", "20d", "--top", "2", *more)
    ranked = orstats_package.usage("user", start="20d", end="now", client=managed.client()).index.fillna("(none)")
    assert all(name in done.stdout for name in ranked[:2])
    assert not any(name in done.stdout for name in ranked[2:])
    assert f"{len(ranked) - 2} less expensive group" in done.stderr


@pytest.mark.usefixtures("managed")
def test_periods_are_written_to_a_file(orstats, tmp_path):
    done = orstats("usage", "--by", "model", "--since", "20d", "--freq", "W", "-o", tmp_path / "usage.csv", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    table = pd.read_csv(tmp_path / "usage.csv")
    assert {"period", "model", "generations", "cost_usd", "coverage_freq", "coverage_tz"} <= set(table)


@pytest.mark.usefixtures("managed")
def test_json_has_one_object_per_row(orstats):
    done = orstats("usage", "--by", "user", "--since", "20d", "--metric", "request_count,tokens_total", "--json")
    assert {"user", "generations", "tokens_total"} == set(json.loads(done.stdout)[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--by", "modle"], "Did you mean 'model'?"),
        (["--by", "model,app,user"], "--by: Pass at most two dimensions"),
        (["--metric", "cost"], "--metric: Unknown metric 'cost'"),
    ],
)
@pytest.mark.usefixtures("managed")
def test_wrong_names_are_errors(orstats, arguments, words):
    done = orstats("usage", "--since", "7d", *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())


@pytest.mark.usefixtures("online")
def test_plain_key_is_refused_with_advice(orstats):
    done = orstats("usage", "--since", "7d")
    assert done.exit_code == 1
    assert "management key" in " ".join(done.stderr.split())


@pytest.mark.usefixtures("managed")
def test_incomplete_first_period_is_named(orstats):
    done = orstats("usage", "--by", "user", "--since", "20d", "--freq", "month")
    assert "The first month is incomplete" in " ".join(done.stderr.split())
