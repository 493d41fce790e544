"""One generation: its record, with its stored content on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import orjson

from orstats.api.client import Client
from orstats.content.archived_contents import archived_contents
from orstats.content.content import Content, explain_missing
from orstats.content.html_card import static_card
from orstats.content.record import ProviderAttempt, Record
from orstats.errors import ApiError, ConfigError, ForbiddenError, NotFoundError
from orstats.fetching.arguments import ArchiveChoice, choose_archive
from orstats.fetching.fetch_one import fetch_one
from orstats.frame import json_values
from orstats.frame.derive import provider_attempts, winning_attempt_index
from orstats.frame.row import record_row
from orstats.frame.schema import COLUMNS, ID, Field
from orstats.ids.id_shapes import log_url

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Generation(Record):
    """One generation: the columns of its record, the derived ones included, and its content on demand.

    Attributes are the columns of the DataFrame, with the same names, meanings and units (:func:`orstats.field_table`);
    None where the DataFrame has a missing value. Made by :func:`orstats.get`, :meth:`from_row` or :meth:`from_record`.

    Neither its repr nor its HTML form requests or shows prompts and completions: :meth:`content` does.

    Examples
    --------
    >>> generation = Generation("gen-1", model="a/b", cost_usd=0.5)
    >>> generation.cost_usd, generation.provider_name, generation.url
    (0.5, None, 'https://openrouter.ai/logs?transaction=gen-1')
    """

    def _repr_html_(self) -> str:
        return static_card(self)

    def __getstate__(self) -> dict[str, Any]:
        """Omit the client, which holds a key and sockets."""
        return {name: value for name, value in self.__dict__.items() if name != "_load_content"}

    @classmethod
    def from_row(
        cls,
        row: pd.Series[Any] | Mapping[str, Any],
        *,
        client: Client | None = None,
        archive: ArchiveChoice = None,
    ) -> Self:
        """Make a generation from one row of a DataFrame. Sends no request.

        Parameters
        ----------
        row : pandas.Series or mapping
            ``df.loc[generation_id]``, or a mapping with ``id`` and any of the columns. Other columns are None.
        client, archive : optional
            Used by :meth:`content`, as in :func:`orstats.get`.

        Returns
        -------
        Generation
            With the values of the row.

        Raises
        ------
        ConfigError
            Not a single row, or a row without an id.

        Examples
        --------
        >>> Generation.from_row({"id": "gen-1", "model": "a/b", "cost_usd": 0.5})
        Generation('gen-1', a/b, cost_usd=0.5)
        """
        if not (isinstance(row, Mapping) or getattr(row, "ndim", None) == 1):
            raise ConfigError(f"row must be one row, such as df.loc[id], got {type(row).__name__}.")
        cells = {str(name): value for name, value in row.items()}
        generation_id = cells.get(ID.name, getattr(row, "name", None))
        if not isinstance(generation_id, str):
            raise ConfigError("The row has no generation id: pass df.loc[id], of a DataFrame from orstats.")
        values = {field.name: _cell(field, cells[field.name]) for field in COLUMNS if field.name in cells}
        made = cls(generation_id, **{name: value for name, value in values.items() if value is not None})
        object.__setattr__(made, "_load_content", _content_loader(client, archive))
        return made

    def in_zone(self, tz: str) -> Self:
        """Return the same generation with its times in a time zone, whose name the cards show.

        Parameters
        ----------
        tz : str
            The name of a time zone, such as ``"Europe/Berlin"``.

        Returns
        -------
        Generation
            The same moments, shown as clocks there show them.

        Examples
        --------
        >>> from datetime import UTC
        >>> one = Generation("gen-1", created_at=datetime(2026, 3, 1, 9, tzinfo=UTC))
        >>> one.in_zone("Asia/Tokyo").created_at.isoformat()
        '2026-03-01T18:00:00+09:00'
        """
        from orstats.text.time_zones import clock  # noqa: PLC0415 - loads pandas

        zone = clock(tz)
        found: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        times: dict[str, Any] = {
            name: value.astimezone(zone)
            for name, value in found.items()
            if isinstance(value, datetime) and value.tzinfo is not None
        }
        made = replace(self, **times)
        if "_load_content" in self.__dict__:
            object.__setattr__(made, "_load_content", self.__dict__["_load_content"])
        return made

    @classmethod
    def from_record(
        cls, record: Mapping[str, Any], *, client: Client | None = None, archive: ArchiveChoice = None
    ) -> Self:
        """Make a generation from a record as the API sends it. Sends no request.

        Parameters
        ----------
        record : mapping
            As :meth:`orstats.Client.generation` returns it.
        client, archive : optional
            Used by :meth:`content`, as in :func:`orstats.get`.

        Returns
        -------
        Generation
            With the record's fields and the derived columns.

        Raises
        ------
        ConfigError
            A record without an id.

        Examples
        --------
        >>> Generation.from_record({"id": "gen-1", "model": "a/b", "total_cost": "0.5", "is_byok": False})
        Generation('gen-1', a/b, cost_usd=0.5)
        """
        if not isinstance(record.get(ID.name), str):
            raise ConfigError(f"record must have an id, got {record.get(ID.name)!r}.")
        return cls.from_row(record_row(record[ID.name], record), client=client, archive=archive)

    @property
    def url(self) -> str:
        """The address of the vendor's log page; only the account of the generation may see it."""
        return log_url(self.id)

    def content(self) -> Content:
        """Return the stored prompt and completion, from the archive or by a request.

        The result is not cached: each call loads it again. Missing content is a result too: see
        :attr:`Content.status`.

        Returns
        -------
        Content
            With its ``status``, and a ``reason`` when nothing is stored.

        Raises
        ------
        ApiError
            The request failed: network, limits, account. Not for 403 and 404, which :attr:`Content.status` explains.
        MissingKeyError
            No key is set.
        """
        load = self.__dict__.get("_load_content") or _content_loader(None, None)
        content: Content = load(self)
        return content


def get(generation_id: str, *, client: Client | None = None, archive: ArchiveChoice = None) -> Generation:
    """Return one generation, with its content on demand.

    Parameters
    ----------
    generation_id : str
        The id.
    client : Client, optional
        Sends the requests. Default: one made from the environment.
    archive : Archive, str, os.PathLike or False, optional
        As in :func:`orstats.fetch`: an archived record costs no request.

    Returns
    -------
    Generation
        With the columns as attributes; :meth:`Generation.content` loads prompt and completion.

    Raises
    ------
    NotFoundError
        Unknown id, id from another account, or too recent to be available (retried for half a minute).
    ApiError
        Any other failure, after retries.
    ConfigError
        No key, or an invalid argument.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(10) as sim:
    ...     generation = orstats.get(sim.ids[-1], client=sim.client())
    ...     content = generation.content()
    >>> generation.id == content.id, content.status in ("stored", "zero data retention")
    (True, True)
    """
    generation, error = get_or_failed(generation_id, client=client, archive=archive)
    if error is not None:
        raise error
    return generation


def get_or_failed(
    generation_id: str, *, client: Client | None, archive: ArchiveChoice
) -> tuple[Generation, ApiError | None]:
    """Return one generation; if it could not be fetched, with the status and the error of its last request."""
    if not isinstance(generation_id, str):
        raise TypeError(f"generation_id must be one id as str, got {type(generation_id).__name__}.")
    with ExitStack() as stack:
        row, error = fetch_one(generation_id, client=client or stack.enter_context(Client()), archive=archive)
    return Generation.from_row(row, client=client, archive=archive), error


def _content_loader(client: Client | None, archive: ArchiveChoice) -> Callable[[Generation], Content]:
    """Return the function behind :meth:`Generation.content`. Disk, network and environment are used by its call."""

    def load(generation: Generation) -> Content:
        with ExitStack() as stack:
            sender = client or stack.enter_context(Client())
            store = choose_archive(archive, sender.settings)
            found = {} if store is None else archived_contents(store, sender.settings.host, [generation.id])
            if generation.id in found:
                return found[generation.id]
            try:
                return Content.from_wire(generation.id, sender.content(generation.id))
            except (ForbiddenError, NotFoundError) as error:
                return explain_missing(
                    generation.id,
                    error,
                    sender.now(),
                    is_known=generation.fetch_status == "ok",
                    created_at=generation.created_at,
                    generation_time=generation.generation_time,
                    data_region=generation.data_region,
                )

    return load


def _cell(field: Field, value: Any) -> Any:
    """Return one cell of a row as a plain Python value; None for a missing or invalid one."""
    if isinstance(value, datetime):  # also of pandas, where NaT is one that does not equal itself
        moment = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
        return moment if moment == moment else None  # noqa: PLR0124
    if field.kind == "json":
        return _nested(field.name, value)
    if field.kind == "text":
        return json_values.text(value)
    if field.kind == "time":
        microseconds = json_values.time(value)
        return None if microseconds is None else json_values.moment(microseconds)
    if field.kind == "flag":
        return bool(value) if type(value).__name__ in ("bool", "bool_") else None
    plain = value.item() if hasattr(value, "item") else value  # a number of NumPy
    return json_values.count(plain) if field.kind == "count" else json_values.number(plain)


def _nested(name: str, value: Any) -> Any:
    text = json_values.json_text(value) if isinstance(value, list | dict) else value
    if not isinstance(text, str):
        return None
    if name == "provider_responses":
        attempts = provider_attempts(text)
        return None if attempts is None else _attempts(attempts)
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _attempts(attempts: list[dict[str, Any]]) -> tuple[ProviderAttempt, ...]:
    winner = winning_attempt_index(attempts)
    return tuple(
        ProviderAttempt(
            provider_name=json_values.text(one.get("provider_name")),
            status=json_values.count(one.get("status")),
            latency=json_values.number(one.get("latency")),
            is_byok=json_values.flag(one.get("is_byok")),
            ok=index == winner,
        )
        for index, one in enumerate(attempts)
    )
