"""The callback for LiteLLM records the ids of its calls."""

import asyncio
import sys
from base64 import b64encode

import pytest
from recordings import recorded

import orstats


class LoggerOfLiteLLM:
    """Stands for litellm.integrations.custom_logger.CustomLogger, which is not a dependency of the tests."""


@pytest.fixture
def _litellm(monkeypatch):
    modules = {"litellm": object(), "litellm.integrations": object()}
    modules["litellm.integrations.custom_logger"] = type("M", (), {"CustomLogger": LoggerOfLiteLLM})
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


class Response:
    def __init__(self, generation_id, headers=None):
        self.id = generation_id
        self._hidden_params = {"additional_headers": headers}


@pytest.mark.usefixtures("_litellm")
def test_litellm_callback_records_successes_streams_and_failures(path):
    callback = orstats.litellm_callback(path, team="a")
    assert isinstance(callback, LoggerOfLiteLLM)
    failed = type("APIError", (Exception,), {"litellm_response_headers": {"x-generation-id": "gen-failed"}})()
    callback.log_success_event({}, Response("gen-sync"), None, None)
    callback.log_stream_event({}, Response("gen-sync"), None, None)
    headers = {"llm_provider-x-generation-id": "gen-header", "llm_provider-date": "today"}
    later = [
        callback.async_log_success_event(kwargs={}, response_obj=Response("gen-async"), start_time=0, end_time=1),
        callback.async_log_stream_event({}, Response("chatcmpl-1", headers), None, None),
        callback.async_log_failure_event(kwargs={"exception": failed}, response_obj=None, start_time=0, end_time=1),
    ]

    async def report():
        await asyncio.gather(*later)

    asyncio.run(report())
    # LiteLLM's own id of a response from the Responses API, whose header a gateway removed.
    wrapped = b64encode(
        b"litellm:custom_llm_provider:openai;model_id:None;response_id:gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
    )
    callback.log_success_event({}, Response(f"resp_{wrapped.decode()}"), None, None)
    callback.log_success_event({}, Response("resp_0123"), None, None)
    callback.log_success_event({}, Response("chatcmpl-2"), None, None)
    callback.log_failure_event({"exception": ValueError()}, None, None, None)
    callback.log_failure_event(None, None, None, None)
    wrapped_id = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
    assert recorded(path) == ["gen-sync", "gen-async", "gen-header", "gen-failed", wrapped_id]
    assert set(orstats.labels(path)["team"]) == {"a"}


@pytest.mark.usefixtures("_litellm")
def test_callbacks_for_other_files_or_labels_differ_in_their_public_attributes(path):
    """By these LiteLLM recognises a callback that was added before, and ignores the second one."""
    callbacks = [
        orstats.litellm_callback(path, team="a"),
        orstats.litellm_callback(path, team="a"),
        orstats.litellm_callback(path, team="b"),
        orstats.litellm_callback(path.with_name("other.jsonl"), team="a"),
    ]
    one, same, *others = [{name: value for name, value in vars(each).items() if name[0] != "_"} for each in callbacks]
    assert one == same
    assert one not in others
    assert others[0] != others[1]
