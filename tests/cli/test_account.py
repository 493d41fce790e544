"""What the commands about the account have in common: wrong usage, and keys without access."""

import pytest

from orstats.sim import SimServer


@pytest.fixture(scope="module")
def account():
    with SimServer(200, seed=3, analytics_per_minute=None) as server:
        yield server


@pytest.mark.usefixtures("managed")
def test_refresh_of_a_report_without_ids_is_wrong_usage(orstats, tmp_path):
    result = orstats("report", "--refresh", "--archive", tmp_path)
    assert result.exit_code == 2
    assert "no ids to fetch again" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--since", "2099-01-01"], "in the future"),
        (["--since", "today", "--until", "yesterday"], "before its end"),
        (["--since", "soon"], "Unknown time"),
        (["--since", "7d", "--archive", "a", "--no-archive"], "mutually exclusive"),
        ([], "--since"),
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
