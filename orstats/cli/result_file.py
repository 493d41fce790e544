"""The file of ``-o``: checked before the work whose result it is for, and named when it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orstats.cli.errors import WrongUsage
from orstats.cli.options import dialect_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_report_file(
    output: str | None, excel: str | None = None, *, inputs: Sequence[str] = (), pages: Sequence[str] = ()
) -> str:
    """Find out whether a report can be written to the file, and return the dialect of its CSV.

    The file must not be one of the ``inputs``; ``pages`` are endings of files that the command writes itself.
    """
    if output is not None:
        from orstats.export.write_csv import check_target
        from orstats.export.write_report import ENDINGS

        check_target(output, endings=(*ENDINGS, *pages), inputs=inputs)
    elif excel is not None:
        raise WrongUsage("--excel needs a file: -o FILE.csv")
    return dialect_of(excel, output)


def written(output: str, rows: int, unit: str = "row") -> str:
    """Say what was written.

    >>> written("costs.csv", 1)
    'Written to costs.csv: 1 row.'
    """
    from orstats.text.format import plural

    return f"Written to {output}: {plural(rows, unit)}."
