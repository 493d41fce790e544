"""Plots of cost, latency and tokens. Needs matplotlib: ``pip install 'orstats[plot]'``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from orstats._warn import warn_caller
from orstats.frame.column_units import group_name
from orstats.frame.validation import require_columns
from orstats.plots import style, ticks
from orstats.reports.chart_data import (
    MOST_BUCKETS,
    TOKEN_PARTS,
    Bar,
    By,
    LatencyDistribution,
    Timeline,
    latency_distributions,
    latency_over_time,
    ranking,
    report_rows,
    rows_by,
    timeline,
    token_parts,
    token_stacks,
)
from orstats.reports.incomplete_periods import data_range, describe_incomplete
from orstats.reports.periods import freq_of
from orstats.text.format import count, count_tick, percent, tokens, usd, usd_places
from orstats.text.time_zones import zone_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS: Final = 12
_MOST_STACKED: Final = len(style.COLOURS) + 1
_MOST_LINES: Final = len(style.COLOURS)
#: Bars over time have gaps between them up to this number; beyond it they would fade.
_WITH_GAPS: Final = 120
#: So few periods are named below their bars, which are narrower than the periods: at most this share of the axis.
_FEW: Final = 4
_WIDEST: Final = 0.2
#: The width of the name of a period, in inches.
_NAME_IN: Final = 1.1
#: Opacity of the bars of incomplete periods, below their hatching.
_LIGHT: Final = 0.35
#: The height of a legend below horizontal bars, in bars.
_LEGEND_ROWS: Final = 1.5
_STREAMED, _COMPLETE = style.COLOURS[0], style.COLOURS[1]


class _Measure(NamedTuple):
    """What bars show: its name in titles, the label and ticks of its axis, and how a total is written."""

    name: str
    label: str
    set_ticks: Callable[[Any, float], None]
    total: Callable[[float], str]


_COST: Final = _Measure("Cost", "Cost (USD)", ticks.dollars, lambda amount: usd(amount, usd_places(amount)))
_TOKENS: Final = _Measure("Native tokens", "Native tokens", ticks.counts, tokens)


def plot_cost(
    df: pd.DataFrame, *, by: By | None = None, freq: str | None = None, tz: str = "UTC", ax: Axes | None = None
) -> Axes:
    """Plot the cost of generations: by group, or stacked over time.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`; rows that are not ``ok`` or of unknown cost are excluded. Or a report with costs,
        such as that of :func:`orstats.usage`: it is drawn in its own groups, periods and time zone.
    by : str or sequence of str, optional
        Columns to group by; ``model`` by default, or the groups of a report. Beyond a dozen groups (seven over time)
        the smallest are shown together as other.
    freq : str, optional
        ``h``, ``D``, ``W`` (from Monday), ``M``, ``Q`` or ``Y``: one bar for each hour, day, week and so on. Where
        there would be more than 1,000 bars, longer periods are drawn with a warning. None ranks the groups over the
        entire time.
    tz : str
        Time zone in which days begin.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. A figure of the default size grows where its plots would be too small to read. None makes a new
        figure of pyplot, as ``DataFrame.plot`` does: notebooks show it below the cell, and scripts with ``plt.show()``.
        Many plots in a loop need ``plt.close()``.

    Returns
    -------
    matplotlib.axes.Axes
        In US dollars, or saying that there is nothing to show. Over time, a first or last bar is hatched where its
        period is incomplete, or may be, and the label of the x axis says why: the requested range begins or ends within
        it, it has not ended yet, or there is no record for a tenth of its length at its outer end.

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
    'Cost (USD)'
    """
    zone_of(tz)
    style.check_axes(ax)
    if (report := report_rows(df, by, freq, tz)) is not None:
        rows, columns, freq, tz = report
    else:
        rows, columns = rows_by(df, by)
    if freq is not None:
        most = style.most_groups(ax, _MOST_STACKED)
        known = data_range(df, None if report else rows["created_at"])
        bars = timeline(rows, columns, "cost_usd", known, freq=freq, tz=tz, most=most)
        return _stacked_over_time(ax, bars, _COST, columns, freq, tz)
    ranked = ranking(rows, columns, "cost_usd", style.most_rows(ax, _MOST_ROWS))
    axes = style.new_axes(ax, rows=len(ranked))
    if not ranked:
        return style.empty(axes, "cost")
    values = [bar.value for bar in ranked]
    total, largest = sum(values), max(map(abs, values))
    colours = [style.OTHER_COLOUR if bar.folded else style.COLOURS[0] for bar in ranked]
    axes.barh(range(len(ranked)), values, height=0.7, color=colours)
    places = min(usd_places(total), 6) if total >= 0.01 else None  # noqa: PLR2004 - a cent
    shares = [f" · {percent(value / total)}" if total > 0 and value else "" for value in values]
    texts = [usd(value, places) + share for value, share in zip(values, shares, strict=True)]
    style.write_beside(axes, [bar.value for bar in ranked], texts)
    style.end_bars_at(axes, (largest or 1.0) * style.room_for(axes, texts))
    return _label_bars(axes, ranked, _COST, columns)


def plot_tokens(
    df: pd.DataFrame, *, by: By | None = None, freq: str | None = None, tz: str = "UTC", ax: Axes | None = None
) -> Axes:
    """Plot the native tokens, which are billed: their parts by group, or over time.

    The parts are the prompt read from cache, the rest of the prompt, reasoning, and the rest of the completion.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`. Rows that are not ``ok``, or without ``tokens_total``, are excluded.
    by : str or sequence of str, optional
        Columns to group by; ``model`` by default. Over time, bars are stacked by the parts, or by the groups if `by`
        is given.
    freq, tz, ax
        As in :func:`plot_cost`.

    Returns
    -------
    matplotlib.axes.Axes
        In tokens, or saying that there is nothing to show.

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
    'Native tokens'
    """
    rows, columns = rows_by(df, by)
    zone_of(tz)
    style.check_axes(ax)
    if freq is not None:
        by_part = (token_parts(rows, []), ["part"], "tokens")
        source, groups, measure = by_part if by is None else (rows, columns, "tokens_total")
        known, most = data_range(df, rows["created_at"]), style.most_groups(ax, _MOST_STACKED)
        bars = timeline(source, groups, measure, known, freq=freq, tz=tz, most=most)
        return _stacked_over_time(ax, bars, _TOKENS, groups, freq, tz)
    parts = token_parts(rows, columns)
    most = style.most_rows(ax, _MOST_ROWS)
    ranked = ranking(parts, columns, "tokens", most)
    axes = style.new_axes(ax, rows=len(ranked) + _LEGEND_ROWS)
    if not ranked:
        return style.empty(axes, "tokens")
    left = np.zeros(len(ranked))
    for widths, colour in zip(token_stacks(parts, columns, most), style.COLOURS, strict=False):
        axes.barh(range(len(ranked)), widths, left=left, height=0.7, color=colour)
        left += widths
    texts = [count_tick(float(f"{bar.value:.3g}")) for bar in ranked]
    style.write_beside(axes, [bar.value for bar in ranked], texts)
    style.end_bars_at(axes, (max(left) or 1) * style.room_for(axes, texts))
    _label_bars(axes, ranked, _TOKENS, columns)
    style.legend(axes, TOKEN_PARTS, style.COLOURS[: len(TOKEN_PARTS)], below=True)
    return axes


def plot_latency(
    df: pd.DataFrame, *, by: By | None = None, freq: str | None = None, tz: str = "UTC", ax: Axes | None = None
) -> Axes:
    """Plot the distribution of ``latency`` by group, or its percentiles over time.

    Latency is the time to the first token of streamed generations, and the time to the complete response of others, so
    the two are drawn separately. Each group has a dot at the median, a thick line to 90 % and a thin one to 99 %.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`. Rows that are not ``ok``, or without a latency above 0, are excluded.
    by : str or sequence of str, optional
        Columns to group by; ``model`` by default. The groups with the most rows are shown. Over time: the median of
        each group, or percentiles of all generations without `by`.
    freq, tz, ax
        As in :func:`plot_cost`. Over time only streamed generations are included, if there are any.

    Returns
    -------
    matplotlib.axes.Axes
        In milliseconds, on a logarithmic axis, or saying that there is nothing to show. Over time, points of periods
        that are or may be incomplete have a circle.

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
    'Latency: dot at the median, thick line to p90, thin line to p99'
    """
    rows, columns = rows_by(df, by)
    zone_of(tz)
    style.check_axes(ax)
    require_columns(list(rows.columns), ["latency", "streamed"])
    every = rows
    rows = rows.loc[rows["latency"].gt(0).fillna(value=False).astype(bool)]  # a logarithmic axis has no 0
    if freq is None:
        groups, omitted = latency_distributions(rows, columns, style.most_rows(ax, _MOST_ROWS))
        axes = style.new_axes(ax, rows=len(groups) * 1.3 + _LEGEND_ROWS)
        if not groups:
            return style.empty(axes, "latency")
        _draw_distributions(axes, groups)
        more = f" (the {len(groups)} with the most generations)" if omitted else ""
        style.title(axes, f"Latency by {_names(columns)}{more}")
        return axes
    streamed = rows.loc[rows["streamed"].fillna(value=False).astype(bool)]
    most = style.most_groups(ax, _MOST_LINES)
    source, what = (rows, "complete response") if streamed.empty else (streamed, "first token")
    known = data_range(df, every["created_at"])
    lines = latency_over_time(source, None if by is None else columns, known, freq=freq, tz=tz, most=most)
    axes = style.new_axes(ax)
    if lines is None:
        return style.empty(axes, "latency")
    _draw_lines(axes, lines)
    _time_axis(axes, lines, freq, tz, "Open circles")
    style.legend(axes, lines.names, style.colours(len(lines.names), folded=False))  # below the label of the axis
    which = "not streamed" if streamed.empty else "streamed"
    what_of = f"Latency per {lines.unit}" if by is None else f"Median latency per {lines.unit} by {_names(columns)}"
    style.title(axes, f"{what_of} ({which} generations)")
    axes.set_ylabel(f"Time to {what}", color=style.INK)
    return axes


def _stacked_over_time(
    ax: Axes | None, bars: Timeline | None, measure: _Measure, columns: Sequence[str], freq: str, tz: str
) -> Axes:
    """Draw upright bars over time, the groups stacked."""
    axes = style.new_axes(ax)
    if bars is None:
        return style.empty(axes, measure.name.split()[-1].lower())
    colours = style.colours(len(bars.names), folded=bool(bars.folded))
    starts = bars.starts.to_pydatetime()
    periods = bars.ends - bars.starts
    widths = periods * (0.9 if len(starts) <= _WITH_GAPS else 1.0)
    if len(starts) <= _FEW:
        widest = (bars.ends[-1] - bars.starts[0]) * _WIDEST
        widths = widths.where(widths <= widest, widest)
        starts = (bars.starts + (periods - widths) / 2).to_pydatetime()
    top, low = np.zeros(len(starts)), np.zeros(len(starts))
    for heights, colour in zip(bars.amounts, colours, strict=True):
        bottom = np.where(heights < 0, low, top)
        drawn = axes.bar(
            starts, heights, width=widths.to_pytimedelta(), bottom=bottom, align="edge", color=colour, linewidth=0
        )
        for bar, is_incomplete in zip(drawn, bars.incomplete_columns(), strict=True):
            if is_incomplete:
                bar.set(facecolor=(colour, _LIGHT), edgecolor=colour, hatch="////")
        top += np.maximum(heights, 0)
        low += np.minimum(heights, 0)
    if low.any():
        axes.axhline(0, color=style.INK, linewidth=0.8)
    elif not top.any():
        axes.set_ylim(0, 1)
    _time_axis(axes, bars, freq, tz, "Hatched")
    style.legend(axes, bars.names, colours)
    measure.set_ticks(axes.yaxis, float(max(top.max(), -low.min())))
    axes.set_ylabel(measure.label, color=style.INK)
    total = measure.total(float(bars.amounts.sum()))
    by_what = "part" if columns == ["part"] else _names(columns)
    style.title(axes, f"{measure.name} per {bars.unit} by {by_what}: {total}")
    return axes


def _draw_lines(axes: Axes, lines: Timeline) -> None:
    """Draw a line of milliseconds over time for each group, on a logarithmic axis."""
    colours = style.colours(len(lines.names), folded=False)
    middles = lines.middles().to_pydatetime()
    marked = lines.incomplete_columns()
    for amounts, colour in zip(lines.amounts, colours, strict=True):
        axes.plot(middles, amounts, color=colour, linewidth=1.6, marker="o", markersize=3)
        axes.plot(
            middles[marked],
            amounts[marked],
            color=colour,
            linewidth=0,
            marker="o",
            markersize=7,
            markeredgewidth=1.2,
            fillstyle="none",
        )
    ticks.log_milliseconds(axes.yaxis, float(np.nanmin(lines.amounts)), float(np.nanmax(lines.amounts)))


def _draw_distributions(axes: Axes, groups: Sequence[Sequence[LatencyDistribution]]) -> None:
    """Draw distributions of milliseconds on a logarithmic axis, one row for each group."""
    every = [one for group in groups for one in group]
    for row, group in enumerate(groups):
        for one, offset in zip(group, (0.0,) if len(group) == 1 else (-0.17, 0.17), strict=True):
            colour = _STREAMED if one.streamed else _COMPLETE
            middle, high, _, highest = one.percentiles
            axes.plot([middle, highest], [row + offset] * 2, color=colour, linewidth=1.2)
            axes.plot([middle, high], [row + offset] * 2, color=colour, linewidth=4, solid_capstyle="butt")
            axes.plot([middle], [row + offset], color=colour, marker="o" if one.streamed else "s", markersize=6)
    smallest, largest = min(one.percentiles[0] for one in every), max(one.percentiles[-1] for one in every)
    ticks.log_milliseconds(axes.xaxis, smallest, largest)
    style.name_rows(axes, [f"{group[0].name} ({count(sum(one.count for one in group))})" for group in groups])
    style.grid(axes, "x")
    style.x_label(axes, "Latency: dot at the median, thick line to p90, thin line to p99")
    kinds = {
        True: ("Streamed: first token", _STREAMED),
        False: ("Not streamed: complete response", _COMPLETE),
    }
    shown = [kinds[flag] for flag in (True, False) if any(one.streamed == flag for one in every)]
    style.legend(axes, [name for name, _ in shown], [colour for _, colour in shown], below=True)


def _time_axis(axes: Axes, over_time: Timeline, freq: str, tz: str, mark: str) -> None:
    """Draw the axis of times, with a note about the marked periods, which are incomplete."""
    if over_time.unit != freq_of(freq):
        longer = f"drawing one for each {over_time.unit} instead."
        warn_caller(f'freq="{freq}" would draw more than {MOST_BUCKETS:,} periods; {longer}')
    first, last = over_time.starts[0], over_time.ends[-1]
    axes.set_xlim(first.to_pydatetime(), last.to_pydatetime())  # type: ignore[arg-type] # matplotlib converts times
    if len(over_time.starts) <= _FEW:
        every = max(1, math.ceil(len(over_time.starts) * _NAME_IN / style.width(axes)))
        axes.set_xticks(over_time.middles().to_pydatetime()[::every], over_time.labels()[::every])
    else:
        has_change = over_time.unit == "hour" and first.utcoffset() != last.utcoffset()
        ticks.dates(axes, over_time.starts.tz, offsets=has_change)
    style.grid(axes, "y")
    name = "Week from Monday" if over_time.unit == "week" else over_time.unit.capitalize()
    note = f". {mark}: {describe_incomplete(over_time.incomplete)}" if over_time.incomplete else ""
    style.x_label(axes, f"{name} ({tz}){note}")


def _label_bars(axes: Axes, bars: Sequence[Bar], measure: _Measure, columns: Sequence[str]) -> Axes:
    """Add the names of horizontal bars, their axis and the title."""
    values = [bar.value for bar in bars]
    measure.set_ticks(axes.xaxis, max(map(abs, values)))
    style.name_rows(axes, [bar.name for bar in bars])
    style.grid(axes, "x")
    style.x_label(axes, measure.label)
    style.title(axes, f"{measure.name} by {_names(columns)}: {measure.total(sum(values))}")
    return axes


def _names(columns: Sequence[str]) -> str:
    return " and ".join(map(group_name, columns))
