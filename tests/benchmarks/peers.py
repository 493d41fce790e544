"""The others, each fetching the same ids from the same server in its own usual way. For the benchmarks only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import orjson
import requests
import tenacity
import urllib3
from urllib3.util import Retry as Urllib3Retry

SERVE = """
import json, sys
from datetime import UTC, datetime
from orstats.sim import Faults, RateLimit, SimServer
options = json.loads(sys.argv[1])
options["until"] = datetime(2026, 10, 1, tzinfo=UTC)
if "faults" in options: options["faults"] = Faults(**options["faults"])
if "rate_limit" in options: options["rate_limit"] = RateLimit(**options["rate_limit"])
def ready(sim):
    print(json.dumps({"base_url": sim.base_url, "key": sim.key, "ids": sim.ids}), flush=True)
SimServer(**options).serve_forever(ready)
"""


class Server(NamedTuple):
    base_url: str
    key: str
    ids: list[str]

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def url(self, generation_id: str) -> str:
        return f"{self.base_url}/generation?id={generation_id}"


@contextlib.contextmanager
def server(**options) -> Iterator[Server]:
    """A simulator in a process of its own, so that it shares no interpreter with those who are measured."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, json.dumps(options)], stdout=subprocess.PIPE, text=True)
    try:
        yield Server(**json.loads(process.stdout.readline()))
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


def lost(results: list[object]) -> int:
    return sum(isinstance(result, BaseException) for result in results)


def bare_urllib3(at: Server, ids: list[str], workers: int) -> list[object]:
    """Threads over a pool that only decode JSON: what Python threads can do at best."""
    with urllib3.PoolManager(maxsize=workers) as pool:
        headers = at.headers()
        return in_threads(
            ids, workers, lambda i: orjson.loads(pool.request("GET", at.url(i), headers=headers, retries=False).data)
        )


def urllib3_retry(at: Server, ids: list[str], workers: int) -> list[object]:
    """Threads, with urllib3's own retries, which obey Retry-After."""
    statuses = [408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]
    policy = Urllib3Retry(total=8, backoff_factor=0.5, status_forcelist=statuses)
    with urllib3.PoolManager(maxsize=workers, retries=policy) as pool:
        headers = at.headers()
        return in_threads(
            ids, workers, lambda i: orjson.loads(pool.request("GET", at.url(i), headers=headers).data)["data"]
        )


def requests_tenacity(at: Server, ids: list[str], workers: int) -> list[object]:
    """The recipe of most blogs: a session, a decorator, exponential waits."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=workers))
    session.headers.update(at.headers())

    @tenacity.retry(
        wait=tenacity.wait_random_exponential(0.5, max=60), stop=tenacity.stop_after_attempt(8), reraise=True
    )
    def ask(generation_id: str) -> object:
        answer = session.get(at.url(generation_id), timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]

    with session:
        return in_threads(ids, workers, ask)


def sdk_loop(at: Server, ids: list[str], _workers: int = 1) -> list[object]:
    """The official SDK, one id after the other, as its documentation shows."""
    from openrouter import OpenRouter

    results: list[object] = []
    with OpenRouter(api_key=at.key, server_url=at.base_url) as sdk:
        for generation_id in ids:
            try:
                results.append(sdk.generations.get_generation(id=generation_id))
            except Exception as error:  # noqa: BLE001 - a lost id is a result here
                results.append(error)
    return results


def sdk_gather(at: Server, ids: list[str], workers: int) -> list[object]:
    """The official SDK's async methods under asyncio.gather, so many at a time."""
    from openrouter import OpenRouter

    async def run() -> list[object]:
        gate = asyncio.Semaphore(workers)
        async with OpenRouter(api_key=at.key, server_url=at.base_url) as sdk:

            async def ask(generation_id: str) -> object:
                async with gate:
                    return await sdk.generations.get_generation_async(id=generation_id)

            return await asyncio.gather(*map(ask, ids), return_exceptions=True)

    return asyncio.run(run())
