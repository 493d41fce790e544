"""The doors of a command: words to standard error, data to standard output, errors to exit codes."""

from __future__ import annotations

import functools
import io
import logging
import os
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, ParamSpec, TextIO

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orstats.cli import exit_code
from orstats.cli.streams import OutputError
from orstats.cli.text import for_shell
from orstats.errors import OrstatsError
from orstats.text.sanitize import terminal_line, terminal_text
from orstats.text.table import Column, fit

P = ParamSpec("P")

FAILED: Final = 1
USAGE: Final = 2
SOME_FAILED: Final = 3
#: Codes from here on tell which signal ended the program; 130 is Ctrl-C.
INTERRUPTED_FROM: Final = 128


class Interrupted(Exception):  # noqa: N818 - no error: the user wanted it
    """Ctrl-C, with a sentence on what is kept."""


class WrongUsage(Exception):  # noqa: N818 - named like the exit code's meaning
    """The command cannot be run as it was given."""


class Failure(Exception):  # noqa: N818 - named like the exit code's meaning
    """The command failed, with a sentence why."""


def stderr_console() -> Console:
    """Return the console for words. Text is wrapped by the terminal, so that it can be copied whole."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_status(text: str, style: str = "") -> None:
    """Print a line of words; ``text`` is not markup, and what a terminal would obey is taken out of it."""
    stderr_console().print(Text(terminal_text(text), style=style))


def command_prefix() -> str:
    """Return what runs this program in the user's shell: ``orstats`` if it is on the path."""
    script = Path(sys.argv[0]).absolute()
    if os.access(script, os.X_OK):
        found = shutil.which(script.name)
        return script.name if found is not None and Path(found).samefile(script) else _relative(script)
    python = _relative(Path(sys.executable))
    return f"{python} -m orstats" if script.suffix in ("", ".py") else f"{python} {_relative(script)}"  # a zipapp


def _relative(path: Path) -> str:
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def warn(text: object) -> None:
    """Print a warning."""
    stderr_console().print(
        Text("orstats: ", style="bold").append(f"warning: {terminal_line(for_shell(text))}", style="yellow")
    )


def stdout_console() -> Console:
    """Return the console for what people read on standard output."""
    return Console(highlight=False)


def show(columns: Sequence[Column], *, label_style: str = "") -> list[str]:
    """Print a table that fits the terminal; pipes and files get it whole. Return what there is to say about it."""
    fixed = sys.stdout.isatty() or "COLUMNS" in os.environ
    width = stdout_console().width if fixed else _UNLIMITED
    fitted = fit(columns, width, label_style=label_style)
    Console(highlight=False, width=max(width, _UNLIMITED)).print(fitted.table, soft_wrap=True)
    return [f"No room for: {', '.join(fitted.omitted)}."] if fitted.omitted else []


_UNLIMITED: Final = 10_000


def pairs() -> Table:
    """Return an empty table of names, and what is said of each."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def write_json(value: Any) -> None:
    """Write a value to standard output, as JSON that people can read, too."""
    data().write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def data() -> Any:
    """Return standard output for data: UTF-8 on every system, line ends as they are written.

    Files and pipes get the data as it is; a terminal gets it without what it would obey.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return _Terminal(sys.stdout) if sys.stdout.isatty() else sys.stdout


class _Terminal:
    """A terminal to which strangers' text may be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(terminal_text(text))

    def writelines(self, lines: Iterable[str]) -> None:
        self._stream.writelines(map(terminal_text, lines))

    def flush(self) -> None:
        self._stream.flush()


def command(text: str) -> Callable[[Callable[P, int | None]], Callable[P, None]]:
    """Make a command of a function: its errors become a line and an exit code, its result the exit code.

    The text of ``--help`` is an argument, because ``python -OO`` removes docstrings.
    """
    return functools.partial(_command, text)


def _command(text: str, run: Callable[P, int | None]) -> Callable[P, None]:
    @functools.wraps(run)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        handler = _Warnings()
        logger = logging.getLogger("orstats")
        logger.addHandler(handler)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", UserWarning)
                warnings.showwarning = _show_warning
                code = _run(lambda: run(*args, **kwargs))
        finally:
            logger.removeHandler(handler)
        raise typer.Exit(code)

    wrapper.__doc__ = text
    return wrapper


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    warn(message)


def _run(run: Callable[[], int | None]) -> int:
    code: int | None
    try:
        code = run()
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        code = _end(exit_code(interrupt), "interrupted.")
    except Interrupted as error:
        code = _end(exit_code(error.__cause__), f"interrupted. {error}")
    except WrongUsage as error:
        code = _end(USAGE, f"error: {error}")
    except (OrstatsError, Failure, ImportError) as error:
        code = _end(FAILED, f"error: {error}")
    except OutputError as error:
        code = _end(FAILED, f"error: standard output: {error.strerror}")
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        code = _end(FAILED, f"error: {place}{error.strerror or error}")
    return code or 0


def _end(code: int, text: str) -> int:
    style = "" if code >= INTERRUPTED_FROM else "red"
    stderr_console().print(Text("orstats: ", style="bold").append(terminal_line(for_shell(text)), style=style))
    return code


class _Warnings(logging.Handler):
    """Shows the library's warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())
