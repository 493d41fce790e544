"""Calls of requests, httpx, aiohttp and SDKs are recorded, however they are sent, retried or redirected."""

import asyncio
import copy
import pickle
import threading

import aiohttp
import httpx
import openrouter
import pytest
import requests
from recordings import recorded, rows
from requests.adapters import HTTPAdapter
from urllib3 import Retry

import orstats


def fail(*_, **__):
    raise RuntimeError("the caller's hook")


def with_hooks(session, url, hooks):
    session.hooks = hooks
    return session.get(url)


def mounted(session, url):
    session.mount(url, HTTPAdapter())
    return session.get(url)


@pytest.mark.parametrize(
    "call",
    [
        lambda session, url: session.get(url, hooks={"response": lambda *_, **__: None}),
        lambda session, url: session.get(url, hooks={"response": [fail]}),
        lambda session, url: session.send(requests.Request("POST", url).prepare()),
        lambda session, url: session.send(session.prepare_request(requests.Request("GET", url)), stream=True),
        lambda session, url: with_hooks(session, url, {"response": lambda *_, **__: None}),
        lambda session, url: with_hooks(session, url, {"response": [fail]}),
        lambda session, url: with_hooks(session, url, {}),
        lambda session, url: session.get_adapter(url).send(session.prepare_request(requests.Request("GET", url))),
        lambda session, url: copy.copy(session).get(url),
        lambda session, url: copy.deepcopy(session).get(url),
        lambda session, url: pickle.loads(pickle.dumps(session)).get(url),
        mounted,
    ],
)
def test_every_way_to_send_with_requests_is_recorded(vendor, path, session, call):
    try:
        call(session, f"{vendor.url}/any").close()
    except RuntimeError as error:
        assert str(error) == "the caller's hook"  # noqa: PT017
    assert len(recorded(path)) == 1


def test_responses_before_retry_or_redirect_are_recorded(vendor, path, session):
    session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)))
    vendor.refuse_until = 3
    assert session.get(f"{vendor.url}/refused").status_code == 200
    assert len(recorded(path)) == 3
    session.get(f"{vendor.url}/redirect")
    assert len(recorded(path)) == 5
    vendor.refuse_until = 1000
    with pytest.raises(requests.exceptions.RetryError):
        pickle.loads(pickle.dumps(session)).get(f"{vendor.url}/refused")
    assert len(recorded(path)) == 9
    assert len(set(recorded(path))) == 9


def test_adapter_settings_still_apply_through_the_session(session):
    adapter = session.adapters["https://"]
    session.get_adapter("https://x").max_retries = 7
    assert adapter.max_retries == 7
    assert session.get_adapter("https://x").poolmanager is adapter.poolmanager


def test_adapter_shared_with_another_session_records_only_one(vendor, path, session):
    with requests.Session() as other:
        adapter = HTTPAdapter(max_retries=Retry(3, status_forcelist=[503], backoff_factor=0))
        for each in (session, other):
            each.mount("http://", adapter)
        session.get(f"{vendor.url}/any")
        vendor.refuse_until = 4
        other.get(f"{vendor.url}/refused")
    assert len(recorded(path)) == 1


def test_httpx_records_below_hooks_mounts_and_redirects(vendor, path):
    client = httpx.Client(trust_env=False, mounts={"http://": httpx.HTTPTransport()}, follow_redirects=True)
    with orstats.record(path, client):
        client.event_hooks = {"response": [fail]}
        with pytest.raises(RuntimeError):
            client.get(f"{vendor.url}/any")
        client.event_hooks = {}
        client.send(client.build_request("GET", f"{vendor.url}/redirect"))
    assert len(recorded(path)) == 3


class RetryingTransport(httpx.BaseTransport):
    """Discard responses, as the transports of httpx-retries do."""

    def __init__(self):
        self._wrapped = httpx.HTTPTransport()

    def handle_request(self, request):
        while True:
            response = self._wrapped.handle_request(request)
            if response.status_code == 200:
                return response
            response.close()

    def close(self):
        self._wrapped.close()


def test_httpx_transport_that_retries_is_recorded_for_its_own_client_only(vendor, path):
    transport = RetryingTransport()
    with httpx.Client(transport=transport) as other:
        client = orstats.record(path, httpx.Client(transport=transport))
        vendor.refuse_until = 3
        client.get(f"{vendor.url}/refused")
        vendor.refuse_until = 6
        other.get(f"{vendor.url}/refused")
    assert len(recorded(path)) == 3


def test_aiohttp_records_retries_redirects_and_refused_statuses(vendor, path):
    async def retry(request, handler):
        while (response := await handler(request)).status == 503:
            response.release()
        return response

    async def call():
        async with orstats.record(path, aiohttp.ClientSession()) as client:
            vendor.refuse_until = 3
            async with client.get(f"{vendor.url}/refused", middlewares=[retry]):
                pass
            async with client.get(f"{vendor.url}/redirect"):
                pass
            vendor.refuse_until = 1000
            with pytest.raises(aiohttp.ClientResponseError):
                await client.get(f"{vendor.url}/refused", raise_for_status=True)

    asyncio.run(call())
    assert len(recorded(path)) == 6


def test_two_event_loops_and_many_tasks_may_share_a_file(vendor, path):
    async def call():
        async with orstats.record(path, httpx.AsyncClient(trust_env=False), user="ana") as client:
            await asyncio.gather(*(client.get(f"{vendor.url}/any") for _ in range(5)))

    asyncio.run(call())
    asyncio.run(call())
    assert len(set(recorded(path))) == 10
    assert {row["user"] for row in rows(path)} == {"ana"}


def test_threads_may_share_a_session(vendor, path, session):
    threads = [threading.Thread(target=session.get, args=(f"{vendor.url}/any",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(recorded(path))) == 8


class Stainless:
    """The clients of OpenAI and Anthropic keep their HTTP client like this."""

    def __init__(self):
        self._client = httpx.Client(trust_env=False)


def test_client_of_an_sdk_is_recorded(vendor, path):
    sdk = orstats.record(path, Stainless())
    with sdk._client as client:
        client.get(f"{vendor.url}/any")
    assert len(recorded(path)) == 1


def test_official_sdk_is_recorded(vendor, path):
    with orstats.record(path, openrouter.OpenRouter(api_key="k", server_url=vendor.url)) as sdk:
        with pytest.raises(openrouter.errors.ResponseValidationError):
            sdk.chat.send(model="m", messages=[])

        async def call():
            async with sdk:
                await sdk.chat.send_async(model="m", messages=[])

        with pytest.raises(openrouter.errors.ResponseValidationError):
            asyncio.run(call())
    assert len(recorded(path)) == 2
