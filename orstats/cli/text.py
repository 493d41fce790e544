"""Advice in the words of the shell."""

from __future__ import annotations

import re
from typing import Final

_OPTIONS: Final = {"ids": "--ids-from", "start": "--since", "end": "--until"} | {
    name: f"--{name.replace('_', '-')}"
    for name in (
        *("column", "archive", "workers", "pending_wait", "deadline", "base_url", "refresh"),
        *("by", "freq", "tz", "tolerance", "user", "model", "before", "after", "host"),
    )
}
_ARGUMENT: Final = re.compile(rf"(?<![\w.(-])({'|'.join(_OPTIONS)})=(?:…|(?=[\s.,;:)]|\Z))")
#: Keys are never given on a command line.
_KEY_ARGUMENT: Final = re.compile(r",? \(?or pass Client\(\w+=…\)\)?")


def for_shell(text: object) -> str:
    """Replace the names of Python arguments in advice by the options of the command line.

    Examples
    --------
    >>> for_shell("a.csv: no id column found; name one with column=. Or pass archive=…, or set ORSTATS_ARCHIVE.")
    'a.csv: no id column found; name one with --column. Or pass --archive, or set ORSTATS_ARCHIVE.'
    >>> for_shell("set the environment variable OPENROUTER_API_KEY, or pass Client(api_key=…).")
    'set the environment variable OPENROUTER_API_KEY.'
    """
    return _ARGUMENT.sub(lambda match: _OPTIONS[match[1]], _KEY_ARGUMENT.sub("", str(text)))
