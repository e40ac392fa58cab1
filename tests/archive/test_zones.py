"""Calendars: buckets without gaps or overlaps, where days have 23, 24 or 25 hours, and clocks move by half an hour."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.archive import zones
from stillhere.archive.records import Stay
from stillhere.archive.statistics import buckets
from stillhere.archive.zones import UNITS, Unit, at_of, bounds, local, read_zone
from stillhere.errors import BadFilter
from stillhere.words import instant

HOUR = 3_600_000


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """Tell an instant in UTC."""
    return at_of(datetime(year, month, day, hour, minute, tzinfo=UTC))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
        ("Africa/Cairo", (2026, 4, 24), 23),
        ("UTC", (2026, 12, 31), 24),
    ],
)
def test_a_day_is_as_long_as_it_is(zone: str, day: tuple[int, int, int], hours: float) -> None:
    """Where clocks move, a day is longer or shorter, and its hours add up to it."""
    clocks = ZoneInfo(zone)
    noon = at_of(datetime(*day, 12, tzinfo=clocks).astimezone(UTC))
    ((begin, end),) = bounds("day", clocks, noon, noon + 1)
    assert (end - begin) / HOUR == hours
    parts = bounds("hour", clocks, begin, end)
    assert (parts[0][0], parts[-1][1]) == (begin, end)
    assert sum(local(start, clocks).minute != 0 for start, _ in parts) == (hours % 1 != 0)


def test_years_end_where_the_zone_says() -> None:
    """A visit in the last minute of a year is of that year there, and already of the next one further east."""
    late = at(2026, 12, 31, 23, 59)
    assert [instant(begin) for begin, _ in bounds("month", ZoneInfo("UTC"), late, late + 1)] == ["2026-12-01T00:00:00.000Z"]
    assert [instant(begin) for begin, _ in bounds("month", ZoneInfo("Asia/Tokyo"), late, late + 1)] == ["2026-12-31T15:00:00.000Z"]
    (week,) = bounds("week", ZoneInfo("UTC"), late, late + 1)
    assert [instant(edge) for edge in week] == ["2026-12-28T00:00:00.000Z", "2027-01-04T00:00:00.000Z"]


@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo"]),
    unit=st.sampled_from(UNITS),
    since=st.integers(0, at(2036, 1, 1)),
    span=st.integers(1, 40 * 24 * HOUR),
)
def test_buckets_have_no_gaps(zone: str, unit: Unit, since: int, span: int) -> None:
    """Whatever the period, buckets hold all of it, follow one another, and none is empty of time."""
    found = bounds(unit, ZoneInfo(zone), since, since + span)
    assert found[0][0] <= since < found[0][1]
    assert found[-1][0] < since + span <= found[-1][1]
    assert all(begin < end for begin, end in found)
    assert all(one[1] == other[0] for one, other in pairwise(found))


def test_a_period_without_length_has_no_buckets() -> None:
    """Nothing is between an instant and itself."""
    assert bounds("day", ZoneInfo("UTC"), 5, 5) == []
    assert buckets([Stay("a", 5, 6, 1, 1)], lambda _: []) == []


@pytest.mark.parametrize("unit", ["hour", "day"])
def test_too_many_buckets_are_refused(unit: Unit) -> None:
    """A chart of a century in hours would be of no use, and is named instead of drawn."""
    with pytest.raises(BadFilter, match="more than 10,000 buckets") as refused:
        bounds(unit, ZoneInfo("UTC"), 0, (zones.MOST_BUCKETS + 1) * 24 * HOUR)
    assert refused.value.field == "unit"


def test_an_unknown_zone_is_a_clear_error() -> None:
    """It says what to write."""
    with pytest.raises(BadFilter, match="IANA name such as Europe/Berlin"):
        read_zone("Berlin")


def test_visits_belong_to_the_day_on_which_they_began() -> None:
    """A visit over midnight counts once, on the first of its days; one of three days, too; days without any are there."""
    clocks = ZoneInfo("Europe/Berlin")
    over_midnight = at_of(datetime(2026, 3, 28, 23, 50, tzinfo=clocks).astimezone(UTC))
    long = at_of(datetime(2026, 3, 30, 0, 0, tzinfo=clocks).astimezone(UTC))
    stays = [Stay("a", over_midnight, over_midnight + HOUR, 60_000, 1), Stay("b", long, long + 72 * HOUR, 10, 2), Stay("b", 5, 6, 1, 1)]
    found = buckets(stays, lambda _: bounds("day", clocks, over_midnight, long + 72 * HOUR))
    assert [(one.visits, one.visitors, one.visible_ms) for one in found] == [(1, 1, 60_000), (0, 0, 0), (1, 1, 10), (0, 0, 0), (0, 0, 0)]
    assert [(one.until_at - one.from_at) / HOUR for one in found[:2]] == [24, 23]
