"""``orstats fields``: the data dictionary."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats.cli.console import print_status, print_table, write_json
from orstats.cli.errors import WrongUsage, handle_errors
from orstats.cli.options import AsJson, RowsFile, epilog
from orstats.cli.result_file import written

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(rich_markup_mode="rich")

_MAX_NAMES: Final = 8
#: Names that are at least so similar to a column are misspelled, also if a meaning mentions them.
_MISSPELLED: Final = 0.85


@app.command(
    help="Explain the columns of fetched tables: unit and meaning; as JSON or in a file also type and source.",
    epilog=epilog("orstats fields", "orstats fields latency cost_usd", "orstats fields -o dictionary.csv"),
)
@handle_errors
def fields(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these columns.")] = None,
    as_json: AsJson = False,
    output: RowsFile = None,
) -> int:
    from orstats.export.write_csv import json_rows, write_csv
    from orstats.frame.views import field_table
    from orstats.text.table import Column

    frame = field_table()
    if unknown := [name for name in names or [] if name not in frame.index]:
        raise WrongUsage(_explain(unknown[0], frame))
    if names:
        frame = frame.loc[names]
    if output is not None:
        write_csv(frame, output)
        print_status(written(output, len(frame)))
    elif as_json:
        write_json(list(json_rows(frame)))
    else:
        kinds = {"string": "text", "boolean": "true/false"}
        units = [unit or kinds.get(dtype, "") for unit, dtype in zip(frame["unit"], frame["dtype"], strict=True)]
        meanings = [f"{unit}: {text}" if unit else text for unit, text in zip(units, frame["meaning"], strict=True)]
        names_and_meanings = [Column("name", list(frame.index), "label"), Column("meaning", meanings, "prose")]
        print_table(names_and_meanings, label_style="cyan")
    return 0


def _explain(name: str, fields: pd.DataFrame) -> str:
    """Say where a label of the account is, or suggest columns by their names and what they mean."""
    from orstats.cli.report_labels import labels_in, read_keys
    from orstats.text.suggest import unknown

    if labels := labels_in(read_keys(name)):
        label = labels[0]
        return (
            f"{name!r} is not a column: records do not have it, the account's analytics do. With a management key: "
            f"`orstats report --by {label} --since 30d`, `orstats ids --labels {label} --since 30d`, or "
            "orstats.list_generations() in Python."
        )
    if difflib.get_close_matches(name, fields.index, 1, _MISSPELLED):
        return unknown("column", name, fields.index)
    word = re.compile(rf"\b{re.escape(name.lower())}", re.ASCII)
    texts = {str(one): f"{str(one).replace('_', ' ')}: {meaning}".lower() for one, meaning in fields["meaning"].items()}
    found = {one: match.start() for one, text in texts.items() if name and (match := word.search(text))}
    about = sorted(found, key=lambda one: found[one] > len(one))  # those with the word in their name first
    hint = f"Columns about it: {', '.join(about[:_MAX_NAMES])}." if about else "Run `orstats fields` for all."
    return unknown("column", name, [] if about else fields.index, hint=hint)
