"""The DataFrame of reports: shown with its values formatted, printed and in notebooks, while they stay numbers."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Sequence
from io import StringIO
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any, Final

import pandas as pd

from orstats.frame.column_texts import MOST_CHARACTERS, by_importance, formatted_columns, in_order
from orstats.text.format import count
from orstats.text.sanitize import NO_MATH, display_text

#: Characters of a row label, such as the name of a model, that notebooks need not wrap.
_LABEL_IN_ONE_LINE: Final = 48


class ReportFrame(pd.DataFrame):
    """A pandas DataFrame that is shown with its amounts, shares, counts and durations formatted.

    Columns are formatted by their names: dollars for ``…_usd``, per cent for ``…share`` and ``…_rate``, milliseconds or
    seconds for ``…_ms`` and latencies. All values stay numbers. Rows and columns that are chosen or sorted are shown in
    the same way; what is computed from them is a plain DataFrame, and ``pandas.DataFrame(report)`` is one as well.
    A printed report fits the width of the terminal, or pandas' ``display.width``, by omitting columns. Columns that
    were chosen, as in ``report[["cost_usd", "p95_usd"]]``, are all printed, below each other where they do not fit.
    Where pandas' ``display.float_format`` is set, pandas shows the numbers.
    """

    #: The columns of the report of which this has the rows or columns that were chosen.
    _columns_of_report: pd.Index[Any] | None = None

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame  # sums, ratios and counts of amounts need not be amounts

    def _constructor_from_mgr(self, mgr: Any, axes: Any) -> pd.DataFrame:
        """Return a ReportFrame of the same values, other rows or columns."""
        plain: Any = pd.DataFrame
        chosen = ReportFrame(plain._from_mgr(mgr, axes))  # noqa: SLF001 - as in DataFrame's own method of this name
        of_report = self.columns if self._columns_of_report is None else self._columns_of_report
        object.__setattr__(chosen, "_columns_of_report", of_report)  # pandas takes other attributes for columns
        return chosen

    def __repr__(self) -> str:
        if not self._is_formatted():
            return super().__repr__()
        from rich.console import Console  # noqa: PLC0415 - only needed where something is shown

        from orstats.text.table import Trimmed, fit  # noqa: PLC0415 - loads rich

        labels, columns = formatted_columns(_shortened(self))
        width = _width()
        out = StringIO()
        console = Console(file=out, width=10 * width, color_system=None, force_jupyter=False, soft_wrap=True)
        notes = _notes(self)
        if len(self) and self._has_chosen_columns():
            while columns:
                fitted = fit([*labels, *in_order(columns)], width)
                console.print(Trimmed(fitted.table))
                columns = columns[len(columns) - len(fitted.omitted) :]
                if columns:
                    console.print()
        elif len(self):
            fitted = fit([*labels, *by_importance(columns)], width)
            console.print(Trimmed(fitted.table))
            notes += [_not_shown(fitted.omitted)] * bool(fitted.omitted)
        lines = out.getvalue().splitlines()
        for note in notes:
            lines += wrap(note, width, break_long_words=False, break_on_hyphens=False)
        return _printable("\n".join(lines))

    def _repr_html_(self) -> str | None:
        if not self._is_formatted() or not pd.get_option("display.notebook_repr_html"):
            plain: Any = super()
            return plain._repr_html_()  # type: ignore[no-any-return]  # the stubs omit it
        labels, columns = formatted_columns(_shortened(self))
        text = pd.DataFrame({at: list(column.cells) for at, column in enumerate(columns)}, dtype=object)
        text.columns = pd.Index([column.name for column in columns], dtype=object)
        if labels:
            text.index = pd.MultiIndex.from_arrays([list(column.cells) for column in labels])
            text.index.names = [column.name for column in labels]
            if len(labels) == 1:
                text.index = text.index.get_level_values(0)
        # Counted from the right, where merged cells of the index do not matter.
        left = [f"orstats-left-{len(columns) - at}" for at, column in enumerate(columns) if column.kind != "number"]
        style = "".join(
            f".{name} :is(td,thead tr:first-child th):nth-last-child({name.rpartition('-')[2]})"
            "{text-align:left!important;white-space:normal}"
            for name in left
        )
        style += ".orstats-report td{white-space:nowrap}"  # or narrow screens would break times and "12.3 s"
        left = [*left, "orstats-report"]
        if all(len(cell) <= _LABEL_IN_ONE_LINE for column in labels for cell in column.cells):
            left = [*left, "orstats-labels"]
            style += ".orstats-labels tbody th{white-space:nowrap}"
        with pd.option_context("display.max_colwidth", None):
            # Without these classes, text between two dollar signs would be shown as mathematics.
            table = text.to_html(classes=[*NO_MATH.split(), *left], index=bool(labels), escape=True, max_rows=None)
        notes = "".join(f'<p class="{NO_MATH}">{html.escape(note)}</p>' for note in _notes(self))
        return f"<div><style>{style}</style>{table}{notes}</div>"

    def _has_chosen_columns(self) -> bool:
        """Whether these are some of a report's columns, or others."""
        of_report = self._columns_of_report
        return of_report is not None and not of_report.isin(self.columns).all()

    def _is_formatted(self) -> bool:
        """Whether this still looks like a report: rows have names, columns have one level, no format is set."""
        index = self.index
        counted = isinstance(index, pd.RangeIndex) and index.name is None
        named = counted or all(name is not None for name in index.names)
        return named and self.columns.nlevels == 1 and pd.get_option("display.float_format") is None


def _not_shown(names: Sequence[str]) -> str:
    chosen = ", ".join(f'"{name}"' for name in names[:2])
    return f"Not shown: {', '.join(names)}. To print columns, choose them: report[[{chosen}]]."


def _shortened(frame: pd.DataFrame) -> pd.DataFrame:
    """Omit the middle of many rows, as pandas does."""
    most, least = pd.get_option("display.max_rows"), pd.get_option("display.min_rows")
    if not most or len(frame) <= most:
        return frame
    shown = min(least or most, most)
    last = shown // 2
    return frame.iloc[[*range(shown - last), *range(len(frame) - last, len(frame))]]


def _notes(frame: pd.DataFrame) -> list[str]:
    """Say what the cells do not: how many rows there are, and what they cover."""
    notes = []
    if not len(frame):
        notes.append("No rows.")
    elif len(shown := _shortened(frame)) < len(frame):
        notes.append(f"{count(len(frame))} rows; the first {len(shown) - len(shown) // 2} and last {len(shown) // 2}.")
    if isinstance(note := frame.attrs.get("note"), str):
        notes.append(display_text(note, MOST_CHARACTERS))
    covered = frame.attrs.get("coverage", {})
    if "tz" in covered and "period" in frame.index.names:
        notes.append(f"Periods: {covered['freq']} in {covered['tz']}.")
    gaps = [f"{count(covered[name])} {words}" for name, words in _GAPS if covered.get(name)]
    if gaps:
        notes.append(f"Covers {count(covered['ok'])} of {count(covered['asked'])} generations: {', '.join(gaps)}.")
    return notes


_GAPS: Final = (
    ("pending", "pending"),
    ("missing", "missing"),
    ("cost_unknown", "with unknown cost"),
    ("unreadable_files", "unreadable archive files"),
    ("duplicates", "duplicates"),
)


def _width() -> int:
    """Return the width of the terminal; elsewhere, such as in a notebook, that of pandas' options."""
    usual = pd.get_option("display.width") or 80
    return get_terminal_size((usual, 24)).columns if sys.stdout is not None and sys.stdout.isatty() else usual


def _printable(text: str) -> str:
    """Replace what the encoding of standard output does not have."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
