"""How commands end: their errors become messages and exit codes, their warnings lines on standard error."""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Callable
from typing import Final, ParamSpec

import typer

from orstats.cli.console import print_status
from orstats.cli.shell import for_shell
from orstats.cli.signals import exit_code
from orstats.cli.streams import OutputError
from orstats.errors import ColumnError, ConfigError, MissingKeyError, OrstatsError
from orstats.text.sanitize import terminal_line

P = ParamSpec("P")

FAILED: Final = 1
USAGE: Final = 2
SOME_FAILED: Final = 3
#: From here on exit codes name the signal that ended the program; 130 is Ctrl-C.
_SIGNALS_FROM: Final = 128


class Interrupted(Exception):  # noqa: N818 - not an error: the user interrupted it
    """Ctrl-C, with a message about what is saved."""


class WrongUsage(Exception):  # noqa: N818 - named like the exit code's meaning
    """The command cannot be run as it was given."""


class Failure(Exception):  # noqa: N818 - named like the exit code's meaning
    """The command failed, for the reason in the message."""


def handle_errors(run: Callable[P, int | None]) -> Callable[P, None]:
    """Make a command of a function: its errors become a message and an exit code, its result the exit code."""

    @functools.wraps(run)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        handler = _WarningHandler()
        logger = logging.getLogger("orstats")
        logger.addHandler(handler)
        progress, reporter = logging.getLogger("orstats.progress"), _ProgressHandler(logging.INFO)
        level = progress.level
        progress.setLevel(logging.INFO)
        progress.addHandler(reporter)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", UserWarning)
                warnings.showwarning = lambda message, *_, **__: _print_warning(message)
                code = _run(lambda: run(*args, **kwargs))
        finally:
            logger.removeHandler(handler)
            progress.removeHandler(reporter)
            progress.setLevel(level)
        raise typer.Exit(code)

    return wrapper


def _run(run: Callable[[], int | None]) -> int:
    try:
        code = run() or 0
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        code, text = exit_code(interrupt), "interrupted."
    except Interrupted as error:
        code, text = exit_code(error.__cause__), f"interrupted. {error}"
    except (WrongUsage, OrstatsError, Failure, ImportError) as error:
        code, text = USAGE if _is_wrong_usage(error) else FAILED, f"error: {error}"
    except OutputError as error:
        code, text = FAILED, f"error: standard output: {error.strerror}"
    except OSError as error:
        file = "" if error.filename is None else f"{error.filename}: "
        code, text = FAILED, f"error: {file}{error.strerror or error}"
    else:
        return code
    _print_message(text, "" if code >= _SIGNALS_FROM else "red")
    return code


def _is_wrong_usage(error: Exception) -> bool:
    """Tell what is invalid in a command from what went wrong although the command was right."""
    is_elsewhere = isinstance(error, MissingKeyError | ColumnError)  # in the environment, and in stored data
    return isinstance(error, WrongUsage | ConfigError) and not is_elsewhere


class _WarningHandler(logging.Handler):
    """Prints the library's warnings, each of them once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self._printed:
            self._printed.add(message)
            _print_warning(message)


class _ProgressHandler(logging.Handler):
    """Prints how far long work is where no progress bar can be shown."""

    def emit(self, record: logging.LogRecord) -> None:
        _print_message(record.getMessage(), "")


def _print_warning(text: object) -> None:
    _print_message(f"warning: {text}", "yellow")


def _print_message(text: str, style: str) -> None:
    print_status(f"orstats: {terminal_line(for_shell(text))}", style, title="orstats: ", title_style="bold")


def print_error(text: str) -> None:
    """Print why the command ends."""
    _print_message(f"error: {text}", "red")
