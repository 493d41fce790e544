"""Time zones: checked names, and one table of UTC offsets that all backends use.

pandas, Polars, DuckDB, Spark and matplotlib each use time zone data of a different release. Periods are therefore
computed from the offsets here: of the ``tzdata`` package or of the operating system, whichever is newer.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from orstats.errors import ConfigError
from orstats.text.suggest import did_you_mean, similar

if TYPE_CHECKING:
    import pandas as pd

Times = npt.NDArray[np.datetime64]

#: Offsets are tabulated for these years; earlier and later times take the nearest offset.
_YEARS: Final = range(1970, 2101)
#: No zone has changed its offset twice within this time since 1970, nor is it planned to until 2100.
_PROBE: Final = timedelta(days=3)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Files of a zoneinfo directory that mean something else on each machine.
_NOT_PORTABLE: Final = re.compile(r"(localtime|posixrules|Factory|(posix|right)/.*)\Z", re.IGNORECASE)


class Offsets(NamedTuple):
    """The UTC offsets of a zone in order: when each begins, and what is added to UTC."""

    starts: Times
    """In UTC; the first is the earliest representable time."""
    offsets: npt.NDArray[np.timedelta64]

    def at(self, utc: Times) -> npt.NDArray[np.intp]:
        """Return the position of the offset in force at each time."""
        return np.searchsorted(self.starts[1:], utc, side="right")

    def local_ends(self) -> Times:
        """Return the wall-clock time at which each offset ends, except the last."""
        ends: Times = np.maximum.accumulate(self.starts[1:] + self.offsets[:-1])
        return ends

    def first_moment(self, local: Times) -> Times:
        """Return the UTC time at which a clock first shows a wall-clock time, or jumps past it."""
        place = np.searchsorted(self.local_ends(), local, side="right")
        moments: Times = np.maximum(self.starts[place], local - self.offsets[place])
        return moments


def zone_of(tz: str | tzinfo) -> str:
    """Return the name of a time zone, checked.

    >>> zone_of("Europe/Berlin"), zone_of(UTC)
    ('Europe/Berlin', 'UTC')
    """
    name = getattr(tz, "key", None) or getattr(tz, "zone", None) or ("UTC" if tz is UTC else tz)
    if isinstance(name, str) and not _NOT_PORTABLE.match(name):
        try:
            clock(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass
        else:
            return name
    near = _similar(str(name))
    hint = did_you_mean(near) or " Use a name such as 'Europe/Berlin' or 'UTC'."
    raise ConfigError(f"tz must be the name of a time zone, got {repr(tz)[:80]}.{hint}")


def _similar(name: str) -> list[str]:
    if hours := re.fullmatch(r"(?:utc|gmt)?([+-])0?(\d{1,2})(?::?00)?", name, re.IGNORECASE):
        # The signs of these names are reversed: Etc/GMT-2 is two hours ahead of UTC.
        fixed = f"Etc/GMT{'-' if hours[1] == '+' else '+'}{hours[2]}"
        return [fixed] if fixed in zoneinfo.available_timezones() else []
    names = {one.lower(): one for one in sorted(zoneinfo.available_timezones()) if not _NOT_PORTABLE.match(one)}
    if name.lower() in names:
        return [names[name.lower()]]
    cities = [one for one in names.values() if one.rpartition("/")[2].lower() == name.lower().replace(" ", "_")]
    return cities[:3] or [names[one] for one in similar(name.lower(), names)]


@cache
def clock(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone with the newest data available."""
    on_disk = zoneinfo.ZoneInfo(name)  # also checks the name
    if not _package_is_newer():
        return on_disk
    try:
        with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            return _PackagedZone.from_file(file, key=name)
    except OSError:
        return on_disk


class _PackagedZone(zoneinfo.ZoneInfo):
    """A zone of the ``tzdata`` package, although the operating system has one of that name. It can be pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return clock, (self.key,)


@cache
def _package_is_newer() -> bool:
    """Whether the release of the ``tzdata`` package, such as 2026a, is newer than that of the operating system."""
    try:
        package = resources.files("tzdata").joinpath("zoneinfo", "tzdata.zi")
        with package.open("rb") as file:
            packaged = file.readline().split()[-1]
    except (ImportError, OSError):
        return False
    for folder in zoneinfo.TZPATH:
        try:
            with Path(folder, "tzdata.zi").open("rb") as file:
                return packaged > file.readline().split()[-1]
        except (OSError, IndexError):
            continue
    return True


@cache
def offsets(name: str) -> Offsets:
    """Tabulate the UTC offsets of a zone; the name is from :func:`zone_of`."""
    zone = clock(name)

    def offset(utc: datetime) -> timedelta:
        return utc.astimezone(zone).utcoffset() or timedelta(0)

    at = datetime(_YEARS[0], 1, 1, tzinfo=UTC)
    known = offset(at)
    starts, found = [np.datetime64(np.iinfo(np.int64).min + 1, "us")], [known]
    while at.year < _YEARS[-1]:
        before, at = at, at + _PROBE
        if (now := offset(at)) == known:
            continue
        low, high = 0, int(_PROBE.total_seconds())
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(before + timedelta(seconds=middle)) == known else (low, middle)
        starts.append(np.datetime64((before + timedelta(seconds=high)).replace(tzinfo=None), "us"))
        found.append(now)
        known = now
    return Offsets(np.array(starts), np.array(found, "timedelta64[us]"))


def offset_text(offset: np.timedelta64) -> str:
    """Write a UTC offset as in ISO 8601.

    >>> offset_text(np.timedelta64(-210, "m"))
    '-03:30'
    """
    minutes = int(offset / np.timedelta64(1, "m"))
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def first_moment(local: datetime, name: str) -> datetime:
    """Return the UTC time at which the clock of a zone first shows a wall-clock time, or jumps past it.

    >>> first_moment(datetime(2026, 3, 8), "America/Havana").isoformat()  # the clock jumps from midnight to one
    '2026-03-08T05:00:00+00:00'
    """
    (moment,) = offsets(name).first_moment(np.array([local], "datetime64[us]"))
    return _EPOCH + timedelta(microseconds=int(moment.astype("int64")))


def period_labels(periods: pd.Series[Any], freq: str) -> list[str | None]:
    """Name periods by their year, quarter, month, day or Monday, or by their hour with its UTC offset.

    >>> import pandas as pd
    >>> months = pd.Series(pd.DatetimeIndex(["2026-10-01"]).tz_localize("Europe/Lisbon"))
    >>> [period_labels(months, freq)[0] for freq in ("year", "quarter", "month", "day", "hour")]
    ['2026', '2026-Q4', '2026-10', '2026-10-01', '2026-10-01T00:00+01:00']
    """
    utc = periods.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    table = offsets(str(periods.dt.tz))
    offset = table.offsets[table.at(utc)]
    local = utc + offset
    unit: Any = {"hour": "m", "quarter": "M", "month": "M", "year": "Y"}.get(freq, "D")
    texts = np.datetime_as_string(local, unit=unit).tolist()
    if freq == "quarter":
        texts = [f"{text[:-3]}-Q{(int(text[-2:]) + 2) // 3}" if text != "NaT" else text for text in texts]
    elif freq == "hour":
        texts = [text + offset_text(shift) for text, shift in zip(texts, offset, strict=True)]
    return [None if missing else text for missing, text in zip(np.isnat(utc), texts, strict=True)]
