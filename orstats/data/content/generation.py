"""One generation: its record as a frozen, typed object, with its stored content on demand."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Self
from urllib.parse import quote as percent

import orjson
import pandas as pd

from orstats.api import errors
from orstats.api.client import Client
from orstats.data.archive.archive import Archive
from orstats.data.content.content import Content, missing, why_missing
from orstats.data.fetch.fetch import choose_archive, fetch
from orstats.data.frame import coerce
from orstats.data.frame.derive import provider_attempts, served
from orstats.data.frame.schema import COLUMNS, ID, Field

ArchiveChoice = Archive | str | os.PathLike[str] | Literal[False] | None

_ERRORS: Final[Mapping[str, type[errors.ApiError]]] = {
    "pending": errors.NotFoundError,
    "not_found": errors.NotFoundError,
    "forbidden": errors.ForbiddenError,
    "rate_limited": errors.RateLimitError,
    "server_error": errors.ServerError,
    "network_error": errors.NetworkError,
    "bad_response": errors.BadResponseError,
    "invalid_id": errors.BadRequestError,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TRY_LATER: Final = frozenset({"pending", "rate_limited", "server_error", "network_error"})


@dataclass(frozen=True, slots=True)
class ProviderAttempt:
    """One provider that was tried.

    ``status`` is what it answered (None: no answer), ``latency`` is in ms, ``ok`` marks the one that gave the answer.
    """

    provider_name: str | None
    status: int | None
    latency: float | None
    is_byok: bool | None
    ok: bool


@dataclass(frozen=True, repr=False)
class Generation:
    """One generation: everything that its record says, with the derived figures.

    Attributes are the columns of the frame, with the same names, meanings and units (:func:`orstats.field_table`);
    None where the frame has a missing value. Made by :func:`orstats.get`, or :meth:`from_row` of a frame.

    Neither its repr nor its HTML form asks for, or shows, prompts and completions: :meth:`content` does.
    """

    id: str
    fetch_status: str = "ok"
    created_at: datetime | None = None
    model: str | None = None
    provider_name: str | None = None
    cost_usd: float | None = None
    cost_basis: str | None = None
    tokens_total: int | None = None
    throughput_tok_s: float | None = None
    decode_tok_s: float | None = None
    cache_hit_rate: float | None = None
    usd_per_mtok: float | None = None
    fallbacks: int | None = None
    fallback_ms: float | None = None
    api_type: str | None = None
    total_cost: float | None = None
    usage: float | None = None
    upstream_inference_cost: float | None = None
    cache_discount: float | None = None
    is_byok: bool | None = None
    tokens_prompt: int | None = None
    tokens_completion: int | None = None
    native_tokens_prompt: int | None = None
    native_tokens_completion: int | None = None
    native_tokens_reasoning: int | None = None
    native_tokens_cached: int | None = None
    native_tokens_completion_images: int | None = None
    num_media_prompt: int | None = None
    num_input_audio_prompt: int | None = None
    num_media_completion: int | None = None
    num_search_results: int | None = None
    num_fetches: int | None = None
    web_search_engine: str | None = None
    latency: float | None = None
    generation_time: float | None = None
    moderation_latency: float | None = None
    streamed: bool | None = None
    cancelled: bool | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    provider_responses: tuple[ProviderAttempt, ...] | None = None
    service_tier: str | None = None
    router: str | None = None
    preset_id: str | None = None
    response_cache_source_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    upstream_id: str | None = None
    external_user: str | None = None
    app_id: int | None = None
    workspace_id: str | None = None
    origin: str | None = None
    http_referer: str | None = None
    user_agent: str | None = None
    data_region: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    http_status: int | None = None
    attempts: int | None = None
    error: str | None = None
    fetched_at: datetime | None = None

    def __repr__(self) -> str:
        what = self.model if self.fetch_status == "ok" else self.fetch_status
        cost = "" if self.cost_usd is None else f", cost_usd={self.cost_usd:.6g}"
        return f"Generation({self.id!r}, {what}{cost})"

    def _repr_html_(self) -> str:
        # By name: data may not import the notebook, and only a notebook asks for this.
        html: str = importlib.import_module("orstats.notebook.render_card").static_card(self)
        return html

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the client, which holds a key and sockets."""
        return {name: value for name, value in self.__dict__.items() if name != "_ask"}

    @classmethod
    def from_row(
        cls,
        row: pd.Series[Any] | Mapping[str, Any],
        *,
        client: Client | None = None,
        archive: ArchiveChoice = None,
    ) -> Self:
        """Make the generation of one row of a frame. Sends no request.

        Parameters
        ----------
        row
            ``df.loc[generation_id]``, or a mapping with ``id`` and any of the frame's columns. Columns that are not
            there are None.
        client, archive
            Whom to ask, and where to look first, when :meth:`content` is called; as in :func:`orstats.get`.

        Raises
        ------
        ConfigError
            It is not one row, or has no id.

        Examples
        --------
        >>> Generation.from_row({"id": "gen-1", "model": "a/b", "cost_usd": 0.5})
        Generation('gen-1', a/b, cost_usd=0.5)
        """
        if not isinstance(row, pd.Series | Mapping):
            raise errors.ConfigError(f"A generation is made of one row, df.loc[id]; not of a {type(row).__name__}.")
        cells = {str(name): value for name, value in row.items()}
        generation_id = cells.get(ID.name, row.name if isinstance(row, pd.Series) else None)
        if not isinstance(generation_id, str):
            raise errors.ConfigError("The row has no generation id: take it as df.loc[id], of a frame of orstats.")
        values = {f.name: _cell(f, cells[f.name]) for f in COLUMNS if f.name in cells}
        made = cls(generation_id, **{name: value for name, value in values.items() if value is not None})
        object.__setattr__(made, "_ask", _asker(client, archive))
        return made

    @property
    def url(self) -> str:
        """The vendor's log page of this generation; only its account may see it."""
        return f"https://openrouter.ai/logs?transaction={percent(self.id, safe='', errors='replace')}"

    def content(self) -> Content:
        """Return the stored prompt and completion: from the archive if it has them, else by one request.

        What came is not kept: ask once, and hold the result. That there is none is an answer too:
        see :attr:`Content.status`.

        Raises
        ------
        ApiError
            It could not be asked for: network, limits, account. Not for 403 and 404, which are answers.
        MissingKeyError
            No key is set.
        """
        ask = self.__dict__.get("_ask") or _asker(None, None)
        content: Content = ask(self)
        return content


def get(generation_id: str, *, client: Client | None = None, archive: ArchiveChoice = None) -> Generation:
    """Return one generation, with its content on demand.

    Parameters
    ----------
    generation_id
        The id.
    client
        Whom to ask. None makes one from the environment.
    archive
        Where settled records are kept, as in :func:`orstats.fetch`: a record that is there costs no request.

    Raises
    ------
    NotFoundError
        Unknown, of another account, or too young to be found (it is looked for during half a minute).
    ApiError
        Any other failure, after what may help was tried again.
    ConfigError
        No key, or an argument that cannot be used.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(10) as sim:
    ...     generation = orstats.get(sim.ids[-1], client=sim.client())
    ...     content = generation.content()
    >>> generation.id == content.id, content.status in ("stored", "zero data retention")
    (True, True)
    """
    if not isinstance(generation_id, str):
        raise TypeError(f"get() takes one id, as text; not {type(generation_id).__name__}.")
    row = fetch([generation_id], client=client, archive=archive, workers=1, progress=False).iloc[0]
    if row["fetch_status"] != "ok":
        raise _error(row)
    return Generation.from_row(row, client=client, archive=archive)


def _error(row: pd.Series[Any]) -> errors.ApiError:
    status = row["fetch_status"]
    http_status = row["http_status"]
    return _ERRORS[status](
        str(row["error"]),
        status=None if pd.isna(http_status) else int(http_status),
        generation_id=str(row.name),
        retryable=status in _TRY_LATER,
    )


def _asker(client: Client | None, archive: ArchiveChoice) -> Callable[[Generation], Content]:
    """Bind where content comes from, without touching disk, network or environment yet."""

    def ask(generation: Generation) -> Content:
        with ExitStack() as stack:
            asked = client or stack.enter_context(Client())
            kept = choose_archive(archive, asked)
            body = None if kept is None else kept.read_contents(asked.settings.host, [generation.id]).get(generation.id)
            if body is not None:
                return Content.from_json(generation.id, body)
            try:
                return Content.from_wire(generation.id, asked.content(generation.id))
            except (errors.ForbiddenError, errors.NotFoundError) as error:
                status = why_missing(
                    error,
                    now=datetime.now(UTC),
                    created_at=generation.created_at,
                    data_region=generation.data_region,
                    known=generation.fetch_status == "ok",
                )
                return missing(generation.id, status)

    return ask


def _cell(field: Field, value: Any) -> Any:
    """Turn one cell of a frame into a plain Python value; None for what is missing or is not of the field's kind."""
    if isinstance(value, pd.Timestamp):
        return None if value is pd.NaT else value.floor("us").to_pydatetime()
    if field.kind == "json":
        return _nested(field.name, value)
    if field.kind == "text":
        return coerce.text(value)
    if field.kind == "time":
        microseconds = coerce.time(value)
        return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
    if field.kind == "flag":
        return bool(value) if type(value).__name__ in ("bool", "bool_") else None
    plain = value.item() if hasattr(value, "item") else value  # a number of NumPy's
    return coerce.count(plain) if field.kind == "count" else coerce.number(plain)


def _nested(name: str, value: Any) -> Any:
    text = value if isinstance(value, str) else None
    if text is None and isinstance(value, list | dict):
        text = coerce.json_text(value)
    if text is None:
        return None
    if name == "provider_responses":
        return _attempts(provider_attempts(text))
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _attempts(listed: list[dict[str, Any]] | None) -> tuple[ProviderAttempt, ...] | None:
    if listed is None:
        return None
    good = served(listed)
    return tuple(
        ProviderAttempt(
            provider_name=coerce.text(one.get("provider_name")),
            status=coerce.count(one.get("status")),
            latency=coerce.number(one.get("latency")),
            is_byok=coerce.flag(one.get("is_byok")),
            ok=place == good,
        )
        for place, one in enumerate(listed)
    )
