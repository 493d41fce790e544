"""A LiteLLM callback that records the ids of its calls."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orstats.ids.id_shapes import begins_like_id, ids_in, is_generation_id
from orstats.recording.generation_log import GenerationLog, never_raising
from orstats.recording.responses import HEADER


def litellm_callback(path: str | os.PathLike[str], /, **labels: str | float) -> Any:
    """Return a LiteLLM callback that records the id of every generation, as :func:`orstats.record` does.

    Add it to ``litellm.callbacks``, or to the configuration of a LiteLLM proxy. LiteLLM reports successes, failures
    and streams, but not an asynchronous stream that your code does not read to its end. It keeps a callback until the
    process ends, also one that was replaced in ``litellm.callbacks``.

    Parameters
    ----------
    path : str or os.PathLike
        The JSON Lines file, as for :func:`orstats.record`.
    **labels : str or float
        As for :func:`orstats.record`.

    Returns
    -------
    litellm.integrations.custom_logger.CustomLogger
        The callback.

    Raises
    ------
    ConfigError, TypeError
        As for :func:`orstats.record`.
    ModuleNotFoundError
        LiteLLM is not installed.

    Examples
    --------
    >>> import orstats
    >>> litellm.callbacks = [orstats.litellm_callback("ids.jsonl", team="search")]  # doctest: +SKIP
    """
    from litellm.integrations.custom_logger import CustomLogger  # noqa: PLC0415 - only users of LiteLLM have it

    log = GenerationLog(path, labels)

    def add(kwargs: dict[str, Any], response_obj: Any, *_times: object, **_more: object) -> None:
        with never_raising("A LiteLLM response could not be recorded"):
            for generation_id in _litellm_ids(kwargs, response_obj):
                log.add(generation_id)

    async def add_async(kwargs: dict[str, Any], response_obj: Any, *_times: object, **_more: object) -> None:
        add(kwargs, response_obj)

    class GenerationIdCallback(CustomLogger):  # type: ignore[misc]
        """LiteLLM passes the arguments by name to some methods, and by position to others."""

    for event in ("success", "failure", "stream"):
        setattr(GenerationIdCallback, f"log_{event}_event", staticmethod(add))
        setattr(GenerationIdCallback, f"async_log_{event}_event", staticmethod(add_async))
    callback: Any = GenerationIdCallback()
    callback.recording = f"{Path(path).resolve()} {labels}"  # LiteLLM ignores a second callback with equal attributes
    return callback


def _litellm_ids(kwargs: dict[str, Any], response: Any) -> Iterator[str]:
    generation_id = getattr(response, "id", None)
    if isinstance(generation_id, str) and begins_like_id(generation_id):
        yield generation_id
        return
    hidden = getattr(response, "_hidden_params", None) or {}
    sent = hidden.get("additional_headers") or {}  # with a prefix
    failed = getattr(kwargs.get("exception"), "litellm_response_headers", None) or {}
    named = [value for name, value in (*sent.items(), *failed.items()) if name.lower().endswith(HEADER.lower())]
    yield from named or _wrapped_ids(generation_id)


def _wrapped_ids(response_id: object) -> list[str]:
    """Return the generation id in an id that LiteLLM makes for a response: ``resp_`` and base64."""
    if not (isinstance(response_id, str) and response_id.startswith("resp_")):
        return []
    encoded = response_id.removeprefix("resp_")
    found = ids_in(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("latin-1"))
    return [one for one in found if is_generation_id(one)]
