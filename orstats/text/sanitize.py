"""From strangers' text to HTML that is safe to show: escaped, without control characters, bounded.

Whatever makes HTML of a generation stands on these few functions: its static card here, all else in
:mod:`orstats.notebook`'s ``render`` modules.
"""

from __future__ import annotations

import html
import re
from typing import Final, NewType

#: HTML that is safe to show. Only ``render*`` modules make it.
Html = NewType("Html", str)

#: Characters shown of a name, an id or another text of one line.
LINE: Final = 120

# Controls but line feed and tab, and what reorders or breaks lines unseen, are shown as what they are. Joiners and
# single direction marks stay: emoji and Persian need them, and each text is isolated in its own direction anyway.
# By number: many fonts have no symbols for them.
_UNSEEN: Final = (*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_SHOWN: Final = {n: f"⟨U+{n:04X}⟩" for n in _UNSEEN}
_BREAKS: Final = re.compile(r"\r\n?")


def valid_text(text: str) -> str:
    r"""Replace lone surrogates, which UTF-8 cannot hold, and join pairs of them.

    Examples
    --------
    >>> valid_text("\ud83d\ude00"), valid_text("\ud83d")
    ('😀', '�')
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean(value: object) -> str:
    r"""Return plain text in which control characters and direction overrides can be seen. Not escaped yet.

    Examples
    --------
    >>> clean("a\x00b\r\n\u202ec")
    'a⟨U+0000⟩b\n⟨U+202E⟩c'
    """
    return _BREAKS.sub("\n", valid_text(str(value))).translate(_SHOWN)


def plain_line(value: object, width: int = LINE) -> str:
    """Return cleaned text of one line, for widgets that do not read HTML (buttons, labels)."""
    text = str(value)
    whole = " ".join(clean(text[: 4 * width]).split())
    return whole if len(whole) <= width and len(text) <= 4 * width else whole[: width - 1] + "…"


def line(value: object, width: int = LINE) -> Html:
    r"""Return escaped text of one line, cut after `width` characters.

    Examples
    --------
    >>> line("<b>two\nlines</b>"), line("long text", 5)
    ('&lt;b&gt;two lines&lt;/b&gt;', 'long…')
    """
    return Html(html.escape(plain_line(value, width)))
