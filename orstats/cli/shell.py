"""Words and variables as the user's shell reads them, for commands to copy: sh, or on Windows PowerShell."""

from __future__ import annotations

import os
import shlex
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
