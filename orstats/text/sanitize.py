r"""Untrusted text made safe to show: one definition of the dangerous characters, one function per place.

| shown in | several lines | one line |
|---|---|---|
| HTML | `html_text` | `html_line` |
| plain text of widgets, plots and tables (not escaped) | `visible_text` | `visible_line`, `display_text` |
| a terminal | `terminal_text` | `terminal_line` |
"""

from __future__ import annotations

import html
import re
from typing import Final, NewType

from orstats.text.format import is_present

#: HTML that is safe to show.
Html = NewType("Html", str)

#: Classes of elements in which MathJax must not read text between two dollar signs as a formula.
NO_MATH: Final = "tex2jax_ignore mathjax_ignore"

#: What stands for a missing name, such as the label of a group without a value.
NO_VALUE: Final = "(none)"

#: The number of characters shown of a name, an id or another text of one line.
LINE: Final = 120

#: Control characters except tab and line feed, as the inside of a regular expression's character class.
CONTROLS: Final = "\x00-\x08\x0b-\x1f\x7f-\x9f"
# Break lines or reorder the text around them (bidirectional embeddings, overrides and isolates).
_REORDERING: Final = "\u2028-\u202e\u2066-\u2069"
# Show as nothing, and can therefore hide text: format characters (category Cf) and fillers. Joiners are omitted,
# because words and emoji need them, and so are the Arabic, Syriac and Kaithi signs of this category, which are visible.
_INVISIBLE: Final = (
    "\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
# Direction marks and soft hyphens show as nothing, too, but longer texts need them.
_MARKS: Final = "\xad\u061c\u200e\u200f"
# One selector chooses the variant of a character; further ones have no effect and can hide text.
_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
# The flags of England, Scotland and Wales and their like: a black flag followed by tags.
_FLAG: Final = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
_EXTRA_SELECTOR: Final = f"(?<=[{_SELECTORS}])[{_SELECTORS}]"

_IN_TEXT: Final = re.compile(f"{_FLAG}|{_EXTRA_SELECTOR}|[{CONTROLS}{_REORDERING}{_INVISIBLE}]")
_IN_LINE: Final = re.compile(f"{_FLAG}|{_EXTRA_SELECTOR}|[{CONTROLS}{_REORDERING}{_INVISIBLE}{_MARKS}]")
_LINE_BREAK: Final = re.compile("[\n\u2028\u2029]")
# Complete sequences that a terminal obeys (CSI, OSC and its kin, two-character ones), so that no "[31m" is left.
_TERMINAL_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)


def valid_text(text: str) -> str:
    r"""Replace lone surrogates, which UTF-8 cannot hold, and join pairs of them.

    >>> valid_text("\ud83d\ude00"), valid_text("\ud83d")
    ('😀', '�')
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def visible_text(value: object) -> str:
    r"""Return plain text with control, invisible and reordering characters written as code points. Not escaped.

    >>> visible_text("a\x00b\r\n\u202ec")
    'a[U+0000]b\n[U+202E]c'
    """
    return _IN_TEXT.sub(_code_point, _unix_lines(value))


def html_text(value: object) -> Html:
    """Return :func:`visible_text`, escaped for HTML."""
    return Html(html.escape(visible_text(value)))


def visible_line(value: object, width: int = LINE) -> str:
    r"""Return plain text of one line, cut at its end. Not escaped.

    >>> visible_line("two\nlines\u200b"), visible_line("long text", 5)
    ('two lines[U+200B]', 'long…')
    """
    text = str(value)
    shown = " ".join(_IN_LINE.sub(_code_point, _unix_lines(text[: 4 * width])).split())
    return shown if len(shown) <= width and len(text) <= 4 * width else shown[: width - 1] + "…"


def html_line(value: object, width: int = LINE) -> Html:
    """Return :func:`visible_line`, escaped for HTML."""
    return Html(html.escape(visible_line(value, width)))


def display_text(value: object, width: int = 60) -> str:
    r"""Return the name of a row or group in one line, cut in its middle: names begin alike. Not escaped.

    >>> display_text("a\nb\x1b"), display_text(" "), display_text(None), display_text("abcdefghijklmnop", 9)
    ('a↵b[U+001B]', '(empty)', '(none)', 'abcdef…op')
    """
    if not is_present(value):
        return NO_VALUE
    text = str(value)
    if len(text) > 2 * width:
        text = text[:width] + text[-width:]
    shown = _IN_LINE.sub(_code_point, _LINE_BREAK.sub("↵", _unix_lines(text)).replace("\t", " "))
    if len(shown) > width:
        head = (width - 1) * 3 // 4
        return f"{shown[:head]}…{shown[head + 1 - width :]}"
    return shown if shown.strip() else "(empty)"


def terminal_text(value: object) -> str:
    r"""Return text without escape sequences, control characters and invisible characters; line feeds stay.

    >>> terminal_text("\x1b[31mred\x1b[0m\tand\rblue\x07")
    'red and\nblue'
    """
    return _IN_LINE.sub(_flag_only, _TERMINAL_SEQUENCE.sub("", _unix_lines(value).replace("\t", " ")))


def terminal_line(value: object, width: int | None = None) -> str:
    r"""Return :func:`terminal_text` in one line, cut at its end to `width` characters.

    >>> terminal_line("two\nlines"), terminal_line("a long text", 7)
    ('two lines', 'a long…')
    """
    text = " ".join(terminal_text(value).split())
    return text if width is None or len(text) <= width else text[: width - 1].rstrip() + "…"


def _unix_lines(value: object) -> str:
    return valid_text(str(value)).replace("\r\n", "\n").replace("\r", "\n")


def _code_point(match: re.Match[str]) -> str:
    return _flag_only(match) or f"[U+{ord(match[0]):04X}]"


def _flag_only(match: re.Match[str]) -> str:
    return match[0] if len(match[0]) > 1 else ""
