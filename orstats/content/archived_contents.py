"""Prompts and completions that are in the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orstats._warn import warn_caller
from orstats.content.content import Content
from orstats.text.format import plural

if TYPE_CHECKING:
    from orstats.archive.archive import Archive


def archived_contents(archive: Archive, host: str, ids: Sequence[str]) -> dict[str, Content]:
    """Return the stored contents of generations; those that are not valid JSON count as not stored, with a warning."""
    found, invalid = {}, []
    for generation_id, body in archive.read_contents(host, ids).items():
        try:
            found[generation_id] = Content.from_json(generation_id, body)
        except ValueError:
            invalid.append(generation_id)
    if invalid:
        contents = plural(len(invalid), "archived content")
        warn_caller(f"Excluded {contents} that cannot be read as JSON: {', '.join(invalid[:3])}")
    return found
