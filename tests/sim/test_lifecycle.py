"""The simulator starts and stops, in a thread or a process of its own, and leaves nothing behind."""

import signal
import socket
import subprocess
import sys
import textwrap
import threading

import pytest
import urllib3

from orstats.sim import Faults, SimServer


def test_nothing_is_left_after_stopping():
    before = threading.active_count()
    server = SimServer(10, faults=Faults(rate=0, always={"x": "hang", "y": "drip"}, drip_s=60))
    with server:
        port = server.port
        clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
        for client, identifier in zip(clients, "xy", strict=False):
            line = f"GET /api/v1/generation?id={identifier} HTTP/1.1"
            client.sendall(f"{line}\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode())
        assert clients[1].recv(1) == b"H"
    assert threading.active_count() == before
    for client in clients:
        client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.base_url
    server.stop()


def test_server_can_be_restarted(ask):
    server = SimServer(10)
    for _ in range(2):
        with server:
            assert ask(server, "/generation", id=server.ids[0])[0] == 200
            assert ask(server, "/credits", key=server.management_key)[0] == 200
    assert server.requests == 4


def test_server_cannot_be_started_twice(sim):
    with pytest.raises(RuntimeError, match="running already"):
        sim.start()
    with pytest.raises(RuntimeError, match="running already"):
        sim.serve_forever()


def test_port_that_is_taken_is_an_error(sim):
    server = SimServer(1, port=sim.port)
    with pytest.raises(OSError, match="in use"):
        server.start()
    server.stop()


def test_nothing_is_opened_before_the_server_starts():
    before = threading.active_count()
    server = SimServer(1_000_000)
    assert threading.active_count() == before
    assert repr(server) == "<SimServer not running, 1000000 generations, seed 0>"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_server_process_ends_cleanly(number):
    program = textwrap.dedent("""
        from orstats.sim import SimServer
        SimServer(10).serve_forever(lambda sim: print(sim.base_url, sim.key, sim.ids[0], flush=True))
        print("ended")
    """)
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        base_url, key, identifier = process.stdout.readline().split()
        headers = {"Authorization": f"Bearer {key}"}
        with urllib3.PoolManager(retries=False, timeout=10) as pool:
            answer = pool.request("GET", f"{base_url}/generation?id={identifier}", headers=headers)
            assert answer.status == 200
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "ended\n", "")


def test_client_has_the_address_and_the_keys(sim, monkeypatch):
    class Front:
        @staticmethod
        def Client(**options):  # noqa: N802 - the public name
            return options

    monkeypatch.setitem(sys.modules, "orstats", Front)
    assert sim.client(timeout=3) == {
        "api_key": sim.key,
        "management_key": sim.management_key,
        "base_url": sim.base_url,
        "timeout": 3,
    }
    assert sim.client(api_key=sim.plain_key)["api_key"] == sim.plain_key
