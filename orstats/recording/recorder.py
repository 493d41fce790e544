"""Record the ids of generations as they are requested.

Every response of the vendor has an ``X-Generation-Id`` header. :func:`record` makes an HTTP client write each one
into a JSON Lines file: ``{"id": "gen-…", "recorded_at": "…", "team": "search"}``.
"""

from __future__ import annotations

import os
from typing import Final, TypeVar

from orstats.recording import clients
from orstats.recording.generation_log import GenerationLog

T = TypeVar("T")

_SUPPORTED: Final = (
    "a requests.Session, httpx.Client, httpx.AsyncClient, aiohttp.ClientSession, or a client of the openai or "
    "openrouter SDK"
)


def record(path: str | os.PathLike[str], session_or_client: T, /, **labels: str | float) -> T:
    """Record the id of every generation that an HTTP client requests.

    Requests and responses are not changed: the id is read from the headers, or, if a gateway removed the header, from
    the body while your code reads it. Responses before a retry or a redirect are recorded too. No error in the
    recording reaches your code. If the file can no longer be written, one warning says so, and the ids are kept in
    memory until it can be written again. Several threads and processes may share a file; on Windows only
    threads may, because processes could overwrite each other's lines there.

    Parameters
    ----------
    path : str or os.PathLike
        The JSON Lines file, created when needed and readable by its owner only.
    session_or_client : object
        A ``requests.Session``, ``httpx.Client``, ``httpx.AsyncClient`` or ``aiohttp.ClientSession``, or a client of the
        ``openai`` or ``openrouter`` SDK. LangChain takes such a client as ``http_client``. For LiteLLM see
        :func:`orstats.litellm_callback`.
    **labels : str or float
        Written into every line, as text: team, job, user … Use a second client for other labels. When one client is
        recorded twice, the labels of both are combined, and the first value of a label stays.

    Returns
    -------
    object
        The same client. :func:`unrecord` stops the recording.

    Raises
    ------
    TypeError
        The client is not supported, or a label is neither text nor a number.
    ConfigError
        The file cannot be written, or a label has the name of a column of the DataFrame or is not valid text.

    Examples
    --------
    >>> import requests, tempfile
    >>> session = record(f"{tempfile.gettempdir()}/ids.jsonl", requests.Session(), team="search", job="nightly")
    """
    if not clients.is_supported(session_or_client):
        kind = type(session_or_client)
        raise TypeError(f"session_or_client must be {_SUPPORTED}, got {kind.__module__}.{kind.__qualname__}.")
    clients.instrument(session_or_client, GenerationLog(path, labels))
    return session_or_client


def unrecord(session_or_client: T, /) -> T:
    """Stop all recording of a client.

    Parameters
    ----------
    session_or_client : object
        A client that was passed to :func:`record`.

    Returns
    -------
    object
        The same client.

    Examples
    --------
    >>> import requests, tempfile
    >>> session = unrecord(record(f"{tempfile.gettempdir()}/ids.jsonl", requests.Session()))
    """
    clients.restore(session_or_client)
    return session_or_client
