"""``orstats feedback``: sent once, only when this command is given."""

import pytest


def test_feedback_is_sent_once(orstats, managed):
    one = managed.ids[7]
    done = orstats("feedback", one, "--category", "latency", "--comment", "40 s to the first token")
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"about {one}: latency." in done.stderr
    again = orstats("feedback", one, "--category", "other")
    assert again.exit_code == 1
    assert "already submitted" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--category", "latncy"], 2, "Did you mean 'latency'?"),
        ([], 2, "--category"),
        (["--category", "other", "--comment", "sk-or-v1-0123456789"], 2, "contains an API key"),
    ],
)
def test_wrong_arguments_send_nothing(orstats, managed, arguments, code, words):
    before = managed.requests
    done = orstats("feedback", managed.ids[8], *arguments)
    assert done.exit_code == code
    assert words in " ".join(done.stderr.split())
    assert "0123456789" not in done.stderr
    assert managed.requests == before


def test_ordinary_key_is_told_which_one_is_needed(orstats, online):
    done = orstats("feedback", online.ids[9], "--category", "other")
    assert done.exit_code == 1
    assert "management key of the account that created the generation" in " ".join(done.stderr.split())
    assert online.key not in done.stderr


@pytest.mark.usefixtures("managed")
def test_quiet_prints_nothing(orstats, online):
    done = orstats("feedback", online.ids[10], "--category", "billing", "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
