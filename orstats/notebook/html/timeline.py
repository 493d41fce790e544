"""The timeline of a session as HTML: an SVG of what ran when and what it cost, and the generations as a table."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.notebook.html.base import action, span
from orstats.notebook.table_page import statuses
from orstats.text.format import duration, is_present, plural, usd, usd_amounts
from orstats.text.sanitize import NO_MATH, Html, html_line, visible_line

_WIDTH: Final = 1000.0
#: Idle time is drawn at the same scale as busy time, but never wider than this.
_IDLE_WIDTH: Final = 250.0
_LANES_HEIGHT: Final = 150.0
_LANE: Final = (2.0, 18.0)
_COSTS_HEIGHT: Final = 44.0
_GAP: Final = 6.0
#: Narrower bars are not seen; fewer bars than this have a text that appears under the pointer.
_NARROWEST: Final = 1.5
_MOST_TITLES: Final = 500
#: Of a model's name, in characters.
_LONGEST: Final = 200
#: Colours are given in the picture, too: exported notebooks have no style sheet.
_KINDS: Final = (
    ("failed_ms", "failed attempts", "red", "#e5484d"),
    ("first_token_ms", "time to first token", "amber", "#d9910a"),
    ("rest_ms", "generation", "green", "#22a06b"),
)
_COST_COLOUR: Final = "#3b82f6"


def session_head(session_id: str, figures: Mapping[str, Any]) -> Html:
    """Return the session's id and its figures: those of one row of :func:`orstats.sessions`, and ``failed_ms``."""
    wall, busy = 1000 * figures["wall_s"], 1000 * figures["busy_s"]
    unknown = int(figures["cost_unknown"])
    texts = [
        (
            usd(figures["cost_usd"]),
            "cost" + (f" ({plural(unknown, 'generation')} of unknown cost excluded)" if unknown else ""),
        ),
        (f"{int(figures['generations']):,}", "generations"),
        (duration(wall), "from first to last"),
        (duration(busy), "busy"),
        (duration(wall - busy), "idle"),
    ]
    if figures["failed_ms"]:
        texts.append((duration(figures["failed_ms"]), "in failed attempts"))
    if figures["failed"]:
        texts.append((f"{int(figures['failed']):,}", "failed"))
    shown = " ".join(f"<span><b>{html_line(number)}</b> {html_line(unit)}</span>" for number, unit in texts)
    return Html(
        f'<div class="orstats-frame {NO_MATH}"><div class="orstats-head"><b>Session</b> '
        f'{span(session_id, "orstats-id")}</div><div class="orstats-totals">{shown}</div></div>'
    )


def timeline_picture(rows: pd.DataFrame, times: pd.DataFrame) -> Html:
    """Return the SVG, with a legend and the times at its ends. A bar opens the generation of its number in a pane."""
    place = _scale(times)
    lanes = int(times["lane"].max()) + 1
    pitch = min(_LANE[1], max(_LANE[0], _LANES_HEIGHT / lanes))
    height = lanes * pitch
    costs = rows["cost_usd"].astype("float64").fillna(0.0).to_numpy()
    parts = [*_idle(times, place, height), *_bars(rows, times, place, pitch), *_costs(times, place, costs, height)]
    total = height + _GAP + _COSTS_HEIGHT
    label = f"Timeline of {plural(len(rows), 'generation')} in {plural(lanes, 'lane')}, and the cost of each"
    began, ended = rows["created_at"].iloc[0], times["ended_ms"].max()
    legend = "".join(
        f'<span><svg width="10" height="10" aria-hidden="true"><rect width="10" height="10" fill="{colour}"/></svg> '
        f"{html_line(name)}</span> "
        for name, colour in (
            *((name, colour) for _, name, _, colour in _KINDS),
            (f"cost, at most {usd(costs.max())}", _COST_COLOUR),
        )
    )
    note = "<span>grey: idle, drawn shorter</span>" if _is_cut(times) else "<span>grey: idle</span>"
    return Html(
        f'<div class="orstats-legend {NO_MATH}">{legend}{note}</div>'
        f'<svg class="orstats-timeline" role="img" aria-label="{label}" width="100%" height="{total:.0f}" '
        f'viewBox="0 0 {_WIDTH:.0f} {total:.1f}" preserveAspectRatio="none">{"".join(parts)}</svg>'
        f'<div class="orstats-ends {NO_MATH}"><span>{began:%Y-%m-%d %H:%M:%S} UTC</span> '
        f"<span>+{html_line(duration(ended))}</span></div>"
    )


def session_table(
    rows: pd.DataFrame, times: pd.DataFrame, first: int, selected: int | None, *, buttons: bool = True
) -> Html:
    """Return generations as a table; each has a button that opens it. `first` is the number of the first row."""
    costs = usd_amounts(rows["cost_usd"].to_list(), missing="unknown")
    align = "" if buttons else ' style="text-align:right;white-space:nowrap"'  # there is no style sheet
    cells = []
    for number, (cost, (status, full_status, kind), model, began, idle, took) in enumerate(
        zip(
            costs,
            statuses(rows),
            rows["model"],
            times["began_ms"],
            times["idle_ms"],
            times["ended_ms"] - times["began_ms"],
            strict=True,
        ),
        start=first,
    ):
        name = f"{number + 1:,}"
        button = action("open", name, str(number), pressed=number == selected, about="open generation")
        model_name = html_line(model, _LONGEST) if is_present(model) else "-"
        waited = html_line(duration(idle)) if idle else ""
        values = (
            button if buttons else name,
            f"+{html_line(duration(began))}",
            html_line(duration(took)),
            html_line(cost),
            waited,
        )
        words = (
            f'<td class="orstats-{kind}" title="{html_line(full_status)}">{html_line(status, 40)}</td>'
            f'<td title="{model_name}"><bdi>{model_name}</bdi></td>'
        )
        cells.append(f"<tr>{''.join(f'<td{align}>{value}</td>' for value in values)}{words}</tr>")
    heads = "".join(f"<th>{name}</th>" for name in ("no.", "began", "time", "cost", "idle", "status", "model"))
    return Html(
        f'<div class="orstats-list {NO_MATH}" tabindex="0" role="region" aria-label="Generations of the session">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(cells)}</tbody></table></div>"
    )


def _is_cut(times: pd.DataFrame) -> bool:
    whole = float(times["ended_ms"].max()) or 1.0
    return float(times["idle_ms"].sum()) / whole * _WIDTH > _IDLE_WIDTH


def _scale(times: pd.DataFrame) -> Any:
    """Return the function from ms to the horizontal place. Busy time has one scale, long idle time a smaller one."""
    starts = times["began_ms"].to_numpy()
    idle_ms = times["idle_ms"].to_numpy()
    before = idle_ms > 0
    edges = np.unique(np.r_[0.0, starts[before] - idle_ms[before], starts[before], times["ended_ms"].max()])
    lengths = np.diff(edges)
    is_idle = np.isin(edges[1:], starts[before])
    idle, busy = lengths[is_idle].sum(), lengths[~is_idle].sum()
    room = min(_IDLE_WIDTH, _WIDTH * idle / (idle + busy)) if busy else _WIDTH
    widths = np.where(
        is_idle, lengths * (room / idle if idle else 0.0), lengths * ((_WIDTH - room) / busy if busy else 0.0)
    )
    places = np.r_[0.0, np.cumsum(widths)]
    return lambda moment: np.interp(moment, edges, places)


def _idle(times: pd.DataFrame, place: Any, height: float) -> Iterator[str]:
    waited = times[times["idle_ms"] > 0]
    lefts, rights = place(waited["began_ms"] - waited["idle_ms"]), place(waited["began_ms"])
    for left, right, idle in zip(lefts, rights, waited["idle_ms"], strict=True):
        title = f"<title>idle for {duration(idle)}</title>" if len(waited) <= _MOST_TITLES else ""
        yield (
            f'<rect x="{left:.2f}" y="0" width="{right - left:.2f}" height="{height:.1f}" fill="#808080" '
            f'fill-opacity=".18">{title}</rect>'
        )


def _bars(rows: pd.DataFrame, times: pd.DataFrame, place: Any, pitch: float) -> Iterator[str]:
    edges = [times["began_ms"].to_numpy()]
    for name, *_ in _KINDS:
        edges.append(edges[-1] + times[name].to_numpy())
    xs = [place(edge) for edge in edges]
    titles = _titles(rows, times) if len(rows) <= _MOST_TITLES else None
    thickness = max(1.0, pitch - (2 if pitch > 5 else 0.4))  # noqa: PLR2004 - thin lanes have thin gaps
    for number, lane in enumerate(times["lane"]):
        top = lane * pitch
        pieces = []
        for (_, _, name, colour), starts, ends in zip(_KINDS, xs[:-1], xs[1:], strict=True):
            left, width = starts[number], ends[number] - starts[number]
            if width > 0 or name == "green":
                wide = max(width, _NARROWEST) if name == "green" else width
                pieces.append(
                    f'<rect x="{left:.2f}" y="{top:.1f}" width="{wide:.2f}" height="{thickness:.1f}" fill="{colour}"/>'
                )
        title = f"<title>{html.escape(titles[number])}</title>" if titles else ""
        yield f'<g data-action="open" data-value="{number}">{title}{"".join(pieces)}</g>'


def _titles(rows: pd.DataFrame, times: pd.DataFrame) -> Sequence[str]:
    """Describe each bar in words."""
    texts = []
    described = zip(rows["model"], rows["cost_usd"], statuses(rows), strict=True)
    for number, (model, cost, (_, status, _)) in enumerate(described):
        spent = [
            f"{name} {duration(times[column].iloc[number])}"
            for column, name, *_ in _KINDS
            if times[column].iloc[number]
        ]
        name = visible_line(model, 60) if is_present(model) else "unknown model"
        texts.append(f"{number + 1}. {name}: {', '.join(spent) or 'unknown time'}; {usd(cost)}; {status}")
    return texts


def _costs(times: pd.DataFrame, place: Any, costs: Any, height: float) -> Iterator[str]:
    """Draw the cost of each generation below its beginning."""
    highest = costs.max() or 1.0
    base = height + _GAP + _COSTS_HEIGHT
    lefts = place(times["began_ms"].to_numpy())
    width = max(_NARROWEST, min(8.0, _WIDTH / len(costs) * 0.6))
    for number, (left, cost) in enumerate(zip(lefts, costs, strict=True)):
        if cost > 0:
            size = max(1.0, (_COSTS_HEIGHT - 2) * cost / highest)
            place_x = min(left, _WIDTH - width)
            yield (
                f'<rect data-action="open" data-value="{number}" x="{place_x:.2f}" y="{base - size:.1f}" '
                f'width="{width:.2f}" height="{size:.1f}" fill="{_COST_COLOUR}"/>'
            )
