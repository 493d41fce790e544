"""Texts of proxies, gateways and login pages: in other encodings than UTF-8, and in HTML."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from html import unescape
from typing import Final

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
#: Encodings of web pages. Python knows others, some of which take long to decode.
_ENCODINGS = re.compile(
    r"(?:iso-8859|windows|cp|utf|gb|big5|shift_jis|sjis|euc|koi8|latin|ks_c|tis|mac)[\w-]*", re.IGNORECASE
)
_WIDE: Final = ("utf-16", "utf-32")
_BOMS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Bytes in which a page declares its encoding, and characters in which its title is looked for.
_MAX_DECLARATION, _MAX_PAGE = 1024, 1 << 14
_INVISIBLE = re.compile(r"<(script|style|svg|template)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_HEADING = re.compile(r"<(title|h[1-3]|message)\b[^>]{0,400}>(.{0,400}?)</\1", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")


def as_utf8(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a body in UTF-8: JSON is in UTF-8 by its standard, but gateways send other encodings, too."""
    declared = _CHARSET.search(headers.get("Content-Type", ""))
    is_page = body[:1] in b"< \r\n\t"
    if declared is None and is_page:
        declared = _CHARSET.search(body[:_MAX_DECLARATION].decode("latin-1"))
    name = "utf-8" if declared is None else declared[1].lower()
    if body.startswith(_BOMS):
        name = "utf-32" if body.startswith(_BOMS[:2]) else "utf-16"
    if name in {"utf-8", "utf8"} or not _ENCODINGS.fullmatch(name):
        return body
    if not name.startswith(_WIDE) and _is_utf8(body):
        return body  # a declared default of the server is often wrong
    try:
        return body.decode(name, "replace").encode()
    except LookupError:
        return body


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def page_title(page: str) -> tuple[str, bool]:
    """Return the title of a page, else its first heading, else its text; and whether it is a title or heading.

    Examples
    --------
    >>> page_title("<title></title><h1>Access <b>denied</b></h1>"), page_title("<pre>Cannot GET /api</pre>")
    (('Access denied', True), ('Cannot GET /api', False))
    """
    visible = _INVISIBLE.sub(" ", page[:_MAX_PAGE])
    headings = sorted(_HEADING.findall(visible), key=lambda found: found[0].lower() != "title")
    texts = (_text(heading) for _, heading in headings)
    title = next((text for text in texts if text), "")
    return (title, True) if title else (_text(visible), False)


def _text(markup: str) -> str:
    return " ".join(unescape(_TAG.sub(" ", markup)).split())
