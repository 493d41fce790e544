"""Write down the id of every generation while it is made, and read it back with the caller's labels.

The vendor answers every request with an ``X-Generation-Id`` header. :func:`record` hooks an HTTP client so that each
one becomes a line of a JSON Lines file: ``{"id": "gen-…", "recorded_at": "…", "team": "search"}``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import pandas as pd

from orstats.api.errors import ConfigError, IdSourceError

log = logging.getLogger("orstats.recorder")

T = TypeVar("T")

HEADER: Final = "X-Generation-Id"
_ID, _AT = "id", "recorded_at"
#: A header longer than this is no id.
_LONGEST: Final = 256


def record(path: str | os.PathLike[str], session_or_client: T, /, **labels: str | float) -> T:
    """Write down the id of every generation that an HTTP client asks for; return the same client.

    The calls are not changed: the header is read when it arrives, before the body, so that streaming works. Nothing is
    raised into your code; what cannot be written is logged as a warning to ``orstats.recorder``. Each line is appended
    by one write, so that several threads and processes may share a file.

    Parameters
    ----------
    path
        The JSON Lines file; made when needed, readable by its owner only.
    session_or_client
        A ``requests.Session``, an ``httpx.Client`` or an ``httpx.AsyncClient``. The SDKs take one:
        ``OpenAI(http_client=orstats.record("ids.jsonl", httpx.Client(), team="search"), …)``.
    labels
        Stand in every line, as text: team, job, user … For other labels hook another client.

    Returns
    -------
    The client that was given
        Hooked.

    Raises
    ------
    TypeError
        Something that cannot be hooked; a label that is neither text nor number.
    ConfigError
        A label named ``id`` or ``recorded_at``.

    Examples
    --------
    >>> import requests, tempfile
    >>> session = record(f"{tempfile.gettempdir()}/ids.jsonl", requests.Session(), team="search", job="nightly")
    """
    for name, value in labels.items():
        if name in (_ID, _AT):
            raise ConfigError(f"record(): a label must not be called {name}.")
        if not isinstance(value, str | int | float):
            raise TypeError(f"record(): label {name} must be text or a number, not {type(value).__name__}.")
    note = _Notebook(Path(path), {name: str(value) for name, value in labels.items()}).note
    hooks = _hooks(session_or_client)
    if hooks is None:
        raise TypeError(
            "record() hooks a requests.Session, an httpx.Client or an httpx.AsyncClient; not "
            f"{_name(session_or_client)}."
        )
    hooks.append(_awaitable(note) if hasattr(session_or_client, "aclose") else note)
    return session_or_client


def labels(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read what :func:`record` wrote, to be joined to a frame.

    ``orstats.cost_by(df.join(orstats.labels("ids.jsonl")), "team")`` is the cost per team.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    pandas.DataFrame
        Index ``id``, each id once, as last recorded; ``recorded_at`` (UTC), and a text column for each label, missing
        where a line does not have it. Broken lines (a full disk) are left out and logged as a warning.

    Raises
    ------
    IdSourceError
        The file cannot be read.

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
    broken = 0
    for line in _lines(Path(path)):
        row = _parse(line)
        if row is None:
            broken += 1
            continue
        found[row.pop(_ID)] = row
        names.update(dict.fromkeys(name for name in row if name != _AT))
    if broken:
        log.warning("%d lines of %s are no records and were left out", broken, path)
    index = pd.Index(list(found), name=_ID, dtype="string")
    times = pd.Series([row.get(_AT) for row in found.values()], index=index, dtype="string")
    columns = {_AT: pd.to_datetime(times, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")}
    columns |= {name: pd.Series([_text(row.get(name)) for row in found.values()], index, "string") for name in names}
    return pd.DataFrame(columns, index=index)


class _Notebook:
    """Appends one line for each answer that names its generation."""

    def __init__(self, path: Path, labels: Mapping[str, str]) -> None:
        # Absolute: the program may change its directory later.
        self._path = os.path.abspath(path.expanduser())  # noqa: PTH100 - resolving links is not wanted
        self._labels = labels

    def note(self, response: Any, *_: object, **__: object) -> None:
        """Note a response; returns nothing, which leaves it as it is."""
        try:
            generation_id = response.headers.get(HEADER)
            if generation_id is None or not 0 < len(generation_id) <= _LONGEST:
                return
            line = {_ID: generation_id, _AT: datetime.now(UTC), **self._labels}
            self._append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except Exception:  # whatever it is: the caller's call must not fail for it
            log.warning("an id could not be written to %s", self._path, exc_info=True)

    def _append(self, line: bytes) -> None:
        # Opened anew each time: also after a fork, or when the file was rotated.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            if os.write(file, line) < len(line):
                os.write(file, b"\n")  # a full disk: so that the next line does not begin within this one
                log.warning("%s is full: an id was cut", self._path)
        finally:
            os.close(file)


def _hooks(client: Any) -> MutableSequence[Callable[..., Any]] | None:
    """Return the list of what is called with each response: that of requests, or that of httpx."""
    for name in ("hooks", "event_hooks"):
        hooks = getattr(client, name, None)
        if isinstance(hooks, dict) and isinstance(hooks.get("response"), list):
            found: list[Callable[..., Any]] = hooks["response"]
            return found
    return None


def _awaitable(note: Callable[[Any], None]) -> Callable[[Any], Any]:
    async def hook(response: Any) -> None:  # httpx awaits it; a write to a file takes microseconds
        note(response)

    return hook


def _name(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__name__}"


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise IdSourceError(f"{path}: {error.strerror or error}.", path=str(path)) from error


def _parse(line: bytes) -> dict[str, Any] | None:
    """Read a line; of one that a full disk cut, and another was written behind, that other one."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        last = line.rfind(b'{"id":')
        return _parse(line[last:]) if last > 0 else None
    return row if isinstance(row, dict) and isinstance(row.get(_ID), str) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else orjson.dumps(value).decode()
