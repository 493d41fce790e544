"""The command line: ``orstats``. Data goes to standard output or ``-o``, messages and progress to standard error.

Exit codes: 0 success · 1 error · 2 usage error · 3 some ids failed · 130 interrupted (129 and 143: ended by a hang-up
or by SIGTERM, which keep what was fetched just as Ctrl-C does).
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
    """A signal ended the program; handled like Ctrl-C, with an exit code of its own."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(interrupt: BaseException | None) -> int:
    """Return 128 plus the number of the signal behind an interrupt, as shells count."""
    return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)


def main() -> None:
    """Run the command that ``sys.argv`` asks for, and exit with its code."""
    protect_streams()
    _ignore_useless_width()
    _end_on_signals()
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
    """Return the command of an app whose ``--help`` does not claim to take a value, as newer versions of typer do."""
    import typer

    command = typer.main.get_command(app)
    pending: list[Any] = [command]
    while pending:
        one = pending.pop()
        pending += getattr(one, "commands", {}).values()
        if (option := one.get_help_option(typer.Context(one))) is not None:
            option.metavar = ""
    return command


def _end_on_signals() -> None:
    """End on SIGTERM and SIGHUP as on Ctrl-C, unless whoever started the program (nohup) had them ignored."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def _ignore_useless_width() -> None:
    """Forget a COLUMNS that is no width: some terminals and job runners set it to 0, and nothing would be printed."""
    with suppress(ValueError):
        if int(os.environ.get("COLUMNS", "")) > 0:
            return
    os.environ.pop("COLUMNS", None)
