"""Options that several commands share, and the examples at the end of ``--help``."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Final

import typer
import typer.core

from orstats.cli.errors import WrongUsage

KEYS: Final = (
    "The API key is read from the environment only ([bold]OPENROUTER_API_KEY[/bold]), so that it does not end up in "
    "your shell history. Also read: OPENROUTER_MANAGEMENT_KEY, OPENROUTER_BASE_URL, ORSTATS_ARCHIVE."
)
MANAGEMENT_KEY: Final = (
    "Needs a management key in [bold]OPENROUTER_MANAGEMENT_KEY[/bold]: openrouter.ai/settings/management-keys"
)
EXIT_CODES: Final = (
    "Exit codes: 0 success · 1 error · 2 usage error · 3 some ids failed, totals differ or a limit is nearly used · "
    "130 interrupted."
)

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Generation ids (gen-…).", show_default=False)]
IdsFrom = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Read ids from a file (log, text, CSV, JSON, Parquet, Excel, also .gz), a folder, or - for standard "
        "input. May be given several times.",
        show_default=False,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column of the table that holds the ids. Needed only if several columns do.",
        show_default=False,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="API base URL. Default: OPENROUTER_BASE_URL, else openrouter.ai.", show_default=False
    ),
]
ArchiveDir = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Directory of the archive of fetched records. Default: ORSTATS_ARCHIVE, else your data directory.",
        show_default=False,
    ),
]
NoArchive = Annotated[bool, typer.Option("--no-archive", metavar="", help="Neither read nor write an archive.")]
Host = Annotated[str | None, typer.Option(metavar="HOST", help="Only records of this API host.", show_default=False)]
Port = Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen on; 0 picks a free port.")]
Refresh = Annotated[
    bool, typer.Option("--refresh", metavar="", help="Fetch archived ids and list cached time ranges again.")
]
Excel = Annotated[
    str | None,
    typer.Option(
        metavar="[=eu]",
        help="CSV that opens in Excel with a double click; --excel=eu with semicolons and decimal commas, for most of "
        "Europe. Excel removes leading zeros from text that consists of digits; .xlsx keeps them.",
        show_default=False,
    ),
]
RawText = Annotated[
    bool,
    typer.Option("--raw-text", metavar="", help="Do not neutralize text that a spreadsheet would run as a formula."),
]
START_OF_RANGE: Final = (
    "Start of the range: 2026-03-01, 2026-03-01T08:00+01:00, today, yesterday, or a time ago: 90min, 24h, 7d, 2w, 3mo."
)
Since = Annotated[str, typer.Option(metavar="TIME", help=START_OF_RANGE, show_default=False)]
Until = Annotated[str, typer.Option(metavar="TIME", help="End of the range (exclusive), in the same forms.")]
CreatedSince = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only generations created at or after TIME: 2026-03-01, today, 7d, 3mo.",
        show_default=False,
    ),
]
CreatedUntil = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Only generations created before TIME.", show_default=False),
]
TimeZone = Annotated[
    str,
    typer.Option("--tz", metavar="ZONE", help="Time zone of dates, of times without an offset, and of periods."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", metavar="", help="No progress bar and no summary; warnings and errors only.")
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="JSON on standard output.")]


def output_option(help_text: str) -> Any:
    """Make the option ``-o``."""
    return typer.Option("--output", "-o", metavar="FILE", help=help_text, show_default=False)


TableFile = Annotated[
    str | None, output_option("Write the table to a file: .csv, .csv.gz, .xlsx, .md, .json, .parquet, .jsonl.")
]
#: Rows that are not a report, which alone can be Markdown or a JSON object with its coverage.
RowsFile = Annotated[str | None, output_option("Write the rows to a file: .csv, .csv.gz, .xlsx, .parquet, .jsonl.")]


def epilog(*examples: str, more: str = "") -> str:
    """Return the end of a ``--help`` page: examples, and additional text."""
    lines = ["[bold]Examples[/bold]", *(f"[cyan]{example}[/cyan]" for example in examples)]
    return "\n\n".join([*lines, *([more] if more else [])])  # typer joins adjacent lines


class ExcelCommand(typer.core.TyperCommand):
    """A command whose option ``--excel`` may be given without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Add the omitted value."""
        end = args.index("--") if "--" in args else len(args)
        for one, after in pairwise(args[:end]):
            if one == "--excel" and after in _DIALECTS:  # it would be taken for an id
                ctx.fail(f"Pass --excel={after}, with an equals sign.")
        return super().parse_args(
            ctx, [*("--excel=us" if one == "--excel" else one for one in args[:end]), *args[end:]]
        )


def dialect_of(excel: str | None, output: str | None) -> str:
    """Return the CSV dialect that ``--excel`` names."""
    if excel is None:
        return "plain"
    if excel not in _DIALECTS:
        raise WrongUsage(f"--excel must be given alone or as --excel=eu, got {excel!r}.")
    if output is not None and not output.lower().endswith((".csv", ".csv.gz", ".xlsx")):
        raise WrongUsage(f"--excel applies to CSV, not to {output}.")
    return _DIALECTS[excel]


_DIALECTS: Final = {"us": "excel", "eu": "excel-eu"}
