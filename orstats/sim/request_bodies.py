"""The shapes of the JSON bodies that endpoints accept."""

from __future__ import annotations

from typing import Any

_JSON_SCALAR = (str, int, float)
_FILTER = {"field": str, "operator": str, "value": (*_JSON_SCALAR, [_JSON_SCALAR]), "include_unset": bool}
_CLASSIFIED = {"classifier_id": str, "dimension_names": [str], "include_nulls": bool, "filters": [_FILTER]}
FEEDBACK = {"generation_id": str, "category": str, "comment": str}
QUERY = {
    "metrics": [str],
    "dimensions": [str],
    "filters": [_FILTER],
    "granularity": str,
    "time_range": {"start": str, "end": str},
    "order_by": {"field": str, "direction": str},
    "limit": int,
    "group_limit": int,
    "classifier_dimensions": _CLASSIFIED,
    "classifier_filters": _CLASSIFIED,
}


def fits(value: Any, shape: Any) -> bool:
    """Return whether a JSON value has a shape.

    A shape is a type, a list of one shape for an array, a dict for an object whose fields have those shapes where they
    are present, or a tuple of alternatives.

    Examples
    --------
    >>> fits({"metrics": ["request_count"], "limit": 5}, QUERY), fits({"limit": True}, QUERY)
    (True, False)
    """
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(fits(value[name], shape[name]) for name in shape.keys() & value.keys())
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    # Not isinstance: bool is a subclass of int in Python, and 5.0 is an integer in JSON.
    return type(value) is shape or (shape is int and type(value) is float and value.is_integer())
