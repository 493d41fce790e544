"""Find ids that a text holds in another form: base64, hexadecimal, byte arrays, escaped hyphens, folded lines.

Few logs hold any of these forms, and searching for each of them would take longer than the search for plain ids. So
one pass with RE2, which matches all alternatives at once, tells whether a piece of text is worth the search.
"""

from __future__ import annotations

import binascii
import functools
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from orstats.ids.formats import API_KEY, FOREIGN_KINDS, SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orstats.ids.collector import IdCollector

__all__ = ["CONTEXT", "RareForms"]

CONTEXT: Final = 1024
"""Bytes that no form of an id exceeds."""

_SMALL: Final = 1 << 16  # below this every form is searched for, which is faster than to load pyarrow

_ID = re.compile(rb"(?:%s)(?![A-Za-z0-9])" % SHAPE.pattern.encode())
_SEPARATOR: Final = (
    rb"(?:\\+x2[dD]|\\+u002[dD]|%(?:25)*2[dD]|=2[dD]|&#0*(?:45|173|82(?:0[3-5]|0[89]|1[0-3]|22));|&#[xX]0*2[dD];|&(?:hyphen|dash|shy);"
    rb"|-?(?:\xe2\x80[\x8b-\x8d\x90-\x95]|\xe2\x81[\x83\xa0]|\xe2\x88\x92|\xef\xb9[\x98\xa3]|\xef\xbc\x8d|\xc2\xad"
    rb"|[\x96\x97\xad](?=[0-9A-Za-z])|<wbr ?/?>|&(?:shy|ZeroWidthSpace);)-?)"
)
_SEPARATED = re.compile(
    rb"gen(?:-|%s)(?:[a-z]{2,8}(?:-|%s))?[0-9]{10}(?:-|%s)[A-Za-z0-9]{20}(?![A-Za-z0-9])" % ((_SEPARATOR,) * 3)
)
_SEPARATORS = re.compile(_SEPARATOR)
_SOFT_BREAK = re.compile(rb"=[ \t]*\r?\n(?=[A-Za-z0-9_-])")
_UNFOLDED = re.compile(
    rb"(?:gen-(?:[a-z]{2,8}-)?[0-9]{10}-[A-Za-z0-9]{20}|(?<![A-Za-z0-9])(?:%s))(?![A-Za-z0-9])" % SHAPE.pattern.encode()
)
_BASE64_BODY: Final = rb"(?:[A-Za-z0-9+/_-]|\\[rn]|\r?\n){30,90}"
_BASE64: Final = [  # the three alignments of "gen-" and "gen_", and what completes the first group
    (re.compile(rb"Z2Vu[LX]" + _BASE64_BODY), b""),
    (re.compile(rb"dlbi[01]" + _BASE64_BODY), b"AG"),
    (re.compile(rb"dlbl[89]" + _BASE64_BODY), b"AG"),
    (re.compile(rb"nZW4t" + _BASE64_BODY), b"AAB"),
    (re.compile(rb"nZW5f" + _BASE64_BODY), b"AAB"),
]
_BASE64_FOLD = re.compile(rb"(?<=[A-Za-z0-9+/]{60})(?:\r?\n|\\r\\n|\\n)[ \t]*(?=[A-Za-z0-9+/=])")
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_NOT_BASE64 = re.compile(rb"\\[rn]|\s")
_HEX = re.compile(rb"67656[eE](?:2[dD]|5[fF])(?:[3-7][0-9A-Fa-f]|2[dD]){20,36}")
_NUMBERS = re.compile(rb"103[,\s]+101[,\s]+110[,\s]+(?:45|95)(?:[,\s]+[0-9]{1,3}(?![0-9])){20,36}")


class _Form(NamedTuple):
    """One form: a pattern of RE2 that all its occurrences match, and the search."""

    hint: str
    search: Callable[[bytes, int, int, IdCollector], None]


class RareForms:
    """The rare forms in one text; what was met once is searched for in the rest of the text without a hint."""

    def __init__(self) -> None:
        self._met: list[_Form] = []
        self._rare = list(_FORMS)

    def search(self, buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
        """Take what lies in ``buffer[start:stop]``; ids that began in the `CONTEXT` before it are completed."""
        forms = self._met
        if len(buffer) < _SMALL:
            forms = [*self._met, *self._rare]
        elif self._rare and _may_hold(buffer, self._rare):
            self._met += [form for form in self._rare if _may_hold(buffer, [form])]
            self._rare = [form for form in self._rare if form not in self._met]
        for form in forms:
            form.search(buffer, start, stop, found)


def _may_hold(buffer: bytes, forms: list[_Form]) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light
    import pyarrow.compute as pc  # noqa: PLC0415

    pattern = "|".join(form.hint for form in forms)
    return bool(pc.match_substring_regex(pa.scalar(buffer, pa.binary()), pattern=pattern).as_py())


def _take(matches: Iterable[bytes], decode: Callable[[bytes], bytes], found: IdCollector) -> None:
    """Add the ids with which decoded matches begin."""
    for match in dict.fromkeys(matches):
        if id_ := _ID.match(decode(match)):
            found.ids[id_[0].decode("ascii")] = None


def _search_separated(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
    matches = _SEPARATED.findall(buffer, max(start - CONTEXT, 0), stop)
    _take(matches, lambda match: _SEPARATORS.sub(b"-", match), found)


def _search_quoted_printable(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
    """Find ids that a soft line break of quoted-printable mail cuts in two."""
    start = max(start - CONTEXT, 0)
    if _SOFT_BREAK.search(buffer, start, stop):
        _take(_UNFOLDED.findall(binascii.a2b_qp(buffer[start:stop])), bytes, found)


def _search_base64(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
    for pattern, opening in _BASE64:
        matches = pattern.findall(buffer, max(start - CONTEXT, 0), stop)
        _take(matches, functools.partial(_from_base64, opening), found)


def _from_base64(opening: bytes, text: bytes) -> bytes:
    text = opening + _NOT_BASE64.sub(b"", text).translate(_STANDARD_ALPHABET)
    text = text[:-1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))[max(len(opening) - 1, 0) :]


def _search_folded_base64(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
    """Find ids in base64 that is wrapped after 60 to 76 characters, as in mail."""
    unfolded, folds = _BASE64_FOLD.subn(b"", buffer[max(start - CONTEXT, 0) : stop])
    if folds:
        _search_base64(unfolded, 0, len(unfolded), found)


def _search_hex(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
    _take(_HEX.findall(buffer, max(start - CONTEXT, 0), stop), binascii.unhexlify, found)


def _search_numbers(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
    """Find ids in arrays of bytes, as journald writes messages that are not plain text."""
    matches = _NUMBERS.findall(buffer, max(start - CONTEXT, 0), stop)
    _take(matches, lambda match: bytes(int(number) & 255 for number in re.findall(rb"[0-9]+", match)), found)


def _foreign(prefix: str, *, unless: str = "") -> _Form:
    """Count ids of another kind; a digit is required, so that names such as req_handler_name are not counted."""
    body = rf"(?=[A-Za-z-]{{0,64}}[0-9]){unless}[A-Za-z0-9-]{{8,128}}"
    pattern = re.compile(f"({prefix})(?<![A-Za-z0-9_-]{prefix}){body}".encode())

    def search(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
        for name, number in Counter(pattern.findall(buffer, start, stop)).items():
            found.count_foreign(FOREIGN_KINDS.get(name.decode("ascii"), API_KEY), number)

    return _Form(prefix + "[A-Za-z0-9-]{8}", search)


# Hints stay simple: with many states RE2 takes three times as long.
_FORMS: Final = (
    *map(_foreign, ("chatcmpl-", "cmpl-", "req[-_]", "msg_", "sk-or-")),
    _foreign("resp_", unless="(?!bGl0ZWxsbT)"),  # LiteLLM's own wrap a generation id in base64: "litellm:"
    _Form(r"gen(?:[\\%&<]|=2|[^\x00-\x7f])|gen-[0-9]{10}-?[^-0-9A-Za-z]", _search_separated),
    _Form(r"=[ \t]*\r?\n[A-Za-z0-9_-]", _search_quoted_printable),
    _Form("Z2Vu[LX]|dlb(?:i[01]|l[89])|nZW(?:4t|5f)", _search_base64),
    _Form("[bB][aA][sS][eE]64", _search_folded_base64),
    _Form("67656[eE](?:2[dD]|5[fF])[3-7]", _search_hex),
    _Form(r"103[,\s]+101[,\s]+110[,\s]", _search_numbers),
)
