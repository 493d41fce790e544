"""The look of the explorer: the card's ways (:mod:`orstats.notebook.html.style`), for tables, charts and diffs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orstats.notebook.html.style import VARIABLES
from orstats.text.sanitize import Html

_CSS: Final = """
.orstats-explorer{color:var(--os-fg);font-size:13px;line-height:1.45;max-width:100%;overflow:hidden}
.orstats-explorer .widget-html,.orstats-explorer .widget-html-content{line-height:1.45;font-size:13px;height:auto;
color:var(--os-fg);min-width:0;max-width:100%;overflow:visible}
.orstats-explorer .orstats-grow>.widget-html-content{width:100%}
.orstats-explorer .widget-label{color:var(--os-quiet)}
.orstats-halves{display:flex;flex-wrap:wrap;gap:14px;align-items:flex-start}
.orstats-left{flex:7 1 600px;min-width:0;max-width:100%}
.orstats-right{flex:5 1 410px;min-width:0;max-width:100%}
.orstats-explorer .orstats-wide{width:100%;margin:0}
.orstats-totals{display:flex;flex-wrap:wrap;gap:0 16px;align-items:baseline;padding:2px 0}
.orstats-totals b{font-size:15px;font-weight:600;font-variant-numeric:tabular-nums}
.orstats-totals span{color:var(--os-quiet)}
.orstats-scroll{overflow-x:auto;border:1px solid var(--os-line);border-radius:6px}
.orstats-scroll:focus{outline:2px solid var(--os-blue);outline-offset:-1px}
table.orstats-rows{border-collapse:collapse;width:100%;table-layout:fixed;font-size:12px;margin:0;border:0;
min-width:340px;color:var(--os-fg)}
table.orstats-rows th,table.orstats-rows td{padding:0 6px;height:25px;line-height:25px;white-space:nowrap;
overflow:hidden;text-overflow:ellipsis;text-align:left;border:0;border-bottom:1px solid var(--os-tint);
vertical-align:middle;max-width:none;box-sizing:border-box}
table.orstats-rows thead th{font-weight:600;color:var(--os-quiet);border-bottom:1px solid var(--os-line);
background:none;user-select:none}
table.orstats-rows[data-live] thead th{cursor:pointer}
table.orstats-rows[data-live] thead th:hover{color:var(--os-fg)}
table.orstats-rows tbody tr{background:none}
table.orstats-rows[data-live] tbody tr{cursor:pointer}
table.orstats-rows tbody tr:hover{background:var(--os-tint)}
table.orstats-rows th.orstats-num,table.orstats-rows td.orstats-num{text-align:right;
font-variant-numeric:tabular-nums}
table.orstats-rows td.orstats-mono{font-family:var(--os-mono);font-size:11px}
.orstats-explorer .orstats-good{color:var(--os-green)}.orstats-explorer .orstats-bad{color:var(--os-red)}
.orstats-explorer .orstats-odd{color:var(--os-amber)}.orstats-explorer .orstats-quiet{color:var(--os-quiet)}
.orstats-rows .orstats-cut{display:inline-block;vertical-align:bottom;overflow:hidden;text-overflow:ellipsis}
.orstats-scroll{container-type:inline-size}
.orstats-explorer input[type=datetime-local]{color:var(--jp-widgets-input-color,inherit);
background:var(--jp-widgets-input-background-color,transparent);
border:1px solid var(--jp-widgets-input-border-color,var(--os-line));height:28px;box-sizing:border-box;
flex:1 1 auto;font-family:inherit;font-size:12px}
.orstats-empty{padding:22px;text-align:center;color:var(--os-quiet);border:1px dashed var(--os-line);border-radius:6px}
.orstats-chart{display:block;width:100%;height:58px}
.orstats-chart rect{fill:var(--os-blue)}
.orstats-chart rect.orstats-hit{fill:transparent}
.orstats-chart line{stroke:var(--os-line);stroke-width:1;vector-effect:non-scaling-stroke}
.orstats-axis{display:flex;justify-content:space-between;font-size:11px;color:var(--os-quiet)}
.orstats-compare{border-collapse:collapse;width:100%;font-size:12px;table-layout:fixed;color:var(--os-fg)}
.orstats-compare th,.orstats-compare td{padding:3px 8px;text-align:left;vertical-align:top;
border-bottom:1px solid var(--os-tint);overflow-wrap:anywhere;white-space:normal}
.orstats-compare thead th{border-bottom:1px solid var(--os-line)}
.orstats-compare th:first-child{width:24%;color:var(--os-quiet);font-weight:400}
.orstats-compare tr.orstats-differs td{font-weight:600}
.orstats-explorer pre.orstats-diff{font-family:var(--os-mono);font-size:12px;line-height:1.45;white-space:pre-wrap;
overflow-wrap:anywhere;margin:2px 0 10px;padding:6px 8px;border:1px solid var(--os-line);border-radius:6px;
background:none;color:var(--os-fg);max-height:420px;overflow-y:auto}
pre.orstats-diff ins{background:rgba(34,160,107,.18);text-decoration:none;display:block}
pre.orstats-diff del{background:rgba(229,72,77,.18);text-decoration:none;display:block}
pre.orstats-diff i{color:var(--os-quiet);display:block}
.orstats-explorer h4{margin:8px 0 3px;font-size:11px;font-weight:600;letter-spacing:.04em;text-transform:uppercase;
color:var(--os-quiet)}
.orstats-explorer .orstats-notice{border-left:4px solid #8a8f98;background:var(--os-tint);border-radius:4px;
padding:6px 12px;margin:4px 0}
.orstats-explorer .orstats-notice.orstats-error{border-color:var(--os-red)}
.orstats-explorer .orstats-notice.orstats-warn{border-color:var(--os-amber)}
"""

#: Below these widths of the table, in pixels, the first, the second, … of what is less important leaves it.
_ROOM: Final = (850, 790, 700, 600, 530, 440)
#: Of the column that is sorted by, where it is not one of those always shown.
MORE_WIDTH: Final = 110
_SHORT_TIMES: Final = 440


def explorer_style() -> Html:
    """Return the style sheet; all its names begin with ``orstats``."""
    return Html(f"<style>{VARIABLES}{_CSS}{''.join(_leaving())}</style>")


def _leaving() -> Iterator[str]:
    for kind, more in ((":not(.orstats-more)", 0), (".orstats-more", MORE_WIDTH)):
        table = f"table.orstats-rows{kind}"
        for number, room in enumerate(_ROOM):
            yield f"@container (max-width:{room + more}px){{{table} .orstats-leaves{number}{{display:none}}}}\n"
        yield (
            f"@container (max-width:{_SHORT_TIMES + more}px){{{table} .orstats-hour{{display:none}}"
            f"{table} th:first-child{{width:90px!important}}}}\n"
        )


def selected_row(explorer: str, row: int | None) -> Html:
    """Return the style that marks one row of a table, so that a selection need not send the table again."""
    if row is None:
        return Html("")
    where = f".{explorer} table.orstats-rows[data-live] tbody tr:nth-child({row + 1})"
    seen = "@media (forced-colors:active)"  # where a page has no colours of its own, as with high contrast in Windows
    return Html(
        f"<style>{where}{{background:rgba(59,130,246,.15);box-shadow:inset 3px 0 #3b82f6}}"
        f"{seen}{{{where}{{outline:3px solid Highlight;outline-offset:-3px}}}}</style>"
    )
