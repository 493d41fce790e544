"""What generation ids look like, and what is often mistaken for one. Pure: text in, facts out.

Shapes (observed and documented by the vendor; none is promised, so lists are never checked against them):

- modern ``gen-<10-digit unix second>-<20 alphanumerics>``, with a job kind as in ``gen-vid-<second>-<20>``
- legacy ``gen-<28 alphanumerics>``, without a time
- other gateways that clone the API: ``gen_<ULID>``
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

__all__ = [
    "API_KEY",
    "FOREIGN_KINDS",
    "GENERATION_ID_HINT",
    "foreign_kind",
    "id_created_at",
    "is_generation_id",
    "log_page",
    "shown",
]

GENERATION_ID_HINT: Final = (
    "The generation id is the `id` of the OpenRouter answer, gen-…, or its X-Generation-Id header."
)
"""The sentence that helps whoever collected the wrong ids."""

API_KEY: Final = "sk-… (an API key, not shown: keep keys out of lists and logs)"
"""What `foreign_kind` says of a key."""

FOREIGN_KINDS: Final = {
    "chatcmpl-": "chatcmpl-… (the provider's own completion id)",
    "cmpl-": "cmpl-… (the provider's own completion id)",
    "req-": "req-… (the id of an API request, which may hold several generations)",
    "req_": "req_… (the id of an API request, which may hold several generations)",
    "resp_": "resp_… (the id of a Responses API answer)",
    "msg_": "msg_… (the provider's own message id)",
}
"""Prefix of an id that cannot be a generation id, and what it is instead."""

_SHAPE = re.compile(
    r"gen-(?:[a-z]{2,8}-)?[0-9]{10}-[A-Za-z0-9]{20}"
    r"|gen-[A-Za-z0-9]{28}"
    r"|gen_[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}"
)
_KEY = re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{8}", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"gen-(?:[A-Za-z][A-Za-z0-9]*-)?([0-9]{10})((?:[0-9]{3}){0,3})-[A-Za-z0-9]", re.ASCII)
_ULID = re.compile(r"gen_([0-7][0-9A-HJKMNP-TV-Z]{25})", re.IGNORECASE | re.ASCII)
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_TIME_DIGITS: Final = 10
_EARLIEST: Final = 1_672_531_200.0  # 2023-01-01: the API did not exist before
_LATEST: Final = 4_133_980_800.0  # 2101-01-01
_SHOWN_LENGTH: Final = 80


def is_generation_id(text: str) -> bool:
    """Tell whether a text has exactly one of the known shapes of a generation id.

    A false answer does not mean that the id is wrong: the vendor promises no shape.

    Parameters
    ----------
    text
        One id, without anything around it.

    Returns
    -------
    bool
        Whether the shape is known.

    Examples
    --------
    >>> is_generation_id("gen-1790000000-AbCdEfGhIjKlMnOpQrSt")
    True
    >>> is_generation_id("gen-something-new")
    False
    """
    return _SHAPE.fullmatch(text) is not None


def foreign_kind(id: str) -> str | None:  # noqa: A002 - the public argument is an id
    """Name why a text cannot be a generation id.

    Only certain cases are named. An unknown shape is not one of them, because ids are never checked strictly.

    Parameters
    ----------
    id
        One id, as a user gave it.

    Returns
    -------
    str or None
        A phrase that fits after "not a generation id: "; None when the text may be a generation id.
        The phrase never repeats the text, so that a key that strayed into a list is not shown.

    Examples
    --------
    >>> foreign_kind("chatcmpl-8xYzAbC123")
    "chatcmpl-… (the provider's own completion id)"
    >>> foreign_kind("gen-1790000000-AbCdEfGhIjKlMnOpQrSt") is None
    True
    """
    if id.startswith(("gen-", "gen_")):
        # The common case, made cheap; a key glued to an id is still a key.
        return API_KEY if "sk-" in id and _KEY.search(id) else None
    if _KEY.search(id):
        return API_KEY
    if not id.strip():
        return "an empty text"
    if "://" in id:
        return "a web address"
    if any(character.isspace() for character in id.strip()):
        return "a text with spaces in it"
    return next((kind for prefix, kind in FOREIGN_KINDS.items() if id.startswith(prefix)), None)


def id_created_at(id: str) -> float | None:  # noqa: A002 - the public argument is an id
    """Read the time of creation that an id carries.

    Parameters
    ----------
    id
        A generation id of any shape.

    Returns
    -------
    float or None
        Unix seconds: whole for ``gen-<second>-…`` (where it equals the second of the record's ``created_at``,
        observed), with decimals where the id counts milliseconds or finer, as ``gen_<ULID>`` does. None when
        the id carries no time, or one outside the years 2023 to 2100.

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
        milliseconds = 0
        for digit in match[1][:_ULID_TIME_DIGITS].upper():
            milliseconds = milliseconds * len(_CROCKFORD) + _CROCKFORD.index(digit)
        seconds = milliseconds / 1000
    else:
        return None
    return seconds if _EARLIEST <= seconds < _LATEST else None


def log_page(id: str) -> str:  # noqa: A002 - as above
    """Return the address of the vendor's page of a generation; only its account may see it.

    Examples
    --------
    >>> log_page("gen-1/2")
    'https://openrouter.ai/logs?transaction=gen-1%2F2'
    """
    return f"https://openrouter.ai/logs?transaction={quote(id, safe='', errors='replace')}"


def shown(text: str) -> str:
    """Quote a user's text for a message: short, and never a key.

    Parameters
    ----------
    text
        What the user gave.

    Returns
    -------
    str
        The quoted text, cut after 80 characters; a placeholder when it holds an API key.

    Examples
    --------
    >>> shown("ids.txt"), shown("sk-or-v1-0123456789abcdef")
    ("'ids.txt'", '(an API key, not shown)')
    """
    if _KEY.search(text):
        return "(an API key, not shown)"
    return repr(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…")
