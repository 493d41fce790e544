"""The others, each fetching the same ids from the same server in its own usual way. For the benchmarks only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import resource
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import requests
import tenacity
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util import Retry as Urllib3Retry

import orstats

SERVE = """
import dataclasses, json, sys
from datetime import UTC, datetime
from orstats.sim import Faults, RateLimit, SimServer
options = json.loads(sys.argv[1])
if not options.pop("keep_alive", True):  # a server that closes each connection after its response
    from orstats.sim import http_connection
    from orstats.sim.http import Request
    http_connection.Request = lambda *parts: dataclasses.replace(Request(*parts), keep_alive=False)
options["until"] = datetime(2026, 10, 1, tzinfo=UTC)
if "faults" in options: options["faults"] = Faults(**options["faults"])
if "rate_limit" in options: options["rate_limit"] = RateLimit(**options["rate_limit"])
with SimServer(**options) as sim:
    ca_file = str(sim.ca_file) if options.get("tls") else None
    print(json.dumps({"base_url": sim.base_url, "key": sim.key, "ids": sim.ids, "ca_file": ca_file}), flush=True)
    for _ in sys.stdin:
        stats = sim.stats
        counts = {name: getattr(stats, name) for name in ("requests", "refusals", "faults")}
        print(json.dumps(counts), flush=True)
"""


class Server(NamedTuple):
    """A running simulator; ``ca_file`` is a bundle of CAs as long as a usual one, that also has the simulator's."""

    base_url: str
    key: str
    ids: list[str]
    ca_file: str | None = None
    process: subprocess.Popen[str] | None = None

    def counts(self) -> dict:
        """What it was asked so far: ``requests``, ``refusals`` (429 of the limit) and ``faults`` by kind."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def url(self, generation_id: str) -> str:
        return f"{self.base_url}/generation?id={generation_id}"


@contextlib.contextmanager
def server(**options) -> Iterator[Server]:
    """A simulator in a process of its own, so that it shares no interpreter with those who are measured."""
    command = [sys.executable, "-c", SERVE, json.dumps(options)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            at = Server(**json.loads(process.stdout.readline()), process=process)
            if at.ca_file:
                bundle = Path(folder) / "bundle.pem"
                bundle.write_bytes(Path(DEFAULT_CA_BUNDLE_PATH).read_bytes() + Path(at.ca_file).read_bytes())
                at = at._replace(ca_file=str(bundle))
            yield at
    finally:
        process.terminate()
        process.wait()


def in_threads(ids: list[str], workers: int, ask: Callable[[str], object]) -> list[object]:
    """What each id gave; an id whose asking raised gives its exception."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for generation_id in ids:
        waiting.put(generation_id)
    results: list[object] = []

    def work() -> None:
        while True:
            try:
                generation_id = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results.append(ask(generation_id))
            except Exception as error:  # noqa: BLE001 - a lost id is a result here
                results.append(error)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def peak_mb() -> float:
    """The most memory of this process since it started its program; getrusage may count the parent's as well."""
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1e3


def lost(results: list[object]) -> int:
    return sum(isinstance(result, BaseException) for result in results)


def in_loop(ids: list[str], ask: Callable[[str], object]) -> list[object]:
    """The same, one id after the other."""
    results: list[object] = []
    for generation_id in ids:
        try:
            results.append(ask(generation_id))
        except Exception as error:  # noqa: BLE001 - a lost id is a result here
            results.append(error)
    return results


def in_tasks(ids: list[str], workers: int, using: Callable[[], Any]) -> list[object]:
    """The same by ``asyncio.gather``, so many at a time; ``using`` opens a client and yields how to ask it."""

    async def run() -> list[object]:
        gate = asyncio.Semaphore(workers)
        async with using() as ask_client:

            async def ask(generation_id: str) -> object:
                async with gate:
                    return await ask_client(generation_id)

            return await asyncio.gather(*map(ask, ids), return_exceptions=True)

    return asyncio.run(run())


def ours(at: Server, ids: list[str], workers: int) -> list[object]:
    """orstats, to a finished DataFrame; without the archive, which the others do not have."""
    with orstats.Client(at.key, base_url=at.base_url) as client:
        frame = orstats.fetch(ids, client=client, workers=workers, archive=False, progress=False)
    return [None if status == "ok" else LookupError(status) for status in frame["fetch_status"].to_list()]


def bare_urllib3(at: Server, ids: list[str], workers: int) -> list[object]:
    """Threads over a pool that only decode JSON: what Python threads can do at best."""
    # One context for all connections: by default each of them reads the CA bundle again.
    context = ssl.create_default_context(cafile=at.ca_file) if at.ca_file else None
    with urllib3.PoolManager(maxsize=workers, ssl_context=context) as pool:
        headers = at.headers()
        return in_threads(
            ids,
            workers,
            lambda i: orjson.loads(pool.request("GET", at.url(i), headers=headers, retries=False).data)["data"],
        )


def urllib3_retry(at: Server, ids: list[str], workers: int) -> list[object]:
    """Threads, with urllib3's own retries, which obey Retry-After."""
    statuses = [408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]
    policy = Urllib3Retry(total=8, backoff_factor=0.5, status_forcelist=statuses)
    with urllib3.PoolManager(maxsize=workers, retries=policy, ca_certs=at.ca_file) as pool:
        headers = at.headers()
        return in_threads(
            ids, workers, lambda i: orjson.loads(pool.request("GET", at.url(i), headers=headers).data)["data"]
        )


def _session(at: Server, workers: int, session: requests.Session) -> Callable[[str], object]:
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=workers))
    session.headers.update(at.headers())

    def ask(generation_id: str) -> object:
        answer = session.get(at.url(generation_id), timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]

    return ask


def requests_loop(at: Server, ids: list[str], _workers: int) -> list[object]:
    """A session, one id after the other."""
    with requests.Session() as session:
        return in_loop(ids, _session(at, 1, session))


def requests_threads(at: Server, ids: list[str], workers: int) -> list[object]:
    """A session shared by threads."""
    with requests.Session() as session:
        return in_threads(ids, workers, _session(at, workers, session))


def requests_tenacity(at: Server, ids: list[str], workers: int) -> list[object]:
    """The recipe of most blogs: a session, a decorator, exponential waits."""
    patient = tenacity.retry(
        wait=tenacity.wait_random_exponential(0.5, max=60), stop=tenacity.stop_after_attempt(8), reraise=True
    )
    with requests.Session() as session:
        return in_threads(ids, workers, patient(_session(at, workers, session)))


def requests_cached(at: Server, ids: list[str], _workers: int) -> list[object]:
    """requests-cache over SQLite, one id after the other, from an empty cache."""
    import requests_cache

    with tempfile.TemporaryDirectory() as folder, requests_cache.CachedSession(f"{folder}/cache") as session:
        return in_loop(ids, _session(at, 1, session))


def httpx_threads(at: Server, ids: list[str], workers: int) -> list[object]:
    """One httpx client shared by threads."""
    import httpx

    limits = httpx.Limits(max_connections=workers, max_keepalive_connections=workers)
    with httpx.Client(headers=at.headers(), timeout=30, limits=limits) as client:
        return in_threads(ids, workers, lambda i: client.get(at.url(i)).raise_for_status().json()["data"])


def httpx_gather(at: Server, ids: list[str], workers: int) -> list[object]:
    """httpx's async client under asyncio.gather."""
    import httpx

    @contextlib.asynccontextmanager
    async def using():
        limits = httpx.Limits(max_connections=workers, max_keepalive_connections=workers)
        async with httpx.AsyncClient(headers=at.headers(), timeout=30, limits=limits) as client:

            async def ask(generation_id: str) -> object:
                answer = await client.get(at.url(generation_id))
                return answer.raise_for_status().json()["data"]

            yield ask

    return in_tasks(ids, workers, using)


def aiohttp_gather(at: Server, ids: list[str], workers: int) -> list[object]:
    """aiohttp under asyncio.gather, its parser in C: the limit of Python."""
    import aiohttp

    @contextlib.asynccontextmanager
    async def using():
        connector = aiohttp.TCPConnector(limit=workers, ssl=ssl.create_default_context(cafile=at.ca_file))
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(headers=at.headers(), connector=connector, timeout=timeout) as session:

            async def ask(generation_id: str) -> object:
                async with session.get(at.url(generation_id), raise_for_status=True) as answer:
                    return orjson.loads(await answer.read())["data"]

            yield ask

    return in_tasks(ids, workers, using)


def sdk_loop(at: Server, ids: list[str], _workers: int = 1) -> list[object]:
    """The official SDK, one id after the other, as its documentation shows."""
    from openrouter import OpenRouter

    with OpenRouter(api_key=at.key, server_url=at.base_url) as sdk:
        return in_loop(ids, lambda i: sdk.generations.get_generation(id=i))


def sdk_threads(at: Server, ids: list[str], workers: int) -> list[object]:
    """The official SDK shared by threads."""
    from openrouter import OpenRouter

    with OpenRouter(api_key=at.key, server_url=at.base_url) as sdk:
        return in_threads(ids, workers, lambda i: sdk.generations.get_generation(id=i))


def sdk_gather(at: Server, ids: list[str], workers: int) -> list[object]:
    """The official SDK's async methods under asyncio.gather."""
    from openrouter import OpenRouter

    @contextlib.asynccontextmanager
    async def using():
        async with OpenRouter(api_key=at.key, server_url=at.base_url) as sdk:
            yield lambda i: sdk.generations.get_generation_async(id=i)

    return in_tasks(ids, workers, using)


class Peer(NamedTuple):
    """One way to fetch: ``loop`` for one id after the other, ``slow`` for a quarter of the ids."""

    name: str
    fetch: Callable[[Server, list[str], int], list[object]]
    loop: bool = False
    slow: bool = False


ORSTATS, BARE = "orstats", "urllib3, bare, threads"
PEERS = (
    Peer(ORSTATS, ours),
    Peer(BARE, bare_urllib3),
    Peer("aiohttp, gather", aiohttp_gather),
    Peer("urllib3.Retry, threads", urllib3_retry),
    Peer("requests, threads", requests_threads),
    Peer("requests + tenacity, threads", requests_tenacity),
    Peer("httpx, threads", httpx_threads),
    Peer("httpx, gather", httpx_gather, slow=True),
    Peer("SDK, threads", sdk_threads, slow=True),
    Peer("SDK, gather", sdk_gather, slow=True),
    Peer("requests, loop", requests_loop, loop=True),
    Peer("requests-cache, loop", requests_cached, loop=True),
    Peer("SDK, loop", sdk_loop, loop=True),
)
