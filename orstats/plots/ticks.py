"""The ticks of axes: amounts, counts, durations and dates, as many as fit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final

from orstats.plots.style import INK, inside, is_narrow, width
from orstats.text.format import count_tick, duration_tick, usd_tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Width of a label of the x axis.
_TICK_INCHES: Final = 0.75
#: How far a logarithmic axis goes beyond its data, as a factor, and the fewest ticks that show its scale.
_LOG_MARGIN: Final = 1.3
_FEWEST_TICKS: Final = 3
#: Height of the text at the end of a time axis that completes its ticks, such as 2026-Nov.
_OFFSET_POINTS: Final = 12
#: More ticks than any axis needs.
_MOST_TICKS: Final = 12
_MINUTE_MS: Final = 60_000
#: Milliseconds at the ticks of a logarithmic axis: of a wide range, of most ranges, and of a narrow one.
_DECADES: Final = (0.1, 1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 36_000_000)
_STEPS: Final = (
    *(step * 10.0**power for power in range(-3, 5) for step in (1, 2, 5) if step * 10**power < _MINUTE_MS),
    *(_MINUTE_MS * minutes for minutes in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1440)),
)
_SMALL_STEPS: Final = (
    *(
        step * 10.0**power
        for power in range(-3, 5)
        for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
        if step * 10**power < _MINUTE_MS
    ),
    *(_MINUTE_MS * minutes for minutes in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50)),
    *(60 * _MINUTE_MS * hours for hours in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 24)),
)


def _few_ticks(ax: Axes) -> int:
    """Return how many labels fit side by side on the x axis."""
    return max(1, min(6, int(inside(ax) / _TICK_INCHES)))


def dollars(axis: Any, largest: float) -> None:
    """Write an axis in US dollars, with as many digits as its range needs."""
    _number_ticks(axis, lambda value: usd_tick(value, largest))


def counts(axis: Any, _: float) -> None:
    """Write an axis in whole numbers: 2k, 1.5M."""
    _number_ticks(axis, count_tick, integer=True)


def _number_ticks(axis: Any, write: Callable[[float], str], *, integer: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - an extra

    most = _few_ticks(axis.axes) if axis.axis_name == "x" else 6
    axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10], integer=integer))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def log_milliseconds(axis: Any, smallest: float, largest: float) -> None:
    """Scale an axis of milliseconds logarithmically, and write it in common units: 200 ms, 1 s, 5 s, 1 min."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator  # noqa: PLC0415 - an extra

    low, high = smallest / _LOG_MARGIN, largest * _LOG_MARGIN
    (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
    (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(low, high)
    wide = largest / smallest > 1_000  # noqa: PLR2004 - three decades hold 1, 2, 5 without crowding
    ticks = [tick for tick in (_DECADES if wide else _STEPS) if low <= tick <= high]
    if len(ticks) < _FEWEST_TICKS:
        ticks = [tick for tick in _SMALL_STEPS if low <= tick <= high]
    if axis.axis_name == "x":
        ticks = ticks[:: -(-len(ticks) // _few_ticks(axis.axes))]
    axis.set_major_locator(FixedLocator(ticks or [smallest]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration_tick(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def dates(ax: Axes, tz: tzinfo | None, *, offsets: bool) -> None:
    """Format a time axis in a time zone; hours show their UTC offset where it changes."""
    from matplotlib.dates import (  # noqa: PLC0415 - an extra
        DAILY,
        HOURLY,
        MINUTELY,
        MONTHLY,
        SECONDLY,
        AutoDateLocator,
        ConciseDateFormatter,
    )

    low, high = ax.get_xlim()
    for most in range(max(3, min(9, int(1.2 * width(ax)))), _MOST_TICKS):
        locator = AutoDateLocator(tz, minticks=2, maxticks=most)  # type: ignore[no-untyped-call]
        for kind, step in (
            (MONTHLY, 12),
            (DAILY, 31),
            (HOURLY, 24),
            (MINUTELY, 60),
            (SECONDLY, 60),
        ):  # else few ticks are warned of
            locator.intervald[kind] = [*locator.intervald[kind], step]
        locator.set_axis(ax.xaxis)
        ticks = [tick for tick in locator() if low <= tick <= high]
        if len(ticks) > 1:  # a single tick does not show its kind: it would be labelled 00:00
            break
    formatter = ConciseDateFormatter(locator, tz)  # type: ignore[no-untyped-call]
    if offsets:
        formatter.formats[3:5] = ["%H:%M%z"] * 2
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    ax.xaxis.get_offset_text().set_color(INK)
    formatter.format_ticks(ticks)  # type: ignore[no-untyped-call]
    if is_narrow(ax) and formatter.get_offset():  # type: ignore[no-untyped-call]
        ax.xaxis.labelpad += _OFFSET_POINTS  # where the label takes the width, the offset has a line of its own
