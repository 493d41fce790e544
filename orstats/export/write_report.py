"""Reports as files with their coverage: Excel, Markdown and JSON for people; CSV, Parquet and JSON Lines."""

from __future__ import annotations

import html
import math
import os
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd

from orstats.errors import ConfigError
from orstats.export.output_file import Target
from orstats.export.write_csv import json_rows, json_text, write_csv
from orstats.frame.column_texts import formatted_columns
from orstats.frame.column_units import unit
from orstats.frame.validation import check_duplicates, require_pandas
from orstats.text.format import count, is_present, percent
from orstats.text.sanitize import NO_VALUE, display_text

#: The endings that :func:`write_report` knows.
ENDINGS: Final = (".csv", ".csv.gz", ".parquet", ".jsonl", ".ndjson", ".xlsx", ".md", ".json")

_JSON: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
# Characters with a meaning in Markdown or in GitHub's dialect of it.
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]#|~$@!(){}])")
_ADDRESS: Final = re.compile(r"(?i)(?<=http)(s?):|(?<=www)\.")


def write_report(report: pd.DataFrame, path: str | os.PathLike[str], *, dialect: str = "plain") -> None:
    r"""Write a report to a file, together with what it covers.

    Parameters
    ----------
    report : pandas.DataFrame
        From :func:`orstats.cost_by`, ``tokens_by``, ``latency_by`` or ``failures_by``, or any other, such as from
        :func:`orstats.fetch`. Without ``.attrs["coverage"]`` the coverage is omitted, except that the workbook of
        fetched rows computes it.
    path : str or os.PathLike
        The ending decides:

        - ``.csv``, ``.csv.gz``, ``.parquet``, ``.jsonl`` or ``.ndjson``: as :func:`orstats.write_csv`, with the
          coverage in columns ``coverage_asked``, ``coverage_ok`` … at the end, the same in each row. An empty report
          then has one row, with only its coverage. The coverage of a report over time includes the time zone of its
          periods (``coverage_tz``), here and in the other formats.
        - ``.xlsx``: a workbook with headings such as ``Cost (USD)``, formatted numbers, a filter and a frozen header.
          Below an empty row are the totals of the filtered rows, with a note on what they exclude. Text stays text,
          never a formula, and times are in UTC. The sheet ``coverage`` also has the source, the time range, the time
          of writing, and the remarks of the report (``.attrs["note"]``). :func:`orstats.read` reads workbooks of
          fetched rows. Needs ``orstats[excel]``.
        - ``.md``: a table with formatted numbers, and the coverage below. Untrusted text is escaped.
        - ``.json``: an object with ``report``, a list of rows, and ``coverage``.

    dialect : {"plain", "excel", "excel-eu"}
        CSV only, as for :func:`orstats.write_csv`.

    Raises
    ------
    ConfigError
        Not a pandas DataFrame, or an unknown dialect.
    ExportError
        Unknown ending, or the file cannot be written; an existing one is left unchanged.
    MissingExtraError
        XlsxWriter is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> report = pd.DataFrame({"cost_usd": [1.5]}, index=pd.Index(["a|b"], name="model"))
    >>> report.attrs["coverage"] = {"asked": 2, "ok": 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "report.md")
    ...     write_report(report, file)
    ...     print(file.read_text("utf-8"))
    | model | cost_usd |
    | :-- | --: |
    | a\|b | $1.5000 |
    <BLANKLINE>
    Coverage: asked 2 · ok 1
    <BLANKLINE>
    """
    require_pandas(report)
    report = check_duplicates(report)
    target = Target(path, ENDINGS)
    coverage: Mapping[str, Any] = report.attrs.get("coverage", {})
    if target.ending not in (".md", ".json"):
        write_csv(report if target.ending == ".xlsx" else _with_coverage(report, coverage), path, dialect=dialect)
    elif dialect != "plain":
        raise ConfigError(f"dialect={dialect!r} applies to CSV, not to {target.path}.")
    elif target.ending == ".md":
        target.replace(lambda file: file.write(markdown(report, coverage).encode("utf-8", "replace")))
    else:
        found = {"report": list(json_rows(report)), "coverage": dict(coverage)}
        target.replace(lambda file: file.write(orjson.dumps(found, default=json_text, option=_JSON)))


def markdown(report: pd.DataFrame, coverage: Mapping[str, Any]) -> str:
    """Return a report as a Markdown table, with its coverage below."""
    labels, columns = formatted_columns(report)
    numeric = [False] * len(labels) + [column.dtype.kind in "iuf" for _, column in report.items()]
    # Formatted numbers need no escape, except that of < 0.1 %.
    cells = [
        [html.escape(text) if is_number else _plain(text) for text in column.cells]
        for is_number, column in zip(numeric, [*labels, *columns], strict=True)
    ]
    names = [name if name.isidentifier() else _plain(name) for name in (column.name for column in [*labels, *columns])]
    rows = ["| " + " | ".join(row) + " |" for row in (names, *zip(*cells, strict=True))]
    rows.insert(1, "| " + " | ".join("--:" if is_number else ":--" for is_number in numeric) + " |")
    if coverage:
        facts = " · ".join(f"{name.replace('_', ' ')} {_fact(name, value)}" for name, value in coverage.items())
        rows += ["", f"Coverage: {facts}"]
    return "\n".join(rows) + "\n"


def _fact(name: str, value: Any) -> str:
    if not is_present(value):
        return NO_VALUE
    if isinstance(value, int | float | np.number):
        return percent(value) if unit(name) == "share" else count(value)
    return display_text(value, 200)


def _plain(text: str) -> str:
    """Escape text for Markdown: no markup, no HTML, no cell of its own, no link."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ADDRESS.sub(
        lambda match: match[0].replace(":", "&#58;").replace(".", "&#46;"), _MARKDOWN.sub(r"\\\1", safe)
    )


def _with_coverage(report: pd.DataFrame, coverage: Mapping[str, Any]) -> pd.DataFrame:
    if not coverage:
        return report
    if report.empty:
        index = [[None]] * report.index.nlevels
        labels = pd.MultiIndex.from_arrays(index) if report.index.nlevels > 1 else pd.Index(index[0], dtype=object)
        report = report.reindex(labels).rename_axis(report.index.names)
    numbers = {f"coverage_{name}": math.nan if value is None else value for name, value in coverage.items()}
    return report.assign(**numbers)
