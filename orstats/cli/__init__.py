"""The command line: ``orstats``. Data goes to standard output or ``-o``, messages and progress to standard error.

Exit codes: 0 success · 1 error · 2 usage error · 3 some ids failed · 130 interrupted by Ctrl-C (129 by SIGHUP, 143 by
SIGTERM). Records fetched before that stay in the archive. Internal.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from orstats.cli.signals import exit_code, handle_signals
from orstats.cli.streams import OutputError, protect_streams


def main() -> None:
    """Run the command in ``sys.argv``, and exit with its code."""
    protect_streams()
    _drop_invalid_width()
    handle_signals()
    try:
        from orstats.cli.app import app

        code = _run(_command(app))
    except KeyboardInterrupt as interrupt:
        sys.stderr.write("orstats: interrupted.\n")
        code = exit_code(interrupt)
    sys.exit(code)


def _run(command: Any) -> Any:
    try:
        try:
            command(prog_name="orstats")
        except SystemExit as end:
            sys.stdout.flush()
            return end.code
        sys.stdout.flush()
    except OutputError as error:
        sys.stderr.write(f"orstats: error: standard output: {error.strerror}\n")
        return 1
    return 0


def _command(app: Any) -> Any:
    """Return the command of an app, without the types that newer versions of typer show for arguments and flags."""
    import typer

    command = typer.main.get_command(app)
    pending: list[Any] = [command]
    while pending:
        one = pending.pop()
        pending += getattr(one, "commands", {}).values()
        one.collect_usage_pieces = functools.partial(_plain_usage, one.collect_usage_pieces)
        if (option := one.get_help_option(typer.Context(one))) is not None:
            option.metavar = ""
        for option in (param for param in one.params if param.name in _COMPLETION):
            option.metavar = ""
        for argument in (param for param in one.params if param.param_type_name == "argument"):
            argument.display_type_rich = lambda ctx: None  # noqa: ARG005 - typer passes it by name
    return command


def _plain_usage(pieces: Callable[[Any], list[str]], ctx: Any) -> list[str]:
    """Return the pieces of a usage line without the braces that newer versions of typer put around arguments."""
    return [piece.strip("{}") for piece in pieces(ctx)]


#: Options that typer adds for shell completion.
_COMPLETION: Final = ("install_completion", "show_completion")


def _drop_invalid_width() -> None:
    """Remove an invalid COLUMNS: some terminals and job runners set it to 0, and nothing would be printed."""
    with suppress(ValueError):
        if int(os.environ.get("COLUMNS", "")) > 0:
            return
    os.environ.pop("COLUMNS", None)
