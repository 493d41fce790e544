"""Plots of cost, latency and tokens. Needs matplotlib: ``pip install 'orstats[plot]'``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from orstats.analysis import style
from orstats.analysis.buckets import zone_of
from orstats.analysis.drawn import (
    TOKEN_PARTS,
    Bar,
    By,
    Lane,
    Timeline,
    keys,
    lanes,
    ok_rows,
    percentiles_over_time,
    ranking,
    require,
    stacks,
    timeline,
    token_parts,
)
from orstats.analysis.wording import count, percent, tokens, usd, usd_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS: Final = 12
_MOST_STACKED: Final = len(style.COLOURS) + 1
_MOST_LINES: Final = len(style.COLOURS)
_NOTHING: Final = "No generations to show"
_MOST_LANES: Final = 12
_BOTH: Final = 2
_STREAMED, _WHOLE = style.COLOURS[0], style.COLOURS[1]


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
        ``h``, ``D``, ``W`` (from Monday) or ``M``: one bar for each hour, day, week or month. Longer ones are taken
        where there would be more than 200 bars; the axis says which. None ranks the groups over the whole time.
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
    rows, columns = ok_rows(df), keys(df, by)
    zone_of(tz)
    if freq is not None:
        over_time = timeline(rows, columns, "cost_usd", freq=freq, tz=tz, most=_MOST_STACKED)
        axes = style.new_axes(ax)
        if over_time is None:
            return style.say_empty(axes, _NOTHING)
        _stack(axes, over_time, tz)
        style.dollars(axes.yaxis, float(over_time.amounts.sum(axis=0).max()))
        axes.set_ylabel("cost, USD", color=style.INK)
        style.title(axes, f"Cost by {over_time.unit} and {_and(columns)}: {_total(float(over_time.amounts.sum()))}")
        return axes
    bars = ranking(rows, columns, "cost_usd", _MOST_BARS)
    axes = style.new_axes(ax, rows=len(bars))
    if not bars:
        return style.say_empty(axes, _NOTHING)
    _rank(axes, bars)
    return _named(axes, bars, f"Cost by {_and(columns)}: {_total(sum(bar.value for bar in bars))}", "cost, USD")


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
    """
    rows, columns = ok_rows(df), keys(df, by)
    zone_of(tz)
    if freq is not None:
        over_time = (
            timeline(token_parts(rows, []), ["part"], "tokens", freq=freq, tz=tz, most=_MOST_STACKED)
            if by is None
            else timeline(rows, columns, "tokens_total", freq=freq, tz=tz, most=_MOST_STACKED)
        )
        axes = style.new_axes(ax)
        if over_time is None:
            return style.say_empty(axes, _NOTHING)
        _stack(axes, over_time, tz)
        style.counts(axes.yaxis)
        axes.set_ylabel("native tokens", color=style.INK)
        total = tokens(over_time.amounts.sum())
        style.title(axes, f"Tokens by {over_time.unit} and {'part' if by is None else _and(columns)}: {total}")
        return axes
    parts = token_parts(rows, columns)
    bars = ranking(parts, columns, "tokens", _MOST_BARS)
    axes = style.new_axes(ax, rows=len(bars))
    if not bars:
        return style.say_empty(axes, _NOTHING)
    split = stacks(parts, columns, bars)
    left = np.zeros(len(bars))
    for at, line in enumerate(split):
        axes.barh(range(len(bars)), line, left=left, height=0.7, color=style.COLOURS[at])
        left += line
    largest = max(bar.value for bar in bars)
    for at, bar in enumerate(bars):
        _beside(axes, at, bar.value, f"{style.tick_count(float(f'{bar.value:.3g}'))}")
    axes.set_xlim(0, (largest or 1) * 1.12)
    style.counts(axes.xaxis)
    style.legend(axes, TOKEN_PARTS, style.COLOURS[: len(TOKEN_PARTS)], inside=True)
    return _named(axes, bars, f"Tokens by {_and(columns)}: {tokens(sum(bar.value for bar in bars))}", "native tokens")


def plot_latency(
    df: pd.DataFrame, *, by: By | None = None, freq: str | None = None, tz: str = "UTC", ax: Axes | None = None
) -> Axes:
    """Plot how long the generations took to begin: the distribution of ``latency`` by group, or over time.

    For streamed generations that is the time to the first token; for others the time to the whole answer. So the two
    are drawn apart. Each group has a dot at the median, a thick line to 90 % and a thin one to 99 %.

    Parameters
    ----------
    df
        From :func:`orstats.fetch`; rows that are not ``ok`` or say no latency are left out.
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
    """
    rows, columns = ok_rows(df), keys(df, by)
    zone_of(tz)
    require(rows, ["latency", "streamed"])
    rows = rows.loc[rows["latency"].gt(0).fillna(value=False).astype(bool)]  # a logarithmic axis has no 0
    if freq is None:
        found, left_out = lanes(rows, columns, "latency", _MOST_LANES)
        axes = style.new_axes(ax, rows=len({lane.name for lane in found}) * 1.3)
        return _lanes(axes, found, left_out, columns) if found else style.say_empty(axes, _NOTHING)
    streamed = rows.loc[rows["streamed"].fillna(value=False).astype(bool)]
    over_time = percentiles_over_time(
        rows if streamed.empty else streamed,
        None if by is None else columns,
        "latency",
        freq=freq,
        tz=tz,
        most=_MOST_LINES,
    )
    axes = style.new_axes(ax)
    if over_time is None:
        return style.say_empty(axes, _NOTHING)
    _lines(axes, over_time, tz)
    what = "all answers" if streamed.empty else "first token, streamed"
    of_what = "" if by is None else f", median by {_and(columns)}"
    style.title(axes, f"Latency by {over_time.unit}{of_what} ({what})")
    return axes


def _rank(axes: Axes, bars: list[Bar]) -> None:
    total, largest = sum(bar.value for bar in bars), max(abs(bar.value) for bar in bars)
    colours = [style.OTHER_COLOUR if bar.folded else style.COLOURS[0] for bar in bars]
    axes.barh(range(len(bars)), [bar.value for bar in bars], height=0.7, color=colours)
    places = min(usd_places(total), 6) if total >= 0.01 else None  # noqa: PLR2004 - a cent
    for at, bar in enumerate(bars):
        share = f" · {percent(bar.value / total)}" if total > 0 and bar.value else ""
        _beside(axes, at, bar.value, usd(bar.value, places) + share)
    axes.set_xlim(min(0.0, *(bar.value for bar in bars), 0.0), (largest or 1.0) * 1.3)  # room for what is beside
    style.dollars(axes.xaxis, largest)


def _beside(axes: Axes, row: int, value: float, text: str) -> None:
    axes.annotate(
        text,
        (max(value, 0.0), row),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        color=style.INK,
        fontsize="small",
        parse_math=False,
    )


def _named(axes: Axes, bars: list[Bar], title: str, label: str) -> Axes:
    style.name_rows(axes, [bar.name for bar in bars])
    style.grid(axes, "x")
    axes.set_xlabel(label, color=style.INK)
    style.title(axes, title)
    return axes


def _stack(axes: Axes, over_time: Timeline, tz: str) -> None:
    colours = style.colours(len(over_time.names), folded=bool(over_time.folded))
    starts = over_time.starts.to_pydatetime()
    widths = (over_time.ends - over_time.starts).to_pytimedelta() * 0.9
    bottom = np.zeros(len(starts))
    for line, colour in zip(over_time.amounts, colours, strict=True):
        axes.bar(starts, line, width=widths, bottom=bottom, align="edge", color=colour)
        bottom += line
    _time_axis(axes, over_time, tz)
    style.legend(axes, over_time.names, colours)


def _lines(axes: Axes, over_time: Timeline, tz: str) -> None:
    colours = style.colours(len(over_time.names), folded=False)
    middles = (over_time.starts + (over_time.ends - over_time.starts) / 2).to_pydatetime()
    for line, colour in zip(over_time.amounts, colours, strict=True):
        axes.plot(middles, line, color=colour, linewidth=1.6, marker="o", markersize=3)
    axes.set_yscale("log")
    known = over_time.amounts[np.isfinite(over_time.amounts)]
    style.log_milliseconds(axes.yaxis, float(known.min()), float(known.max()))
    axes.set_ylabel("latency", color=style.INK)
    _time_axis(axes, over_time, tz)
    style.legend(axes, over_time.names, colours)


def _time_axis(axes: Axes, over_time: Timeline, tz: str) -> None:
    axes.set_xlim(*style.day_numbers(over_time.starts[0], over_time.ends[-1]))
    style.dates(axes)
    style.grid(axes, "y")
    axes.set_xlabel(f"{over_time.unit} in {tz}", color=style.INK)


def _lanes(axes: Axes, found: list[Lane], left_out: int, columns: list[str]) -> Axes:
    # Neighbours of one group are one group: names may be cut to the same text, so the flag tells where the next begins.
    rows: list[list[Lane]] = []
    for lane in found:
        if rows and not lane.streamed and rows[-1][-1].streamed and rows[-1][-1].name == lane.name:
            rows[-1].append(lane)
        else:
            rows.append([lane])
    for at, row in enumerate(rows):
        for lane, offset in zip(row, (-0.17, 0.17) if len(row) == _BOTH else (0.0,), strict=True):
            colour = _STREAMED if lane.streamed else _WHOLE
            middle, high, _, highest = lane.percentiles
            axes.plot([middle, highest], [at + offset] * 2, color=colour, linewidth=1.2)
            axes.plot([middle, high], [at + offset] * 2, color=colour, linewidth=4, solid_capstyle="butt")
            axes.plot([middle], [at + offset], color=colour, marker="o" if lane.streamed else "s", markersize=6)
    axes.set_xscale("log")
    smallest = min(lane.percentiles[0] for lane in found)
    largest = max(lane.percentiles[-1] for lane in found)
    axes.set_xlim(smallest / 1.3, largest * 1.3)
    style.log_milliseconds(axes.xaxis, smallest, largest)
    style.name_rows(axes, [f"{row[0].name} ({count(sum(lane.count for lane in row))})" for row in rows])
    style.grid(axes, "x")
    axes.set_xlabel("latency: dot at 50 %, thick line to 90 %, thin to 99 %", color=style.INK)
    flags = sorted({lane.streamed for lane in found}, reverse=True)
    names = {True: "streamed: first token", False: "other: whole answer"}
    style.legend(axes, [names[flag] for flag in flags], [_STREAMED if flag else _WHOLE for flag in flags], inside=True)
    more = f" (the {len(rows)} with the most rows)" if left_out else ""
    style.title(axes, f"Latency by {_and(columns)}{more}")
    return axes


def _and(columns: list[str]) -> str:
    return " and ".join(columns)


def _total(amount: float) -> str:
    return usd(amount, usd_places(amount))
