"""The options of ``orstats sim`` reach the simulator, and mistakes in them are named."""

import signal
import sys

import pytest
import urllib3


def start(spawn, *options):
    process = spawn("sim", "--port", "0", "--generations", "5", *options)
    lines = [process.stdout.readline() for _ in range(4 if "--tls" in options else 3)]
    environment = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
    url, headers = environment["OPENROUTER_BASE_URL"], {"Authorization": f"Bearer {environment['OPENROUTER_API_KEY']}"}
    return process, f"{url}/key", headers, environment.get("REQUESTS_CA_BUNDLE")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        ((), 429, {"retry-after": "10"}),
        (("--retry-after", "120"), 429, {"retry-after": "120"}),
        (("--rate-status", "503", "--retry-after", "none"), 503, {}),
    ],
)
def test_sim_refuses_as_its_options_say(spawn, options, status, told):
    process, url, headers, _ = start(spawn, "--rate", "0.1", *options)
    with urllib3.PoolManager(retries=False, timeout=20) as pool:
        assert pool.request("GET", url, headers=headers).status == 200
        refusal = pool.request("GET", url, headers=headers)
    assert refusal.status == status
    assert {
        name: refusal.headers[name] for name in ("retry-after", "retry-after-ms") if name in refusal.headers
    } == told
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_sim_serves_https_and_prints_its_authority(spawn):
    process, url, headers, ca_file = start(spawn, "--tls")
    assert url.startswith("https://")
    with urllib3.PoolManager(retries=False, timeout=20, ca_certs=ca_file) as pool:
        assert pool.request("GET", url, headers=headers).status == 200
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rate-status", "500"), "--rate-status must be 429 or 503, got 500."),
        (("--retry-after", "soon"), "--retry-after must be one of seconds, date,"),
    ],
)
def test_sim_names_options_that_are_wrong(orstats, options, message):
    done = orstats("sim", "--rate", "5", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
