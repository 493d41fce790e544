"""The waterfall of a change in cost. Needs matplotlib: ``pip install 'orstats[plot]'``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from orstats.plots import style, ticks
from orstats.reports.waterfall import By, Waterfall, waterfall

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS: Final = 14
_TOTAL, _MORE, _LESS = style.COLOURS[0], style.COLOURS[5], style.COLOURS[2]


def plot_change(compared: pd.DataFrame, ax: Axes | None = None, *, by: By = "cause") -> Axes:
    """Plot where a difference in cost comes from: a waterfall from the cost before to the cost after.

    Parameters
    ----------
    compared : pandas.DataFrame
        From :func:`orstats.compare`; all of its rows or some of them.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; None makes a figure.
    by : {"cause", "group"}
        The steps between the two costs. ``cause`` answers why the cost changed: volume, mix, size and price of the
        groups on both sides, then new groups and gone groups with their entire change. ``group`` answers where: one
        step for each group, the largest increase first. Beyond a dozen groups, those with the smallest changes are
        shown together as other.

    Returns
    -------
    matplotlib.axes.Axes
        In US dollars, or saying that there is nothing to show. Increases are orange and decreases green, each with
        its amount and its share of the cost before. Where all steps are small compared with the cost, the axis begins
        above 0, which its label says.

    Raises
    ------
    ConfigError
        `compared` is not the result of ``compare``, or `by` is unknown.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(400) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> middle = df["created_at"].median()
    >>> compared = orstats.compare(df[df["created_at"] <= middle], df[df["created_at"] > middle])
    >>> plot_change(compared).get_xlabel()
    'Cost (USD)'
    """
    style.check_axes(ax)
    most = style.most_rows(ax, _MOST_ROWS) - 2  # the rows of both costs
    found = waterfall(compared, by, max(most, 1), explain=not style.is_narrow(ax))
    axes = style.new_axes(ax, rows=0 if found is None else len(found.steps))
    if found is None:
        return style.empty(axes, "cost")
    _draw(axes, found)
    style.name_rows(axes, [step.name for step in found.steps])
    style.grid(axes, "x")
    lowest, highest = found.axis
    ticks.dollars(axes.xaxis, highest - lowest)
    style.x_label(axes, f"Cost (USD); {found.axis_note}" if found.axis_note else "Cost (USD)")
    style.title(axes, found.title)
    if ax is not None:
        style.fit_rows(axes, len(found.steps))
    return axes


def _draw(axes: Axes, found: Waterfall) -> None:
    """Draw a bar for each step, a line from each to the next, and its amount beside it."""
    lowest, highest = found.axis
    texts = found.texts(shares=not style.is_narrow(axes))
    for row, step in enumerate(found.steps):
        start = max(step.start, lowest)
        colour = _TOTAL if step.is_total else _MORE if step.change > 0 else _LESS
        axes.barh(row, step.end - start, left=start, height=0.7, color=colour)
        if step.is_total and lowest > 0:  # most of the bar is not shown
            axes.annotate("//", (lowest, row), (3, 0), textcoords="offset points", va="center", color="white")
        if row:
            reached = found.steps[row - 1].end
            axes.plot([reached, reached], [row - 1, row], color=style.INK, linewidth=0.8, zorder=0.5)
    style.write_beside(axes, [max(step.start, step.end) for step in found.steps], texts)
    axes.set_xlim(lowest, lowest + (highest - lowest) * style.room_for(axes, texts))
