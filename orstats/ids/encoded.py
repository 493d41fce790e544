"""Find ids in other forms: base64, hexadecimal, byte arrays, escaped hyphens, folded lines.

Few logs contain any of these forms, and searching for each takes longer than the search for plain ids. So one pass
with RE2, which matches all alternatives in one pass, decides whether a piece of text is worth the search.
"""

from __future__ import annotations

import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from orstats.ids.collector import IdCollector
from orstats.ids.id_shapes import API_KEY, FOREIGN_KINDS, SHAPE

CONTEXT: Final = 1024
"""Maximum length of any form of an id, in bytes."""

_SMALL: Final = 1 << 16  # below this, searching for every form is faster than loading pyarrow

_ID = re.compile(rb"(?:%s)(?![A-Za-z0-9])" % SHAPE.pattern.encode())
_MARKUP: Final = rb"(?:\x1b\[[0-9;]*[mK]|</?[a-z]{1,6}>)"  # around a part that was searched for
_SEPARATOR: Final = (
    rb"(?:\\+x2[dD]|\\+-|\\_|\{-\}|\\+u002[dD]|%(?:25)*2[dD]|=2[dD]|&#0*(?:45|173|82(?:0[3-5]|0[89]|1[0-3]|22));"
    rb"|&#[xX]0*(?:2[dD]|[aA][dD]|20(?:0[bBcCdD]|1[0-5])|2212);|&(?:hyphen|dash|shy);"
    rb"|-?(?:\xe2\x80[\x8b-\x8d\x90-\x95]|\xe2\x81[\x83\xa0]|\xe2\x88\x92|\xef\xb9[\x98\xa3]|\xef\xbc\x8d|\xc2\xad"
    rb"|[\x96\x97\xad](?=[0-9A-Za-z])|<wbr ?/?>|&(?:shy|ZeroWidthSpace);)-?"
    rb"|" + _MARKUP + rb"{1,4}-" + _MARKUP + rb"{0,4}|-" + _MARKUP + rb"{1,4})"
)
_SEPARATED = re.compile(
    rb"gen(?:-|%s)(?:[a-z]{2,8}(?:-|%s))?[0-9]{10}(?:-|%s)[A-Za-z0-9]{20}(?![A-Za-z0-9])" % ((_SEPARATOR,) * 3)
)
_SEPARATORS = re.compile(_SEPARATOR)
_SOFT_BREAK = re.compile(rb"=[ \t]*\r?\n(?=[A-Za-z0-9_-])")
_UNFOLDED = re.compile(
    rb"(?:gen-(?:[a-z]{2,8}-)?[0-9]{10}-[A-Za-z0-9]{20}|(?<![A-Za-z0-9])(?:%s))(?![A-Za-z0-9])" % SHAPE.pattern.encode()
)
# What follows the first letters is only looked at, because the next id may begin in it.
_BASE64_BODY: Final = rb"(?=((?:[A-Za-z0-9+/_-]|\\[rn]|\r?\n){30,90}))"
_BASE64: Final = [  # the three alignments of "gen-" and "gen_", and the characters before them in a group of four
    (re.compile(rb"(Z2Vu[LX])" + _BASE64_BODY), b""),
    (re.compile(rb"(dlbi[01])" + _BASE64_BODY), b"AG"),
    (re.compile(rb"(dlbl[89])" + _BASE64_BODY), b"AG"),
    (re.compile(rb"(nZW4t)" + _BASE64_BODY), b"AAB"),
    (re.compile(rb"(nZW5f)" + _BASE64_BODY), b"AAB"),
]
_BASE64_FOLD = re.compile(rb"(?<=[A-Za-z0-9+/]{60})(?:\r?\n|\\r\\n|\\n)[ \t]*(?=[A-Za-z0-9+/=])")
_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_NOT_BASE64 = re.compile(rb"\\[rn]|\s")
_HEX = re.compile(rb"(67656[eE](?:2[dD]|5[fF]))(?=((?:[3-7][0-9A-Fa-f]|2[dD]){20,36}))")
_NUMBERS = re.compile(rb"(103[,\s]+101[,\s]+110[,\s]+(?:45|95))(?=((?:[,\s]+[0-9]{1,3}(?![0-9])){20,36}))")


class _Form(NamedTuple):
    """A form of ids: the RE2 pattern that all its occurrences match, and the search."""

    hint: str
    search: Callable[[bytes, int, int, IdCollector], None]


class RareForms:
    """The rare forms in one text. A form that was found once is searched for in the rest of the text."""

    def __init__(self) -> None:
        self._found: list[_Form] = []
        self._others = list(_FORMS)

    def search(self, buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
        """Search ``buffer[start:stop]``, and the `CONTEXT` before it for ids that begin there."""
        forms = self._found
        if len(buffer) < _SMALL:
            forms = [*self._found, *self._others]
        elif self._others and _may_contain(buffer, self._others):
            self._found += [form for form in self._others if _may_contain(buffer, [form])]
            self._others = [form for form in self._others if form not in self._found]
        for form in forms:
            form.search(buffer, start, stop, found)


def _may_contain(buffer: bytes, forms: list[_Form]) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light
    import pyarrow.compute as pc  # noqa: PLC0415

    pattern = "|".join(form.hint for form in forms)
    return bool(pc.match_substring_regex(pa.scalar(buffer, pa.binary()), pattern=pattern).as_py())


def _encoded(hint: str, decode: Callable[[bytes], Iterable[bytes]]) -> _Form:
    """Add the ids with which decoded texts begin."""

    def search(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
        for text in decode(buffer[max(start - CONTEXT, 0) : stop]):
            if match := _ID.match(text):
                found.ids[match[0].decode("ascii")] = None

    return _Form(hint, search)


def _separated(text: bytes) -> Iterator[bytes]:
    return (_SEPARATORS.sub(b"-", match) for match in dict.fromkeys(_SEPARATED.findall(text)))


def _quoted_printable(text: bytes) -> list[bytes]:
    """Join the soft line breaks of mail."""
    return _UNFOLDED.findall(binascii.a2b_qp(text)) if _SOFT_BREAK.search(text) else []


def _base64(text: bytes) -> Iterator[bytes]:
    matches = ((match.start(), opening, match) for pattern, opening in _BASE64 for match in pattern.finditer(text))
    for _, opening, match in sorted(matches, key=lambda one: one[0]):
        data = opening + _NOT_BASE64.sub(b"", b"".join(match.groups())).translate(_STANDARD_ALPHABET)
        data = data[:-1] if len(data) % 4 == 1 else data
        yield binascii.a2b_base64(data + b"=" * (-len(data) % 4))[max(len(opening) - 1, 0) :]


def _folded_base64(text: bytes) -> Iterable[bytes]:
    """Join the lines of mail, which are wrapped after 60 to 76 characters."""
    unfolded, folds = _BASE64_FOLD.subn(b"", text)
    return _base64(unfolded) if folds else ()


def _hexadecimal(text: bytes) -> Iterable[bytes]:
    return map(binascii.unhexlify, dict.fromkeys(map(b"".join, _HEX.findall(text))))


def _byte_array(text: bytes) -> Iterator[bytes]:
    """Decode numbers, as journald writes messages that are not plain text."""
    for match in dict.fromkeys(map(b"".join, _NUMBERS.findall(text))):
        yield bytes(int(number) & 255 for number in re.findall(rb"[0-9]+", match))


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
    _foreign("resp_", unless="(?!bGl0ZWxsbT)"),  # "litellm:" in base64: LiteLLM's own ids contain a generation id
    _encoded(r"gen(?:[\\%&<{\x1b]|=2|[^\x00-\x7f])|gen-(?:[0-9]{10}-?[^-0-9A-Za-z]|[\x1b<])", _separated),
    _encoded(r"=[ \t]*\r?\n[A-Za-z0-9_-]", _quoted_printable),
    _encoded("Z2Vu[LX]|dlb(?:i[01]|l[89])|nZW(?:4t|5f)", _base64),
    _encoded("[bB][aA][sS][eE]64", _folded_base64),
    _encoded("67656[eE](?:2[dD]|5[fF])[3-7]", _hexadecimal),
    _encoded(r"103[,\s]+101[,\s]+110[,\s]", _byte_array),
)
