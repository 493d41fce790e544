"""Threads of a fetch, and how it ends early: interrupts, cancel, deadline, the crash of a worker."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from types import SimpleNamespace

import pandas as pd
import pytest
from simulated import UNTIL, wait_for

import orstats
from orstats.sim import Faults, SimServer


def test_two_threads_may_share_a_client(sim):
    client, frames = sim.client(), {}

    def work(part):
        frames[part] = orstats.fetch(sim.ids[part::2], client=client)

    threads = [threading.Thread(target=work, args=(part,)) for part in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (pd.concat(frames.values())["fetch_status"] == "ok").all()
    assert sim.requests == len(sim.ids)


def test_no_thread_is_left_behind(sim):
    orstats.fetch(sim.ids, client=sim.client(), workers=16)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("orstats-worker")]


INTERRUPTED = """
    import signal
    import sys
    import orstats
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
    ids = open(sys.argv[3]).read().split()
    try:
        orstats.fetch(ids, client=orstats.Client(sys.argv[1], base_url=sys.argv[2]), workers=4, archive=sys.argv[4])
    except KeyboardInterrupt:
        print("interrupted")
        raise SystemExit(130)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals to another process")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_fetched_records_survive_an_interrupt(tmp_path, name):
    how = getattr(signal, name)
    (tmp_path / "job.py").write_text(textwrap.dedent(INTERRUPTED))
    with SimServer(2000, latency=0.01, until=UNTIL) as sim:
        (tmp_path / "ids.txt").write_text("\n".join(sim.ids))
        command = [
            sys.executable,
            tmp_path / "job.py",
            sim.key,
            sim.base_url,
            tmp_path / "ids.txt",
            tmp_path / "archive",
        ]
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE) as job:
            wait_for(lambda: sim.requests > 700 or job.poll() is not None)
            os.kill(job.pid, how)
            output, _ = job.communicate()
        asked = sim.requests
        if how == signal.SIGINT:
            assert job.returncode == 130
            assert b"interrupted" in output
        sim.reset_stats()
        df = orstats.fetch(sim.ids, client=sim.client(), workers=32, archive=tmp_path / "archive")
        assert (df["fetch_status"] == "ok").all()
        repeated = asked + sim.requests - len(sim.ids)
        lost_at_most = 8 if how == signal.SIGINT else 600  # a second's worth at 4 workers and 10 ms
        assert repeated <= lost_at_most


def test_cancel_event_ends_a_fetch_of_records_and_of_contents():
    with SimServer(400, latency=0.05, until=UNTIL) as sim:
        for fetch in (orstats.fetch, orstats.fetch_contents):
            sim.reset_stats()
            cancel = SimpleNamespace(is_set=lambda: sim.requests > 30)
            df = fetch(sim.ids, client=sim.client(), workers=4, cancel=cancel)
            status = df["fetch_status"]
            assert set(status) == {"ok", "not_attempted"}
            assert df["error"][status == "not_attempted"].str.contains("was cancelled").all()


def test_deadline_is_kept_when_the_server_never_responds():
    with SimServer(30, faults=Faults(rate=1.0, kinds=["hang"]), until=UNTIL) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(timeout=60), deadline=0.2)
    assert set(df["fetch_status"]) == {"not_attempted"}


def test_crash_of_a_worker_is_logged_with_its_traceback(sim, monkeypatch, caplog):
    def crash(*_, **__):
        raise ZeroDivisionError("a bug")

    client = sim.client()
    monkeypatch.setattr(client, "ask_generation", crash)
    with pytest.raises(ZeroDivisionError):
        orstats.fetch(sim.ids, client=client, workers=1)
    assert "in crash" in caplog.text
