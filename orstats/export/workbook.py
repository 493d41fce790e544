"""DataFrames and reports as Excel workbooks: formatted, with totals, and with a sheet that says what they cover."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping
from itertools import accumulate
from textwrap import wrap
from types import MappingProxyType
from typing import IO, Any, Final

import pandas as pd

from orstats._version import __version__
from orstats._warn import warn_caller
from orstats.errors import ExportError, MissingExtraError
from orstats.export.workbook_cells import MAX_TEXT, CellValues, day_number, plain_value
from orstats.export.workbook_columns import TEXT_FORMAT, TIME_FORMAT, SheetColumn, sheet_columns
from orstats.frame.column_units import heading
from orstats.frame.display import ReportFrame
from orstats.frame.schema import ID
from orstats.reports.coverage import coverage, provenance
from orstats.text.workbook_totals import COVERAGE, EXCLUDED, TOTAL

#: Rows of a sheet, less the header, an empty row, the totals and the note.
MAX_ROWS: Final = 1_048_576 - 4
_SLICE: Final = 20_000
# Without it, LibreOffice shows flags as 1 and 0.
_FLAG: Final = '"TRUE";"TRUE";"FALSE"'
#: The width of the facts on the sheet ``coverage``, in characters, and the height of a line, in points.
_FACT_WIDTH: Final = 44
_LINE: Final = 15
#: As many characters as can be read when a sheet is printed one page wide. Of a wider one the first columns are.
_PRINTED_WIDTH: Final = 320
#: Rows below a table: an empty one, the totals, and the note about them.
_ROWS_BELOW: Final = 3
#: Without the indent, a text touches the number in the cell before it.
_LEFT: Final[Mapping[str, Any]] = MappingProxyType({"align": "left", "indent": 1})
_RIGHT: Final[Mapping[str, Any]] = MappingProxyType({"align": "right"})

_MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "asked": "ids requested",
        "ok": "ids with a record",
        "pending": "ids whose record is not yet available; excluded from all sums",
        "missing": "ids without a record because the request failed; excluded from all sums",
        "cost_unknown": "generations whose cost is unknown; excluded from sums of cost",
        "byok": "generations with your own provider keys (bring your own key)",
        "byok_share": "their share of the generations with a record",
        "unreadable_files": "archive files that cannot be read; their records are missing",
        "duplicates": "rows that repeat an id; sums count them twice",
        "freq": "length of the periods",
        "tz": "time zone of the periods; other times are in UTC",
        "before_start": "start of the period before (UTC)",
        "before_end": "end of the period before, exclusive (UTC)",
        "after_start": "start of the period after (UTC)",
        "after_end": "end of the period after, exclusive (UTC)",
        "note": "what the report says about itself",
        "source": "where the records or figures come from",
        "since": "start of the requested range (UTC)",
        "until": "end of the requested range, exclusive (UTC)",
        "first_created_at": "creation time of the earliest generation (UTC)",
        "last_created_at": "creation time of the latest generation (UTC)",
        "written_at": "when this file was written (UTC)",
        "orstats_version": "version that wrote this file",
    }
)


def check_workbook(rows: int, path: str) -> Any:
    """Check that a workbook of so many rows can be written, and return the library that writes it."""
    try:
        import xlsxwriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Writing .xlsx", extra="excel") from error
    if rows > MAX_ROWS:
        raise ExportError(f"{path}: a sheet holds {MAX_ROWS:,} rows, got {rows:,}; write .csv or .parquet.", path=path)
    return xlsxwriter


def write_workbook(frame: pd.DataFrame, file: IO[bytes], path: str) -> None:
    """Write a DataFrame to an open file: a sheet with its rows and totals, and the sheet ``coverage``."""
    library = check_workbook(len(frame), path)
    covered = _coverage(frame)
    with tempfile.TemporaryDirectory() as scratch:
        # With constant memory, rows go to a temporary file at once. In memory a workbook takes several times its size.
        book = library.Workbook(file, {"constant_memory": True, "tmpdir": scratch})
        cells = CellValues()
        columns = sheet_columns(
            frame, zone=covered.get("tz"), freq=covered.get("freq"), in_report=not _is_fetched(frame)
        )
        _Sheet(book, _sheet_name(frame), cells).write_table(columns, len(frame), _note(covered, columns))
        _Sheet(book, COVERAGE, cells).write_coverage(covered)
        book.close()
    if cells.texts_cut:
        warn_caller(
            f"{path}: {cells.texts_cut:,} texts were cut at {MAX_TEXT:,} characters, the most that a cell of a "
            "workbook holds. Write .csv or .jsonl to keep the complete texts."
        )


def _sheet_name(frame: pd.DataFrame) -> str:
    if "coverage" not in frame.attrs and ID.name in (frame.index.name, *frame.columns):
        return "generations"
    return "report" if "coverage" in frame.attrs or isinstance(frame, ReportFrame) else "table"


class _Sheet:
    """A sheet that is written from top to bottom. Text stays text: never a formula, number or link."""

    def __init__(self, book: Any, name: str, cells: CellValues) -> None:
        self._sheet = book.add_worksheet(name)
        self._book = book
        self._cells = cells
        self._formats: dict[tuple[Any, ...], Any] = {}
        self._flag = self._format(num_format=_FLAG, **_LEFT)
        # Without the prefix, a spreadsheet would run the text once the cell is edited.
        self._text = self._format(quote_prefix=True, **_LEFT)

    def _format(self, **properties: Any) -> Any:
        key = tuple(properties.items())
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def write_table(self, columns: list[SheetColumn], rows: int, note: str) -> None:
        sheet = self._sheet
        for place, column in enumerate(columns):
            sheet.set_column(place, place, column.width)
        sheet.freeze_panes(1, 0)
        sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        if columns:
            sheet.autofilter(0, 0, rows, len(columns) - 1)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        fitting = sum(width <= _PRINTED_WIDTH for width in accumulate(column.width for column in columns))
        if fitting < len(columns):
            sheet.print_area(0, 0, rows + _ROWS_BELOW, max(fitting, 1) - 1)
        header = {"bold": True, "bottom": 1, "bg_color": "#F2F2F2", "quote_prefix": True}
        for place, column in enumerate(columns):
            style = self._format(**header, **(_RIGHT if column.row_formats else _alignment(column.number_format)))
            self._put(0, place, self._cells.fitted(column.heading), style)
        formats = [
            [
                self._format(num_format=one, **(_RIGHT if column.row_formats else _alignment(one)))
                for one in column.row_formats or [column.number_format]
            ]
            for column in columns
        ]
        for start in range(0, rows, _SLICE):
            cells = [self._cells.of_column(column, start, start + _SLICE) for column in columns]
            for row, line in enumerate(zip(*cells, strict=True), start + 1):
                for place, value in enumerate(line):
                    if value is not None:
                        styles = formats[place]
                        self._put(row, place, value, styles[0] if len(styles) == 1 else styles[row - 1])
        if any(column.total is not None for column in columns):
            self._write_totals(columns, rows, note)

    def write_coverage(self, covered: Mapping[str, Any]) -> None:
        for place, width in enumerate((20, _FACT_WIDTH, 65)):
            self._sheet.set_column(place, place, width)
        self._sheet.set_landscape()
        self._sheet.fit_to_pages(1, 0)
        top = {"valign": "top"}  # as the source may need several lines
        for row, (name, value) in enumerate(covered.items()):
            if isinstance(value, str) and len(value) > _FACT_WIDTH:
                # LibreOffice does not make room for several lines by itself.
                self._sheet.set_row(row, _LINE * len(wrap(value, _FACT_WIDTH - 4)))
            self._put(row, 0, self._cells.fitted(name), self._format(bold=True, quote_prefix=True, **top))
            if isinstance(value, pd.Timestamp):
                self._put(row, 1, day_number(value), self._format(num_format=TIME_FORMAT, **_LEFT, **top))
            elif (cell := plain_value(value)) is not None:
                shown = "0.0 %" if name == "byok_share" else "#,##0"
                is_text = {"quote_prefix": True, "text_wrap": True} if isinstance(cell, str) else {"num_format": shown}
                self._put(row, 1, self._cells.fitted(cell), self._format(**is_text, **_LEFT, **top))
            self._put(row, 2, _MEANINGS.get(name, ""), self._format(quote_prefix=True, **_LEFT, **top))

    def _write_totals(self, columns: list[SheetColumn], rows: int, note: str) -> None:
        """Sum what the filter shows, below an empty row, which keeps the totals out of sorting and filtering."""
        from xlsxwriter.utility import xl_rowcol_to_cell  # noqa: PLC0415 - an extra

        labels = [
            at for at, column in enumerate(columns) if column.total is None and column.heading != heading(ID.name)
        ]
        if labels:
            self._put(rows + 2, labels[0], TOTAL, self._format(bold=True, top=1, quote_prefix=True, **_LEFT))
        for place, column in enumerate(columns):
            style = self._format(bold=True, top=1, num_format=column.number_format)
            if column.total is not None:
                cells = f"{xl_rowcol_to_cell(1, place)}:{xl_rowcol_to_cell(rows, place)}"
                formula = f'=IF(SUBTOTAL(102,{cells})=0,"",SUBTOTAL(109,{cells}))'
                self._sheet.write_formula(rows + 2, place, formula, style, column.total)
            elif place not in labels[:1]:
                self._sheet.write_blank(rows + 2, place, None, style)
        if labels and note:
            self._put(rows + 3, labels[0], note, self._format(italic=True, quote_prefix=True, **_LEFT))

    def _put(self, row: int, place: int, value: Any, style: Any) -> None:
        kind = type(value)
        if kind is str and value.startswith("<r>") and value.endswith("</r>"):
            # XlsxWriter writes such a string as XML of its own, unless it comes in several parts.
            self._sheet.write_rich_string(row, place, value[:2], self._text, value[2:], self._text)
        elif kind is str:
            self._sheet.write_string(row, place, value, style if style.quote_prefix else self._text)
        elif kind is bool:
            self._sheet.write_boolean(row, place, value, self._flag)
        elif isinstance(value, dt.datetime):
            self._put(row, place, day_number(value), self._format(num_format=TIME_FORMAT, align="left"))
        else:
            self._sheet.write_number(row, place, value, style)


def _alignment(number_format: str) -> Mapping[str, Any]:
    return _LEFT if number_format == TEXT_FORMAT or number_format.startswith("yyyy") else _RIGHT


def _is_fetched(frame: pd.DataFrame) -> bool:
    return frame.index.name == ID.name and {"fetch_status", "cost_usd", "is_byok"} <= set(frame.columns)


def _coverage(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the rows of the sheet ``coverage``, by name."""
    covered: dict[str, Any] = dict(frame.attrs.get("coverage", {}))
    if not covered and _is_fetched(frame):
        covered = dict(coverage(frame))
    note = frame.attrs.get("note")
    found = {
        **covered,
        "tz": covered.get("tz", "UTC"),
        **({"note": note} if isinstance(note, str) and note else {}),
        **provenance(frame),
    }
    return {
        **{name: pd.Timestamp(value) if name in _TIMES else value for name, value in found.items()},
        "written_at": pd.Timestamp.now(tz="UTC"),
        "orstats_version": __version__,
    }


_TIMES: Final = frozenset(
    {"since", "until", "first_created_at", "last_created_at", "before_start", "before_end", "after_start", "after_end"}
)


def _note(covered: Mapping[str, Any], columns: list[SheetColumn]) -> str:
    """Return what the totals exclude."""
    has_money = any(column.total is not None and column.number_format.startswith("$") for column in columns)
    counted = (("cost_unknown", "unknown cost"), ("pending", "pending"), ("missing", "no record"))
    excluded = [
        f"{what} ({covered[name]:,})"
        for name, what in counted
        if covered.get(name) and (has_money or name != "cost_unknown")
    ]
    return f"{EXCLUDED}{', '.join(excluded)}." if excluded else ""
