"""Numbers, amounts, sizes and durations as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

_MILLION: Final = 1_000_000
_OTHER_GROUPS: Final = re.compile(r"other \([\d,]+ groups?\)")
_SECOND_MS: Final = 1000.0
_MINUTE_MS: Final = 60_000.0


def is_present(value: Any) -> bool:
    """Whether a value is not missing.

    >>> is_present(0), is_present(None), is_present(float("nan")), is_present("nan")
    (True, False, False, True)
    """
    return isinstance(value, str) or (value is not None and str(value) not in ("<NA>", "NaT", "nan"))


def usd(value: Any, places: int | None = None) -> str:
    """Write an amount in US dollars, never with an exponent; an amount of exactly zero is ``$0``, everywhere.

    >>> usd(4.2e-07), usd(0.012345), usd(1234.5), usd(0), usd(None)
    ('$0.00000042', '$0.012345', '$1,234.50', '$0', 'unknown')
    >>> usd(1.5, 4), usd(4.2e-07, 4), usd(0, 4)
    ('$1.5000', '<$0.0001', '$0')
    """
    if not is_present(value):
        return "unknown"
    amount = float(value)
    sign, size = "-" if amount < 0 else "", abs(amount)
    if not size:
        return "$0"
    if places is not None:
        smallest = 10.0**-places
        return sign + (f"${size:,.{places}f}" if size >= smallest / 2 else f"<${smallest:.{places}f}")
    if size >= 1:
        return f"{sign}${size:,.{usd_places(size)}f}"
    return sign + "$" + format(Decimal(f"{size:.5g}"), "f")


def usd_change(change: float, places: int | None = None) -> str:
    """Write the change of an amount, with its sign.

    >>> usd_change(1.5), usd_change(-0.25, 2), usd_change(0)
    ('+$1.5000', '-$0.25', '$0')
    """
    return f"+{usd(change, places)}" if change > 0 else usd(change, places)


def usd_places(total: Any) -> int:
    """Return the number of decimals for the amounts that make up a total.

    >>> usd_places(12345.6), usd_places(5.2), usd_places(0.012), usd_places(4e-6)
    (2, 4, 6, 9)
    """
    size = abs(float(total)) if is_present(total) else 0.0
    for least, places in ((100.0, 2), (1.0, 4), (0.01, 6)):
        if size >= least:
            return places
    return 9


_MOST_PLACES: Final = 6


def column_places(*columns: Iterable[Any]) -> int:
    """Return the number of decimals for the amounts of one column or of several, at most six, as suits the largest.

    >>> column_places([1.5, 0.25]), column_places([4.2e-07], [0.5, None]), column_places([])
    (4, 6, 6)
    """
    largest = max((abs(float(one)) for column in columns for one in column if is_present(one)), default=0.0)
    return min(usd_places(largest), _MOST_PLACES)


def usd_amounts(
    values: Iterable[Any], missing: str = "unknown", *, places: int | None = None, signed: bool = False
) -> list[str]:
    """Write the amounts of a column with the same number of decimals: `places`, or as suits the largest.

    >>> usd_amounts([1.5, 0.25, 4.2e-07, 0, None])
    ['$1.5000', '$0.2500', '<$0.0001', '$0', 'unknown']
    >>> usd_amounts([0.25, -0.5], places=2, signed=True)
    ['+$0.25', '-$0.50']
    """
    amounts = list(values)
    places = column_places(amounts) if places is None else places
    write = usd_change if signed else usd
    return [write(amount, places) if is_present(amount) else missing for amount in amounts]


def usd_per_mtok(value: Any, missing: str = "") -> str:
    """Write a price per million tokens.

    >>> usd_per_mtok(1.5), usd_per_mtok(0), usd_per_mtok(None)
    ('$1.500', '$0', '')
    """
    return usd(value, 3) if is_present(value) else missing


def tokens_per_second(value: Any, missing: str = "?") -> str:
    """Write a throughput.

    >>> tokens_per_second(1234.56), tokens_per_second(None)
    ('1,234.6', '?')
    """
    return f"{value:,.1f}" if is_present(value) else missing


def cost_parts(totals: Mapping[Any, Any], places: int | None) -> str:
    """Describe who charged what, from the values of a summary.

    Fees for calls with your own keys are charged to credits, so this part exceeds the cost of calls paid by credits.

    >>> cost_parts({"charged_usd": 5.0, "byok_fee_usd": 0.25, "byok_usd": 2.0}, 2)
    '$5.00 from credits ($0.25 of it fees for calls with your own keys), $2.00 charged by providers to your own keys'
    """
    fee = totals["byok_fee_usd"]
    fees = f" ({usd(fee, places)} of it fees for calls with your own keys)" if is_present(fee) and fee else ""
    charged, byok = usd(totals["charged_usd"], places), usd(totals["byok_usd"], places)
    return f"{charged} from credits{fees}, {byok} charged by providers to your own keys"


def count(value: Any) -> str:
    """Write an integer with thousands separators.

    >>> count(1234567), count(None)
    ('1,234,567', '?')
    """
    return f"{int(value):,}" if is_present(value) else "?"


def tokens(value: Any) -> str:
    """Write a number of tokens for a narrow column.

    >>> tokens(950), tokens(123456), tokens(12345678)
    ('950', '123,456', '12.35M')
    """
    if is_present(value) and int(value) >= 10 * _MILLION:
        return f"{int(value) / _MILLION:,.2f}M"
    return count(value)


def duration(value: Any) -> str:
    """Write milliseconds in the unit that fits, with three digits.

    >>> duration(727.4), duration(1812), duration(33_812), duration(125_000), duration(1e7), duration(None)
    ('727 ms', '1.81 s', '33.8 s', '2 min 5 s', '2 h 47 min', '?')
    """
    if not is_present(value):
        return "?"
    size = abs(float(value))
    if round(size) < _SECOND_MS:
        return f"{value:.0f} ms"
    if size < _MINUTE_MS - 50:  # what would show as 60.0 s
        return f"{value / _SECOND_MS:.{2 if size < 9_995 else 1}f} s"  # noqa: PLR2004 - what shows as 9.99 s
    sign, (minutes, seconds) = "-" if value < 0 else "", divmod(round(size / _SECOND_MS), 60)
    if minutes < 60:  # noqa: PLR2004 - of an hour
        return f"{sign}{minutes} min {seconds} s"
    hours, minutes = divmod(round(size / _MINUTE_MS), 60)
    return f"{sign}{hours:,} h {minutes} min"


def durations(values: Iterable[Any], missing: str = "?", *, seconds: bool | None = None) -> list[str]:
    """Write the milliseconds of a column in one unit, with the same number of decimals.

    >>> durations([4, 727.4, None]), durations([4, 1812, 33_812])
    (['4 ms', '727 ms', '?'], ['0.004 s', '1.812 s', '33.812 s'])
    """
    times = list(values)
    if in_seconds(times) if seconds is None else seconds:
        return [f"{time / _SECOND_MS:,.3f} s" if is_present(time) else missing for time in times]
    return [f"{time:,.0f} ms" if is_present(time) else missing for time in times]


def in_seconds(values: Iterable[Any]) -> bool:
    """Whether some of these milliseconds are better read as seconds.

    >>> in_seconds([4, 999]), in_seconds([4, 1000])
    (False, True)
    """
    return any(is_present(time) and round(abs(time)) >= _SECOND_MS for time in values)


def percent(value: Any) -> str:
    """Write a share of 0 to 1; empty when it is missing.

    >>> percent(0.3675), percent(0.00004), percent(0.99999), percent(0), percent(None)
    ('36.8%', '<0.1%', '>99.9%', '0%', '')
    """
    return "0%" if is_present(value) and not value else percents([value], "")[0]


def percents(values: Iterable[Any], missing: str = "?") -> list[str]:
    """Write the shares of a column; 0.0% and 100.0% are exact.

    >>> percents([0.3675, 0.00004, 0, 1, None])
    ['36.8%', '<0.1%', '0.0%', '100.0%', '?']
    """
    return [_percent(float(value)) if is_present(value) else missing for value in values]


def _percent(share: float) -> str:
    if 0 < share < 0.0005:  # noqa: PLR2004 - what would show as 0.0%
        return "<0.1%"
    return ">99.9%" if 0.9995 <= share < 1 else f"{share:,.1%}"  # noqa: PLR2004 - what would show as 100.0%


def percent_change(share: float) -> str:
    """Write a change as a share of what was before, with its sign.

    >>> percent_change(0.3675), percent_change(-1), percent_change(12.5), percent_change(-0.00004), percent_change(0)
    ('+36.8%', '-100.0%', '+1,250.0%', '-<0.1%', '0%')
    """
    sign = "+" if share > 0 else "-"
    size = abs(share)
    return "0%" if not share else f"{sign}<0.1%" if size < 0.0005 else f"{sign}{size:,.1%}"  # noqa: PLR2004 - what would show as 0.0%


def byte_size(number: float) -> str:
    """Write a number of bytes.

    >>> byte_size(512), byte_size(2_400_000)
    ('512 B', '2.4 MB')
    """
    for unit in ("B", "kB", "MB"):
        if number < 1000:  # noqa: PLR2004
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def other_groups(number: int) -> str:
    """Name the row of all groups that a report does not show; the other keys of that row are empty.

    >>> other_groups(51), is_other_groups("other (51 groups)"), is_other_groups("other")
    ('other (51 groups)', True, False)
    """
    return f"other ({plural(number, 'group')})"


def is_other_groups(name: object) -> bool:
    """Tell whether a name is one of :func:`other_groups`."""
    return isinstance(name, str) and _OTHER_GROUPS.fullmatch(name) is not None


def plural(number: int, noun: str) -> str:
    """Write a number and its noun.

    >>> plural(1, "id"), plural(2000, "id")
    ('1 id', '2,000 ids')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def usd_tick(value: float, largest: float) -> str:
    """Write an amount beside a tick of an axis that ends at `largest`.

    >>> usd_tick(2.5, 5), usd_tick(1500, 5000), usd_tick(0.025, 0.1), usd_tick(0, 5), usd_tick(-0.5, 5)
    ('$2.50', '$1,500', '$0.025', '$0', '-$0.50')
    """
    if not value:
        return "$0"
    sign = "-" if value < 0 else ""
    if largest >= 100:  # noqa: PLR2004 - cents do not matter beside hundreds of dollars
        return f"{sign}${abs(value):,.0f}"
    dollars, _, decimals = f"{abs(value):,.9f}".partition(".")
    return f"{sign}${dollars}.{decimals.rstrip('0'):0<2}"


def count_tick(value: float) -> str:
    """Write a number beside a tick.

    >>> count_tick(950), count_tick(1500), count_tick(2_000_000), count_tick(3e9)
    ('950', '1.5k', '2M', '3B')
    """
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def duration_tick(value: float) -> str:
    """Write milliseconds beside a tick.

    >>> duration_tick(0.5), duration_tick(200), duration_tick(1500), duration_tick(60_000), duration_tick(7_200_000)
    ('0.5 ms', '200 ms', '1.5 s', '1 min', '2 h')
    """
    for size, unit in ((3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} ms"
