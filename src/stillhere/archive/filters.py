"""Filters as people write them, in a URL and on the command line alike: local dates, durations, lists. Errors name the field."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar, get_args
from zoneinfo import ZoneInfo

import msgspec

from stillhere.archive.cursor import VisitorSort
from stillhere.archive.records import VisitFilter
from stillhere.archive.zones import LATEST_AT, UNITS, Unit, at_of, day_begins_at, read_zone
from stillhere.core.records import EndedBy
from stillhere.errors import BadFilter

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

One = TypeVar("One")

HERE: Final = "here"
"""In `ended`: somebody is still there."""

ENDINGS: Final = (*(by.value for by in EndedBy), "leave", "away", "lost", HERE)

LONGEST_LIST: Final = 200

SORTS: Final[tuple[VisitorSort, ...]] = get_args(VisitorSort)

FILTER: Final = ("visitor", "page", "from", "to", "zone", "min", "max", "ended", "with", "verified")
"""Words that say which visits are wanted."""

PAGING: Final = ("limit", "before")
"""Words of a list that is asked for piece by piece."""

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(ms|s|m|h|d)\Z")
# An instant has a T in it: without one Python reads 20261130, too, and as midnight, where the day was meant.
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_NUMBER: Final = re.compile(r"[0-9]{1,9}\Z")
_LATEST_YEAR: Final = 9_000


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A filter that was read.

    Attributes:
        wanted: which visits.
        zone: in whose calendar dates were read, and buckets are to be made.
        unit: how long buckets are.
        sort: in which order visitors are.
    """

    wanted: VisitFilter
    zone: ZoneInfo
    unit: Unit = "day"
    sort: VisitorSort = "last"


def read_filter(words: Mapping[str, str], *, known: Collection[str] = (*FILTER, *PAGING), zone: str = "UTC") -> Chosen:
    """Read a filter.

    Args:
        words: those that are known; an empty one is as if it were not there. Dates are local and `to` is included; instants are ISO 8601,
            and `to` is not.
        known: the names of the words that may be there: of `FILTER` and `PAGING`, `unit` of buckets, `sort` of visitors.
        zone: IANA name that is used unless one is given.

    Raises:
        BadFilter: if one of them cannot be read, or is not known; the error names it.
    """
    refuse_unknown(words, known)
    given = {name: word for name, word in words.items() if word}
    clocks = read_zone(given.get("zone", zone))
    more = _words(given, "with", ("internal", "excluded"))
    wanted = VisitFilter(
        visitor=_text(given, "visitor"),
        page=_text(given, "page"),
        since_at=_instant(given, "from", clocks, days=0),
        until_at=_instant(given, "to", clocks, days=1),
        min_visible_ms=_span(given, "min"),
        max_visible_ms=_span(given, "max"),
        ended_by=_words(given, "ended", ENDINGS),
        internal="internal" in more,
        excluded="excluded" in more,
        verified=_truth(given, "verified"),
        before=given.get("before"),
        limit=_limit(given),
    )
    if wanted.since_at is not None and wanted.until_at is not None and wanted.until_at <= wanted.since_at:
        raise BadFilter("to", "the period ends before it begins; let `to` be later than `from`")
    if wanted.min_visible_ms is not None and wanted.max_visible_ms is not None and wanted.max_visible_ms < wanted.min_visible_ms:
        raise BadFilter("max", "no time is so long and so short at once; let `max` be no less than `min`")
    return Chosen(wanted=wanted, zone=clocks, unit=_one_of(given, "unit", UNITS, "day"), sort=_one_of(given, "sort", SORTS, "last"))


def refuse_unknown(words: Collection[str], known: Collection[str]) -> None:
    """Refuse words that nobody would read: who misspells one would be told of more than they asked for.

    Raises:
        BadFilter: if there is one; the error names it, and those that there are.
    """
    for word in words:
        if word not in known:
            raise BadFilter(word[:40], f"{word[:40]!r} is no word of this question; it takes {', '.join(known)}")


def read_span(field: str, word: str) -> int:
    """Read a duration such as `30s`, `5m`, `1.5h` or `500ms` as milliseconds.

    Raises:
        BadFilter: if it is none.
    """
    found = _DURATION.match(word.strip())
    if found is None:
        raise BadFilter(field, f"{word[:40]!r} is not a duration; write 30s, 5m or 1h")
    return round(float(found[1]) * _UNITS[found[2]])


def read_instant(field: str, word: str, zone: ZoneInfo, *, days: int = 0) -> int:
    """Read a local date, or an instant in ISO 8601, as milliseconds since 1970.

    Args:
        field: its name, for the error.
        word: `2026-11-30`, `2026-11-30T12:00:00Z`; without an offset it is read off the zone's clocks.
        zone: in whose calendar.
        days: added to a date, so that a last day is included.

    Raises:
        BadFilter: if it is neither, or too far away.
    """
    try:
        if _DATE.match(word):
            at = day_begins_at(date.fromisoformat(word) + timedelta(days=days), zone)
        else:
            moment = datetime.fromisoformat(word if "T" in word else "")
            at = at_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError) as error:
        raise BadFilter(field, f"{word[:40]!r} is no date; write 2026-11-30, or an instant such as 2026-11-30T12:00:00Z") from error
    if not 0 <= at <= LATEST_AT:
        raise BadFilter(field, f"{word[:40]!r} is not between the years 1970 and {_LATEST_YEAR}")
    return at


def _text(given: Mapping[str, str], field: str) -> str | None:
    word = given.get(field)
    if word is not None and "\0" in word:
        raise BadFilter(field, "text has no U+0000 in it")
    return word


def _instant(given: Mapping[str, str], field: str, zone: ZoneInfo, *, days: int) -> int | None:
    return read_instant(field, given[field], zone, days=days) if field in given else None


def _span(given: Mapping[str, str], field: str) -> int | None:
    return read_span(field, given[field]) if field in given else None


def _words(given: Mapping[str, str], field: str, known: tuple[str, ...]) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word for part in re.split(r"[,|]", given.get(field, "")) if (word := part.strip())))
    for word in words:
        if word not in known:
            raise BadFilter(field, f"{word[:40]!r} is none of {', '.join(known)}")
    return words


def _truth(given: Mapping[str, str], field: str) -> bool | None:
    word = given.get(field)
    if word not in {None, "true", "false"}:
        raise BadFilter(field, "write true or false")
    return None if word is None else word == "true"


def _one_of(given: Mapping[str, str], field: str, known: tuple[One, ...], default: One) -> One:
    word = given.get(field, default)
    for one in known:
        if one == word:
            return one
    raise BadFilter(field, f"{str(word)[:40]!r} is none of {', '.join(map(str, known))}")


def _limit(given: Mapping[str, str]) -> int:
    word = given.get("limit", "50")
    if not _NUMBER.match(word) or not 1 <= int(word) <= LONGEST_LIST:
        raise BadFilter("limit", f"limit must be a whole number from 1 to {LONGEST_LIST}")
    return int(word)
