"""The times and time zones that commands are given."""

from __future__ import annotations

from datetime import UTC, datetime

from orstats.cli.errors import WrongUsage
from orstats.errors import ConfigError


def time_option(option: str, text: str, *, now: datetime, tz: str = "UTC") -> datetime:
    """Read the time that an option gives, in the zone of ``--tz``."""
    from orstats.account.time_range import moment

    try:
        return moment(text, now=now, tz=zone_option(tz))
    except ConfigError as error:
        raise WrongUsage(f"{option}: {error}") from None


def zone_option(tz: str) -> str:
    """Return the time zone of ``--tz``."""
    from orstats.text.time_zones import zone_of

    try:
        return zone_of(tz)
    except ConfigError as error:
        raise WrongUsage(f"--{error}") from None


def time_range(since: str, until: str, tz: str) -> tuple[datetime, datetime]:
    """Read the time range of ``--since`` and ``--until``."""
    from orstats.account.time_range import span

    now = datetime.now(UTC)
    ends = time_option("--since", since, now=now, tz=tz), time_option("--until", until, now=now, tz=tz)
    try:
        return span(*ends, now=now)
    except ConfigError as error:
        raise WrongUsage(f"--since {since} --until {until}: {error}") from None


def local_time(time: datetime, tz: str) -> str:
    """Write a time as the clock of a zone shows it."""
    from orstats.text.time_zones import clock

    return f"{time.astimezone(clock(tz)):%Y-%m-%d %H:%M}"
