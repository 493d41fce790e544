"""A client whose transport answers from a script, in simulated time."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson

import orstats
from orstats import errors
from orstats.api.transport import Answer

KEY = "sk-or-v1-" + "0" * 64
HOST = "api.example.com"
#: Syncing thousands of small files to a real disk would take most of the time.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Sent(NamedTuple):
    """One request: when it was sent and answered (simulated seconds), with what, and the wait that it required."""

    at: float
    answered: float
    id: str
    kind: str
    told: float | None


class FakeTransport:
    """Answers as the ids' scripts say, after simulated seconds; in place of sockets."""

    def __init__(self, world, scripts, found_at=None, refusal=(None, 0)):
        self.world, self.scripts, self.found_at = world, scripts, found_at or {}
        self.refusal, self.refused_after = refusal
        self.sent, self.ok, self.fatal_at = [], [], None
        self.wall_ahead = None

    def wall(self):
        """Tell the time by the server's clock, which may be another than the client's."""
        return self.world.time() if self.wall_ahead is None else self.world.now + self.wall_ahead

    def send(self, path, *_, **__):
        name = path.rpartition("id=")[2]
        at = self.world.now
        transient, lasting, latency = self.scripts[name]
        refused = self.refusal is not None and len(self.sent) >= self.refused_after
        kind, told = transient.pop(0) if transient else (lasting, None)
        if kind == "ok" and self.wall() < self.found_at.get(name, 0.0):
            kind = "404"
        if kind in ("reset", "html"):  # these have no say
            told = None
        if refused:
            kind, told = self.refusal, None
        self.sent.append(Sent(at, at + latency, name, kind, told))
        self.world.sleep(latency)
        if refused and self.fatal_at is None:
            self.fatal_at = self.world.now
        return self.answer(kind, told, name)

    def answer(self, kind, told, name):
        headers = {"Date": http_date(self.wall())}
        if told is not None and kind != "503":
            headers["Retry-After"] = str(told)
        if kind == "503" and told is not None:
            headers["X-RateLimit-Reset"] = str(int((self.world.time() + told) * 1000) + 1)
        if kind == "reset":
            raise errors.NetworkError("reset", retryable=True)
        if kind == "html":
            return Answer(200, headers, b"<html>")
        if kind == "error-200":
            return Answer(200, headers, b'{"error": {"code": 502, "message": "upstream"}}')
        if kind == "ok":
            self.ok.append(name)
            return Answer(200, headers, orjson.dumps({"data": record(name)}))
        return Answer(int(kind), headers, b'{"error": {"code": %s, "message": "no"}}' % kind.encode())


def account(world, retry, transport, url=f"https://{HOST}"):
    client = orstats.Client(KEY, base_url=url, retry=retry, _clock=world)
    client._transport = transport
    return client, transport


def http_date(wall):
    return datetime.fromtimestamp(wall, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def record(name):
    second = int(name.split("-")[1])
    created = datetime.fromtimestamp(second, UTC).isoformat()
    return {"id": name, "created_at": created, "is_byok": False, "total_cost": int(name[-6:]) / 1e6, "model": "a/b"}
