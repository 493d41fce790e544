"""Text for terminals: strangers' text made harmless, and numbers as people read them. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

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
_MILLION: Final = 1_000_000


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


def short(text: object, width: int = 60) -> str:
    """Return text in one line of at most ``width`` characters.

    Examples
    --------
    >>> short("a long text", 7)
    'a long…'
    """
    whole = line(text)
    return whole if len(whole) <= width else whole[: width - 1].rstrip() + "…"


def known(value: Any) -> bool:
    """Whether a cell of a frame has a value.

    Examples
    --------
    >>> known(0), known(None), known(float("nan"))
    (True, False, False)
    """
    return value is not None and str(value) not in ("<NA>", "NaT", "nan")


def usd(value: Any, places: int | None = None) -> str:
    """Write an amount in US dollars, never with an exponent.

    Parameters
    ----------
    value
        The amount; missing is unknown.
    places
        Digits after the point, so that amounts can be compared; None for as many as say something.

    Examples
    --------
    >>> usd(4.2e-07), usd(0.012345), usd(1234.5), usd(0), usd(None)
    ('$0.00000042', '$0.012345', '$1,234.50', '$0', 'unknown')
    >>> usd(1.5, 4), usd(4.2e-07, 4), usd(0, 4)
    ('$1.5000', '<$0.0001', '$0')
    """
    if not known(value):
        return "unknown"
    amount = float(value)
    sign, size = "-" if amount < 0 else "", abs(amount)
    if not size:
        return "$0"
    if places is not None:
        smallest = 10.0**-places
        return f"{sign}${size:,.{places}f}" if size >= smallest / 2 else f"<${smallest:.{places}f}"
    if size >= 1:
        return f"{sign}${size:,.{usd_places(size)}f}"
    return sign + "$" + format(Decimal(f"{size:.5g}"), "f")


def usd_places(total: Any) -> int:
    """Choose how many digits after the point suit amounts that make up a total.

    Examples
    --------
    >>> usd_places(12345.6), usd_places(5.2), usd_places(0.012), usd_places(4e-6)
    (2, 4, 6, 9)
    """
    size = abs(float(total)) if known(total) else 0.0
    for least, places in ((100.0, 2), (1.0, 4), (0.01, 6)):
        if size >= least:
            return places
    return 9


def count(value: Any) -> str:
    """Write a whole number with thousands separated.

    Examples
    --------
    >>> count(1234567), count(None)
    ('1,234,567', '?')
    """
    return f"{int(value):,}" if known(value) else "?"


def tokens(value: Any) -> str:
    """Write a number of tokens for a narrow column.

    Examples
    --------
    >>> tokens(950), tokens(123456), tokens(12345678)
    ('950', '123,456', '12.35M')
    """
    if known(value) and int(value) >= 10 * _MILLION:
        return f"{int(value) / _MILLION:,.2f}M"
    return count(value)


def milliseconds(value: Any) -> str:
    """Write a time in the unit that reads best.

    Examples
    --------
    >>> milliseconds(727.4), milliseconds(12345), milliseconds(None)
    ('727 ms', '12.3 s', '?')
    """
    if not known(value):
        return "?"
    return f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"  # noqa: PLR2004 - 10 s


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
