"""What a visitor does, beat by beat, as their browser would say it: pure, drawn from a random source that is passed in.

Totals are cumulative and true to the script: visible time never more than passed, active time never more than visible.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.heat import PARTS
from stillhere.core.policy import minutes
from stillhere.core.records import EndedBy, Lifecycle
from stillhere.core.wire import Beat, Kind
from stillhere.server.sample.world import Page, choose_pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

MOST_RUNS: Final = 64
"""Stretches of time that a page tells of."""


class Parting(StrEnum):
    """How a visitor goes."""

    LEAVE = "leave"
    """Closes the page."""
    SIGN_OUT = "sign out"
    STAY = "stay"
    """Walks away and leaves the page open, until the session ends by itself."""
    VANISH = "vanish"
    """Is not heard of any more: a battery, a tunnel."""
    REVOKED = "revoked"
    """Is signed out by somebody else."""
    REPLACED = "replaced"
    """Signs in again somewhere else."""
    WORK_ON = "work on"
    """Works until nothing keeps the session alive any more."""


PARTINGS: Final = {
    Parting.LEAVE: 64,
    Parting.STAY: 12,
    Parting.SIGN_OUT: 11,
    Parting.VANISH: 6,
    Parting.REVOKED: 4,
    Parting.REPLACED: 2,
    Parting.WORK_ON: 1,
}
"""How many of a hundred go how."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How finely a script is cut.

    Attributes:
        slice_ms: visible time between two beats.
        hidden_ms: how long a tab is hidden at most.
        stay_ms: how long a page that somebody walked away from is still heard of.
        work_ms: how long somebody works who works on.
    """

    slice_ms: int
    hidden_ms: int
    stay_ms: int
    work_ms: int


class Act(msgspec.Struct, frozen=True):
    """One thing a script does.

    Attributes:
        after_ms: when, from the script's beginning.
        beat: what is said.
        ends: why the session is ended instead.
    """

    after_ms: int
    beat: Beat | None = None
    ends: EndedBy | None = None


class Reading:
    """One view, as its page measures it.

    Args:
        page: what is read.
        view: the view's name.
        tab: the tab's.
        depth_pct: how far it will be read.
        whole_ms: how long it will be read.

    Attributes:
        page: as above.
        whole_ms: as above.
        visible_ms: how long it was on screen.
        active_ms: how long somebody was active in it.
    """

    def __init__(self, page: Page, *, view: str, tab: str, depth_pct: int, whole_ms: int) -> None:
        """Open it; nothing was read yet."""
        self.page = page
        self._view = view
        self._tab = tab
        self._depth = depth_pct
        self.whole_ms = whole_ms
        self.visible_ms = self.active_ms = self._idle_ms = 0
        self._seq = 0
        self._runs: list[tuple[str, int]] = []

    def spend(self, state: str, span_ms: int) -> None:
        """Let time pass: `a` active, `i` idle, `h` hidden."""
        if self._runs and self._runs[-1][0] == state:
            self._runs[-1] = (state, self._runs[-1][1] + span_ms)
        else:
            self._runs.append((state, span_ms))
        self.visible_ms += span_ms if state != "h" else 0
        self.active_ms += span_ms if state == "a" else 0
        self._idle_ms = 0 if state == "a" else self._idle_ms + span_ms

    def say(self, kind: Kind = Kind.BEAT, lifecycle: Lifecycle = Lifecycle.ACTIVE) -> Beat:
        """Say how it stands."""
        self._seq += 1
        return Beat(
            kind=kind,
            seq=self._seq,
            tab=self._tab,
            view=self._view,
            page=self.page.path,
            title=self.page.title,
            visible_ms=self.visible_ms,
            active_ms=self.active_ms,
            scroll_pct=self._scrolled(),
            idle_ms=self._idle_ms,
            lifecycle=lifecycle,
            heat=self._heat(),
            bands=self._bands(),
        )

    def _scrolled(self) -> float:
        return round(self._depth * min(1.0, (self.visible_ms + 1_000) / (self.whole_ms + 1_000)), 1)

    def _heat(self) -> str:
        """Share the visible time out: what was reached counts, the top a little more, and most where readers linger."""
        reached = max(1, round(self._scrolled() / 100 * PARTS))
        weights = [(3 if part == self.page.hot_part else 1) + 1 / (part + 1) for part in range(reached)]
        unit_s = self.visible_ms / 1000 / sum(weights)
        return ".".join([*(_base36(int(unit_s * weight)) for weight in weights), *["0"] * (PARTS - reached)])

    def _bands(self) -> str | None:
        """Tell what it did when; where that is too much, the shortest stretch counts to the one before it, as in a browser."""
        while len(self._runs) > MOST_RUNS:
            shortest = min(range(1, len(self._runs)), key=lambda place: self._runs[place][1])
            state, before_ms = self._runs[shortest - 1]
            self._runs[shortest - 1 : shortest + 1] = [(state, before_ms + self._runs[shortest][1])]
        return ".".join(f"{state}{_base36(span_ms)}" for state, span_ms in self._runs) or None


class Writing:
    """Writes the script of one visit.

    Args:
        rng: draws.
        pace: how finely.
        patience: how long this visitor reads, beside others.
        name: begins the names of views and tabs.
    """

    def __init__(self, rng: Random, pace: Pace, *, patience: float, name: str) -> None:
        """Begin at the beginning."""
        self._rng = rng
        self._pace = pace
        self._patience = patience
        self._name = name
        self._views = self._tabs = 0
        self.at = 0

    def visit(self, parting: Parting, *, pages: list[Page] | None = None) -> Iterator[Act]:
        """Write one visit.

        Args:
            parting: how it ends.
            pages: what is read. Default: as it comes.
        """
        rng, aside = self._rng, list[Reading]()
        pages = choose_pages(rng) if pages is None else pages
        self._tabs += 1
        for place, page in enumerate(pages):
            is_last = place == len(pages) - 1
            reading = self._open(page)
            yield from self._read(reading, self._pace.work_ms if is_last and parting is Parting.WORK_ON else None)
            if is_last:
                yield from self._part(reading, aside, parting)
            elif rng.random() < 0.12:  # noqa: PLR2004  # the next page opens in a tab of its own
                yield Act(self.at, reading.say(lifecycle=Lifecycle.HIDDEN))
                aside.append(reading)
                self._tabs += 1
            else:
                yield Act(self.at, reading.say(Kind.LEAVE, Lifecycle.HIDDEN))
            self.at += rng.randrange(150, 900)

    def _open(self, page: Page) -> Reading:
        rng, self._views = self._rng, self._views + 1
        return Reading(
            page,
            view=f"{self._name}v{self._views}",
            tab=f"{self._name}t{self._tabs}",
            depth_pct=min(100, max(5, round(rng.gauss(page.depth_pct, 18)))),
            whole_ms=round(rng.lognormvariate(0, 0.7) * page.reading_ms * self._patience),
        )

    def _read(self, reading: Reading, whole_ms: int | None) -> Iterator[Act]:
        rng, until_ms = self._rng, max(2_500, reading.whole_ms if whole_ms is None else whole_ms)
        yield Act(self.at, reading.say())
        while reading.visible_ms < until_ms:
            left = until_ms - reading.visible_ms
            yield from self._spend(reading, "a", min(left, rng.randrange(4_000, 45_000)))
            if reading.visible_ms < until_ms:
                yield from self._spend(reading, "i", min(until_ms - reading.visible_ms, rng.randrange(3_000, 30_000)))
            if reading.visible_ms < until_ms and rng.random() < 0.06:  # noqa: PLR2004  # something else comes up
                yield Act(self.at, reading.say(lifecycle=Lifecycle.HIDDEN))
                self._pass(reading, "h", rng.randrange(4_000, self._pace.hidden_ms))
                yield Act(self.at, reading.say())

    def _spend(self, reading: Reading, state: str, span_ms: int) -> Iterator[Act]:
        while span_ms > 0:
            step = min(span_ms, self._pace.slice_ms)
            self._pass(reading, state, step)
            span_ms -= step
            yield Act(self.at, reading.say(lifecycle=Lifecycle.ACTIVE if state == "a" else Lifecycle.PASSIVE))

    def _pass(self, reading: Reading, state: str, span_ms: int) -> None:
        reading.spend(state, span_ms)
        self.at += span_ms

    def _part(self, reading: Reading, aside: list[Reading], parting: Parting) -> Iterator[Act]:
        if parting is Parting.STAY:
            yield from self._spend(reading, "i", self._pace.stay_ms)
        elif parting in {Parting.REVOKED, Parting.REPLACED}:
            yield Act(self.at + 100, ends=EndedBy.REVOKED if parting is Parting.REVOKED else EndedBy.REPLACED)
        elif parting in {Parting.LEAVE, Parting.SIGN_OUT}:
            for one in (*aside, reading):
                yield Act(self.at, one.say(Kind.LEAVE, Lifecycle.HIDDEN))
                self.at += 40
            if parting is Parting.SIGN_OUT:
                yield Act(self.at + 300, ends=EndedBy.SIGNED_OUT)

    def pause(self) -> None:
        """Let so much time pass that the next view begins a new visit."""
        self.at += self._rng.randrange(minutes(11), minutes(18))


def choose_parting(rng: Random) -> Parting:
    """Draw how somebody goes."""
    return rng.choices(list(PARTINGS), list(PARTINGS.values()))[0]


@lru_cache(4_096)
def _base36(number: int) -> str:
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
        if number == 0:
            return digits
