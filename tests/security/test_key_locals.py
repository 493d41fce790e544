"""Tracebacks with local variables, as rich, typer, IPython and error collectors show them, do not hold the key."""

import socket
import traceback
from pathlib import Path

import pytest
from rich.traceback import Traceback

import orstats
from orstats import errors
from orstats.sim import SimServer

PACKAGE = str(Path(orstats.__file__).parent)
QUICK = orstats.Retry(attempts=1, first_wait=0)


def safe(value):
    try:
        return repr(value)
    except AttributeError:  # an object that is not made yet
        return ""


def shown(error):
    """The traceback of an error with the locals of all frames but the caller's own."""
    frames = [
        frame for frame in traceback.walk_tb(error.__traceback__) if frame[0].f_code.co_filename.startswith(PACKAGE)
    ]
    assert frames
    texts = {
        f"{frame.f_code.co_qualname}, {name}": safe(value)
        for frame, _ in frames
        for name, value in frame.f_locals.items()
    }
    tb = error.__traceback__
    while tb is not None and not tb.tb_frame.f_code.co_filename.startswith(PACKAGE):
        tb = tb.tb_next
    rich = Traceback.extract(type(error), error, tb, show_locals=True, locals_max_string=None, locals_max_length=None)
    for stack in rich.stacks:
        texts[f"rich, {stack.exc_type}"] = stack.exc_value
        for frame in stack.frames:
            texts |= {f"rich, {frame.filename}, {name}": str(node) for name, node in (frame.locals or {}).items()}
    assert any(name.startswith("rich, /") for name in texts)
    return texts


@pytest.mark.parametrize("managed", [False, True])
def test_key_is_in_no_local_variable_of_a_traceback(key, leaks, managed):
    with (
        SimServer(3) as sim,
        orstats.Client(key, management_key=key if managed else None, base_url=sim.base_url, retry=QUICK) as client,
    ):
        for call in (
            lambda: client.generation("gen-1"),
            lambda: client.content("gen-1"),
            client.key,
            client.credits,
            lambda: orstats.fetch(["gen-1", "gen-2"], client=client, archive=False),
            lambda: orstats.fetch_contents(["gen-1"], client=client, archive=False, errors="raise"),
            lambda: orstats.list_ids("1d", "now", client=client, archive=False),
        ):
            with pytest.raises(errors.ApiError) as caught:
                call()
            assert leaks(key, shown(caught.value)) == []


def test_key_is_in_no_local_variable_after_an_interrupt(key, leaks, monkeypatch):
    """The traceback then leads through requests, urllib3 and http.client, which hold the headers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr("http.client.HTTPResponse.begin", interrupt)
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with orstats.Client(key, management_key=key, base_url=base_url, retry=QUICK) as client:
            for call in (lambda: client.generation("gen-1"), client.key, client.credits, client.activity):
                with pytest.raises(KeyboardInterrupt) as caught:
                    call()
                with_locals = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
                frames = {
                    f"{one.filename}, {name}": text for one in with_locals.stack for name, text in one.locals.items()
                }
                assert any("urllib3" in place for place in frames)
                assert leaks(key, shown(caught.value) | {k: v for k, v in frames.items() if "/test" not in k}) == []


def interrupt(_response):
    raise KeyboardInterrupt


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("url", ["http://evil.example", "https://host.example"])
def test_key_is_in_no_local_variable_while_settings_are_read(key, leaks, monkeypatch, url, given):
    wrong = key if url.startswith("http:") else key + " é"
    if not given:
        monkeypatch.setenv("OPENROUTER_API_KEY", wrong)
    with pytest.raises(errors.ConfigError) as caught:
        orstats.Client(wrong if given else None, base_url=url)
    assert leaks(key, shown(caught.value)) == []


def test_key_object_hides_its_value(key, leaks):
    held = orstats.Client(key, base_url="http://127.0.0.1:1").settings.key()
    assert held == key
    assert leaks(key, {"repr": repr(held), "list": str([held]), "ascii": ascii(held)}) == []
