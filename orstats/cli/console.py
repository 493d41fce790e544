"""What commands print, and how they end: status on standard error, data on standard output, errors as exit codes."""

from __future__ import annotations

import functools
import io
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TextIO

import typer

from orstats.cli.shell import quoted
from orstats.cli.signals import exit_code
from orstats.cli.streams import OutputError
from orstats.errors import ColumnError, ConfigError, MissingKeyError, OrstatsError
from orstats.text.sanitize import terminal_line, terminal_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from orstats.text.table import Column

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
        handler = _WarningHandler(logging.WARNING)
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
    """Prints the library's warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        _print_warning(record.getMessage())


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


def print_status(
    text: str, style: str = "", *, title: str = "", title_style: str = "", is_command: bool = False
) -> None:
    """Print text on standard error, without markup and without control characters.

    A terminal gets lines that are broken between words, except for a command, which is to be copied as one line. The
    beginning of the text may have a style of its own.
    """
    from rich.console import Console
    from rich.text import Text

    from orstats.text.wrap import wrapped

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    text = terminal_text(text)
    if sys.stderr.isatty() and not is_command:
        text = wrapped(text, console.width)
    shown = Text(text)
    shown.stylize(style, len(title))
    shown.stylize(title_style, 0, len(title))
    console.print(shown)


def stdout_console() -> Console:
    """Return the console for text and tables on standard output."""
    from rich.console import Console

    return Console(highlight=False)


_UNLIMITED: Final = 10_000


def _is_limited() -> bool:
    """Whether standard output has a width: a terminal, not a pipe or file."""
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def print_table(columns: Sequence[Column], *, label_style: str = "") -> list[str]:
    """Print a table that fits the terminal, or all of it to pipes and files. Return remarks about omitted columns."""
    from rich.console import Console

    from orstats.text.table import Trimmed, fit

    width = stdout_console().width if _is_limited() else _UNLIMITED
    fitted = fit(columns, width, label_style=label_style)
    Console(highlight=False, width=max(width, _UNLIMITED)).print(Trimmed(fitted.table), soft_wrap=True)
    if not fitted.omitted:
        return []
    return [f"Not shown: {', '.join(fitted.omitted)}. A wider terminal shows all columns, as a pipe (| less -S) does."]


def print_pairs(*groups: Mapping[str, str]) -> None:
    """Print names and texts side by side on standard output, with an empty line between groups."""
    from rich.table import Table
    from rich.text import Text

    from orstats.text.table import Trimmed

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for place, pairs in enumerate(groups):
        if place:
            grid.add_row()
        for name, text in pairs.items():
            grid.add_row(name, Text(text))
    stdout_console().print(Trimmed(grid))


def print_text(text: Text) -> None:
    """Print text on standard output, wrapped between words on a terminal and unchanged to pipes and files."""
    from orstats.text.table import Trimmed

    if _is_limited():
        stdout_console().print(Trimmed(text))
    else:
        stdout_console().print(text, soft_wrap=True)


def write_json(value: Any) -> None:
    """Write a value to standard output as indented JSON."""
    import orjson

    data_stream().write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def data_stream() -> Any:
    """Return standard output for data: UTF-8 on every system, line ends unchanged, sanitized on a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return _Terminal(sys.stdout) if sys.stdout.isatty() else sys.stdout


class _Terminal:
    """A terminal to which untrusted text may be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.flush = stream.flush

    def write(self, text: str) -> None:
        self._stream.write(terminal_text(text))

    def writelines(self, lines: Iterable[str]) -> None:
        self._stream.writelines(map(terminal_text, lines))


def command_prefix() -> str:
    """Return what runs this program in the user's shell: ``orstats`` if it is on the path."""
    script = Path(sys.argv[0]).absolute()
    if os.access(script, os.X_OK):
        found = shutil.which(script.name)
        return script.name if found is not None and Path(found).samefile(script) else _relative(script)
    python = _relative(Path(sys.executable))
    return f"{python} -m orstats" if script.suffix in ("", ".py") else f"{python} {_relative(script)}"  # a zipapp


def _relative(path: Path) -> str:
    return quoted(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


_OPTIONS: Final = {
    "ids": "--ids-from",
    "start": "--since",
    "end": "--until",
    "api_key": "OPENROUTER_API_KEY",
    "management_key": "OPENROUTER_MANAGEMENT_KEY",
} | {
    name: f"--{name.replace('_', '-')}"
    for name in (
        *("column", "archive", "workers", "pending_wait", "deadline", "base_url", "refresh"),
        *("by", "freq", "tz", "tolerance", "user", "model", "before", "after", "host", "activity"),
    )
}
_ARGUMENT: Final = re.compile(rf"(?<![\w.(-])({'|'.join(_OPTIONS)})=(?:…|'(\w+)'|(?=[\s.,;:)]|\Z))")
#: Keys are never given on a command line.
_KEY_ARGUMENT: Final = re.compile(r",? \(?or pass Client\(\w+=…\)\)?")


def for_shell(text: str) -> str:
    """Replace the Python arguments that the library's advice names by the options of the command line.

    Examples
    --------
    >>> for_shell("a.csv: no id column found; name one with column=. Or pass archive=…, or set ORSTATS_ARCHIVE.")
    'a.csv: no id column found; name one with --column. Or pass --archive, or set ORSTATS_ARCHIVE.'
    """
    from orstats.fetching.arguments import ARCHIVED_ONLY

    text = _KEY_ARGUMENT.sub("", text).replace(ARCHIVED_ONLY, "`orstats fetch --deadline 0`")
    text = text.replace("archive=False", "--no-archive")
    return _ARGUMENT.sub(lambda match: f"{_OPTIONS[match[1]]} {match[2] or ''}".rstrip(), text)
