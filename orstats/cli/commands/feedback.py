"""``orstats feedback``: report a problem of one generation to OpenRouter."""

from __future__ import annotations

from typing import Annotated

import typer

from orstats.api.feedback import CATEGORIES
from orstats.cli.console import print_status
from orstats.cli.errors import WrongUsage, handle_errors
from orstats.cli.options import MANAGEMENT_KEY, BaseUrl, Quiet, epilog

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    help="Report a problem of one generation to OpenRouter, once: it cannot be changed or withdrawn.\n\n"
    "The API refuses a second report of the same generation (HTTP 409).",
    epilog=epilog(
        "orstats feedback gen-1790000000-AbCdEfGhIjKlMnOpQrSt --category latency",
        'orstats feedback gen-1790000000-AbCdEfGhIjKlMnOpQrSt --category other --comment "Cut off after one word."',
        more=MANAGEMENT_KEY,
    ),
)
@handle_errors
def feedback(
    generation_id: Annotated[str, typer.Argument(metavar="ID", help="A generation id.", show_default=False)],
    category: Annotated[
        str, typer.Option(metavar="NAME", help=f"What is wrong: {', '.join(CATEGORIES)}.", show_default=False)
    ],
    comment: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Describe it in your own words.", show_default=False)
    ] = None,
    base_url: BaseUrl = None,
    quiet: Quiet = False,
) -> int:
    from orstats.api.client import Client
    from orstats.cli.inputs import check_single_id
    from orstats.fetching.arguments import invalid_id_reason

    check_single_id(generation_id)
    if (reason := invalid_id_reason(generation_id)) is not None:
        raise WrongUsage(reason)
    with Client(base_url=base_url) as client:
        client.feedback(generation_id, category, comment)
        host = client.settings.host
    if not quiet:
        print_status(f"Feedback sent to {host} about {generation_id}: {category}.")
    return 0
