"""Days, weeks and months of a time zone, as instants: also where a day has 23 or 25 hours. Instants are ms since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stillhere.errors import BadFilter

Unit = Literal["hour", "day", "week", "month"]

UNITS: Final[tuple[Unit, ...]] = ("hour", "day", "week", "month")

MOST_BUCKETS: Final = 10_000

HOUR_MS: Final = 3_600_000

LATEST_AT: Final = 250_000_000_000_000
"""No instant after this, in the year 9892, is taken: room for every zone before the year 10000, where `datetime` ends."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def read_zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name.

    Raises:
        BadFilter: if there is none such.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadFilter("zone", f"there is no time zone {name[:60]!r}; write an IANA name such as Europe/Berlin or UTC") from error


def at_of(moment: datetime) -> int:
    """Write an instant that knows its zone as milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def local(at: int, zone: ZoneInfo) -> datetime:
    """Read an instant off the clocks of a zone."""
    return (_EPOCH + at * _MILLISECOND).astimezone(zone)


def day_begins_at(day: date, zone: ZoneInfo) -> int:
    """Tell the first instant of a day: midnight, or where clocks skip midnight, the instant at which they do."""
    return at_of(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def bounds(unit: Unit, zone: ZoneInfo, since_at: int, until_at: int) -> list[tuple[int, int]]:
    """List the buckets that hold a period, in order and without gaps: each begins where the one before it ends.

    Args:
        unit: how long they are; weeks begin on Monday (ISO 8601).
        zone: in whose calendar.
        since_at: in the first bucket.
        until_at: the last bucket begins before it.

    Raises:
        BadFilter: if there would be too many.
    """
    if until_at <= since_at:
        return []
    begins = _hours(zone, since_at, until_at) if unit == "hour" else _days(unit, zone, since_at, until_at)
    return list(pairwise(begins))


def _hours(zone: ZoneInfo, since_at: int, until_at: int) -> list[int]:
    _refuse_many((until_at - since_at) // HOUR_MS)
    at = since_at - _ms_of_hour(since_at, zone)
    begins = [at]
    while at < until_at:
        # Where clocks move by half an hour, one bucket is shorter, and the next begins on the hour again.
        at += HOUR_MS - _ms_of_hour(at, zone)
        begins.append(at)
    return begins


def _ms_of_hour(at: int, zone: ZoneInfo) -> int:
    moment = local(at, zone)
    return (moment.minute * 60 + moment.second) * 1000 + moment.microsecond // 1000


def _days(unit: Unit, zone: ZoneInfo, since_at: int, until_at: int) -> list[int]:
    _refuse_many((until_at - since_at) // (24 * HOUR_MS))
    day = local(since_at, zone).date()
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit == "month":
        day = day.replace(day=1)
    begins = [day_begins_at(day, zone)]
    while begins[-1] < until_at:
        day = _following(day, unit)
        begins.append(day_begins_at(day, zone))
    return begins


def _following(day: date, unit: Unit) -> date:
    if unit == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if unit == "week" else 1)


def _refuse_many(count: int) -> None:
    if count > MOST_BUCKETS:
        raise BadFilter("unit", f"that would be more than {MOST_BUCKETS:,} buckets; choose a shorter period or a longer unit")
