"""``orstats doctor``: a report that helps, ends with the right code and shows no secret."""

import os
import sys
from pathlib import Path

import pytest

from orstats._version import __version__


def test_report_of_a_working_setup(orstats, online, tmp_path, monkeypatch):
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "archive"))
    before = online.requests
    done = orstats("doctor")
    assert done.exit_code == 0, done.output
    assert "All checks passed." in done.stderr
    text = " ".join(done.stdout.split())
    for words in (
        f"orstats {__version__}",
        "pandas ",
        "urllib3 ",
        "OPENROUTER_API_KEY is set",
        "OPENROUTER_MANAGEMENT_KEY is not set",
        "(OPENROUTER_BASE_URL)",
        "(ORSTATS_ARCHIVE): not created yet, can be",
        "bypass proxies",
        "the key is accepted",
        "agrees with the server's",
    ):
        assert words in text
    assert online.key[:12] not in done.output
    assert online.requests > before
    assert not (tmp_path / "archive").exists()
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.usefixtures("online")
def test_a_missing_key_is_in_the_verdict(orstats, monkeypatch):
    assert "All checks passed.\n" in orstats("doctor").stderr
    monkeypatch.delenv("OPENROUTER_API_KEY")
    done = orstats("doctor")
    assert (done.exit_code, done.stderr) == (0, "All checks passed. Set OPENROUTER_API_KEY to fetch.\n")


def test_offline_sends_nothing(orstats, online):
    before = online.requests
    done = orstats("doctor", "--offline")
    assert done.exit_code == 0
    assert "not tested (--offline)" in done.stdout
    assert online.requests == before


def test_offline_sends_nothing_to_a_remote_archive(orstats):
    done = orstats("doctor", "--offline", "--archive", "s3://bucket/orstats")
    assert done.exit_code == 0
    assert "s3://bucket/orstats (--archive): not tested (--offline)" in done.stdout


def test_failed_connection_is_exit_code_1(orstats):
    done = orstats("doctor", "--base-url", "https://api.invalid")
    assert done.exit_code == 1
    assert "api.invalid could not be resolved" in " ".join(done.stdout.split())
    assert "Failed: DNS." in done.stderr


def test_invalid_setting_is_reported_with_the_versions(orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", '"sk-or-v1-0123"')
    done = orstats("doctor")
    assert done.exit_code == 1
    assert "orstats " in done.stdout
    assert "contains an invalid character" in " ".join(done.stdout.split())
    assert "0123" not in done.output


def test_ca_bundle_that_is_missing_fails_with_its_variable(orstats, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    done = orstats("doctor", "--offline")
    assert done.exit_code == 1
    assert "REQUESTS_CA_BUNDLE must name a CA bundle" in " ".join(done.stdout.split())


@pytest.mark.usefixtures("online")
def test_home_directory_is_not_shown(orstats, monkeypatch, tmp_path):
    home = tmp_path / "home" / "alice"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(Path, "home", classmethod(lambda _: home))
    done = orstats("doctor", "--offline", "--archive", home / "archive")
    assert "~/archive" in done.stdout.replace(os.sep, "/")
    assert "alice" not in done.output


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="modes do not bind this user")
@pytest.mark.usefixtures("online")
def test_archive_that_cannot_be_written_fails(orstats, tmp_path, missing):
    folder = tmp_path / "archive"
    folder.mkdir(mode=0o500)
    done = orstats("doctor", "--offline", "--archive", folder / "new" if missing else folder)
    folder.chmod(0o700)
    assert done.exit_code == 1
    assert "Failed: archive." in done.stderr


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("place", ["file", "file/new", "/proc/new", "/sys/new/deeper", "/dev/null/new"])
def test_archive_where_no_directory_can_be_fails(orstats, tmp_path, place):
    if place.startswith("/") and sys.platform != "linux":
        pytest.skip("has no such directories")
    (tmp_path / "file").write_text("not a directory", "utf-8")
    done = orstats("doctor", "--offline", "--archive", tmp_path / place)
    assert done.exit_code == 1, done.output
    assert "Failed: archive." in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.usefixtures("online")
def test_existing_archive_is_tried_and_left_as_it_was(orstats, tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    done = orstats("doctor", "--offline", "--archive", folder)
    assert done.exit_code == 0, done.output
    assert ": writable" in done.stdout
    assert not [path for path in folder.rglob("*") if path.is_file()]
