"""Find ids in text of any size: a plain list keeps its lines, anything else is searched by shape.

Text is handled as bytes in chunks, because ids are ASCII: memory stays flat, and logs are never decoded.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import orjson

from orstats.ids.collector import IdCollector, is_null_mark
from orstats.ids.encoded import CONTEXT, RareForms
from orstats.ids.id_shapes import (
    ID_NAMES,
    begins_like_id,
    clean_id,
    invalid_id_kind,
    is_generation_id,
    plain_name,
    redact,
)

# The modern shape is unmistakable, whatever escape or word is next to it; a stripped escape such as u0022 may follow.
# No letter or digit may precede the other shapes, unless it ends an escape: \n, \x22, \u0022, \042, %22, =3D, #011,
# ^I, or a colour code such as ESC[32m. These lookbehinds follow the first letters because the engine is fast only when
# a pattern starts with a literal. Complete runs of letters and digits match and are checked later, so that a cut id is
# noticed instead of read in part.
_ESCAPES = (
    rb"[0-9;\[][mKHJGhl]",
    rb"\\[abefnrstv0]",
    *(rb"\\[0-7]{%d}" % digits for digits in (2, 3)),
    rb"#[0-7]{3}",
    rb"[%='x][0-9A-Fa-f]{2}",
    *(rb"%%%s[0-9A-Fa-f]{2}" % (b"25" * times) for times in (1, 2, 3)),
    rb"u[0-9A-Fa-f]{4}",
    rb"U[0-9A-Fa-f]{8}",
    rb"\^[@-_]",
    rb"\([AB0]",
)
_CANDIDATE = re.compile(
    rb"gen[-_](?:"
    rb"(?<=-)(?:[a-z]{2,8}-)?[0-9]{10}-[A-Za-z0-9]{20}(?=[^A-Za-z0-9]|u00[0-9A-Fa-f]{2}|gen[-_])"
    rb"|(?:(?<![A-Za-z0-9]gen[-_])|%s)(?:"
    rb"(?:[a-z]{2,8}-)?[0-9]{10}-(?:(?!gen[-_])[A-Za-z0-9]){0,64}+(?=[^A-Za-z0-9]|gen[-_])"
    rb"|[A-Za-z0-9]{26}(?:[A-Za-z0-9]{2})?(?=u00[0-9A-Fa-f]{2}[^A-Za-z0-9])"
    rb"|(?:(?!gen[-_])[A-Za-z0-9]){20,64}+(?=[^A-Za-z0-9]|gen[-_])))"
    % b"|".join(rb"(?<=%sgen[-_])" % escape for escape in _ESCAPES)
)

_WORD: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
_LONGEST_WORD: Final = 1 << 20
_NOT_IN_WORDS: Final = str.maketrans("", "", "_-.:")

# One line of a list: blank, or one word, perhaps quoted, with a comma after it, and a comment. The possessive
# quantifiers keep a failing match linear. #011 is a tab as rsyslog writes it, not a comment.
_LIST_LINE = (
    rb"[ \t\f\v]*+(?:[\"']?+([A-Za-z0-9_.:~@-]++)[\"']?+[,;]?+(?=[\s#]))?+"
    rb"[ \t\f\v]*+(?:#(?!0[0-7]{2})[^\r\n]*+)?+(?:\r\n?+|\n)"
)
_LIST_BLOCK = re.compile(rb"(?:" + _LIST_LINE.replace(b"([A-Z", b"(?:[A-Z") + rb")*+")
_LIST_TOKEN = re.compile(_LIST_LINE)
_LONGEST_LIST_LINE: Final = 4096
_JSON_LIST = re.compile(rb"\s*\[\s*\"")
_LIST_LIMIT: Final = 64 << 20


def search_text(chunks: Iterable[bytes], found: IdCollector) -> None:
    """Find generation ids by their shape, also across chunks."""
    buffer = b""
    start = 0
    rare = RareForms()
    for chunk in chunks:
        buffer += chunk
        stop = len(buffer.rstrip(_WORD))  # no match crosses the end of a word
        if stop <= start:
            if len(buffer) - start <= _LONGEST_WORD:
                continue
            stop = len(buffer) - CONTEXT  # data without any break, which would fill the memory
        _search(buffer, start, stop, found)
        rare.search(buffer, start, stop, found)
        keep = max(stop - CONTEXT, 0)
        buffer = buffer[keep:]
        start = stop - keep
    _search(buffer + b"\n", start, len(buffer) + 1, found)
    rare.search(buffer + b"\n", start, len(buffer) + 1, found)


def _search(buffer: bytes, start: int, stop: int, found: IdCollector) -> None:
    """Search ``buffer[start:stop]``; lookbehinds may see the text before it."""
    for candidate in dict.fromkeys(_CANDIDATE.findall(buffer, start, stop)):
        text = candidate.decode("ascii")
        if text in found.ids:
            continue
        if is_generation_id(text):
            found.ids[text] = None
        elif any(character.isdigit() for character in text):
            # Without a digit it is an identifier, such as gen_ReportForLastQuarterOnly.
            found.malformed[text] = None


def read_text(chunks: Iterator[bytes], found: IdCollector, *, where: str) -> None:
    """Read a text as a list if every line looks like one entry, else search it.

    A *list* has at most one word on every line, made of letters, digits and ``_ - . : ~ @``. Quotes around the word, a
    comma after it, blank lines and comments after ``#`` are allowed, but no word contains a generation id inside
    something longer. A first line that is only a column name (``id``, or any word above ids) is skipped. A JSON array
    of strings is a list too. A list has up to 64 MB. Its entries are kept whatever their shape, if at least one of them
    begins like a generation id: names of customers are a list as well.
    """
    first = next(chunks, b"")
    if _JSON_LIST.match(first):
        chunks = iter(_read_json_list(itertools.chain([first], chunks), found, where))
        first = next(chunks, b"")
    tokens: dict[bytes, None] = {}
    taken: list[bytes] = []  # in case that a later line is not an entry of a list
    pending = b""
    size = 0
    for chunk in itertools.chain([first], chunks, [b"\n"]):
        pending += chunk
        size += len(chunk)
        cut = pending.rfind(b"\n") + 1
        if size > _LIST_LIMIT or len(pending) - cut > _LONGEST_LIST_LINE or not _take_list_lines(pending[:cut], tokens):
            search_text(itertools.chain(taken, [pending], chunks), found)
            return
        taken.append(pending[:cut])
        pending = pending[cut:]
    texts = [token.decode("ascii") for token in tokens]
    if texts and plain_name(texts[0]) in ID_NAMES:
        del texts[0]
    elif _has_heading(texts):
        found.notes.append(f"{where}: the first line, {redact(texts.pop(0))}, is skipped as the name of the column.")
    if not _is_list_of_ids(texts, found, where):
        search_text([*taken, pending], found)
        return
    found.add_listed(texts)


def _has_heading(texts: Sequence[str]) -> bool:
    """Tell whether a list begins with a word, as a column that was written with its name."""
    first, *others = texts or [""]
    is_word = first.translate(_NOT_IN_WORDS).isalpha() and not begins_like_id(first) and not is_null_mark(first)
    return is_word and bool(others) and all(begins_like_id(clean_id(one)) or is_null_mark(one) for one in others)


def _is_list_of_ids(texts: Sequence[str], found: IdCollector, where: str) -> bool:
    """Tell whether one entry of a list begins like an id, and note if none does."""
    if not texts or any(begins_like_id(clean_id(text)) for text in texts):
        return True
    if not all(map(invalid_id_kind, texts)):
        found.notes.append(
            f"{where}: no entry of the list looks like a generation id (first: {redact(texts[0])}). If these are ids "
            "of another shape, pass them one by one instead of the file."
        )
    return False


def _take_list_lines(block: bytes, tokens: dict[bytes, None]) -> bool:
    """Add the words of a block of lines; False if it is not part of a list."""
    if not _LIST_BLOCK.fullmatch(block):
        return False
    words = dict.fromkeys(_LIST_TOKEN.findall(block))
    words.pop(b"", None)
    mentions = Counter(_CANDIDATE.findall(b"\n".join([*words, b""])))  # without the comments
    for candidate, number in mentions.items():
        if number > (candidate in words) and is_generation_id(candidate.decode("ascii")):
            return False  # an id inside of a longer word
    tokens.update(words)
    return True


def _read_json_list(chunks: Iterator[bytes], found: IdCollector, where: str) -> Iterable[bytes]:
    """Take a JSON array of strings as a list, or return anything else as text."""
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size > _LIST_LIMIT:
            return itertools.chain(taken, chunks)
    text = b"".join(taken)
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [text]
    if not all(isinstance(value, str) for value in values) or not _is_list_of_ids(values, found, where):
        return [text]
    found.add_listed(values)
    return []
