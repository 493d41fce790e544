"""Record generation ids from LiteLLM, which has HTTP clients of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from orstats.account.generation_log import GenerationLog, never_raising
from orstats.account.recorded_clients import HEADER

__all__ = ["litellm_callback"]


def litellm_callback(path: str | os.PathLike[str], /, **labels: str | float) -> Any:
    """Return a LiteLLM callback that records the id of every generation, as :func:`record` does.

    Add it to ``litellm.callbacks``, or name it in the configuration of a LiteLLM proxy. LiteLLM reports successes,
    failures and streams. It does not report an asynchronous stream that your code does not read to its end.

    Parameters
    ----------
    path : str or os.PathLike
        The JSON Lines file, as for :func:`record`.
    **labels : str or float
        As for :func:`record`.

    Returns
    -------
    litellm.integrations.custom_logger.CustomLogger
        The callback.

    Raises
    ------
    ConfigError, TypeError
        As for :func:`record`.
    ModuleNotFoundError
        LiteLLM is not installed.

    Examples
    --------
    >>> import orstats
    >>> litellm.callbacks = [orstats.litellm_callback("ids.jsonl", team="search")]  # doctest: +SKIP
    """
    from litellm.integrations.custom_logger import CustomLogger  # noqa: PLC0415 - only users of LiteLLM have it

    log = GenerationLog(path, labels)

    def note(kwargs: dict[str, Any], response_obj: Any, *_times: object, **_more: object) -> None:
        with never_raising("A LiteLLM response could not be recorded"):
            for generation_id in _ids(kwargs, response_obj):
                log.add(generation_id)

    async def note_async(kwargs: dict[str, Any], response_obj: Any, *_times: object, **_more: object) -> None:
        note(kwargs, response_obj)

    class GenerationIdCallback(CustomLogger):  # type: ignore[misc]
        """LiteLLM passes the arguments by name to some methods, and by position to others."""

    for event in ("success", "failure", "stream"):
        setattr(GenerationIdCallback, f"log_{event}_event", staticmethod(note))
        setattr(GenerationIdCallback, f"async_log_{event}_event", staticmethod(note_async))
    return GenerationIdCallback()


def _ids(kwargs: dict[str, Any], response: Any) -> Iterator[str]:
    generation_id = getattr(response, "id", None)
    if isinstance(generation_id, str) and generation_id.startswith(("gen-", "gen_")):
        yield generation_id
        return
    hidden = getattr(response, "_hidden_params", None) or {}
    sent = hidden.get("additional_headers") or {}  # with a prefix
    failed = getattr(kwargs.get("exception"), "litellm_response_headers", None) or {}
    for name, value in (*sent.items(), *failed.items()):
        if name.lower().endswith(HEADER.lower()):
            yield value
