"""The key that a request needs; without one, the error says what the archive has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orstats.api.config import Settings
from orstats.errors import MissingKeyError
from orstats.fetching.arguments import ARCHIVED_ONLY

if TYPE_CHECKING:
    from orstats.archive.archive import Archive

_MAX_HOSTS: Final = 3


def require_key(settings: Settings, archive: Archive | None, *, archived: int | None, ids: int) -> None:
    """Raise an error without a key. ``archived`` of the ids need none; None if the archive was not read for them."""
    try:
        settings.key()
    except MissingKeyError as error:
        if archive is None:
            raise
        known = f"{_archived(settings.host, archived, ids)}{_others(settings.host, archive)}"
        raise MissingKeyError(f"{error}{known}") from None


def _archived(host: str, archived: int | None, ids: int) -> str:
    if archived is None:
        return ""
    if archived:
        verb = "is" if archived == 1 else "are"
        return f" {archived:,} of the {ids:,} ids {verb} archived for {host}: {ARCHIVED_ONLY} needs no key for those."
    return f" {'The id is not' if ids == 1 else f'None of the {ids:,} ids is'} archived for {host}."


def _others(host: str, archive: Archive) -> str:
    others = [one for one in archive.hosts() if one != host]
    if not others:
        return ""
    more = f" and {len(others) - _MAX_HOSTS} more" if len(others) > _MAX_HOSTS else ""
    return (
        f" The archive {archive.path} has records of {', '.join(others[:_MAX_HOSTS])}{more}: "
        "to read those, set OPENROUTER_BASE_URL."
    )
