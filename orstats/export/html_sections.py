"""The sections of the page, each from a DataFrame to HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from orstats.export import svg
from orstats.export.html_elements import Header, cards, definitions, log_link, name, note, section, table
from orstats.frame.schema import FIELDS
from orstats.frame.status import advice_for
from orstats.frame.summary import summary
from orstats.reports.chart_data import fetched_rows, timeline
from orstats.reports.cost_tokens_latency import cost_by, latency_by
from orstats.reports.coverage import coverage
from orstats.reports.failures import failures_by
from orstats.reports.incomplete_periods import DataRange, describe_incomplete
from orstats.reports.periods import freq_of
from orstats.text.format import (
    cost_parts,
    count,
    duration,
    durations,
    in_seconds,
    is_present,
    percent,
    plural,
    tokens,
    usd,
    usd_per_mtok,
    usd_places,
)
from orstats.text.time_zones import clock

#: The headers of number columns, with the column that they show and how it is written.
Formats = Mapping[str, tuple[str, Callable[[Any], str]]]

_MOST_GROUPS: Final = 15
_MOST_ROWS: Final = 10
_SHORTEST_MS: Final = 1.0
_EMPTY: Final = note("Nothing to show.")

#: Terms of the page that are fields: their label, the field, and what to add to its meaning.
_FIELD_TERMS: Final = (
    ("Cost", "cost_usd", "Generations with unknown cost are counted separately, never as 0."),
    ("From credits", "total_cost", ""),
    ("Charged by providers", "upstream_inference_cost", ""),
    ("Saved by caching", "cache_discount", ""),
    ("Tokens", "tokens_total", "Native tokens, as billed."),
    ("$/Mtok", "usd_per_mtok", "Over the generations for which both are known."),
    ("Latency", "latency", ""),
    ("Total time", "generation_time", ""),
)
_OTHER_TERMS: Final = (
    ("p50, p90, p95, p99", "50%, 90%, 95% and 99% of the generations took at most this long."),
    ("Failed attempt", "An attempt at a provider that did not give the response. Its time is not in the latency."),
    ("Failed", "Generations that ended with the finish reason error."),
    ("Pending", "Ids too recent to be available; excluded from all figures."),
    ("Missing", "Ids whose record could not be fetched; excluded from all figures."),
)


def headline(df: pd.DataFrame) -> str:
    """Return the cards with the headline figures."""
    totals = summary(df)["value"]
    spent = totals["cost_usd"]
    places = usd_places(spent if is_present(spent) else totals["charged_usd"])
    parts = cost_parts(totals.to_dict(), places)
    if totals["cost_unknown"]:  # their known charges are in the parts, which may exceed the cost then
        unknown = plural(int(totals["cost_unknown"]), "generation")
        parts = f"{unknown} with unknown cost excluded; with their known charges: {parts}"
    ok = fetched_rows(df)
    least = min(len(ok), 1)  # without a generation, the sums are 0, not unknown
    total = ok["tokens_total"].sum(min_count=least)  # as in the tables below: where both parts are known
    known = ok[ok["tokens_total"].notna()] if is_present(total) else ok
    saved = ok["cache_discount"].sum(min_count=1)
    without = f"; {plural(len(ok) - len(known), 'generation')} without a total excluded" if len(known) < len(ok) else ""
    prompt, completion = (
        tokens(known[f"native_tokens_{part}"].sum(min_count=least)) for part in ("prompt", "completion")
    )
    return cards(
        [
            ("Cost", usd(spent, places) if is_present(spent) and spent else usd(spent), parts),
            ("Generations", count(totals["ok"]), f"of {count(totals['asked'])} requested"),
            (
                "Tokens",
                tokens(total) if is_present(total) else "unknown",
                f"prompt {prompt}, completion {completion}{without}",
            ),
            ("Median time to first token", *_first_token(df)),
            ("Failed generations", *_failed(df)),
            ("Saved by caching", usd(saved), "deducted for cached prompts"),
        ]
    )


def _first_token(df: pd.DataFrame) -> tuple[str, str]:
    times = latency_by(df, None)
    for streamed, row in times.iterrows():
        if is_present(streamed) and bool(streamed) and row["latency_n"]:
            more = f"95% within {duration(row['latency_p95'])}; {count(row['latency_n'])} streamed generations"
            return duration(row["latency_p50"]), more
    return "unknown", "no streamed generations"


def _failed(df: pd.DataFrame) -> tuple[str, str]:
    sums = failures_by(df, "provider_name")[["attempts", "failed_attempts", "failed", "generations"]].sum()
    share = percent(sums["failed"] / sums["generations"]) if sums["generations"] else "unknown"
    return share, f"{count(sums['failed_attempts'])} of {count(sums['attempts'])} provider attempts failed"


def over_time(df: pd.DataFrame, freq: str, tz: str, known_range: DataRange) -> str:
    """Draw the cost over time."""
    title = "Cost over time"
    bars = timeline(fetched_rows(df), ["model"], "cost_usd", known_range, freq=freq, tz=tz, most=svg.MOST)
    if bars is None or not bars.amounts.any():
        return section(title, _EMPTY)
    about = f"Cost by {bars.unit} in {tz} and model"
    if bars.unit != freq_of(freq):
        about += f" (by {freq_of(freq)} there would be too many bars)"
    if bars.incomplete:
        about += f". Lighter: {describe_incomplete(bars.incomplete)}"
    if (bars.amounts < 0).any():
        about += ". Negative amounts are not drawn"
    return section(title, f"<figure>{svg.stacked_dollars(bars, about)}<figcaption>{about}.</figcaption></figure>")


def cost_table(df: pd.DataFrame, by: str, title: str) -> str:
    """Return the table of cost by a column, most expensive first."""
    report = cost_by(df, by)
    if report.empty:
        return section(title, _EMPTY)
    total = report["cost_usd"].sum(min_count=1)
    places = usd_places(total)
    formats: dict[str, tuple[str, Callable[[Any], str]]] = {
        "Cost": ("cost_usd", lambda value: usd(value, places)),
        "Share": ("share", percent),
        "Generations": ("generations", count),
        "Tokens": ("tokens_total", tokens),
        "$/Mtok": ("usd_per_mtok", usd_per_mtok),
        "Mean": ("mean_usd", _small),
        "p95": ("p95_usd", _small),
    }
    if report["cost_unknown"].any():
        formats["Cost unknown"] = ("cost_unknown", count)

    def sums(label: str, some: pd.DataFrame) -> list[str]:
        row = some[["cost_usd", "generations", "tokens_total", "cost_unknown"]].sum(min_count=1)
        if is_present(total) and is_present(row["cost_usd"]) and total > 0:
            row["share"] = row["cost_usd"] / total
        return [name(label), "", *_cells(row, formats)]

    largest = report["cost_usd"].max()
    rows = []
    for key, row in report.head(_MOST_GROUPS).iterrows():
        is_drawn = is_present(row["cost_usd"]) and largest > 0
        bar = svg.bar(float(row["cost_usd"]) / float(largest)) if is_drawn else ""
        rows.append([name(key), bar, *_cells(row, formats)])
    rest = report.iloc[_MOST_GROUPS:]
    if len(rest):
        rows.append(sums(f"other ({len(rest)} more)", rest))
    headers = [Header(title.rpartition(" ")[2].capitalize()), Header("", "bar"), *(Header(one, "n") for one in formats)]
    return section(title, table(headers, rows, sums("total", report)))


def latency_table(df: pd.DataFrame, by: str, group: str) -> str:
    """Return the table of latency by a column, with streamed and other generations apart."""
    title = f"Latency per {group}"
    report = latency_by(df, by)
    report = report.loc[report["latency_n"] > 0]
    if report.empty:
        return section(title, _EMPTY)
    shown = report.head(_MOST_GROUPS)
    smallest = max(float(shown["latency_p50"].min()), _SHORTEST_MS)  # a logarithmic scale has no 0
    ends = smallest, max(float(shown["latency_p99"].max()), smallest)
    percentiles = [f"latency_p{at}" for at in (50, 90, 95, 99)]
    seconds = in_seconds(shown[percentiles].max())
    texts = [durations(shown[column], seconds=seconds) for column in percentiles]
    texts.append(durations(shown["generation_time_p50"]))
    rows = []
    for ((key, flag), row), times in zip(shown.iterrows(), zip(*texts, strict=True), strict=True):
        streamed = is_present(flag) and bool(flag)
        at = (float(row["latency_p50"]), float(row["latency_p90"]), float(row["latency_p99"]))
        speed = row["throughput_tok_s_p50"]
        rows.append(
            [
                name(key),
                ("yes" if flag else "no") if is_present(flag) else "unknown",
                svg.lane(at, ends, streamed=streamed),
                count(row["latency_n"]),
                *times,
                f"{speed:,.0f}" if is_present(speed) else "?",
            ]
        )
    numbers = ("Measured", "p50", "p90", "p95", "p99", "Total time p50", "Tokens/s p50")
    first = (Header(group.capitalize()), Header("Streamed"), Header("", "bar"))
    headers = [*first, *(Header(text, "n") for text in numbers)]
    about = (
        "Streamed: time to the first token. Not streamed: time to the complete response. Drawn on a logarithmic scale: "
        "a dot at p50, thick to p90, thin to p99."
    )
    if len(report) > len(shown):
        about += f" The {_MOST_GROUPS} largest of {len(report)} groups."
    return section(title, note(about), table(headers, rows))


def failure_table(df: pd.DataFrame) -> str:
    """Return the table of how generations ended and which provider attempts failed."""
    title = "Failures and fallbacks"
    report = failures_by(df, "provider_name")
    if report.empty:
        return section(title, _EMPTY)
    rows = [[name(key), *_cells(row, _FAILURES)] for key, row in report.head(_MOST_GROUPS).iterrows()]
    rest = report.iloc[_MOST_GROUPS:]
    if len(rest):
        rows.append([name(f"other ({len(rest)} more)"), *_cells(_failures_together(rest), _FAILURES)])
    sums = _failures_together(report)
    ended = ", ".join(
        f"{_ENDS.get(column) or column.removeprefix('finish_').replace('_', ' ')} {count(sums[column])}"
        for column in report.columns
        if column.startswith("finish_") and sums[column]
    )
    about = f"How generations ended: {ended}."
    if len(report) > _MOST_GROUPS:
        about += f" Of {len(report)} providers, the {_MOST_GROUPS} with the most failed attempts are listed."
    headers = [Header("Provider"), *(Header(text, "n") for text in _FAILURES)]
    return section(title, note(about), table(headers, rows, [name("total"), *_cells(sums, _FAILURES)]))


def _failures_together(report: pd.DataFrame) -> pd.Series[Any]:
    """Add the rows of a report of failures up."""
    sums = report.sum(numeric_only=True)
    sums["failed_attempt_share"] = sums["failed_attempts"] / sums["attempts"] if sums["attempts"] else None
    return sums


def _small(value: Any) -> str:
    """Write an amount with three significant digits."""
    return usd(float(f"{value:.3g}")) if is_present(value) and abs(value) < 1 else usd(value)


#: The page calls ids without a record missing.
_ENDS: Final[Mapping[str, str]] = MappingProxyType({"finish_missing": "without a reason"})
_FAILURES: Final[Formats] = MappingProxyType(
    {
        "Attempts": ("attempts", count),
        "Failed attempts": ("failed_attempts", count),
        "Share": ("failed_attempt_share", percent),
        "Fallbacks": ("fallbacks", count),
        "Failed attempt time": ("failed_attempt_ms", lambda value: duration(value) if is_present(value) else ""),
        "Generations": ("generations", count),
        "Failed": ("failed", count),
        "Cancelled": ("cancelled", count),
        "Cost of both": ("failed_cost_usd", lambda value: _small(value) if is_present(value) else ""),
    }
)


def _cells(row: pd.Series[Any], formats: Formats) -> list[str]:
    """Write the values of a row; nothing for those that it does not have, such as means in a row of sums."""
    return [write(row[column]) if column in row.index else "" for column, write in formats.values()]


def top_generations(df: pd.DataFrame, measure: str, title: str, tz: str) -> str:
    """Return the table of the generations with the largest values, each with a link to its log page."""
    ok = fetched_rows(df)
    chosen = ok.loc[ok[measure].gt(0).fillna(value=False).astype(bool)]
    chosen = chosen.sort_values(measure, ascending=False, kind="stable", na_position="last").head(_MOST_ROWS)
    if chosen.empty:
        return section(title, _EMPTY)
    zone = clock(tz)
    times = [durations(chosen[column]) for column in ("latency", "generation_time")]
    rows = []
    for (generation_id, row), latency, total in zip(chosen.iterrows(), *times, strict=True):
        created = row["created_at"]
        rows.append(
            [
                log_link(generation_id) if df.index.name == "id" else name(generation_id),
                created.tz_convert(zone).isoformat(" ", "minutes") if is_present(created) else "?",
                name(row["model"], 45),
                name(row["provider_name"], 30),
                usd(row["cost_usd"]),
                tokens(row["tokens_total"]),
                latency,
                total,
            ]
        )
    headers = [Header(text) for text in ("Generation", "Created", "Model", "Provider")]
    headers += [Header(text, "n") for text in ("Cost", "Tokens", "Latency", "Total time")]
    return section(title, table(headers, rows))


def coverage_table(df: pd.DataFrame) -> str:
    """Return the table of what the page covers, with advice about the rest."""
    covered = coverage(df)
    statuses = df["fetch_status"].value_counts() if "fetch_status" in df.columns else pd.Series(dtype="int64")
    rows = [
        ["Requested", count(covered["asked"]), ""],
        ["Fetched", count(covered["ok"]), "All figures cover these."],
        *(
            [name(str(status).replace("_", " ")), count(number), advice_for(str(status))]
            for status, number in statuses.items()
            if status != "ok"
        ),
        ["With unknown cost", count(covered["cost_unknown"]), "Fetched, but excluded from all sums of cost."],
        [
            "With your own provider keys",
            count(covered["byok"]),
            f"{percent(covered['byok_share'])} of those fetched." if covered["ok"] else "",
        ],
    ]
    return section("Coverage", table([Header("Ids"), Header("Number", "n"), Header("")], rows))


def glossary() -> str:
    """Explain each number, in the words of the field table."""
    terms = [(label, f"{FIELDS[field].meaning} {more}".strip()) for label, field, more in _FIELD_TERMS]
    return section("What the numbers mean", definitions([*terms, *_OTHER_TERMS]))
