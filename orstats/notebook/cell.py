"""The running cell of a notebook, and the views that its earlier runs made."""

from __future__ import annotations

import weakref
from typing import Final, NamedTuple

import ipywidgets as widgets
from IPython.core.getipython import get_ipython


class CellRun(NamedTuple):
    """A cell of the notebook, and the number of this run."""

    cell: str
    run: int


#: Views that are shown, and which run of which cell made them.
_SHOWN: Final[weakref.WeakKeyDictionary[widgets.Widget, CellRun]] = weakref.WeakKeyDictionary()


def running_cell() -> CellRun | None:
    """Return the cell that runs; None outside notebooks."""
    shell = get_ipython()
    if shell is None or not hasattr(shell, "get_parent"):
        return None
    identifier = (shell.get_parent() or {}).get("metadata", {}).get("cellId")
    return CellRun(identifier, shell.execution_count) if isinstance(identifier, str) else None


def replace_views(view: widgets.Widget) -> None:
    """Close the views of earlier runs of this cell, as its next run will close this one.

    Their output is gone, but ipywidgets would keep them, with all that they hold.
    """
    made_by = running_cell()
    if made_by is None:
        return
    for one, earlier in list(_SHOWN.items()):
        if earlier.cell == made_by.cell and earlier.run != made_by.run:
            del _SHOWN[one]
            one.close()
    _SHOWN[view] = made_by
