"""The TLS port has a certificate that only clients who know its authority accept."""

import builtins
import ssl
from pathlib import Path

import orjson
import pytest
import urllib3

from orstats.sim import Faults, SimServer


def request_key(sim, *, ca_file=None):
    with urllib3.PoolManager(retries=False, timeout=20, ca_certs=ca_file or sim.ca_file) as pool:
        answers = [pool.request("GET", f"{sim.base_url}/key", headers={"Authorization": f"Bearer {sim.key}"})]
        answers.append(pool.request("GET", f"{sim.base_url}/key", headers={"Authorization": f"Bearer {sim.key}"}))
    return answers


def test_clients_that_trust_the_authority_are_served_on_one_connection():
    with SimServer(3, tls=True) as sim:
        assert sim.base_url.startswith("https://127.0.0.1:")
        assert [orjson.loads(answer.data)["data"]["label"] for answer in request_key(sim)] == [
            f"{sim.key[:12]}...{sim.key[-3:]}"
        ] * 2
        assert sim.stats.connections == 1


def test_clients_with_other_authorities_refuse_the_certificate():
    with SimServer(3, tls=True) as sim, SimServer(3, tls=True) as other:
        for ca_file in (None, other.ca_file):
            context = ssl.create_default_context(cafile=ca_file)
            with (
                urllib3.PoolManager(retries=False, ssl_context=context) as pool,
                pytest.raises(urllib3.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"),
            ):
                pool.request("GET", sim.base_url)


@pytest.mark.parametrize(("kind", "message"), [("expired", "has expired"), ("wrong-host", "not valid for '127.0.0.1'")])
def test_invalid_certificates_are_refused(kind, message):
    with SimServer(3, tls=kind) as sim, pytest.raises(urllib3.exceptions.SSLError, match=message):
        request_key(sim)


def test_faults_work_below_tls():
    kinds = ["reset", "close", "cut"]
    with SimServer(3, tls=True, faults=Faults(rate=0, per_id={"/key": kinds})) as sim:
        headers = {"Authorization": f"Bearer {sim.key}"}
        with urllib3.PoolManager(retries=False, timeout=20, ca_certs=sim.ca_file) as pool:
            for _ in kinds:
                with pytest.raises(urllib3.exceptions.ProtocolError):
                    pool.request("GET", f"{sim.base_url}/key", headers=headers)
            assert pool.request("GET", f"{sim.base_url}/key", headers=headers).status == 200
        assert sim.stats.faults == dict.fromkeys(kinds, 1)


def test_plain_http_on_the_tls_port_is_closed_and_others_are_served():
    with SimServer(3, tls=True) as sim:
        with pytest.raises(urllib3.exceptions.ProtocolError):
            urllib3.request("GET", sim.base_url.replace("https", "http"), retries=False, timeout=20)
        assert request_key(sim)[0].status == 200


def test_authority_is_deleted_when_the_server_stops():
    with SimServer(3, tls=True) as sim:
        ca_file = Path(sim.ca_file)
        assert ca_file.read_bytes().startswith(b"-----BEGIN CERTIFICATE")
    assert not ca_file.parent.exists()
    with pytest.raises(RuntimeError, match="no TLS port"):
        _ = sim.ca_file
    with SimServer(3) as plain, pytest.raises(RuntimeError, match="no TLS port"):
        _ = plain.ca_file


def test_missing_cryptography_is_named(monkeypatch):
    load = builtins.__import__

    def without(name, *arguments):
        if name.partition(".")[0] == "cryptography":
            raise ImportError(name)
        return load(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'orstats\[sim\]'"):
        SimServer(3, tls=True).start()
