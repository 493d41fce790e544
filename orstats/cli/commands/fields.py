"""``orstats fields``: the data dictionary."""

from __future__ import annotations

from typing import Annotated

import typer

from orstats.cli.console import WrongUsage, handle_errors, print_status, print_table, write_json
from orstats.cli.options import AsJson, TableFile, epilog

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    help="Explain the columns: unit and meaning; as JSON or in a file also type and source.",
    epilog=epilog("orstats fields", "orstats fields latency cost_usd", "orstats fields -o dictionary.csv"),
)
@handle_errors
def fields(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these columns.")] = None,
    as_json: AsJson = False,
    output: TableFile = None,
) -> int:
    from orstats.export.write_csv import json_rows, write_csv
    from orstats.frame.views import field_table
    from orstats.text.format import plural
    from orstats.text.suggest import unknown as unknown_name
    from orstats.text.table import Column

    frame = field_table()
    if unknown := [name for name in names or [] if name not in frame.index]:
        raise WrongUsage(unknown_name("column", unknown[0], frame.index, hint="Run `orstats fields` for the list."))
    if names:
        frame = frame.loc[names]
    if output is not None:
        write_csv(frame, output)
        print_status(f"Written to {output}: {plural(len(frame), 'row')}.")
    elif as_json:
        write_json(list(json_rows(frame)))
    else:
        kinds = {"string": "text", "boolean": "true/false"}
        units = [unit or kinds.get(dtype, "") for unit, dtype in zip(frame["unit"], frame["dtype"], strict=True)]
        meanings = [f"{unit}: {text}" if unit else text for unit, text in zip(units, frame["meaning"], strict=True)]
        names_and_meanings = [Column("name", list(frame.index), "label"), Column("meaning", meanings, "prose")]
        print_table(names_and_meanings, label_style="cyan")
    return 0
