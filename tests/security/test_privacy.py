"""What people and models wrote is shown to who asks for it, and is nowhere else."""

import logging
import socket
import traceback

import pytest
import urllib3

import orstats
from orstats import errors
from orstats.sim import SimServer

WORDS = "the patient is called Ada"


def words_of(content):
    """Every piece of text in a conversation that is long enough to be unique."""
    found, waiting = set(), [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and len(value) >= 12:
            found.add(value)
        elif isinstance(value, dict):
            waiting += [value[name] for name in value if name not in ("role", "type", "id", "provider_name", "model")]
        elif isinstance(value, list):
            waiting += value
    return found


def test_logs_and_reprs_contain_no_conversation(caplog, capsys, tmp_path):
    caplog.set_level(logging.DEBUG)
    with SimServer(60) as sim, sim.client() as client:
        df = orstats.fetch_contents(sim.ids, client=client, archive=tmp_path, store_content=True, progress=True)
        again = orstats.fetch_contents(sim.ids, client=client, archive=tmp_path)
        stored = [sim.content(one) for one in sim.ids]
    words = set().union(*(words_of(content) for content in stored if content))
    assert len(words) > 50
    assert df["content_status"].eq("stored").sum() == again["content_status"].eq("stored").sum() > 20
    log = "\n".join(repr(vars(record)) for record in caplog.records) + "".join(capsys.readouterr())
    assert "content" in log
    assert [word for word in words if word in log] == []


@pytest.mark.parametrize(
    "answer",
    [
        '{"data": {"input": {"prompt": "%s"}, "output": ',
        "%s",
        '{"data": ["%s"]}',
        '{"data": {"input": {"prompt": "%s"',
    ],
)
def test_errors_quote_no_conversation_from_a_broken_response(answer, answering):
    body = (answer % WORDS).encode()
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as url,
        orstats.Client("sk-or-v1-x", base_url=url, retry=orstats.Retry(attempts=1)) as client,
        pytest.raises(errors.BadResponseError) as caught,
    ):
        client.content("gen-1")
    assert "Ada" not in "".join(traceback.format_exception(caught.value))


def test_simulator_listens_on_loopback_only():
    with SimServer(1) as sim:
        assert urllib3.PoolManager().request("GET", sim.base_url, retries=False).status == 404
        with pytest.raises(OSError, match=r"refused|unreachable|assign|timed out"):
            # Another loopback address: servers on all interfaces answer here.
            socket.create_connection(("127.0.0.2", sim.port), timeout=2)
