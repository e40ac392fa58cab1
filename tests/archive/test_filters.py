"""Filters as people write them: local dates, durations, lists; and what cannot be read is named."""

from __future__ import annotations

import pytest

from stillhere.archive.filters import FILTER, PAGING, read_filter
from stillhere.archive.records import VisitFilter
from stillhere.errors import BadFilter
from stillhere.words import instant


def test_nothing_said_is_no_filter() -> None:
    """Without a word everything is as the record has it, in UTC; an empty word is as if it were not there."""
    chosen = read_filter({"visitor": "", "from": "", "zone": "", "limit": ""})
    assert (chosen.wanted, chosen.zone.key) == (VisitFilter(), "UTC")


def test_everything_can_be_said_at_once() -> None:
    """Each word has its place in the filter."""
    words = {
        "visitor": "a@fund.example",
        "page": "/a",
        "from": "2026-11-01",
        "to": "2026-11-30",
        "zone": "Europe/Berlin",
        "min": "30s",
        "max": "1.5h",
        "ended": "leave|idle, here",
        "with": "internal,excluded",
        "verified": "true",
        "limit": "7",
        "before": "1.h.1",
    }
    wanted = read_filter(words).wanted
    assert wanted == VisitFilter(
        visitor="a@fund.example",
        page="/a",
        since_at=wanted.since_at,
        until_at=wanted.until_at,
        min_visible_ms=30_000,
        max_visible_ms=5_400_000,
        ended_by=("leave", "idle", "here"),
        internal=True,
        excluded=True,
        verified=True,
        limit=7,
        before="1.h.1",
    )
    assert instant(wanted.since_at or 0) == "2026-10-31T23:00:00.000Z"
    assert instant(wanted.until_at or 0) == "2026-11-30T23:00:00.000Z"


@pytest.mark.parametrize(
    ("word", "zone", "at"),
    [
        ("2026-01-01", "Pacific/Kiritimati", "2025-12-31T10:00:00.000Z"),
        ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00.000Z"),
        ("2026-04-24", "Africa/Cairo", "2026-04-23T22:00:00.000Z"),  # clocks skip midnight there
        ("2026-11-30T12:00:00Z", "Europe/Berlin", "2026-11-30T12:00:00.000Z"),
        ("2026-11-30T12:00:00+05:30", "UTC", "2026-11-30T06:30:00.000Z"),
        ("2026-11-30T12:00", "Asia/Kolkata", "2026-11-30T06:30:00.000Z"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00.000Z"),  # twice there; the first
    ],
)
def test_dates_are_local_and_instants_are_exact(word: str, zone: str, at: str) -> None:
    """A date begins with its day in the zone, an instant is where it says, and without an offset it is read off the zone's clocks."""
    assert instant(read_filter({"from": word}, zone=zone).wanted.since_at or 0) == at


def test_the_last_day_is_included_however_long_it_is() -> None:
    """From and to of one day are that day: 23 hours in spring, 25 in autumn."""
    spans = []
    for day in ("2026-03-29", "2026-10-25", "2026-12-31"):
        wanted = read_filter({"from": day, "to": day}, zone="Europe/Berlin").wanted
        spans.append(((wanted.until_at or 0) - (wanted.since_at or 0)) / 3_600_000)
    assert spans == [23, 25, 24]


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("zone", "Mars/Olympus"),
        ("zone", "../etc/passwd"),
        ("zone", "Europe"),
        ("from", "yesterday"),
        ("from", "2026-02-30"),
        ("from", "2026-12-31T23:59:60Z"),  # POSIX time has no leap seconds, and neither has a visit
        ("to", "1969-12-30"),
        ("to", "9999-12-31"),
        ("to", "20261127"),  # midnight to some readers, a day to others
        ("to", "2026-W48-5"),
        ("to", "2026-11-27 12:00"),
        ("from", "T"),
        ("min", "30"),
        ("min", "-3s"),
        ("max", "3 weeks"),
        ("ended", "bored"),
        ("with", "everything"),
        ("verified", "yes"),
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "٣"),
        ("page", "a\0b"),
        ("vistor", "a@fund.example"),
        ("vistor", ""),
        ("unit", "year"),
        ("sort", "name"),
    ],
)
def test_what_cannot_be_read_is_named(field: str, word: str) -> None:
    """The error says which field is at fault and what to write."""
    with pytest.raises(BadFilter) as refused:
        read_filter({field: word}, known=(*FILTER, *PAGING, *({"unit", "sort"} & {field})))
    assert refused.value.field == field
    assert refused.value.status_hint == 422


def test_a_period_does_not_end_before_it_begins() -> None:
    """Turned around, a period is refused instead of being empty for ever; and so are bounds of visible time."""
    with pytest.raises(BadFilter, match="ends before it begins"):
        read_filter({"from": "2026-11-02", "to": "2026-11-01"})
    with pytest.raises(BadFilter, match="let `max` be no less than `min`") as refused:
        read_filter({"min": "10m", "max": "5m"})
    assert refused.value.field == "max"
    assert read_filter({"min": "5m", "max": "5m"}).wanted.max_visible_ms == 300_000


def test_a_word_that_nobody_reads_is_refused() -> None:
    """Misspelt, or of another question: the error names it, and those that there are."""
    with pytest.raises(BadFilter, match="'limit' is no word of this question; it takes visitor, page, from"):
        read_filter({"limit": "7"}, known=FILTER)
    chosen = read_filter({"unit": "week", "sort": "visits"}, known=("unit", "sort"))
    assert (chosen.unit, chosen.sort) == ("week", "visits")
