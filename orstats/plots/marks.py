"""What plots draw on axes: bars ranked, bars stacked over time, lines over time, distributions in lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from orstats.plots import axes as style
from orstats.reports.chart_data import Bar, LatencyDistribution, Timeline
from orstats.text.format import count, percent, usd, usd_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BOTH: Final = 2
#: Bars over time have gaps between them up to this number; beyond it they would fade.
_WITH_GAPS: Final = 120
_STREAMED, _WHOLE = style.COLOURS[0], style.COLOURS[1]


def rank(axes: Axes, bars: list[Bar]) -> None:
    """Draw amounts of money as lying bars, each with its amount and share beside it."""
    total, largest = sum(bar.value for bar in bars), max(abs(bar.value) for bar in bars)
    colours = [style.OTHER_COLOUR if bar.folded else style.COLOURS[0] for bar in bars]
    axes.barh(range(len(bars)), [bar.value for bar in bars], height=0.7, color=colours)
    places = min(usd_places(total), 6) if total >= 0.01 else None  # noqa: PLR2004 - a cent
    shares = [f" · {percent(bar.value / total)}" if total > 0 and bar.value else "" for bar in bars]
    texts = [usd(bar.value, places) + share for bar, share in zip(bars, shares, strict=True)]
    for at, (bar, text) in enumerate(zip(bars, texts, strict=True)):
        beside(axes, at, bar.value, text)
    axes.set_xlim(min(0.0, *(bar.value for bar in bars), 0.0), (largest or 1.0) * style.room_for(axes, texts))
    style.dollars(axes.xaxis, largest)


def beside(axes: Axes, row: int, value: float, text: str) -> None:
    """Write a text beside the end of a lying bar."""
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


def named(axes: Axes, bars: list[Bar], title: str, label: str) -> Axes:
    """Name lying bars, their axis and the whole."""
    style.name_rows(axes, [bar.name for bar in bars])
    style.grid(axes, "x")
    style.x_label(axes, label)
    style.title(axes, title)
    return axes


def stack(axes: Axes, over_time: Timeline, tz: str) -> None:
    """Draw standing bars over time, groups one on the other."""
    colours = style.colours(len(over_time.names), folded=bool(over_time.folded))
    starts = over_time.starts.to_pydatetime()
    gap = 0.9 if len(starts) <= _WITH_GAPS else 1.0
    widths = (over_time.ends - over_time.starts).to_pytimedelta() * gap
    bottom = np.zeros(len(starts))
    for line, colour in zip(over_time.amounts, colours, strict=True):
        axes.bar(starts, line, width=widths, bottom=bottom, align="edge", color=colour, linewidth=0)
        bottom += line
    _time_axis(axes, over_time, tz)
    style.legend(axes, over_time.names, colours)


def lines(axes: Axes, over_time: Timeline, tz: str) -> None:
    """Draw a line of milliseconds over time for each group, on a logarithmic axis."""
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
    shifted = over_time.starts[0].utcoffset() != over_time.ends[-1].utcoffset()
    style.dates(axes, over_time.starts.tz, offsets=over_time.unit == "hour" and shifted)
    style.grid(axes, "y")
    style.x_label(axes, f"{over_time.unit} in {tz}")


def distributions(axes: Axes, found: list[LatencyDistribution]) -> int:
    """Draw distributions of milliseconds, one row for each group, on a logarithmic axis; return how many rows."""
    # Neighbours of one group are one group: names may be cut to the same text, so the flag tells where the next begins.
    rows: list[list[LatencyDistribution]] = []
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
    style.x_label(axes, "latency: dot at 50 %, thick line to 90 %, thin to 99 %")
    flags = sorted({lane.streamed for lane in found}, reverse=True)
    names = {True: "streamed: first token", False: "other: whole answer"}
    style.legend(axes, [names[flag] for flag in flags], [_STREAMED if flag else _WHOLE for flag in flags], below=True)
    return len(rows)
