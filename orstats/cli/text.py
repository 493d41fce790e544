"""Text for terminals: strangers' text made harmless, and numbers as people read them. Pure."""

from __future__ import annotations

import re
from typing import Final

from orstats.text.format import count, known, milliseconds, tokens, usd, usd_places

__all__ = [
    "clean",
    "count",
    "for_shell",
    "known",
    "line",
    "milliseconds",
    "plural",
    "short",
    "size",
    "tokens",
    "usd",
    "usd_places",
]

# Sequences that a terminal obeys (CSI, OSC and kin, two-character ones), whole, so that no "[31m" is left behind.
_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters but line feeds, and those that reorder, hide or break lines.
_CONTROL: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


def clean(text: object) -> str:
    r"""Return text that is safe to print: no escape sequences, no control characters but line feeds.

    Examples
    --------
    >>> clean("\x1b[31mred\x1b[0m\tand\rblue\x07")
    'red and\nblue'
    """
    plain = str(text).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return _CONTROL.sub("", _SEQUENCE.sub("", plain)).encode("utf-8", "replace").decode()


def line(text: object) -> str:
    r"""Return text as :func:`clean` does, in one line.

    Examples
    --------
    >>> line("two\nlines")
    'two lines'
    """
    return " ".join(clean(text).split())


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


def short(text: object, width: int = 60) -> str:
    """Return text in one line of at most ``width`` characters.

    Examples
    --------
    >>> short("a long text", 7)
    'a long…'
    """
    whole = line(text)
    return whole if len(whole) <= width else whole[: width - 1].rstrip() + "…"


def size(number: float) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> size(512), size(2_400_000)
    ('512 B', '2.4 MB')
    """
    for unit in ("B", "kB", "MB"):
        if number < 1000:  # noqa: PLR2004
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def plural(number: int, noun: str) -> str:
    """Write a number and its noun.

    Examples
    --------
    >>> plural(1, "id"), plural(2000, "id")
    ('1 id', '2,000 ids')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
