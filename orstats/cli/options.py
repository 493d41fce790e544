"""The options that several commands share, with their help, and how a help ends."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
import typer.core

from orstats.cli.console import WrongUsage

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Generation ids (gen-…).", show_default=False)]
IdsFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--ids-from",
        metavar="FILE",
        help="Take ids from a file: log, text, CSV, JSON, Parquet, Excel, also .gz; a folder; - is standard input. "
        "May be given several times.",
        show_default=False,
    ),
]
Column = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the table that holds the ids.", show_default=False)
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="API to ask. Default: OPENROUTER_BASE_URL, else openrouter.ai.", show_default=False
    ),
]
ArchiveDir = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="DIR",
        help="Where fetched records are kept. Default: ORSTATS_ARCHIVE, else your data directory.",
        show_default=False,
    ),
]
NoArchive = Annotated[bool, typer.Option("--no-archive", metavar="", help="Neither read nor write an archive.")]
Port = Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port on this machine; 0 takes a free one.")]
Workers = Annotated[
    int, typer.Option(metavar="N", min=1, max=256, help="Requests at once, at most; the pace is learnt anyway.")
]
Refresh = Annotated[
    bool, typer.Option("--refresh", metavar="", help="Fetch archived ids and list cached time ranges again.")
]
PendingWait = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0, help="How long to keep retrying ids that are too recent to be available."),
]
Deadline = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", min=0, help="Stop after this time; the remaining ids are marked not_attempted."),
]
Excel = Annotated[
    str | None,
    typer.Option(
        metavar="[=eu]",
        help="CSV that Excel opens with a double click; --excel=eu with semicolons and decimal commas, for most of "
        "Europe. Its texts of digits lose their zeros there: .xlsx keeps them.",
        show_default=False,
    ),
]
RawText = Annotated[
    bool,
    typer.Option(
        "--raw-text", metavar="", help="Leave text as it is, even where a spreadsheet would run it as a formula."
    ),
]
TimeZone = Annotated[
    str,
    typer.Option("--tz", metavar="ZONE", help="Time zone of dates, of times without an offset and of periods."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", metavar="", help="No progress bar and no summary; warnings and errors only.")
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="JSON on standard output.")]


class ExcelCommand(typer.core.TyperCommand):
    """A command whose option ``--excel`` may be given without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give it one."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(
            ctx, [*("--excel=us" if one == "--excel" else one for one in args[:end]), *args[end:]]
        )


def dialect_of(excel: str | None, output: str | None) -> str:
    """Return the dialect that ``--excel`` names."""
    if excel is None:
        return "plain"
    if excel not in _DIALECTS:
        raise WrongUsage(f"--excel must be given alone or as --excel=eu, got {excel!r}.")
    if output is not None and not output.lower().endswith((".csv", ".csv.gz", ".xlsx")):
        raise WrongUsage(f"--excel applies to CSV, not to {output}.")
    return _DIALECTS[excel]


_DIALECTS: Final = {"us": "excel", "eu": "excel-eu"}


def output_option(kind: str) -> typer.models.OptionInfo:
    """Make the option ``-o`` for a command that writes this kind of thing."""
    option: typer.models.OptionInfo = typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help=f"Write {kind} to a file: .csv, .csv.gz, .xlsx, .parquet, .jsonl.",
        show_default=False,
    )
    return option


def epilog(*examples: str, more: str = "") -> str:
    """Write what ``--help`` ends with: examples, and a word more."""
    lines = ["[bold]Examples[/bold]", *(f"[cyan]{example}[/cyan]" for example in examples)]
    return "\n\n".join([*lines, *([more] if more else [])])  # typer joins lines that follow at once
