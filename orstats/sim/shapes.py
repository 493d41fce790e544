"""Whether a value of JSON has the shape that the API's specification wants, before its meaning is read."""

from __future__ import annotations

from typing import Any

_SCALAR = (str, int, float)
_FILTER = {"field": str, "operator": str, "value": (*_SCALAR, [_SCALAR]), "include_unset": bool}
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
    """Tell whether ``value`` has a shape.

    Parameters
    ----------
    value
        What a client sent.
    shape
        A type; a list of one shape, for an array of those; a dict, for an object whose fields have those shapes where
        they are present (others are free); or a tuple of shapes, one of which must fit.

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
    # Not isinstance: a bool is an int in Python, and no number in JSON; and 5.0 is a whole number there.
    return type(value) is shape or (shape is int and type(value) is float and value.is_integer())
