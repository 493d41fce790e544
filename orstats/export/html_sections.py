"""The sections of the page, each from a frame to HTML."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from orstats.export import svg as draw
from orstats.export.html_elements import Column, cards, log_link, name, note, section, table, words
from orstats.frame.schema import FIELDS
from orstats.frame.status import advice_for
from orstats.frame.summary import summary
from orstats.reports.chart_data import fetched_rows, timeline
from orstats.reports.cost_tokens_latency import cost_by, latency_by
from orstats.reports.coverage import coverage
from orstats.reports.failures import failures_by
from orstats.reports.periods import freq_of
from orstats.text.format import (
    cost_parts,
    count,
    duration,
    durations,
    in_seconds,
    is_present,
    percent,
    tokens,
    usd,
    usd_per_mtok,
    usd_places,
)
from orstats.text.time_zones import clock

_MOST_GROUPS: Final = 15
_MOST_ROWS: Final = 10
_NOTHING: Final = "Nothing to show."
_SHORTEST_MS: Final = 1.0

#: What the page's words mean, where they are not fields.
_WORDS: Final = (
    ("Cost", "cost_usd", "Rows of unknown cost are counted, never taken for 0."),
    ("From credits", "total_cost", ""),
    ("Charged by providers", "upstream_inference_cost", ""),
    ("Saved by caching", "cache_discount", "Negative where writing to the cache cost more than it saved."),
    ("Tokens", "tokens_total", "Native tokens: what is billed."),
    ("$/Mtok", "usd_per_mtok", "Over generations of which both are known."),
    ("Latency", "latency", ""),
    ("Whole time", "generation_time", ""),
)
_OWN_WORDS: Final = (
    ("p50, p90, p95, p99", "Half, 90 %, 95 % and 99 % of the generations took at most so long."),
    ("Refused", "An attempt at a provider that did not give the answer. Its time is not in the latency."),
    ("Failed", "Generations that ended with the finish reason error."),
    ("Pending", "Ids too recent to be available; excluded from all figures."),
    ("Missing", "Ids whose record could not be had; they are in no figure."),
)


def headline(df: pd.DataFrame) -> str:
    """Make the cards with the figures that are asked for first."""
    totals = summary(df)["value"]
    spent = totals["cost_usd"]
    places = usd_places(spent if is_present(spent) else totals["charged_usd"])
    parts = cost_parts(totals.to_dict(), places)
    if totals["cost_unknown"]:  # what is known of these is in the parts, which are more than the whole then
        parts = f"{count(totals['cost_unknown'])} of unknown cost not in it; with these {parts}"
    prompt, completion = totals["native_tokens_prompt"], totals["native_tokens_completion"]
    ok = fetched_rows(df)
    total = ok["tokens_total"].sum(min_count=1)  # as the tables below add up: of what says both
    saved = ok["cache_discount"].sum(min_count=1)
    figures = [
        ("Cost", usd(spent, places) if is_present(spent) and spent else usd(spent), parts),
        ("Generations", count(totals["ok"]), f"of {count(totals['asked'])} requested"),
        (
            "Tokens",
            tokens(total) if is_present(total) else "unknown",
            f"prompt {tokens(prompt)}, completion {tokens(completion)}",
        ),
        _first_token(df),
        _refused(df),
        (
            "Saved by caching",
            usd(saved) if is_present(saved) else "nothing said",
            "taken off the charge by cached prompts",
        ),
    ]
    return cards(figures)


def _first_token(df: pd.DataFrame) -> tuple[str, str, str]:
    times = latency_by(df, None)
    for streamed, row in times.iterrows():
        if is_present(streamed) and bool(streamed) and row["latency_n"]:
            more = f"95 % within {duration(row['latency_p95'])}; {count(row['latency_n'])} streamed generations"
            return "Median time to first token", duration(row["latency_p50"]), more
    return "Median time to first token", "unknown", "no streamed generations"


def _refused(df: pd.DataFrame) -> tuple[str, str, str]:
    fails = failures_by(df, "provider_name")
    attempts, failed_attempts = int(fails["attempts"].sum()), int(fails["failed_attempts"].sum())
    failed, made = int(fails["failed"].sum()), int(fails["generations"].sum())
    share = percent(failed / made) if made else "unknown"
    more = f"{count(failed_attempts)} of {count(attempts)} provider attempts failed"
    return "Failed generations", share, more


def over_time(df: pd.DataFrame, freq: str, tz: str) -> str:
    """Draw the cost over time."""
    title = "Cost over time"
    bars = timeline(fetched_rows(df), ["model"], "cost_usd", freq=freq, tz=tz, most=draw.MOST)
    if bars is None or not bars.amounts.any():
        return section(title, note(_NOTHING))
    about = f"Cost by {bars.unit} in {tz} and model"
    if bars.unit != freq_of(freq):
        about += f" (by {freq_of(freq)} there would be too many bars)"
    return section(title, f"<figure>{draw.stacked_dollars(bars, about)}<figcaption>{about}.</figcaption></figure>")


def cost_table(df: pd.DataFrame, by: str, title: str) -> str:
    """Make the table of cost by a column, dearest first."""
    report = cost_by(df, by)
    if report.empty:
        return section(title, note(_NOTHING))
    total = report["cost_usd"].sum(min_count=1)
    places = usd_places(total)
    largest = report["cost_usd"].max()
    unknown = bool(report["cost_unknown"].any())
    columns = [Column(title.rpartition(" ")[2].capitalize()), Column("", "bar"), Column("Cost", "n")]
    columns += [Column(text, "n") for text in ("Share", "Generations", "Tokens", "$/Mtok", "Mean", "p95")]
    if unknown:
        columns.append(Column("Cost unknown", "n"))
    rows = []
    for key, row in report.head(_MOST_GROUPS).iterrows():
        amount = row["cost_usd"]
        cells = [name(key), draw.bar(float(amount) / float(largest)) if is_present(amount) and largest > 0 else ""]
        cells += [usd(amount, places), percent(row["share"]), count(row["generations"]), tokens(row["tokens_total"])]
        cells += [usd_per_mtok(row["usd_per_mtok"]), _small(row["mean_usd"]), _small(row["p95_usd"])]
        rows.append([*cells, *([count(row["cost_unknown"])] if unknown else [])])
    rest = report.iloc[_MOST_GROUPS:]
    if len(rest):
        rows.append(_sums(f"other ({len(rest)} more)", rest, places, total, unknown=unknown))
    return section(title, table(columns, rows, _sums("total", report, places, total, unknown=unknown)))


def _sums(label: str, report: pd.DataFrame, places: int, total: Any, *, unknown: bool) -> list[str]:
    amount = report["cost_usd"].sum(min_count=1)
    share = percent(amount / total) if is_present(total) and is_present(amount) and total > 0 else ""
    sums = [name(label), "", usd(amount, places), share, count(report["generations"].sum())]
    sums += [tokens(report["tokens_total"].sum(min_count=1)), "", "", ""]
    return [*sums, *([count(report["cost_unknown"].sum())] if unknown else [])]


def latency_table(df: pd.DataFrame) -> str:
    """Make the table of latency by model, streamed and other generations apart."""
    title = "Latency per model"
    report = latency_by(df, "model")
    report = report.loc[report["latency_n"] > 0]
    if report.empty:
        return section(title, note(_NOTHING))
    shown = report.head(_MOST_GROUPS)
    smallest = max(float(shown["latency_p50"].min()), _SHORTEST_MS)  # a logarithmic scale has no 0
    largest = max(float(shown["latency_p99"].max()), smallest)
    columns = [Column("Model"), Column("Streamed"), Column("", "bar"), Column("Generations", "n")]
    columns += [Column(text, "n") for text in ("p50", "p90", "p95", "p99", "Whole time p50", "Tokens/s p50")]
    rows = []
    percentiles = [f"latency_p{at}" for at in (50, 90, 95, 99)]
    seconds = in_seconds(shown[percentiles].max())
    texts = [durations(shown[name], seconds=seconds) for name in percentiles]
    texts.append(durations(shown["generation_time_p50"]))
    for ((model, flag), row), cells_of_times in zip(shown.iterrows(), zip(*texts, strict=True), strict=True):
        streamed = is_present(flag) and bool(flag)
        times = (float(row["latency_p50"]), float(row["latency_p90"]), float(row["latency_p99"]))
        picture = draw.lane(times, (smallest, largest), streamed=streamed)
        said = ("yes" if flag else "no") if is_present(flag) else "not said"
        cells = [name(model), said, picture, count(row["latency_n"])]
        speed = row["throughput_tok_s_p50"]
        rows.append([*cells, *cells_of_times, f"{speed:,.0f}" if is_present(speed) else "?"])
    more = f" The {_MOST_GROUPS} largest of {len(report)} groups." if len(report) > len(shown) else ""
    text = "Streamed: time to the first token. Not streamed: time to the whole answer. Drawn on a logarithmic scale: "
    return section(title, note(f"{text}a dot at p50, thick to p90, thin to p99.{more}"), table(columns, rows))


def failure_tables(df: pd.DataFrame) -> str:
    """Make the tables of how generations ended and which provider attempts failed."""
    title = "Failures and fallbacks"
    report = failures_by(df, "provider_name")
    if report.empty:
        return section(title, note(_NOTHING))
    heads = (
        *("Attempts", "Failed attempts", "Share", "Fallbacks", "Failed attempt time"),
        *("Generations", "Failed", "Cancelled", "Failed cost"),
    )
    columns = [Column("Provider"), *(Column(text, "n") for text in heads)]
    rows = [[name(key), *_failure_cells(row)] for key, row in report.head(_MOST_GROUPS).iterrows()]
    sums = report.sum(numeric_only=True)
    sums["failed_attempt_share"] = sums["failed_attempts"] / sums["attempts"] if sums["attempts"] else None
    top = f"The {_MOST_GROUPS} of {len(report)} providers with the most failed attempts."
    more = top if len(report) > _MOST_GROUPS else ""
    reasons = {
        column.removeprefix("finish_").replace("_", " "): int(sums[column])
        for column in report.columns
        if column.startswith("finish_")
    }
    ended = ", ".join(f"{reason} {count(number)}" for reason, number in reasons.items() if number)
    about = f"How generations ended: {ended}. {more}"
    return section(title, note(about), table(columns, rows, [name("total"), *_failure_cells(sums)]))


def _failure_cells(row: pd.Series[Any]) -> list[str]:
    return [
        count(row["attempts"]),
        count(row["failed_attempts"]),
        percent(row["failed_attempt_share"]),
        count(row["fallbacks"]),
        duration(row["failed_attempt_ms"]) if is_present(row["failed_attempt_ms"]) else "",
        count(row["generations"]),
        count(row["failed"]),
        count(row["cancelled"]),
        _small(row["failed_cost_usd"]) if is_present(row["failed_cost_usd"]) else "",
    ]


def most_by(df: pd.DataFrame, measure: str, title: str, tz: str) -> str:
    """Make the table of the generations with the most of a measure, each linked to the vendor's page of it."""
    ok = fetched_rows(df)
    chosen = ok.loc[ok[measure].gt(0).fillna(value=False).astype(bool)]
    chosen = chosen.sort_values(measure, ascending=False, kind="stable", na_position="last").head(_MOST_ROWS)
    if chosen.empty:
        return section(title, note(_NOTHING))
    heads = ("Cost", "Tokens", "Latency", "Whole time")
    columns = [Column("Generation"), Column("Created"), Column("Model"), Column("Provider")]
    rows = []
    times = [durations(chosen[name]) for name in ("latency", "generation_time")]
    for (generation_id, row), latency, whole in zip(chosen.iterrows(), *times, strict=True):
        created = (
            row["created_at"].tz_convert(clock(tz)).isoformat(" ", "minutes") if is_present(row["created_at"]) else "?"
        )
        rows.append(
            [
                log_link(generation_id) if df.index.name == "id" else name(generation_id),
                created,
                name(row["model"], 45),
                name(row["provider_name"], 30),
                usd(row["cost_usd"]),
                tokens(row["tokens_total"]),
                latency,
                whole,
            ]
        )
    return section(title, table([*columns, *(Column(text, "n") for text in heads)], rows))


def coverage_table(df: pd.DataFrame) -> str:
    """Make the table of what the page covers, and what to do about the rest."""
    known_of = coverage(df)
    rows = [
        ["Requested", count(known_of["asked"]), ""],
        ["Fetched", count(known_of["ok"]), "All figures are of these."],
    ]
    if "fetch_status" in df.columns:
        found = df["fetch_status"].value_counts()
        rows += [
            [name(str(status).replace("_", " ")), count(number), advice_for(str(status))]
            for status, number in found.items()
            if status != "ok"
        ]
    rows += [
        ["Of unknown cost", count(known_of["cost_unknown"]), "Fetched, but in no sum of cost."],
        ["With own provider keys", count(known_of["byok"]), f"{percent(known_of['byok_share'])} of those fetched."],
    ]
    if not known_of["ok"]:
        rows[-1][-1] = ""
    return section("Coverage", table([Column("Ids"), Column("Number", "n"), Column("")], rows))


def meanings() -> str:
    """Say what each number means, in the words of the field table."""
    fields = [(label, f"{FIELDS[field].meaning} {more}".strip()) for label, field, more in _WORDS]
    return section("What the numbers mean", words([*fields, *_OWN_WORDS]))


def _small(value: Any) -> str:
    """Write an amount with three digits that say something."""
    return usd(float(f"{value:.3g}")) if is_present(value) and abs(value) < 1 else usd(value)
