"""A small chart of cost over time, as SVG. Numbers and times only: no stranger's text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from orstats.text.format import usd
from orstats.text.sanitize import Html, html_line

_HEIGHT: Final = 56.0
_WIDTH: Final = 600.0


def chart(edges: Sequence[datetime], costs: Sequence[float]) -> Html:
    """Return bars of the cost in each span of time."""
    most = max(*costs, 0.0) if len(costs) > 1 else max(costs[0], 0.0)
    wide = _WIDTH / len(costs)
    bars = []
    for number, cost in enumerate(costs):
        high = max(_HEIGHT * cost / most, 1.0) if cost > 0 and most > 0 else 0.0
        when = f"{edges[number]:%Y-%m-%d %H:%M} to {edges[number + 1]:%Y-%m-%d %H:%M} UTC: {usd(cost)}"
        at = f'x="{number * wide:.1f}" width="{wide * 0.82:.1f}"'
        bars.append(
            f'<g><title>{html_line(when)}</title><rect class="orstats-hit" {at} y="0" height="{_HEIGHT:.0f}"/>'
            f'<rect {at} y="{_HEIGHT - high:.1f}" height="{high:.1f}"/></g>'
        )
    about = f"Cost over time, at most {usd(most)} in one bar"
    return Html(
        f'<svg class="orstats-chart" role="img" aria-label="{html_line(about)}" preserveAspectRatio="none" '
        f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT + 2:.0f}">{"".join(bars)}'
        f'<line x1="0" x2="{_WIDTH:.0f}" y1="{_HEIGHT + 1:.0f}" y2="{_HEIGHT + 1:.0f}"/></svg>'
        f'<div class="orstats-axis tex2jax_ignore mathjax_ignore"><span>{edges[0]:%Y-%m-%d %H:%M}</span>'
        f"<span>{html_line(about)}</span><span>{edges[-1]:%Y-%m-%d %H:%M} UTC</span></div>"
    )
