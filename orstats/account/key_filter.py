"""Filter by the names of API keys: analytics show names, but compare ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from orstats.api.client import Client
from orstats.errors import ConfigError
from orstats.text.suggest import unknown

FIELD: Final = "api_key"
_API_FIELD: Final = "api_key_id"
#: A key's number or hash. It is valid although the account does not list the key, because the key was deleted.
_ID: Final = re.compile(r"\d+|[0-9a-f]{32,}")
_OPERATORS: Final[Mapping[str, str]] = {"eq": "in", "in": "in", "neq": "not_in", "not_in": "not_in"}


def is_key_id(value: object) -> bool:
    """Return whether a value is the number or hash of a key, not its name."""
    return _ID.fullmatch(str(value)) is not None


def with_key_ids(filters: list[dict[str, Any]], client: Client) -> list[dict[str, Any]]:
    """Replace filters on ``api_key``, a name, by filters on the ids of all keys with this name."""
    if all(one["field"] != FIELD for one in filters):
        return filters
    keys = client.keys(include_disabled=True)
    return [_with_ids(one, keys) if one["field"] == FIELD else one for one in filters]


def _with_ids(given: Mapping[str, Any], keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    operator = _OPERATORS.get(given["operator"])
    if operator is None:
        raise ConfigError(
            f"filters: the operator of {FIELD} must be one of {', '.join(_OPERATORS)}, got {given['operator']!r}."
        )
    values = given["value"] if isinstance(given["value"], list) else [given["value"]]
    ids = dict.fromkeys(one for value in values for one in _ids_of(str(value), keys))
    return {**given, "field": _API_FIELD, "operator": operator, "value": list(ids)}


def _ids_of(name: str, keys: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [str(one["hash"]) for one in keys if one.get("hash") and name in (one.get("name"), one.get("label"))]
    if found or is_key_id(name):
        return found or [name]
    names = sorted({str(one["name"]) for one in keys if one.get("name")})
    hint = f"The account's keys: {', '.join(names)}." if names else "The account has no keys."
    raise ConfigError(unknown("API key", name, names, hint=hint))
