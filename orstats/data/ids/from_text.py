"""Find ids in text of any size: a plain list keeps its lines, anything else is searched by shape.

Text is handled as bytes in chunks, so that memory stays flat and a log is never decoded: ids are ASCII.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import orjson

from orstats.data.ids.columns import ID_NAMES, plain_name
from orstats.data.ids.recorded import has_records, without_labels
from orstats.data.ids.shapes import API_KEY, FOREIGN_KINDS, is_generation_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orstats.data.ids.found import Found

__all__ = ["read_text", "search_text"]

# Before an id stands no letter and no digit, unless it ends a colour code (ESC[32m), an escape in a quoted
# string (\n) or an escaped character (\u0022). The test stands behind the first letters because the engine is
# fast only when a pattern starts with a literal (1.2 GB/s, against 0.2 with a leading \b). Whole runs of letters
# and digits are taken and judged afterwards, so that a cut id is noticed, not half read.
_CANDIDATE = re.compile(
    rb"gen[-_]"
    rb"(?:(?<![A-Za-z0-9]gen[-_])|(?<=[0-9;\[][mK]gen[-_])|(?<=\\[nrtfb]gen[-_])|(?<=\\u[0-9A-Fa-f]{4}gen[-_]))"
    rb"(?:(?:[a-z]{2,8}-)?[0-9]{10}-[A-Za-z0-9]{0,64}+|[A-Za-z0-9]{20,64}+)"
    rb"(?=[^A-Za-z0-9])"
)


def _foreign_pattern(prefix: bytes) -> re.Pattern[bytes]:
    # A digit is asked for, so that names such as req_handler_name are not counted.
    body = rb"(?=[A-Za-z-]{0,64}[0-9])[A-Za-z0-9-]{8,128}"
    return re.compile(rb"(" + prefix + rb")(?<![A-Za-z0-9_-]" + prefix + rb")" + body)


# Each starts with a literal, see above; one pattern for all of them would be slower than all of them.
_FOREIGN = [_foreign_pattern(prefix) for prefix in (b"chatcmpl-", b"cmpl-", b"req[-_]", b"resp_", b"msg_", b"sk-or-")]

_WORD: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
_LONGEST_WORD: Final = 1 << 20
_CONTEXT: Final = 256  # longer than anything that the patterns match or look back at

# One line of a list: blank, or one word, perhaps quoted, with a comma after it, and a comment. The possessive
# quantifiers keep a failing match linear.
_LIST_LINE = (
    rb"[ \t\f\v]*+(?:[\"']?+([A-Za-z0-9_.:~@-]++)[\"']?+[,;]?+(?=[\s#]))?+"
    rb"[ \t\f\v]*+(?:#[^\r\n]*+)?+(?:\r\n?+|\n)"
)
_LIST_BLOCK = re.compile(rb"(?:" + _LIST_LINE.replace(b"([A-Z", b"(?:[A-Z") + rb")*+")
_LIST_TOKEN = re.compile(_LIST_LINE)
_LONGEST_LIST_LINE: Final = 4096
_JSON_LIST = re.compile(rb"\s*\[\s*\"")
_JSON_LIST_LIMIT: Final = 64 << 20


def search_text(chunks: Iterable[bytes], found: Found) -> None:
    """Find generation ids by their shape, wherever the text was cut into chunks.

    Parameters
    ----------
    chunks
        The text, in any ASCII-compatible encoding.
    found
        Receives the ids, and counts what belongs to another kind or has an unknown length.
    """
    buffer = b""
    start = 0
    for chunk in chunks:
        buffer += chunk
        stop = len(buffer.rstrip(_WORD))  # no match crosses the end of a word
        if stop <= start:
            if len(buffer) - start <= _LONGEST_WORD:
                continue
            stop = len(buffer) - _CONTEXT  # a blob without any break; to keep it all would cost memory
        _search(buffer, start, stop, found)
        keep = max(stop - _CONTEXT, 0)
        buffer = buffer[keep:]
        start = stop - keep
    _search(buffer + b"\n", start, len(buffer) + 1, found)


def _search(buffer: bytes, start: int, stop: int, found: Found) -> None:
    """Take what lies in ``buffer[start:stop]``; the patterns may look back at what lies before it."""
    for candidate in dict.fromkeys(_CANDIDATE.findall(buffer, start, stop)):
        text = candidate.decode("ascii")
        if text in found.ids:
            continue
        if is_generation_id(text):
            found.ids[text] = None
        elif any(character.isdigit() for character in text):
            # Without a digit it is a word of some program, such as gen_ReportForLastQuarterOnly.
            found.odd[text] = None
    for pattern in _FOREIGN:
        for prefix, number in Counter(pattern.findall(buffer, start, stop)).items():
            found.count_foreign(FOREIGN_KINDS.get(prefix.decode("ascii"), API_KEY), number)


def read_text(chunks: Iterator[bytes], found: Found) -> None:
    """Read a text of unknown kind: as a list if every line looks like one entry, else by searching it.

    Parameters
    ----------
    chunks
        The text, in any ASCII-compatible encoding, without a byte-order mark.
    found
        Receives the ids.

    Notes
    -----
    A *list* has at most one word on every line, made of letters, digits and ``_ - . : ~ @``; quotes around it,
    a comma after it, blank lines and comments from ``#`` on are allowed, and no word has a generation id inside
    of something longer. A first line that is only a column name (``id``, ``generation_id``) is skipped. A JSON
    array of nothing but strings (up to 64 MB) is a list too. The entries of a list are kept whatever their shape.
    """
    first = next(chunks, b"")
    if has_records(first):
        search_text(without_labels(itertools.chain([first], chunks)), found)
        return
    if _JSON_LIST.match(first):
        chunks = iter(_read_json_list(itertools.chain([first], chunks), found))
        first = next(chunks, b"")
    tokens: dict[bytes, None] = {}
    taken: list[bytes] = []  # kept whole, in case that a later line shows that this is no list
    pending = b""
    for chunk in itertools.chain([first], chunks, [b"\n"]):
        pending += chunk
        cut = pending.rfind(b"\n") + 1
        if len(pending) - cut > _LONGEST_LIST_LINE or not _take_list_lines(pending[:cut], tokens):
            search_text(itertools.chain(taken, [pending], chunks), found)
            return
        taken.append(pending[:cut])
        pending = pending[cut:]
    texts = [token.decode("ascii") for token in tokens]
    if texts and plain_name(texts[0]) in ID_NAMES:
        del texts[0]
    found.add_listed(texts)


def _take_list_lines(block: bytes, tokens: dict[bytes, None]) -> bool:
    """Add the words of a block of whole lines; False when the block is no part of a list."""
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


def _read_json_list(chunks: Iterator[bytes], found: Found) -> Iterable[bytes]:
    """Take a JSON array of strings as a list; anything else is given back to be read as text."""
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size > _JSON_LIST_LIMIT:
            return itertools.chain(taken, chunks)
    text = b"".join(taken)
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [text]
    if not all(isinstance(value, str) for value in values):
        return [text]
    found.add_listed(values)
    return []
