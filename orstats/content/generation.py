"""One generation: its record, with its stored content on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import pandas as pd

from orstats import errors
from orstats.api.client import Client
from orstats.content.content import Content, missing, why_missing
from orstats.content.html_card import static_card
from orstats.content.record import Record
from orstats.content.row import read_row
from orstats.fetching.arguments import ArchiveChoice, choose_archive
from orstats.fetching.fetch import fetch_one
from orstats.fetching.scheduler import call_ended_at, may_appear
from orstats.ids.formats import log_url


@dataclass(frozen=True, repr=False)
class Generation(Record):
    """One generation: everything that its record says, with the derived figures, and its content on demand.

    Attributes are the columns of the frame, with the same names, meanings and units (:func:`orstats.field_table`);
    None where the frame has a missing value. Made by :func:`orstats.get`, or :meth:`from_row` of a frame.

    Neither its repr nor its HTML form asks for, or shows, prompts and completions: :meth:`content` does.

    Examples
    --------
    >>> generation = Generation("gen-1", model="a/b", cost_usd=0.5)
    >>> generation.cost_usd, generation.provider_name, generation.url
    (0.5, None, 'https://openrouter.ai/logs?transaction=gen-1')
    """

    def _repr_html_(self) -> str:
        return static_card(self)

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

        Returns
        -------
        Generation
            With what the row says.

        Raises
        ------
        ConfigError
            It is not one row, or has no id.

        Examples
        --------
        >>> Generation.from_row({"id": "gen-1", "model": "a/b", "cost_usd": 0.5})
        Generation('gen-1', a/b, cost_usd=0.5)
        """
        generation_id, values = read_row(row)
        made = cls(generation_id, **values)
        object.__setattr__(made, "_ask", _asker(client, archive))
        return made

    @property
    def url(self) -> str:
        """The vendor's log page of this generation; only its account may see it."""
        return log_url(self.id)

    def content(self) -> Content:
        """Return the stored prompt and completion: from the archive if it has them, else by one request.

        What came is not kept: ask once, and hold the result. That there is none is an answer too:
        see :attr:`Content.status`.

        Returns
        -------
        Content
            With its ``status``, and ``reason`` when nothing is stored.

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

    Returns
    -------
    Generation
        With the frame's columns as attributes; :meth:`Generation.content` asks for prompt and completion.

    Raises
    ------
    NotFoundError
        Unknown id, id from another account, or too recent to be available (retried for half a minute).
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
    with ExitStack() as stack:
        asked = client or stack.enter_context(Client())
        row = fetch_one(generation_id, client=asked, archive=archive).iloc[0]
    return Generation.from_row(row, client=client, archive=archive)


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
                created_at, now = generation.created_at, asked.now()
                status = why_missing(
                    error,
                    now=datetime.fromtimestamp(now, UTC),
                    created_at=created_at,
                    data_region=generation.data_region,
                    known=generation.fetch_status == "ok",
                    recent=may_appear(generation.id, now, call_ended_at(created_at, generation.generation_time)),
                )
                return missing(generation.id, status)

    return ask
