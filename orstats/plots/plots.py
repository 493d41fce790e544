"""Plots of cost, latency and tokens. Needs matplotlib: ``pip install 'orstats[plot]'``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from orstats._warn import warn_caller
from orstats.plots import axes as style
from orstats.plots import marks
from orstats.reports.chart_data import (
    MOST_BUCKETS,
    TOKEN_PARTS,
    By,
    latency_distributions,
    percentiles_over_time,
    ranking,
    require,
    rows_by,
    stacks,
    timeline,
    token_parts,
)
from orstats.reports.periods import freq_of
from orstats.text.format import tokens, usd, usd_places
from orstats.text.time_zones import zone_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS: Final = 12
_MOST_STACKED: Final = len(style.COLOURS) + 1
_MOST_LINES: Final = len(style.COLOURS)
_NOTHING: Final = "No generations to show"
_MOST_LANES: Final = 12


def plot_cost(
    df: pd.DataFrame, *, by: By | None = None, freq: str | None = None, tz: str = "UTC", ax: Axes | None = None
) -> Axes:
    """Plot what the generations cost: groups ranked, or stacked over time.

    Parameters
    ----------
    df
        From :func:`orstats.fetch`; rows that are not ``ok`` or of unknown cost are left out.
    by
        One or several columns that make the groups; ``model`` by default. Beyond a dozen groups (seven over time)
        the least are shown together as other.
    freq
        ``h``, ``D``, ``W`` (from Monday), ``M``, ``Q`` or ``Y``: one bar for each hour, day, week and so on. Where
        there would be more than 1,000 bars, longer periods are drawn and a warning says so. None ranks the groups over
        the whole time.
    tz
        Time zone in which days begin.
    ax
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        In US dollars. With nothing to show, axes that say so.

    Raises
    ------
    ConfigError
        Unknown column, frequency or time zone.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(50) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> plot_cost(df, by="provider_name").get_xlabel()
    'cost, USD'
    """
    rows, columns = rows_by(df, by)
    zone_of(tz)
    if freq is not None:
        over_time = timeline(rows, columns, "cost_usd", freq=freq, tz=tz, most=style.most_groups(ax, _MOST_STACKED))
        axes = style.new_axes(ax)
        if over_time is None:
            return style.say_empty(axes, _NOTHING)
        _warn_of_longer(over_time.unit, freq)
        marks.stack(axes, over_time, tz)
        style.dollars(axes.yaxis, float(over_time.amounts.sum(axis=0).max()))
        axes.set_ylabel("cost, USD", color=style.INK)
        style.title(axes, f"Cost by {over_time.unit} and {_and(columns)}: {_total(float(over_time.amounts.sum()))}")
        return axes
    bars = ranking(rows, columns, "cost_usd", style.most_rows(ax, _MOST_BARS))
    axes = style.new_axes(ax, rows=len(bars))
    if not bars:
        return style.say_empty(axes, _NOTHING)
    marks.rank(axes, bars)
    return marks.named(axes, bars, f"Cost by {_and(columns)}: {_total(sum(bar.value for bar in bars))}", "cost, USD")


def plot_tokens(
    df: pd.DataFrame, *, by: By | None = None, freq: str | None = None, tz: str = "UTC", ax: Axes | None = None
) -> Axes:
    """Plot the native tokens, which are what is billed: their parts by group, or over time.

    The parts are the prompt read from cache, the rest of the prompt, reasoning, and the rest of the completion.

    Parameters
    ----------
    df
        From :func:`orstats.fetch`; rows that are not ``ok`` are left out.
    by
        One or several columns that make the groups; ``model`` by default. Over time the bars are stacked by the parts
        unless `by` is given, and then by the groups.
    freq, tz, ax
        As in :func:`plot_cost`.

    Returns
    -------
    matplotlib.axes.Axes
        In tokens. With nothing to show, axes that say so.

    Raises
    ------
    ConfigError
        Unknown column, frequency or time zone.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(50) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> plot_tokens(df, freq="W").get_ylabel()
    'native tokens'
    """
    rows, columns = rows_by(df, by)
    zone_of(tz)
    if freq is not None:
        over_time = (
            timeline(
                token_parts(rows, []), ["part"], "tokens", freq=freq, tz=tz, most=style.most_groups(ax, _MOST_STACKED)
            )
            if by is None
            else timeline(rows, columns, "tokens_total", freq=freq, tz=tz, most=style.most_groups(ax, _MOST_STACKED))
        )
        axes = style.new_axes(ax)
        if over_time is None:
            return style.say_empty(axes, _NOTHING)
        _warn_of_longer(over_time.unit, freq)
        marks.stack(axes, over_time, tz)
        style.counts(axes.yaxis)
        axes.set_ylabel("native tokens", color=style.INK)
        total = tokens(over_time.amounts.sum())
        style.title(axes, f"Tokens by {over_time.unit} and {'part' if by is None else _and(columns)}: {total}")
        return axes
    parts = token_parts(rows, columns)
    bars = ranking(parts, columns, "tokens", style.most_rows(ax, _MOST_BARS))
    axes = style.new_axes(ax, rows=len(bars))
    if not bars:
        return style.say_empty(axes, _NOTHING)
    split = stacks(parts, columns, bars)
    left = np.zeros(len(bars))
    for at, line in enumerate(split):
        axes.barh(range(len(bars)), line, left=left, height=0.7, color=style.COLOURS[at])
        left += line
    largest = max(bar.value for bar in bars)
    texts = [style.tick_count(float(f"{bar.value:.3g}")) for bar in bars]
    for at, (bar, text) in enumerate(zip(bars, texts, strict=True)):
        marks.beside(axes, at, bar.value, text)
    axes.set_xlim(0, (largest or 1) * style.room_for(axes, texts))
    style.counts(axes.xaxis)
    marks.named(axes, bars, f"Tokens by {_and(columns)}: {tokens(sum(bar.value for bar in bars))}", "native tokens")
    style.legend(axes, TOKEN_PARTS, style.COLOURS[: len(TOKEN_PARTS)], below=True)
    return axes


def plot_latency(
    df: pd.DataFrame, *, by: By | None = None, freq: str | None = None, tz: str = "UTC", ax: Axes | None = None
) -> Axes:
    """Plot how long the generations took to begin: the distribution of ``latency`` by group, or over time.

    For streamed generations that is the time to the first token; for others the time to the whole answer. So the two
    are drawn apart. Each group has a dot at the median, a thick line to 90 % and a thin one to 99 %.

    Parameters
    ----------
    df
        From :func:`orstats.fetch`; rows that are not ``ok`` or say no latency above 0 are left out.
    by
        One or several columns that make the groups; ``model`` by default. The groups with the most rows are shown.
        Over time: the median of each group; without `by`, percentiles of all.
    freq, tz, ax
        As in :func:`plot_cost`. Over time only streamed generations are taken, as far as there are any.

    Returns
    -------
    matplotlib.axes.Axes
        In milliseconds, on a logarithmic axis. With nothing to show, axes that say so.

    Raises
    ------
    ConfigError
        Unknown column, frequency or time zone.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(50) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> plot_latency(df, by="provider_name").get_xlabel()
    'latency: dot at 50 %, thick line to 90 %, thin to 99 %'
    """
    rows, columns = rows_by(df, by)
    zone_of(tz)
    require(rows, ["latency", "streamed"])
    rows = rows.loc[rows["latency"].gt(0).fillna(value=False).astype(bool)]  # a logarithmic axis has no 0
    if freq is None:
        found, left_out = latency_distributions(rows, columns, "latency", style.most_rows(ax, _MOST_LANES))
        axes = style.new_axes(ax, rows=len({lane.name for lane in found}) * 1.3)
        if not found:
            return style.say_empty(axes, _NOTHING)
        shown = marks.distributions(axes, found)
        more = f" (the {shown} with the most rows)" if left_out else ""
        style.title(axes, f"Latency by {_and(columns)}{more}")
        return axes
    streamed = rows.loc[rows["streamed"].fillna(value=False).astype(bool)]
    over_time = percentiles_over_time(
        rows if streamed.empty else streamed,
        None if by is None else columns,
        "latency",
        freq=freq,
        tz=tz,
        most=style.most_groups(ax, _MOST_LINES),
    )
    axes = style.new_axes(ax)
    if over_time is None:
        return style.say_empty(axes, _NOTHING)
    _warn_of_longer(over_time.unit, freq)
    marks.lines(axes, over_time, tz)
    what = "all answers" if streamed.empty else "first token, streamed"
    of_what = "" if by is None else f", median by {_and(columns)}"
    style.title(axes, f"Latency by {over_time.unit}{of_what} ({what})")
    return axes


def _warn_of_longer(unit: str, freq: str) -> None:
    if unit != freq_of(freq):
        warn_caller(
            f'freq="{freq}" would draw more than {MOST_BUCKETS:,} periods; drawing one for each {unit} instead.'
        )


def _and(columns: list[str]) -> str:
    return " and ".join(columns)


def _total(amount: float) -> str:
    return usd(amount, usd_places(amount))
