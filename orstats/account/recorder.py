"""Record the ids of generations as they are requested, and read them back with your labels.

Every response of the vendor has an ``X-Generation-Id`` header. :func:`record` makes an HTTP client write each one
into a JSON Lines file: ``{"id": "gen-…", "recorded_at": "…", "team": "search"}``.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import pandas as pd

from orstats._warn import warn_caller
from orstats.account import recorded_clients
from orstats.account.recorded_ids import GenerationLog, never_raising
from orstats.account.recorded_responses import HEADER
from orstats.errors import IdSourceError
from orstats.frame.schema import FIELDS
from orstats.ids.decompression import unpack
from orstats.ids.id_shapes import ids_in, is_generation_id
from orstats.ids.json_files import read_records
from orstats.ids.sniff import as_utf8, file_chunks
from orstats.ids.source import Source

T = TypeVar("T")

_ID, _AT = "id", "recorded_at"
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
        :func:`litellm_callback`.
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
    if not recorded_clients.is_supported(session_or_client):
        kind = type(session_or_client)
        raise TypeError(f"session_or_client must be {_SUPPORTED}, got {kind.__module__}.{kind.__qualname__}.")
    recorded_clients.instrument(session_or_client, GenerationLog(path, labels))
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
    recorded_clients.restore(session_or_client)
    return session_or_client


def litellm_callback(path: str | os.PathLike[str], /, **labels: str | float) -> Any:
    """Return a LiteLLM callback that records the id of every generation, as :func:`record` does.

    Add it to ``litellm.callbacks``, or to the configuration of a LiteLLM proxy. LiteLLM reports successes, failures
    and streams, but not an asynchronous stream that your code does not read to its end. It keeps a callback until the
    process ends, also one that was replaced in ``litellm.callbacks``.

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


def labels(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read the labels that :func:`record` wrote, to join them to a DataFrame.

    ``orstats.cost_by(df.join(orstats.labels("ids.jsonl")), "team")`` is the cost per team.

    Parameters
    ----------
    path : str or os.PathLike
        The file, which may be compressed or in a zip or tar archive.

    Returns
    -------
    pandas.DataFrame
        Index ``id``, each id once; ``recorded_at`` (UTC), and a text column for each label. If an id was recorded more
        than once, its labels are combined, and the first value of each stays.

    Raises
    ------
    IdSourceError
        The file cannot be read, or contains no record.

    Warns
    -----
    UserWarning
        Some lines are not valid records, for example because the disk was full. They are skipped. Or a label of an
        older file has the name of a column of the DataFrame.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "ids.jsonl")
    ...     _ = file.write_text('{"id": "gen-1", "recorded_at": "2026-11-23T10:00:00Z", "team": "search"}\n')
    ...     labels(file).loc["gen-1", "team"]
    'search'
    """
    found: dict[str, dict[str, Any]] = {}
    names: dict[str, None] = {}
    malformed = 0
    for row in read_records(_chunks(Path(path))):
        if isinstance(row, bytes):
            malformed += 1
            continue
        found[row[_ID]] = row | found.get(row[_ID], {})
        names.update(dict.fromkeys(name for name in row if name not in (_ID, _AT)))
    if malformed and not found:
        raise IdSourceError(f"{path}: contains no records. Pass a file that orstats.record() wrote.", path=str(path))
    if malformed:
        warn_caller(f"Skipped {malformed:,} malformed lines in {path}.")
    if reserved := sorted(names.keys() & FIELDS.keys()):
        warn_caller(f"Labels named like a column of the DataFrame get the prefix label_: {', '.join(reserved)}.")
    index = pd.Index(list(found), name=_ID, dtype="string")
    times = pd.Series([row.get(_AT) for row in found.values()], index=index, dtype="string")
    columns = {_AT: pd.to_datetime(times, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")}
    columns |= {
        f"label_{name}" if name in FIELDS else name: pd.Series(
            [_text(row.get(name)) for row in found.values()], index, "string"
        )
        for name in names
    }
    return pd.DataFrame(columns, index=index)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file, Source(file_chunks(file), str(path), path=str(path)) as source:
            yield from _unpacked(source)
    except OSError as error:
        raise IdSourceError(f"{path}: {error.strerror or error}.", path=str(path)) from error


def _unpacked(source: Source) -> Iterator[bytes]:
    members = unpack(source)
    if members is None:
        yield from as_utf8(source.chunks)
        yield b"\n"
    else:
        for member in members:
            yield from _unpacked(member)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else orjson.dumps(value).decode()


def _litellm_ids(kwargs: dict[str, Any], response: Any) -> Iterator[str]:
    generation_id = getattr(response, "id", None)
    if isinstance(generation_id, str) and generation_id.startswith(("gen-", "gen_")):
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
