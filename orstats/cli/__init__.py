"""The command line: ``orstats``. Data goes to standard output or ``-o``, messages and progress to standard error.

Exit codes: 0 success · 1 error · 2 usage error · 3 some ids failed · 130 interrupted by Ctrl-C (129 by SIGHUP, 143 by
SIGTERM). Fetched records are saved in each case. Internal.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from orstats.cli.streams import OutputError, protect_streams


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, handled like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(interrupt: BaseException | None) -> int:
    """Return 128 plus the number of the signal that interrupted the program, as shells do."""
    return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)


def main() -> None:
    """Run the command in ``sys.argv``, and exit with its code."""
    protect_streams()
    _drop_invalid_width()
    _handle_signals()
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
    """Return the command of an app, without the metavar that newer versions of typer show for ``--help``."""
    import typer

    command = typer.main.get_command(app)
    pending: list[Any] = [command]
    while pending:
        one = pending.pop()
        pending += getattr(one, "commands", {}).values()
        if (option := one.get_help_option(typer.Context(one))) is not None:
            option.metavar = ""
    return command


def _handle_signals() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C, unless the parent process (nohup) has set them to be ignored."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def _drop_invalid_width() -> None:
    """Remove an invalid COLUMNS: some terminals and job runners set it to 0, and nothing would be printed."""
    with suppress(ValueError):
        if int(os.environ.get("COLUMNS", "")) > 0:
            return
    os.environ.pop("COLUMNS", None)
