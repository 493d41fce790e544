import pytest

from orstats.api.client import Client
from orstats.api.config import Settings, normalise_base_url
from orstats.errors import ConfigError, MissingKeyError

KEY = "sk-or-v1-" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://openrouter.ai", "https://openrouter.ai/api/v1"),
        ("https://openrouter.ai/", "https://openrouter.ai/api/v1"),
        ("https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        (" https://OpenRouter.ai/api/v1/ ", "https://openrouter.ai/api/v1"),
        ("https://gateway.example/llm/v2", "https://gateway.example/llm/v2"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/api/v1"),
        ("http://[::1]:8000/api/v1", "http://[::1]:8000/api/v1"),
        ("http://localhost:80", "http://localhost:80/api/v1"),
    ],
)
def test_base_url_is_taken_with_and_without_the_prefix(given, base):
    assert normalise_base_url(given) == base


@pytest.mark.parametrize(
    "url",
    [
        "http://openrouter.ai",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "ftp://openrouter.ai",
        "openrouter.ai",
        "https://",
        "https://user:secret@openrouter.ai",
        "https://openrouter.ai/api/v1?x=1",
        "https://openrouter.ai/#frag",
        "https://openrouter.ai:notaport",
        "https://[::1",
        "https://open router.ai",
        "https://*.openrouter.ai",
        5,
        b"https://openrouter.ai",
    ],
)
def test_base_url_that_would_leak_or_cannot_work_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        normalise_base_url(url)
    assert "secret" not in str(caught.value)


def test_arguments_win_over_the_environment():
    environ = {
        "OPENROUTER_API_KEY": "from-environment",
        "OPENROUTER_MANAGEMENT_KEY": "managing",
        "OPENROUTER_BASE_URL": "https://eu.openrouter.ai",
    }
    settings = Settings.resolve("argument", None, "https://us.openrouter.ai", environ=environ)
    assert (settings.api_key, settings.management_key) == ("argument", "managing")
    assert settings.host == "us.openrouter.ai"
    assert Settings.resolve(environ=environ).host == "eu.openrouter.ai"
    assert Settings.resolve(environ=environ).key() == "from-environment"


def test_key_is_in_no_repr_and_the_settings_are_frozen():
    settings = Settings.resolve(KEY, KEY, environ={})
    assert KEY not in repr(settings)
    with pytest.raises(AttributeError):
        settings.api_key = "other"


def test_without_any_key_the_message_names_the_variable():
    settings = Settings.resolve(environ={"OPENROUTER_API_KEY": "  "})
    with pytest.raises(MissingKeyError, match="OPENROUTER_API_KEY"):
        settings.key()
    assert Settings.resolve(management_key="m", environ={}).key() == "m"


@pytest.mark.parametrize(
    "bad",
    ["two words", "line\nbreak", "schlüssel", "tab\tinside", '"quoted"', "'quoted'", "$OPENROUTER_API_KEY", "<key>"],
)
def test_key_that_no_header_can_carry_is_refused_without_being_shown(bad):
    with pytest.raises(ConfigError) as caught:
        Settings.resolve(bad, environ={})
    assert bad not in str(caught.value)


@pytest.mark.parametrize("bad", [5, b"sk-or-v1-0", True])
def test_key_must_be_text(bad):
    with pytest.raises(ConfigError, match="A key must be text, got"):
        Client(bad)


def test_loopback_is_distinguished_from_lookalikes():
    assert Settings.resolve(base_url="http://127.0.0.2:1", environ={}).is_loopback
    assert not Settings.resolve(base_url="https://localhost.evil.example", environ={}).is_loopback
