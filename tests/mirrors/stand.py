"""Visitors, an archive and a drain on a clock that is moved: what the tests of mirrors work with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from stillhere.archive.records import VisitFilter
from stillhere.core.records import Lifecycle
from stillhere.core.wire import Beat, Kind
from stillhere.manager import SessionManager
from stillhere.mirrors.drain import Drain
from stillhere.mirrors.outbox import outbox_of
from tests.stores.every import url_with_tables

if TYPE_CHECKING:
    from pathlib import Path

    from stillhere.archive.records import VisitReport
    from stillhere.mirrors.records import Mirror
    from tests.services.weather import Fault, Weather
    from tests.support import FakeClock

MINUTE = 60_000
HOUR = 60 * MINUTE


class Visitor:
    """Somebody with one page open.

    Args:
        stand: where.
        secret: their session's.
    """

    def __init__(self, stand: Stand, secret: str, handle: str, name: str) -> None:
        self._stand = stand
        self._secret = secret
        self._seq = 0
        self._visible_ms = 0
        self.handle = handle
        self.name = name

    async def stay(self, span_ms: int = 0, kind: Kind = Kind.BEAT) -> None:
        """Look at the page for a while, then say so."""
        self._stand.clock.advance(span_ms)
        await self.say(span_ms, kind)

    async def say(self, visible_ms: int = 0, kind: Kind = Kind.BEAT, *, age_ms: int | None = None) -> None:
        """Say that the page was on screen so much longer."""
        self._seq += 1
        self._visible_ms += visible_ms
        beat = Beat(
            kind=kind,
            seq=self._seq,
            tab="tab",
            view="view",
            page="/report",
            title="The report",
            visible_ms=self._visible_ms,
            idle_ms=0,
            lifecycle=Lifecycle.TERMINATED if kind is Kind.LEAVE else Lifecycle.ACTIVE,
            age_ms=age_ms,
        )
        await self._stand.manager.beat(self._secret, [beat])

    async def leave(self, span_ms: int = 0) -> None:
        """Look a while longer, then go."""
        await self.stay(span_ms, Kind.LEAVE)


class Stand:
    """A manager with its archive and outbox.

    Args:
        url: of the store.
        clock: tells the time.
        settings: more for the manager.
    """

    def __init__(self, url: str, clock: FakeClock, **settings: Any) -> None:
        self.url = url
        self.clock = clock
        self.manager = SessionManager(url, clock=clock, **settings)
        self.outbox = outbox_of(self.manager)

    @classmethod
    def in_folder(cls, folder: Path, clock: FakeClock) -> Stand:
        """Open one on a file."""
        return cls(url_with_tables("sqlite", folder), clock)

    def drain(self, mirror: Mirror, *, holder: str = "this", chance: float = 0.0, **more: Any) -> Drain:
        """Make a drain of this process."""
        archive = self.manager.archive
        assert archive is not None
        policy = self.manager.policy
        return Drain(mirror, self.outbox, archive, policy, holder=holder, clock=self.clock, chance=lambda: chance, **more)

    async def sleep(self, span_s: float) -> None:
        """Sleep on the clock that is moved."""
        self.clock.advance(math.ceil(span_s * 1000))

    async def arrive(self, name: str = "investor@fund.example") -> Visitor:
        """Let somebody in, and open a page."""
        started = await self.manager.start(name)
        visitor = Visitor(self, started.secret, started.session.handle, name)
        await visitor.say()
        return visitor

    async def visits(self) -> list[VisitReport]:
        """List all visits, as the archive tells them now."""
        archive = self.manager.archive
        assert archive is not None
        return await archive.visits(VisitFilter(limit=100_000), beat_interval=self.manager.policy.beat_interval, now=self.clock())

    async def caught_up(self, drain: Drain) -> None:
        """Drain once, with what a live store holds back in the archive."""
        assert self.manager.archive is not None
        await self.manager.archive.catch_up()
        await drain.run()

    async def until_quiet(self, drain: Drain, *, step_ms: int = 5_000, most: int = 5_000) -> int:
        """Drain, and let time pass, until nothing waits and nobody is away; tell how many turns that took."""
        for turn in range(1, most):
            await self.manager.sweep()
            await drain.run()
            state = await drain.state()
            if not state.pending and state.state in {"well", "refused"} and turn > 1:
                return turn
            self.clock.advance(step_ms)
        raise AssertionError(f"after {most} turns: {await drain.state()}")

    async def pass_time(self, drain: Drain, span_ms: int, *, step_ms: int = 10_000) -> None:
        """Drain every so often while time passes."""
        end = self.clock() + span_ms
        while self.clock() < end:
            await self.manager.sweep()
            await drain.run()
            self.clock.advance(step_ms)

    async def outlast(self, drain: Drain, weather: Weather, fault: Fault, *, visits: int) -> None:
        """Let every call meet a fault for half a day in which so many come and go; then let all be told."""
        weather.always = fault
        for number in range(visits):
            await (await self.arrive(f"visitor{number}@fund.example")).leave(MINUTE)
            await self.pass_time(drain, 12 * HOUR // visits, step_ms=5 * MINUTE)
        await drain.run()
        state = await drain.state()
        assert (state.state, state.dead) == ("away", 0), state
        assert state.pending >= visits
        weather.always = None
        await self.until_quiet(drain)

    async def close(self) -> None:
        """Close it."""
        await self.manager.close()
