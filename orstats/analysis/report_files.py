"""Reports as files that carry their coverage: Excel, Markdown and JSON for people, and CSV, Parquet, JSON Lines."""

from __future__ import annotations

import datetime as dt
import html
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Final

import numpy as np
import orjson
import pandas as pd

from orstats.analysis.cells import PERIOD, named_columns, one_value
from orstats.analysis.export import json_rows, write_csv
from orstats.analysis.target import Target
from orstats.api.errors import ExportError, MissingExtraError
from orstats.data.frame.validation import check_duplicates, require_pandas
from orstats.data.wording import count, known, milliseconds, percent, usd, visible

#: The endings that :func:`write_report` knows.
ENDINGS: Final = (".csv", ".csv.gz", ".parquet", ".jsonl", ".ndjson", ".xlsx", ".md", ".json")

_JSON: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
# What Excel's files cannot hold, and how much of a text one cell can.
_NOT_IN_XLSX: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_XLSX_CELL: Final = 32_767
_XLSX_YEAR: Final = 1900
#: How Excel shows periods that are days to it; others are text.
_XLSX_DATES: Final = {"day": "yyyy-mm-dd", "week": "yyyy-mm-dd", "month": "yyyy-mm"}
_XLSX_ROWS: Final = 1_048_576
# What Markdown, or GitHub's kind of it, would not take for plain text.
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]#|~$@!(){}])")
_ADDRESS: Final = re.compile(r"(?i)(?<=http)(s?):|(?<=www)\.")


def write_report(report: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    r"""Write a report to a file, together with what it covers.

    Parameters
    ----------
    report
        From :func:`orstats.cost_by`, ``tokens_by``, ``latency_by`` or ``failures_by`` of a pandas frame. A frame
        without ``.attrs["coverage"]`` is written without it.
    path
        The ending decides:

        - ``.csv``, ``.csv.gz``, ``.parquet``, ``.jsonl`` or ``.ndjson``: as :func:`orstats.write_csv`, with the
          coverage in columns ``coverage_asked``, ``coverage_ok`` … at the end, the same in each row. An empty report
          has one row then, with nothing but its coverage. The coverage of a report over time names the time zone of
          its periods (``coverage_tz``), here and in the other formats.
        - ``.xlsx``: sheets ``report`` and ``coverage``. Text is text, never a formula. Needs ``orstats[excel]``.
        - ``.md``: a table for people, amounts rounded, and the coverage below. Strangers' text is escaped.
        - ``.json``: an object with ``report``, a list of rows, and ``coverage``.

    Raises
    ------
    ConfigError
        Not a pandas frame.
    ExportError
        Unknown ending, or the file cannot be written; an existing one is then unchanged.
    MissingExtraError
        openpyxl is not installed.

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
    target = Target(os.fspath(path), ENDINGS)
    coverage: Mapping[str, Any] = report.attrs.get("coverage", {})
    match target.ending:
        case ".xlsx":
            target.replace(lambda file: _write_xlsx(report, coverage, file, target.path))
        case ".md":
            target.replace(lambda file: file.write(markdown(report, coverage).encode("utf-8", "replace")))
        case ".json":
            found = {"report": list(json_rows(report)), "coverage": dict(coverage)}
            target.replace(lambda file: file.write(orjson.dumps(found, default=_text, option=_JSON)))
        case _:
            write_csv(_with_coverage(report, coverage), path)


def markdown(report: pd.DataFrame, coverage: Mapping[str, Any]) -> str:
    """Return a report as a Markdown table, with its coverage below."""
    columns = named_columns(report)
    texts = [[cell(name, value) for value in column.to_list()] for name, column in columns]
    numeric = [pd.api.types.is_numeric_dtype(column.dtype) and column.dtype != "boolean" for _, column in columns]
    # Our own figures need no escape but that of < 0.1 %.
    made = [
        [html.escape(text) if figure else _plain(text) for text in cells]
        for figure, cells in zip(numeric, texts, strict=True)
    ]
    lines = [[name if name.isidentifier() else _plain(name) for name, _ in columns], *zip(*made, strict=True)]
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    rows.insert(1, "| " + " | ".join("--:" if number else ":--" for number in numeric) + " |")
    if coverage:
        said = " · ".join(f"{name.replace('_', ' ')} {cell(name, value)}" for name, value in coverage.items())
        rows += ["", f"Coverage: {said}"]
    return "\n".join(rows) + "\n"


def cell(name: str, value: Any) -> str:
    """Write a value of a report for people, by the name of its column.

    Examples
    --------
    >>> cell("cost_usd", 1.5), cell("share", 0.25), cell("latency_p50", 727.4), cell("tried", 1200), cell("model", None)
    ('$1.5000', '25.0%', '727 ms', '1,200', '(none)')
    """
    figure = next((write for ends, write in _FIGURES if name.endswith(ends)), None)
    if not known(value):
        return "(none)" if figure is None else ""
    match value:
        case bool() | np.bool_():
            return "yes" if value else "no"
        case pd.Timestamp():
            return value.isoformat(" ", "minutes")
        case int() | float() | np.number():
            return (figure or count)(value)
        case _:
            return visible(value, 200)


def _number(value: Any) -> str:
    return f"{value:,.1f}"


#: How figures are written, by the end of their column's name; the first that fits.
_FIGURES: Final[tuple[tuple[tuple[str, ...], Callable[[Any], str]], ...]] = (
    (("_usd",), usd),
    (("usd_per_mtok",), lambda value: f"{value:,.3f}"),
    (("share", "_rate"), percent),
    (("tok_s_p50", "tok_s_p90", "tok_s_p95", "tok_s_p99"), _number),
    (("_ms", "_p50", "_p90", "_p95", "_p99"), milliseconds),
    (("generations", "_total", "_n", "_unknown", "tried", "refused", "unserved", "cancelled", "failed"), count),
    (("_prompt", "_completion", "_reasoning", "_cached", "fallen_back_from"), count),
)


def _plain(text: str) -> str:
    """Escape text for Markdown: no markup, no HTML, no cell of its own, no link."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ADDRESS.sub(
        lambda match: match[0].replace(":", "&#58;").replace(".", "&#46;"), _MARKDOWN.sub(r"\\\1", safe)
    )


def _with_coverage(report: pd.DataFrame, coverage: Mapping[str, Any]) -> pd.DataFrame:
    if not coverage:
        return report
    whole = report
    if report.empty:
        index = [[None]] * report.index.nlevels
        labels = pd.MultiIndex.from_arrays(index) if report.index.nlevels > 1 else pd.Index(index[0], dtype=object)
        whole = report.reindex(labels).rename_axis(report.index.names)
    numbers = {f"coverage_{name}": math.nan if value is None else value for name, value in coverage.items()}
    return whole.assign(**numbers)


def _write_xlsx(report: pd.DataFrame, coverage: Mapping[str, Any], file: IO[bytes], path: str) -> None:
    try:
        from openpyxl import Workbook  # noqa: PLC0415 - an extra
        from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Writing .xlsx", extra="excel") from error
    if len(report) >= _XLSX_ROWS:
        raise ExportError(f"{path}: Excel holds {_XLSX_ROWS - 1:,} rows; write it as .csv.", path=path)
    book = Workbook(write_only=True)

    def add(sheet: Any, values: Iterator[Any]) -> None:
        cells = []
        for value in values:
            made = WriteOnlyCell(sheet)
            made.value = value
            if type(value) is dt.date and date_format is not None:
                made.number_format = date_format
            if isinstance(value, str):
                made.data_type = "s"  # openpyxl takes text that begins with = for a formula
                made.quotePrefix = True  # and so would Excel, once somebody edits the cell
            cells.append(made)
        sheet.append(cells)

    columns = named_columns(report)
    date_format = _XLSX_DATES.get(str(coverage.get("freq")))
    sheet = book.create_sheet("report")
    sheet.freeze_panes = "A2"
    add(sheet, (_xlsx(name) for name, _ in columns))
    values = [
        _dates(column) if name == PERIOD and date_format is not None else map(_xlsx, column.to_list())
        for name, column in columns
    ]
    for row in zip(*values, strict=True):
        add(sheet, iter(row))
    about = book.create_sheet("coverage")
    for name, value in coverage.items():
        add(about, iter((_xlsx(name), _xlsx(value))))
    book.save(file)


def _dates(periods: pd.Series[Any]) -> Iterator[Any]:
    """Return the days on which periods start, from their names; names stay where Excel has no such day."""
    for name in periods:
        try:
            day = dt.date.fromisoformat(f"{name}-01"[:10])
        except ValueError:
            yield _xlsx(name)
        else:
            yield day if day.year >= _XLSX_YEAR else _xlsx(name)


def _xlsx(value: Any) -> Any:
    if not known(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.tz_localize(None).to_pydatetime(warn=False)  # Excel knows no time zones: the wall clock
    text, number = one_value(value.item() if hasattr(value, "item") else value)
    if isinstance(value, bool) or hasattr(value, "item") or number:
        plain = value.item() if hasattr(value, "item") else value
        return plain if number is False or abs(float(plain)) != float("inf") else text
    return _NOT_IN_XLSX.sub("", text)[:_XLSX_CELL]


def _text(value: Any) -> str:
    return one_value(value)[0]
