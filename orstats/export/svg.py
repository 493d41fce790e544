"""Drawings for the page, as SVG that the page's style sheet colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from orstats.export.html_elements import escape, name
from orstats.reports.chart_data import Timeline
from orstats.reports.waterfall import Waterfall
from orstats.text.format import usd, usd_places, usd_tick
from orstats.text.sanitize import display_text

#: The number of colours in the style sheet; the last is for all other groups.
MOST: Final = 7
_WIDTH, _HEIGHT = 960, 250
_LEFT, _TOP, _BOTTOM = 64, 10, 26
_DATE_WIDTH: Final = 90
#: A bar over time is at most as wide as those of a week.
_WIDEST: Final = 120
#: Of a waterfall: the height of a row, and the room for names and amounts.
_ROW, _NAMES, _AMOUNTS = 26, 180, 170
_LONGEST: Final = 28


def bar(share: float) -> str:
    """Draw a bar that fills a share, 0 to 1, of its cell."""
    width = min(max(share, 0.0), 1.0) * 100
    return f'<svg aria-hidden="true"><rect class="c0" width="{width:.4g}%" height="100%" rx="2"/></svg>'


def lane(times: tuple[float, float, float], ends: tuple[float, float], *, streamed: bool) -> str:
    """Draw a distribution on a logarithmic scale: a dot at the median, thick to 90 %, thin to 99 %."""
    smallest, largest = ends
    span = math.log(largest / smallest) or 1.0

    def at(value: float) -> float:
        return 2 + 96 * math.log(max(value, smallest) / smallest) / span

    a, b, c = map(at, times)
    colour = "c0" if streamed else "c1"
    return (
        f'<svg aria-hidden="true" class="{colour}"><rect x="{a:.1f}%" y="45%" width="{c - a:.1f}%" height="10%"/>'
        f'<rect x="{a:.1f}%" y="32%" width="{b - a:.1f}%" height="36%"/><circle cx="{a:.1f}%" cy="50%" r="4.5"/></svg>'
    )


def stacked_dollars(over_time: Timeline, about: str) -> str:
    """Draw stacked bars over time, with a legend and a tooltip with the total of each period."""
    totals = over_time.amounts.sum(axis=0)
    top, step = _scale(float(totals.max()))
    inner, width = _HEIGHT - _TOP - _BOTTOM, (_WIDTH - _LEFT) / len(totals)
    gap = max(min(width * 0.12, 3.0), width - _WIDEST)
    places = usd_places(float(totals.sum()))
    lines = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(about)}">',
        *_rules(top, step, inner),
    ]
    heights, is_incomplete = [0.0] * len(totals), over_time.incomplete_columns()
    for row, amounts in enumerate(over_time.amounts):
        paths: dict[bool, list[str]] = {False: [], True: []}
        for at, amount in enumerate(amounts):
            if amount > 0:
                height = inner * float(amount) / top
                x, y = _LEFT + at * width + gap / 2, _TOP + inner - heights[at] - height
                paths[bool(is_incomplete[at])].append(
                    f"M{x:.1f} {y:.1f}h{width - gap:.1f}v{height:.1f}h-{width - gap:.1f}z"
                )
                heights[at] += height
        for marked, path in paths.items():
            if path:
                style = f"{_colour(over_time, row)} part" if marked else _colour(over_time, row)
                lines.append(f'<path class="{style}" d="{"".join(path)}"/>')
    labels = over_time.labels()
    for at, total in enumerate(totals):
        x = _LEFT + at * width
        box = f'<rect class="hover" x="{x:.1f}" y="{_TOP}" width="{width:.1f}" height="{inner}">'
        note = " (may be incomplete)" if is_incomplete[at] else ""
        lines.append(f"{box}<title>{labels[at]}{note}: {usd(float(total), places)}</title></rect>")
    every = max(1, math.ceil(_DATE_WIDTH / width))
    for at in range(0, len(totals), every):
        x = _LEFT + (at + 0.5) * width
        if x <= _WIDTH - _DATE_WIDTH / 2:
            lines.append(f'<text x="{x:.1f}" y="{_HEIGHT - 7}" text-anchor="middle">{labels[at]}</text>')
    return "".join(lines) + "</svg>" + _legend(over_time)


def waterfall(found: Waterfall) -> str:
    """Draw a waterfall: a row for each step, with its name on the left and its amount on the right of its bar."""
    lowest, highest = found.axis
    inner = _WIDTH - _NAMES - _AMOUNTS

    def at(amount: float) -> float:
        return _NAMES + inner * (max(amount, lowest) - lowest) / (highest - lowest)

    height = _ROW * len(found.steps)
    lines = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(found.title)}">']
    for row, (step, text) in enumerate(zip(found.steps, found.texts(), strict=True)):
        left, right = sorted((at(step.start), at(step.end)))
        y, middle = _ROW * row + 3, _ROW * row + _ROW / 2 + 4
        if row:
            x = at(found.steps[row - 1].end)
            lines.append(f'<line class="link" x1="{x:.1f}" x2="{x:.1f}" y1="{y - _ROW / 2:g}" y2="{y + _ROW / 2:g}"/>')
        colour = "c0" if step.is_total else "c5" if step.change > 0 else "c2"
        label = escape(display_text(step.name, _LONGEST))
        lines.append(
            f'<rect class="{colour}" x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="{_ROW - 6}" rx="2"/>'
            f'<text x="{_NAMES - 8}" y="{middle:g}" text-anchor="end">{label}</text>'
            f'<text x="{right + 6:.1f}" y="{middle:g}">{escape(text)}</text>'
        )
        if step.is_total and lowest > 0:
            lines.append(f'<text class="break" x="{_NAMES + 4}" y="{middle:g}">//</text>')
    return "".join(lines) + "</svg>"


def _rules(top: float, step: float, inner: float) -> Sequence[str]:
    lines = []
    for number in range(round(top / step) + 1):
        y = _TOP + inner * (1 - number * step / top)
        lines.append(
            f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{usd_tick(number * step, top)}</text>'
        )
    return lines


def _scale(largest: float) -> tuple[float, float]:
    """Return the end of an axis and a round step that divides it."""
    if largest <= 0:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(largest / 4))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power * 4 >= largest * 0.999)
    return step * max(1, math.ceil(largest / step - 1e-9)), step


def _colour(over_time: Timeline, row: int) -> str:
    return "cx" if over_time.folded and row == len(over_time.names) - 1 else f"c{row}"


def _legend(over_time: Timeline) -> str:
    items = [
        f'<li><svg aria-hidden="true"><rect class="{_colour(over_time, at)}" width="100%" height="100%"/></svg>'
        f"{name(group)}</li>"
        for at, group in enumerate(over_time.names)
    ]
    return f'<ul class="key">{"".join(items)}</ul>'
