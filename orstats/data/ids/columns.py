"""Choose the column of a table that holds the generation ids."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from orstats.api.errors import IdSourceError
from orstats.data.ids.shapes import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ID_NAMES", "looks_like_id", "no_such_column", "pick_column", "plain_name"]

ID_NAMES: Final = ("generationid", "xgenerationid", "genid", "id")
"""Column names that mean the generation id, as `plain_name` writes them; the most certain first."""

_SHORTEST_ID: Final = 20
_MOST_NAMES: Final = 40


def plain_name(name: str) -> str:
    """Reduce a column name to its letters and digits, so that ``X-Generation-Id`` meets ``generation_id``.

    Parameters
    ----------
    name
        A column name as it stands in the file.

    Returns
    -------
    str
        Lower-case letters and digits only.

    Examples
    --------
    >>> plain_name("X-Generation-Id")
    'xgenerationid'
    """
    return "".join(character for character in name.lower() if character.isalnum())


def looks_like_id(value: object) -> bool:
    """Tell whether a cell resembles a generation id, of whatever length.

    Parameters
    ----------
    value
        A cell of a table.

    Returns
    -------
    bool
        Whether it is a text that starts like a generation id.

    Examples
    --------
    >>> looks_like_id(" gen-1790000000-AbCdEfGhIjKlMnOpQrSt"), looks_like_id("general"), looks_like_id(None)
    (True, False, False)
    """
    if not isinstance(value, str):
        return False
    text = value.strip()
    return text.startswith(("gen-", "gen_")) and len(text) >= _SHORTEST_ID


def pick_column(names: Sequence[str], rows: Iterable[Sequence[object]], *, column: str | None, where: str) -> int:
    """Choose the column that holds the ids.

    Parameters
    ----------
    names
        The columns.
    rows
        The first rows; they may be shorter than `names`.
    column
        The name that the user gave. None chooses a column called ``id``, ``generation_id``, ``gen_id``,
        ``generationId`` or ``X-Generation-Id`` (in any case) whose values look like ids, else the only column
        whose values do, else a column of such a name.
    where
        What the table is called in messages.

    Returns
    -------
    int
        The position of the column.

    Raises
    ------
    IdSourceError
        The column is not there, or none or several would do; the message lists the columns.

    Examples
    --------
    >>> pick_column(["id", "generation_id"], [["1", "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"]],
    ...             column=None, where="x.csv")
    1
    """
    if column is not None:
        if column in names:
            return names.index(column)
        raise no_such_column(column, names, where=where)
    alike = sorted({place for row in rows for place, value in enumerate(row) if looks_like_id(value)})
    alike = [place for place in alike if place < len(names)]
    plain = [plain_name(name) for name in names]
    named = [plain.index(name) for name in ID_NAMES if name in plain]
    certain = [place for place in named if place in alike]
    if certain:
        return certain[0]
    if len(alike) == 1:
        return alike[0]
    if named and not alike:
        return named[0]
    if alike:
        several = _listing([names[place] for place in alike])
        raise IdSourceError(f"{where}: several columns hold generation ids ({several}); name one with column=")
    raise IdSourceError(
        f"{where}: no column is named like or holds generation ids; name one with column=. Columns: {_listing(names)}"
    )


def no_such_column(column: str, names: Sequence[str], *, where: str) -> IdSourceError:
    """Make the error for a column that is not there.

    Parameters
    ----------
    column
        The name that the user gave.
    names
        The columns that are there.
    where
        What the table is called in messages.

    Returns
    -------
    IdSourceError
        It lists the columns, and those of a similar name first.

    Examples
    --------
    >>> print(no_such_column("generationid", ["generation_id", "cost"], where="x.csv"))
    x.csv: no column 'generationid'. Did you mean 'generation_id'? Columns: 'generation_id', 'cost'
    """
    wanted = plain_name(column)
    near = [name for name in names if plain_name(name) == wanted]
    near = near or difflib.get_close_matches(column, names, n=3)
    question = f" Did you mean {_listing(near, joint=' or ')}?" if near else ""
    return IdSourceError(f"{where}: no column {shown(column)}.{question} Columns: {_listing(names)}")


def _listing(names: Sequence[str], joint: str = ", ") -> str:
    listed = [shown(name) for name in names[:_MOST_NAMES]]
    if len(names) > _MOST_NAMES:
        listed.append(f"and {len(names) - _MOST_NAMES} more")
    return joint.join(listed) or "none"
