"""``orstats show``: everything about one generation, for a person in a terminal or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats.cli.console import print_pairs, print_status, print_text, stdout_console, write_json
from orstats.cli.errors import FAILED, SOME_FAILED, handle_errors
from orstats.cli.options import ArchiveDir, AsJson, BaseUrl, NoArchive, epilog

if TYPE_CHECKING:
    from orstats.content.content import Content
    from orstats.content.generation import Generation
    from orstats.errors import ApiError

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    help="Show everything about one generation.\n\n"
    "Its cost and the reason for it, tokens, speed, the providers tried; with [bold]--content[/bold] the conversation.",
    epilog=epilog(
        "orstats show gen-1790000000-AbCdEfGhIjKlMnOpQrSt --content",
        "orstats show gen-1790000000-AbCdEfGhIjKlMnOpQrSt --json | jq .cost_usd",
    ),
)
@handle_errors
def show(
    generation_id: Annotated[str, typer.Argument(metavar="ID", help="A generation id.", show_default=False)],
    content: Annotated[
        bool, typer.Option("--content", metavar="", help="Also show the stored prompt and completion.")
    ] = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
) -> int:
    import orjson
    from rich.text import Text

    from orstats.api.client import Client
    from orstats.cli.archive_records import resolve_archive
    from orstats.cli.conversation import conversation
    from orstats.cli.inputs import check_single_id
    from orstats.content.generation import Generation
    from orstats.content.record_facts import facts
    from orstats.fetching.fetch_one import fetch_one
    from orstats.frame.row import json_row
    from orstats.frame.status import advice_for
    from orstats.text.sanitize import terminal_line

    check_single_id(generation_id)
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client.settings)
        row, error = fetch_one(generation_id, client=client, archive=store or False, pending_wait=0)
        if error is not None and error.stops_batch:
            raise error
        generation = Generation.from_row(row, client=client, archive=store or False)
        is_ok = generation.fetch_status == "ok"
        found, failure = _load_content(generation) if content and is_ok else (None, None)
    stored = found if found is not None and found.status == "stored" else None
    missing = None if failure is None else str(failure)
    if found is not None and stored is None:
        missing = found.reason
    if as_json:
        raw = None if stored is None else orjson.loads(stored.raw)
        write_json(json_row(row) | ({"content": raw, "content_missing": missing} if content else {}))
    elif is_ok:
        out = stdout_console()
        out.print(Text(terminal_line(generation.id), style="bold"))
        print_pairs({section: _lines(section, texts) for section, texts in facts(generation).items()})
        out.print(Text(generation.url), soft_wrap=True)
        if stored is not None:
            for part in conversation(stored, generation.finish_reason):
                print_text(part)
    if not is_ok:
        print_status(f"{generation.fetch_status}: {terminal_line(generation.error or generation.id)}", "red")
        print_status(advice_for(generation.fetch_status))
        return SOME_FAILED
    if missing is not None:
        print_status(f"No content: {missing}", "yellow" if failure is None else "red")
    return 0 if failure is None else FAILED


def _load_content(generation: Generation) -> tuple[Content | None, ApiError | None]:
    """Load the content, or return why it failed: the record is shown in any case."""
    from orstats.errors import ApiError

    try:
        return generation.content(), None
    except ApiError as error:
        return None, error


#: Their labels are column names.
_LABELLED: Final = ("Caller", "IDs", "Other")


def _lines(section: str, texts: Mapping[str, str]) -> str:
    from orstats.text.sanitize import terminal_line

    lines = [f"{label} {text}" if section in _LABELLED else text for label, text in texts.items()]
    return "\n".join(map(terminal_line, lines))
