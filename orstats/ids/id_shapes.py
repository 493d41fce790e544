"""The shapes of generation ids, and of what is often mistaken for one.

- modern: ``gen-<10-digit unix second>-<20 alphanumerics>``, with a job kind as in ``gen-vid-<second>-<20>``
- legacy: ``gen-<28 alphanumerics>``, without a time
- other gateways that clone the API: ``gen_<ULID>``

The vendor uses and documents them but promises none, so lists are never checked against them.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from itertools import chain
from typing import Final
from unicodedata import category
from urllib.parse import quote, unquote

GENERATION_ID_HINT: Final = (
    "The generation id is the `id` of the OpenRouter response, gen-…, or its X-Generation-Id header."
)
"""Advice for users who collected other ids."""

API_KEY: Final = "sk-… (an API key, not shown: keep keys out of lists and logs)"
"""What `invalid_id_kind` returns for a key."""

FILE_NAME: Final = "the name of a file"
"""How the phrase of `invalid_id_kind` for a file name begins."""

SUFFIXES: Final = (
    *(".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls"),
    *(".feather", ".arrow", ".ods", ".db", ".sqlite", ".sqlite3", ".har", ".eml", ".mbox"),
    *(".txt", ".log", ".out", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".zstd", ".lz4"),
)
"""A text that ends like this is treated as a file name."""

FOREIGN_KINDS: Final = {
    "chatcmpl-": "chatcmpl-… (the provider's own completion id)",
    "cmpl-": "cmpl-… (the provider's own completion id)",
    "req-": "req-… (the id of an API request, which may contain several generations)",
    "req_": "req_… (the id of an API request, which may contain several generations)",
    "resp_": "resp_… (the id of a Responses API response)",
    "msg_": "msg_… (the provider's own message id)",
}
"""Prefixes of ids of other kinds."""

SHAPE = re.compile(
    r"gen-(?:[a-z]{2,8}-)?[0-9]{10}-[A-Za-z0-9]{20}"
    r"|gen-[A-Za-z0-9]{28}"
    r"|gen_[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}"
)
"""The known shapes, for searches too; only a full match is an id."""

_SEARCHED = re.compile(rf"(?<![A-Za-z0-9])(?:{SHAPE.pattern})(?![A-Za-z0-9])")
_DECORATED = re.compile(rf"[\W_]*({SHAPE.pattern})[\W_]*")
_WORD = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_:.~@-]*[A-Za-z0-9])?")
_LITELLM: Final = "resp_bGl0ZWxsbT"  # LiteLLM's own response ids are "litellm:…response_id:gen-…" in base64
# Numbers, times and UUIDs: keys and measures of other tables, never generation ids.
_OTHER_VALUE = re.compile(
    r"[-+$€£]?[0-9][0-9.,:/ T%+eE-]*Z?|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|true|false",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[\s,;]+")
_HYPHENS = re.compile("[\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d]")
_AROUND: Final = (
    " \t\r\n\f\v\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "=\"'`,;\xb4\xab\xbb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u2039\u203a"
)
_KEY = re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{8}", re.IGNORECASE | re.ASCII)
_NOT_IDS: Final = (
    (re.compile(r"^\s*$"), "an empty text"),
    (re.compile(rf"{_SEARCHED.pattern}(?s:.*){_SEARCHED.pattern}"), "a text with several ids; pass each id separately"),
    (re.compile("://"), "a URL"),
    (re.compile(r"\S\s+\S"), "a text with spaces"),
    (re.compile(rf".{_SEARCHED.pattern}|{_SEARCHED.pattern}."), "a text that contains more than an id"),
    (
        re.compile(rf"^.*(?:{'|'.join(map(re.escape, SUFFIXES))})$", re.IGNORECASE),
        f"{FILE_NAME}; pass the ids that read_ids() finds in it",
    ),
)
_TIME = re.compile(r"gen-(?:[A-Za-z][A-Za-z0-9]*-)?([0-9]{10})((?:[0-9]{3}){0,3})-[A-Za-z0-9]", re.ASCII)
_ULID = re.compile(r"gen_([0-7][0-9A-HJKMNP-TV-Z]{25})", re.IGNORECASE | re.ASCII)
_FROM_CROCKFORD: Final = str.maketrans("JKMNPQRSTVWXYZ", "IJKLMNOPQRSTUV")  # to the digits of Python's base 32
_ULID_TIME_DIGITS: Final = 10
_EARLIEST: Final = 1_672_531_200.0  # 2023-01-01: the API did not exist before
_LATEST: Final = 4_133_980_800.0  # 2101-01-01
_SHOWN_LENGTH: Final = 80
_SHORTEST_ID: Final = 20

ID_STARTS: Final = ("gen-", "gen_")
"""How generation ids begin."""

CERTAIN_NAMES: Final = ("generationid", "xgenerationid", "genid")
"""Column names that mean nothing but the generation id, as `plain_name` writes them."""

ID_NAMES: Final = (*CERTAIN_NAMES, "id")
"""Column names that mean the generation id, as `plain_name` writes them; the most certain first."""


def plain_name(name: str) -> str:
    """Reduce a column name to lower-case letters and digits: ``X-Generation-Id`` to ``xgenerationid``."""
    return "".join(character for character in name.lower() if character.isalnum())


def looks_like_id(value: object) -> bool:
    """Tell whether a cell resembles a generation id of any length."""
    if not isinstance(value, str) or "gen" not in value:
        return False
    text = clean_id(value)
    return text.startswith(ID_STARTS) and len(text) >= _SHORTEST_ID and not any(map(str.isspace, text))


def begins_like_id(text: str) -> bool:
    """Tell whether a text begins like a generation id, whatever its length."""
    return text.startswith(ID_STARTS)


def is_generation_id(text: str) -> bool:
    """Tell whether a text has one of the known shapes; others may still be ids."""
    return SHAPE.fullmatch(text) is not None


def is_other_value(text: str) -> bool:
    """Tell whether a text is a number, time or UUID, and so certainly not a generation id."""
    return _OTHER_VALUE.fullmatch(text.strip()) is not None and not is_generation_id(text)


def clean_id(text: str) -> str:
    """Remove spaces, invisible characters, quotes, punctuation and links around a copied id.

    Typographic hyphens become hyphens. Of any other text only the ends are cleaned.

    Examples
    --------
    >>> clean_id('="gen-1790000000-AbCdEfGhIjKlMnOpQrSt",')
    'gen-1790000000-AbCdEfGhIjKlMnOpQrSt'
    >>> clean_id("https://openrouter.ai/logs?transaction=gen-1790000000-AbCdEfGhIjKlMnOpQrSt&tab=raw")
    'gen-1790000000-AbCdEfGhIjKlMnOpQrSt'
    """
    if _PLAIN.fullmatch(text):
        return text
    cleaned = "".join(character for character in text if category(character) != "Cf").strip(_AROUND)
    hyphenated = _HYPHENS.sub("-", cleaned)
    if match := _DECORATED.fullmatch(hyphenated):
        return match[1]
    if cleaned.startswith(_LITELLM):
        wrapped = cleaned.removeprefix("resp_").encode("ascii", "replace")
        hyphenated = urlsafe_b64decode(wrapped + b"=" * (-len(wrapped) % 4)).decode("utf-8", "replace")
    if "://" in unquote(cleaned) or cleaned.startswith((_LITELLM, "openrouter.ai/", "www.openrouter.ai/")):
        ids = set(_SEARCHED.findall(unquote(unquote(hyphenated))))
        if len(ids) == 1:
            return str(ids.pop())
    return cleaned


def joined_ids(text: str) -> list[str]:
    """Return the ids of a text that is nothing but several ids, separated by commas, semicolons or spaces.

    >>> joined_ids("gen-1790000000-AbCdEfGhIjKlMnOpQrSt, gen-1790000001-AbCdEfGhIjKlMnOpQrSt")
    ['gen-1790000000-AbCdEfGhIjKlMnOpQrSt', 'gen-1790000001-AbCdEfGhIjKlMnOpQrSt']
    >>> joined_ids("gen-1790000000-AbCdEfGhIjKlMnOpQrSt"), joined_ids("gen-1790000000-AbCdEfGhIjKlMnOpQrSt and more")
    ([], [])
    """
    ids = [clean_id(part) for part in _SEPARATOR.split(text) if part]
    return ids if len(ids) > 1 and all(map(is_generation_id, ids)) else []


def ids_in(text: str) -> list[str]:
    """Return the ids that a cell of a table contains, as in JSON or the name of a file, or else its text."""
    cleaned = clean_id(text)
    if is_generation_id(cleaned):
        return [cleaned]
    return list(map(str, _SEARCHED.findall(text))) or [cleaned if _PLAIN.fullmatch(cleaned) else text]


def invalid_id_kind(id: str) -> str | None:  # noqa: A002 - the public argument is an id
    """Say what a text is that certainly is not a generation id; None for anything else, also for unknown shapes.

    Examples
    --------
    >>> invalid_id_kind("chatcmpl-8xYzAbC123")
    "chatcmpl-… (the provider's own completion id)"
    """
    if "sk-" in id.lower() and _KEY.search(id):
        return API_KEY  # also when it is glued to an id
    if begins_like_id(id) and _WORD.fullmatch(id):
        return None
    reasons = (what for pattern, what in _NOT_IDS if pattern.search(id))
    kinds = (kind for prefix, kind in FOREIGN_KINDS.items() if id.startswith(prefix))
    return next(chain(reasons, kinds), None)


def id_created_at(id: str) -> float | None:  # noqa: A002 - the public argument is an id
    """Return the creation time that an id contains, in seconds.

    Examples
    --------
    >>> id_created_at("gen-1790000000-AbCdEfGhIjKlMnOpQrSt")
    1790000000.0
    >>> id_created_at("gen_01KVX7JN0Z0000000000000000")
    1782318715.935
    >>> id_created_at("gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG") is None
    True
    """
    seconds: float
    if match := _TIME.match(id):
        seconds = float(f"{match[1]}.{match[2] or 0}")
    elif match := _ULID.fullmatch(id):
        seconds = int(match[1][:_ULID_TIME_DIGITS].upper().translate(_FROM_CROCKFORD), 32) / 1000
    else:
        return None
    return seconds if _EARLIEST <= seconds < _LATEST else None


def log_url(id: str) -> str:  # noqa: A002 - as above
    """Return the URL of the vendor's page about a generation, which only its account can open."""
    return f"https://openrouter.ai/logs?transaction={quote(id, safe='', errors='replace')}"


def redact(text: str) -> str:
    """Quote a user's text for a message: shortened, and never a key."""
    if _KEY.search(text):
        return "(an API key, not shown)"
    return repr(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…")
