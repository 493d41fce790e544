"""Servers that stop, stay mute, drip or reset, and clocks that jump: bounded time, clear words, nothing lost."""

import contextlib
import itertools
import socket
import struct
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

import orstats
from orstats.api.clock import Clock
from orstats.sim import Faults, SimServer

KEY = "sk-or-v1-" + "0" * 64
IDS = [f"gen-1780000000-{number:020d}" for number in range(12)]
#: Far more than any of these takes; a hang shows as a failure and not as a hang.
LONG_S = 60


@contextlib.contextmanager
def serving(behave):
    """A server that hands each connection to ``behave`` and drops it afterwards."""
    listener, over = socket.create_server(("127.0.0.1", 0), backlog=128), threading.Event()

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            behave(connection, over)

    def accept():
        threads = []
        with contextlib.suppress(OSError):
            while True:
                threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()


def mute(connection, over):
    connection.recv(65536)
    over.wait(LONG_S)


def deaf(_connection, over):
    over.wait(LONG_S)


def drip(text, repeat):
    def behave(connection, over):
        connection.recv(65536)
        for byte in itertools.chain(text, itertools.cycle(repeat)):
            if over.wait(0.02):
                return
            connection.sendall(bytes([byte]))

    return behave


def reset(connection, _):
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(*_):
    pass


def send(content):
    def behave(connection, _):
        connection.sendall(content)
        connection.recv(65536)

    return behave


#: "No answer" when nothing came, "no whole answer" when the deadline was first; a stalled machine decides which.
TIME_OUT = "response within the time-out"
BEHAVIOURS = {
    "mute": (mute, TIME_OUT),
    "deaf": (deaf, TIME_OUT),
    "drips its head": (drip(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"), TIME_OUT),
    "drips its body": (drip(b"HTTP/1.1 200 OK\r\n\r\n", b" "), TIME_OUT),
    "resets": (reset, "the connection was closed before the response"),
    "hangs up": (hang_up, "the connection was closed before the response"),
    "cuts its status line": (send(b"HTTP/1.1 20"), "the status line of the response is damaged"),
    "speaks another HTTP": (send(b"HTTP/2.0 200 OK\r\n\r\n"), "a version of HTTP that is not supported"),
    "sends many headers": (send(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 150 + b"\r\n"), "too many headers"),
}


def test_a_server_that_is_not_a_web_server_stops_the_batch():
    with (
        serving(send(b"220 mail.example.com ESMTP\r\n")) as url,
        orstats.Client(KEY, base_url=url, timeout=2) as client,
        pytest.raises(orstats.errors.NetworkSetupError, match="does not speak HTTP") as caught,
    ):
        orstats.fetch(IDS, client=client, workers=6)
    assert list(caught.value.frame.index) == IDS


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_server_that_never_answers_well_costs_bounded_time_and_says_why(name):
    behave, words = BEHAVIOURS[name]
    retry = orstats.Retry(attempts=2, first_wait=0.01)
    with serving(behave) as url, orstats.Client(KEY, base_url=url, timeout=(0.2, 0.4), retry=retry) as client:
        started = time.monotonic()
        df = orstats.fetch(IDS, client=client, workers=6)
        assert time.monotonic() - started < LONG_S / 2
    assert list(df.index) == IDS
    assert set(df["fetch_status"]) == {"network_error"}
    assert (df["attempts"] == 2).all()
    for one, error in df["error"].items():
        assert one in error
        assert words in error, error


def test_restarted_server_provides_the_missing_records(tmp_path):
    """First it stays away for longer than anybody waits, then a second run asks for the rest only."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with SimServer(800, latency=0.005, port=port, seed=3) as sim:
        ids, client = sim.ids, sim.client(retry=orstats.Retry(attempts=3, first_wait=0.01, max_wait=0.02))
        stopper = threading.Thread(target=lambda: (wait_for(lambda: sim.requests > 200), sim.stop()))
        stopper.start()
        first = orstats.fetch(ids, client=client, archive=tmp_path, workers=4)
        stopper.join()
        counts = first["fetch_status"].value_counts()
        assert set(counts.index) == {"ok", "network_error"}
        assert counts["ok"] > 150
        assert first["error"].dropna().str.contains("refused|closed").all()
        sim.start()
        sim.reset_stats()
        second = orstats.fetch(ids, client=client, archive=tmp_path, workers=4)
        assert (second["fetch_status"] == "ok").all()
        assert set(sim.stats.ids) == set(first.index[first["fetch_status"] != "ok"])
        assert list(second["total_cost"]) == [sim.record(one)["total_cost"] for one in ids]


def wait_for(condition):
    while not condition():
        time.sleep(0.005)


class JumpingClock(Clock):
    """Wall time that jumps by ``hours`` when it is read for the hundredth time."""

    def __init__(self, hours):
        self.hours, self.reads = hours, 0

    @property
    def has_jumped(self):
        return self.reads >= 100

    def time(self):
        self.reads += 1
        return time.time() + self.has_jumped * self.hours * 3600


@pytest.mark.parametrize("hours", [-30, -2, 2, 30])
def test_jump_of_the_clock_affects_no_wait_status_or_time(hours, tmp_path):
    clock = JumpingClock(hours)
    faults = Faults(rate=0.3, kinds=["429", "429-date", "429-reset", "503", "reset"], retry_after_s=0, seed=2)
    with SimServer(200, faults=faults) as sim:
        client = sim.client(retry=orstats.Retry(first_wait=0.01, max_wait=2), _clock=clock)
        young, old = sim.young_ids(3, found_after=0.5), sim.unknown_ids(3, age=7200)
        soon = sim.unknown_ids(3, age=0)
        started = time.monotonic()
        df = orstats.fetch([*sim.ids, *young, *old, *soon], client=client, archive=tmp_path, pending_wait=1.5)
        assert time.monotonic() - started < LONG_S / 2, "no wait of hours"
        assert (df.loc[[*sim.ids, *young], "fetch_status"] == "ok").all(), df["error"].dropna().tolist()
        assert (df.loc[old, "fetch_status"] == "not_found").all(), "they are old by the server's clock"
        assert (df.loc[soon, "fetch_status"] == "pending").all(), "they are young by the server's clock"
        assert clock.has_jumped
        received = df.loc[[*sim.ids, *young], "fetched_at"]
        assert (received - datetime.now(UTC)).abs().max() < timedelta(minutes=2), "by the server's clock"
        sim.reset_stats()
        again = orstats.fetch([*sim.ids, *young], client=client, archive=tmp_path)
        assert (again["fetch_status"] == "ok").all()
        assert set(sim.stats.ids) == set(young), "records of the last minute are looked at again, no others"
