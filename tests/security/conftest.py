import contextlib
import os
import socket
import threading

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


@pytest.fixture
def answering():
    """A server that gives one answer (bytes) to each connection, one after the other, and notes what it was sent."""

    @contextlib.contextmanager
    def serve(*answers, seen=None, context=None):
        listener = socket.create_server(("127.0.0.1", 0))

        def run():
            for answer in answers:
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with (
                        connection,
                        context.wrap_socket(connection, server_side=True) if context else connection as one,
                    ):
                        request = one.recv(65536)
                        if seen is not None:
                            seen.append(request)
                        one.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join()

    return serve
