"""One page to send to somebody: a report as a single HTML file, without scripts and without anything to load."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from typing import Final

import pandas as pd

from orstats.export import html_sections as parts
from orstats.export.atomic_file import Target
from orstats.export.html_elements import escape, name
from orstats.frame.summary import SUMMARY_COLUMNS
from orstats.frame.validation import require
from orstats.reports.chart_data import fetched_rows
from orstats.reports.cost_tokens_latency import COST_COLUMNS
from orstats.reports.periods import freq_of, utc_times
from orstats.text.format import count
from orstats.text.sanitize import display_text
from orstats.text.time_zones import clock, zone_of

#: What :func:`write_html` reads. Frames that have only these need a third of the memory.
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
_ENDINGS: Final = (".html", ".htm")
_TITLE: Final = "What the generations cost"
_LONGEST_TITLE: Final = 120


def write_html(
    df: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    tz: str = "UTC",
    freq: str = "D",
) -> None:
    """Write a report as one HTML page: to open, to send, or to print.

    Headline figures, cost over time, per model, provider and user, latency, failures, the costliest and the slowest
    generations with links to the vendor's page of each, the coverage, and what each number means. The page holds no
    script and loads nothing; its style follows the reader's light or dark setting. Its size depends on the number of
    groups, not of rows. Prompts and completions are not in it; model, provider and user names and ids are.

    Parameters
    ----------
    df
        From :func:`orstats.fetch`, with all its columns. Rows that are not ``ok`` are counted in the coverage.
    path
        The file to write; its name ends in ``.html`` or ``.htm``. An existing file is replaced.
    title
        Heading of the page.
    tz
        Time zone of all times, and in which days begin.
    freq
        ``h``, ``D``, ``W`` (from Monday), ``M``, ``Q`` or ``Y``: length of the bars over time. A longer one is taken
        where there would be more than 200 bars.

    Raises
    ------
    ConfigError
        Not a pandas frame, a column is missing, or `tz` or `freq` is unknown.
    ExportError
        The file cannot be written; an existing one is then unchanged.

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
    target = Target(os.fspath(path), _ENDINGS)
    text = page(df, title=title, tz=tz, freq=freq)
    target.replace(lambda file: file.write(text.encode("utf-8", "replace")))


def page(df: pd.DataFrame, *, title: str | None = None, tz: str = "UTC", freq: str = "D") -> str:
    """Return the text of the page that :func:`write_html` writes."""
    df = require(df, COLUMNS, unique=True)
    freq_of(freq)
    zone = zone_of(tz)
    style = resources.files("orstats.export").joinpath("html_page.css").read_text("utf-8")
    # Only this very style sheet may apply: nothing runs and nothing is loaded, whatever else would get onto the page.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    heading = _TITLE if title is None else title
    body = [
        f"<h1>{name(heading, _LONGEST_TITLE)}</h1>",
        f'<p class="soft">{escape(_about(df, zone))}</p>',
        parts.headline(df),
        parts.over_time(df, freq, zone),
        parts.cost_table(df, "model", "Cost per model"),
        parts.cost_table(df, "provider_name", "Cost per provider"),
    ]
    if fetched_rows(df)["external_user"].notna().any():
        body.append(parts.cost_table(df, "external_user", "Cost per user"))
    body += [
        parts.latency_table(df),
        parts.failure_tables(df),
        parts.most_by(df, "cost_usd", "The ten costliest generations", zone),
        parts.most_by(df, "generation_time", "The ten slowest generations", zone),
        parts.coverage_table(df),
        parts.meanings(),
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


def _about(df: pd.DataFrame, zone: str) -> str:
    made = f"{count(len(fetched_rows(df)))} generations"
    created = pd.Series(utc_times(fetched_rows(df)["created_at"])).dt.tz_localize("UTC").dropna()
    if created.empty:
        return f"{made}. Times in {zone}."
    first, last = (moment.tz_convert(clock(zone)).strftime("%d %B %Y") for moment in (created.min(), created.max()))
    span = first if first == last else f"{first} to {last}"
    return f"{made}, {span}. Times in {zone}."
