"""Build the "Unknown name. Did you mean …?" message that every module uses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def unknown(thing: str, value: str, options: Iterable[str], *, hint: str = "") -> str:
    """Say that a name is unknown, and suggest similar ones; the hint is for when there are none.

    Examples
    --------
    >>> unknown("column", "modle", ["model", "usage"])
    "Unknown column 'modle'. Did you mean 'model'?"
    >>> unknown("column", "x", ["model"], hint="Run `orstats fields`.")
    "Unknown column 'x'. Run `orstats fields`."
    """
    return f"Unknown {thing} {value[:100]!r}.{did_you_mean(similar(value, options)) or f' {hint}'}".rstrip()


def similar(value: str, options: Iterable[str], *, most: int = 3, cutoff: float = 0.6) -> list[str]:
    """Return the names that are most similar to a value, first those that contain it, or its singular, as a word.

    >>> similar("users", ["usage", "external_user"]), similar("modle", ["model", "usage"]), similar("ids", ["ids-from"])
    (['external_user', 'usage'], ['model'], ['ids-from'])
    >>> similar("MODEL", ["model", "usage"])
    ['model']
    """
    names = {name: name.lower() for name in options}
    value = value.lower()
    words = {value, value.removesuffix("s")}
    having = [name for name, lower in names.items() if not words.isdisjoint(lower.replace("-", "_").split("_"))]
    close = difflib.get_close_matches(value, dict.fromkeys(names.values()), most, cutoff)
    near = [name for one in close for name, lower in names.items() if lower == one]
    return [*dict.fromkeys([*having, *near])][:most]


def did_you_mean(names: Sequence[str]) -> str:
    """Return the question that suggests some names, to append to a sentence; nothing without names."""
    return f" Did you mean {' or '.join(map(repr, names))}?" if names else ""
