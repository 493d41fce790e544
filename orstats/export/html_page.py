"""A report as a single HTML file to send or print, without scripts and external resources."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from typing import Final

import pandas as pd

from orstats.export import html_sections as sections
from orstats.export.html_change import change_section
from orstats.export.html_elements import escape, name
from orstats.export.output_file import Target
from orstats.frame.column_units import group_name
from orstats.frame.summary import SUMMARY_COLUMNS
from orstats.frame.validation import require
from orstats.reports.chart_data import fetched_rows
from orstats.reports.cost_tokens_latency import COST_COLUMNS
from orstats.reports.incomplete_periods import DataRange, data_range
from orstats.reports.periods import freq_of, utc_times
from orstats.text.format import plural
from orstats.text.sanitize import display_text
from orstats.text.time_zones import clock, zone_of

#: The columns that :func:`write_html` reads. DataFrames of only these need a third of the memory.
COLUMNS: Final = tuple(
    dict.fromkeys(
        (
            *SUMMARY_COLUMNS,
            *COST_COLUMNS,
            *("external_user", "finish_reason", "cancelled", "provider_responses"),
            *("streamed", "latency", "generation_time", "throughput_tok_s", "decode_tok_s"),
        )
    )
)
#: Columns of :func:`orstats.list_generations`, where they are joined.
_LABELS: Final = ("api_key", "user", "app", "workspace", "country")
_ENDINGS: Final = (".html", ".htm")
_TITLE: Final = "LLM cost report"
_LONGEST_TITLE: Final = 120
_SHORT: Final = pd.Timedelta(days=2)


def write_html(
    df: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    tz: str = "UTC",
    freq: str | None = None,
    compared: pd.DataFrame | None = None,
) -> None:
    """Write a report as one HTML page to open, send or print.

    It has headline figures, cost over time and per model, provider and user (and per API key, member or application,
    where `df` is joined with :func:`orstats.list_generations`), latency, failures, the most expensive
    and the slowest generations with links to their log pages, the coverage, and what each number means. The page has
    no scripts and loads nothing, and follows the reader's light or dark setting. Its size depends on the number of
    groups, not of rows. It contains ids and the names of models, providers and users, but no prompts or completions.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`, with all its columns. Rows that are not ``ok`` are counted in the coverage.
    path : str or os.PathLike
        The file to write; its name ends in ``.html`` or ``.htm``. An existing file is replaced.
    title : str, optional
        Heading of the page.
    tz : str
        Time zone of all times, in which days begin.
    freq : str, optional
        Period of the bars over time: ``h``, ``D``, ``W`` (from Monday), ``M``, ``Q`` or ``Y``. By default, days, or
        hours where the generations are of two days or less. A longer period is used where there would be more than
        1,000 bars.
    compared : pandas.DataFrame, optional
        From :func:`orstats.compare`, of an earlier period and `df`: adds a section about what changed, with a waterfall
        and the groups with the largest changes.

    Raises
    ------
    ConfigError
        Not a pandas DataFrame, a column is missing, `tz` or `freq` is unknown, or `compared` is not the result of
        ``compare``.
    ExportError
        The file cannot be written; an existing one is left unchanged.

    Examples
    --------
    >>> import tempfile, pathlib, orstats
    >>> with orstats.sim.SimServer(50) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "report.html")
    ...     write_html(df, file, title="November")
    ...     "<h1><bdi>November</bdi></h1>" in file.read_text("utf-8")
    True
    """
    target = Target(path, _ENDINGS)
    text = page(df, title=title, tz=tz, freq=freq, compared=compared)
    target.replace(lambda file: file.write(text.encode("utf-8", "replace")))


def page(
    df: pd.DataFrame,
    *,
    title: str | None = None,
    tz: str = "UTC",
    freq: str | None = None,
    compared: pd.DataFrame | None = None,
) -> str:
    """Return the text of the page that :func:`write_html` writes."""
    given, df = df, require(df, COLUMNS, unique=True)
    zone = zone_of(tz)
    known_range = data_range(given, fetched_rows(df)["created_at"])
    freq = _usual_freq(known_range) if freq is None else freq_of(freq)
    style = resources.files("orstats.export").joinpath("html_page.css").read_text("utf-8")
    # Only this style sheet applies. Nothing runs and nothing is loaded, whatever else might get onto the page.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    heading = _TITLE if title is None else title
    body = [
        f"<h1>{name(heading, _LONGEST_TITLE)}</h1>",
        f'<p class="soft">{escape(_about(df, zone))}</p>',
        sections.headline(df),
        *([] if compared is None else [change_section(compared)]),
        sections.over_time(df, freq, zone, known_range),
        sections.cost_table(df, "model", "Cost per model"),
        sections.cost_table(df, "provider_name", "Cost per provider"),
    ]
    if fetched_rows(df)["external_user"].notna().any():
        body.append(sections.cost_table(df, "external_user", "Cost per user"))
    body += [sections.cost_table(df, label, f"Cost per {group_name(label)}") for label in _LABELS if label in df]
    body += [
        sections.latency_table(df, "model", "model"),
        sections.latency_table(df, "provider_name", "provider"),
        sections.failure_table(df),
        sections.top_generations(df, "cost_usd", "The ten most expensive generations", zone),
        sections.top_generations(df, "generation_time", "The ten slowest generations", zone),
        sections.coverage_table(df),
        sections.glossary(),
    ]
    head = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer"><meta name="generator" content="orstats">',
        f"<title>{escape(display_text(heading, _LONGEST_TITLE))}</title>",
        f"<style>{style}</style></head><body>",
    ]
    return "\n".join([*head, *body, "</body></html>\n"])


def _usual_freq(known: DataRange) -> str:
    """Return the period of the bars: hours for a day or two, of which there would be a bar or two."""
    is_short = known.first is not None and known.last is not None and known.last - known.first <= _SHORT
    return "hour" if is_short else "day"


def _about(df: pd.DataFrame, zone: str) -> str:
    ok = fetched_rows(df)
    number = plural(len(ok), "generation")
    created = pd.Series(utc_times(ok["created_at"])).dt.tz_localize("UTC").dropna()
    if created.empty:
        return f"{number}. Times in {zone}."
    first, last = (moment.tz_convert(clock(zone)).strftime("%d %B %Y") for moment in (created.min(), created.max()))
    span = first if first == last else f"{first} to {last}"
    return f"{number}, {span}. Times in {zone}."
