"""The sample's site and its visitors, and when they come. Everything is drawn from a random source that is passed in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.core.people import REMEMBERED

if TYPE_CHECKING:
    from datetime import tzinfo
    from random import Random

DAYS: Final = 35
"""How far back the sample goes."""

INTERNAL_DOMAIN: Final = "inhouse.example"
"""Where the site's own people have their addresses."""


class Page(msgspec.Struct, frozen=True):
    """A page of the sample's site.

    Attributes:
        path: where it is.
        title: what it is called.
        reading_ms: how long half of its readers stay at most.
        depth_pct: how far they usually read.
        hot_part: the twentieth of it where they linger.
    """

    path: str
    title: str
    reading_ms: int
    depth_pct: int
    hot_part: int


PAGES: Final = (
    Page("/", "Welcome", 25_000, 60, 1),
    Page("/overview", "The year in brief", 70_000, 90, 4),
    Page("/numbers", "Numbers, quarter by quarter", 160_000, 85, 9),
    Page("/market", "The market and its neighbours", 110_000, 75, 6),
    Page("/product", "What it does, with pictures", 90_000, 95, 11),
    Page("/roadmap", "What comes next", 60_000, 80, 3),
    Page("/security", "How it is kept safe", 120_000, 55, 13),
    Page("/terms", "Terms, in full", 45_000, 25, 0),
    Page("/questions", "Questions and answers", 80_000, 65, 8),
    Page("/downloads", "Papers to take along", 30_000, 100, 15),
)


class Visitor(msgspec.Struct, frozen=True):
    """Somebody who reads there.

    Attributes:
        address: their e-mail address, which is nobody's.
        attributes: what their sessions are kept with.
        weight: how often they come, beside the others.
        patience: how long they read, beside the others.
        from_day: the first day on which they come, counted from the sample's first.
    """

    address: str
    attributes: Mapping[str, Any]
    weight: float
    patience: float
    from_day: int


_DOMAINS: Final = ("firm.example", "fund.example", "bank.example", "studio.example", "partner.example", "office.example")
_ROLES: Final = ("reader", "analyst", "partner", "counsel", "buyer", "guest")
_DEVICES: Final = (
    *("Chrome on Windows", "Firefox on Linux", "Safari on macOS", "Edge on Windows", "Chrome on macOS"),
    *("Safari on iOS", "Chrome on Android", "Firefox on Windows"),
)
_HOUR_WEIGHTS: Final = (1, 1, 0, 0, 0, 1, 3, 10, 30, 55, 60, 50, 25, 40, 60, 55, 45, 30, 14, 9, 10, 9, 5, 2)
"""How many come in which hour of their day."""

_WEEKDAY_VISITS: Final = 22
_WEEKEND_VISITS: Final = 5
_SATURDAY: Final = 5


def visitors_of(rng: Random, *, count: int = 40) -> list[Visitor]:
    """Draw the visitors; a few of them are the site's own people.

    Args:
        rng: draws.
        count: how many.
    """
    found: list[Visitor] = []
    for place in range(count):
        is_internal = place % 13 == 12  # noqa: PLR2004  # three of forty
        role, domain = ("colleague", INTERNAL_DOMAIN) if is_internal else (rng.choice(_ROLES), rng.choice(_DOMAINS))
        device = {"device": rng.choice(_DEVICES), "network": f"198.51.{rng.randrange(100, 116)}.0/24"}
        found.append(
            Visitor(
                address=f"{role}{place + 1}@{domain}",
                attributes={"verified": is_internal or rng.random() < 0.6, REMEMBERED: device},  # noqa: PLR2004  # most are
                weight=1 / (place + 4),
                patience=rng.lognormvariate(0, 0.35),
                from_day=0 if place < count // 2 else rng.randrange(DAYS),
            )
        )
    return found


def arrivals_of(rng: Random, *, now: int, zone: tzinfo) -> list[tuple[int, int]]:
    """Draw when somebody comes: mostly in working hours, little at weekends, a little more each week.

    Args:
        rng: draws.
        now: milliseconds since 1970; nobody comes later.
        zone: whose hours they are.

    Returns:
        For each arrival the day, counted from the first, and the instant, in order.
    """
    today = datetime.fromtimestamp(now / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    arrivals: list[tuple[int, int]] = []
    for day in range(DAYS + 1):
        date = today + timedelta(days=day - DAYS)  # calendar days of that zone, be they 23 or 25 hours long
        usual = _WEEKEND_VISITS if date.weekday() >= _SATURDAY else _WEEKDAY_VISITS
        for _ in range(max(0, round(rng.gauss(usual * (0.8 + 0.4 * day / DAYS), usual / 5)))):
            (hour,) = rng.choices(range(24), _HOUR_WEIGHTS)
            at = round(date.replace(hour=hour, minute=rng.randrange(60), second=rng.randrange(60)).timestamp() * 1000) + rng.randrange(1000)
            arrivals.append((day, at))
    return sorted(arrival for arrival in arrivals if arrival[1] < now)


def choose_visitor(rng: Random, visitors: list[Visitor], day: int) -> Visitor:
    """Draw who comes on a day."""
    known = [visitor for visitor in visitors if visitor.from_day <= day]
    return rng.choices(known, [visitor.weight for visitor in known])[0]


def choose_pages(rng: Random) -> list[Page]:
    """Draw which pages a visit has: the front page first, mostly, and then wherever the links lead."""
    count = min(8, 1 + int(rng.expovariate(1 / 2.2)))
    first = PAGES[0] if rng.random() < 0.7 else rng.choice(PAGES[1:])  # noqa: PLR2004  # the rest had a link
    pages = [first]
    while len(pages) < count:
        pages.append(rng.choice([page for page in PAGES if page is not pages[-1]]))
    return pages
