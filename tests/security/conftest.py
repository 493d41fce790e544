import os

import pytest

#: Of the form that the vendor's keys have.
KEY = "sk-or-v1-" + "5ec3e7" * 10 + "cafe"


@pytest.fixture
def key():
    return KEY


@pytest.fixture
def leaks():
    """Tell where a secret shows: leaks("secret", {"place": text or bytes})."""

    def find(secret, shown):
        secret = secret.removeprefix("sk-or-v1-")
        return [
            place
            for place, text in shown.items()
            if (secret in text if isinstance(text, str) else secret.encode() in text)
        ]

    return find


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No setting of the machine leaks in, and nothing is written outside the test's directory."""
    for name in list(os.environ):
        if name.startswith(("OPENROUTER_", "ORSTATS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
