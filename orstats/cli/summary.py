"""What a fetch or report says about its records in a few lines: counts, cost and failures."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from orstats.cli.console import print_status
from orstats.frame.summary import summary
from orstats.frame.views import failures
from orstats.text.format import cost_parts, count, is_present, plural, usd, usd_places
from orstats.text.sanitize import terminal_line

_EXAMPLES: Final = 5
_ID_WIDTH: Final = 100


def print_summary(
    frame: pd.DataFrame, seconds: float | None = None, *, requested: bool = True, costs: bool = True
) -> None:
    """Print counts, cost, and for each kind of failure the advice, the most frequent error and some ids.

    Records of an archive were not requested one by one. A comparison has costs of its own.
    """
    totals = summary(frame)["value"]
    ids = plural(len(frame), "id") + " requested" if requested else plural(len(frame), "generation") + " in the archive"
    ok = f"{count(totals['ok'])} ok"
    if totals["from_archive"] and requested:
        ok += f" ({count(totals['from_archive'])} from the archive)"
    failed = len(frame) - int(totals["ok"])
    parts = [ids, ok, *([f"{failed:,} failed"] if failed else [])]
    took = "" if seconds is None else f" ({seconds:.1f} s)"
    print_status(" · ".join(parts) + took, "bold yellow" if failed else "bold green")
    if totals["ok"] and costs:
        print_status(cost_line(totals))
    for status, rows in failures(frame).groupby("fetch_status", sort=False):
        advice = terminal_line(rows["advice"].iloc[0])
        title = f"  {status} {len(rows):,}: "
        print_status(f"{title}{advice}", title=title, title_style="yellow")
        if (error := _most_frequent_error(rows["error"])) is not None:
            print_status(f"    {terminal_line(error)}")
        examples = ", ".join(terminal_line(one, _ID_WIDTH) for one in rows.index[:_EXAMPLES])
        more = f" and {len(rows) - _EXAMPLES:,} more" if len(rows) > _EXAMPLES else ""
        print_status(f"    {examples}{more}", "dim")


def cost_line(totals: pd.Series[Any]) -> str:
    """Return the cost of a summary with its parts, and the number of generations whose cost is unknown."""
    unknown = int(totals["cost_unknown"])
    are = "is" if unknown == 1 else "are"
    excluded = f"; {plural(unknown, 'generation')} with unknown cost {are} excluded" if unknown else ""
    cost = totals["cost_usd"]
    if not totals["byok_share"]:
        return f"Cost {usd(cost)}{excluded}."
    total = cost if is_present(cost) else totals["charged_usd"]
    places = usd_places(total) if total >= 0.01 else None  # noqa: PLR2004 - below a cent, each amount as it is
    parts = cost_parts(totals.to_dict(), places)
    # The parts include what is known of an unknown cost, and then add up to more than the cost.
    return f"Cost {usd(cost, places)}{excluded}" + (
        f". Charged including these: {parts}." if unknown else f": {parts}."
    )


def _most_frequent_error(errors: pd.Series[str]) -> str | None:
    """Return an example of the most frequent error, where errors that differ only in the id are the same."""
    if errors.isna().all():
        return None
    kinds = pd.Series([str(error).replace(str(name), "") for name, error in errors.items()], errors.index)
    return str(errors[kinds == kinds[errors.notna()].mode()[0]].iloc[0])
