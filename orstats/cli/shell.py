"""Words, variables, commands and options as the user's shell reads them: sh, or on Windows PowerShell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

IS_WINDOWS: Final = os.name == "nt"
#: The keys that end the input of a terminal.
END_OF_INPUT: Final = "Ctrl-Z and Enter" if IS_WINDOWS else "Ctrl-D on an empty line"


def quoted(word: str, *, windows: bool = IS_WINDOWS) -> str:
    r"""Return a word of a command line, in quotes if it needs them; cmd.exe does not know single quotes.

    Examples
    --------
    >>> quoted("my log.txt", windows=False), quoted("my log.txt", windows=True), quoted(r"C:\logs", windows=True)
    ("'my log.txt'", '"my log.txt"', 'C:\\logs')
    """
    if not windows:
        return shlex.quote(word)
    return f'"{word}"' if not word or set(word) & set(" \t&|<>^();,='`$@{}[]#") else word


def assignment(name: str, value: str, *, windows: bool = IS_WINDOWS) -> str:
    """Return a line that sets an environment variable.

    Examples
    --------
    >>> assignment("A", "x y", windows=False), assignment("A", "it's", windows=True)
    ("export A='x y'", "$env:A = 'it''s'")
    """
    if not windows:
        return f"export {name}={shlex.quote(value)}"
    doubled = value.replace("'", "''")
    return f"$env:{name} = '{doubled}'"


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
