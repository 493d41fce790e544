"""``view``: one generation as a card, whatever happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from orstats.api.client import Client
from orstats.content.generation import Generation, get
from orstats.errors import ApiError, OrstatsError
from orstats.fetching.arguments import ArchiveChoice
from orstats.fetching.scheduler import status_of
from orstats.notebook.card import Card


def view(generation_id: str, *, client: Client | None = None, archive: ArchiveChoice = None) -> Card:
    """Show one generation as a card, in a notebook.

    Its record is had at once; prompt and completion only when the card's button is pressed. What goes wrong (an
    unknown id, no key, the API down) is said in the card, and does not break the cell.

    Parameters
    ----------
    generation_id
        The id.
    client
        Whom to ask. None makes one from the environment.
    archive
        Where settled records are kept, as in :func:`orstats.fetch`.

    Returns
    -------
    Card
        A widget, with ``.generation`` and, once loaded, ``.content``.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(10) as sim:
    ...     card = orstats.view(sim.unknown_ids(1, age=3600)[0], client=sim.client())
    >>> card.generation.fetch_status
    'not_found'
    """
    try:
        generation = get(generation_id, client=client, archive=archive)
    except OrstatsError as error:
        status = status_of(error) if isinstance(error, ApiError) else "not_attempted"
        http_status = error.status if isinstance(error, ApiError) else None
        generation = Generation(str(generation_id), fetch_status=status, http_status=http_status, error=str(error))
    return Card(generation)


def card(
    row: Generation | pd.Series[Any] | Mapping[str, Any],
    *,
    client: Client | None = None,
    archive: ArchiveChoice = None,
) -> Card:
    """Make the card of a generation that is at hand: no request for its record."""
    return Card(row if isinstance(row, Generation) else Generation.from_row(row, client=client, archive=archive))
