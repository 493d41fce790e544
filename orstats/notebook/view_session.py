"""``view_session``: when each generation of a session ran and what it cost, with the card of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orstats.api.client import Client
from orstats.errors import ConfigError
from orstats.fetching.arguments import ArchiveChoice
from orstats.frame.validation import require
from orstats.notebook.card import Card
from orstats.notebook.session import Session

if TYPE_CHECKING:
    import pandas as pd


def view_session(
    df: pd.DataFrame,
    session_id: str,
    *,
    by: str = "session_id",
    client: Client | None = None,
    archive: ArchiveChoice = None,
) -> Card:
    """Show where the time and the money of a session went, as a timeline in a notebook.

    Each generation is a bar from its creation to its end: failed provider attempts, then the time to the first token,
    then the generation itself. Generations that overlap are drawn in lanes, and time in which nothing ran is grey and
    drawn shorter. Below are the cost of each generation and a list. A click on a bar, or a button of the list, opens
    the card of the generation. Sends no request by itself.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`. Rows that are not ``ok`` or have no time are excluded.
    session_id : str
        A value of the column `by`; :func:`orstats.sessions` lists them, the most expensive first.
    by : str
        The column that names the session: ``session_id``, ``request_id``, ``external_user`` or another one.
    client, archive : optional
        Load prompts and completions of the card, as in :func:`orstats.get`.

    Returns
    -------
    Card
        A widget, with ``.generation``, the one whose card is open: at first the first of the session. Exported
        notebooks show the timeline and the first 30 generations.

    Raises
    ------
    ConfigError
        ``df`` is not a pandas DataFrame with these columns, or has no such session; the message names similar ones.

    Notes
    -----
    The provider's latency and generation time do not include failed attempts before it, so their ``fallback_ms`` comes
    first. The figures are those of :func:`orstats.sessions`, whose wall clock and busy time exclude them.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(200) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> card = orstats.view_session(df, orstats.sessions(df).index[0])
    >>> card.generation.session_id == orstats.sessions(df).index[0]
    True
    """
    df = require(df, ["model"], indexed=True)
    session = Session(df, session_id, by=by, client=client, archive=archive)
    first = session.select(0)
    if first is None:  # a session has at least one generation
        raise ConfigError(f"The session {session_id!r} is empty.")
    return Card(first, client=client, archive=archive, frame=df, session=session).for_running_cell()
