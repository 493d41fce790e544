"""Feedback on one generation to the vendor: its categories, and the body of the request."""

from __future__ import annotations

import re
from typing import Final

import orjson

from orstats.errors import ConfigError
from orstats.text.suggest import unknown

#: As documented at https://openrouter.ai/docs/api-reference; the API refuses others with 400.
CATEGORIES: Final = (
    "latency",
    "incoherence",
    "incorrect_response",
    "formatting",
    "billing",
    "api_error",
    "other",
)
_KEY: Final = re.compile(r"sk-or-\w")


def request_body(generation_id: str, category: str, comment: str | None = None) -> bytes:
    """Return the body of ``POST /generation/feedback``, or raise :class:`ConfigError` for what it must not contain.

    Examples
    --------
    >>> request_body("gen-1", "latency", "slow")
    b'{"generation_id":"gen-1","category":"latency","comment":"slow"}'
    """
    if not (isinstance(generation_id, str) and generation_id.strip()):
        raise ConfigError(f"generation_id must be the id of one generation, got {generation_id!r}.")
    if category not in CATEGORIES:
        raise ConfigError(unknown("category", str(category), CATEGORIES, hint=f"Use one of {', '.join(CATEGORIES)}."))
    if not isinstance(comment, str | None):
        raise ConfigError(f"comment must be text or None, got {comment!r}.")
    body = {"generation_id": generation_id, "category": category}
    if comment is not None and comment.strip():
        body["comment"] = comment
    if any(_KEY.search(text) for text in body.values()):
        raise ConfigError("The id or the comment contains an API key. Remove it; nothing was sent.")
    try:
        return orjson.dumps(body)
    except TypeError:  # half of a surrogate pair, as from a truncated emoji
        raise ConfigError("The id or the comment contains characters that are not valid Unicode.") from None
