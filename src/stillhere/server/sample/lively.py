"""The sample's people who are here right now: they arrive, read, turn pages, look away and leave, through the manager like everybody."""

from __future__ import annotations

import secrets
from random import Random
from typing import TYPE_CHECKING, Final

from stillhere.core.ids import HANDLE_BYTES, SECRET_BYTES
from stillhere.core.policy import minutes, seconds
from stillhere.core.rules import ending
from stillhere.errors import SignInRefused
from stillhere.server.sample.filling import SEED, Living, fill, keep, sink_of
from stillhere.server.sample.scripts import Pace, Writing, choose_parting
from stillhere.server.sample.world import DAYS, choose_visitor, visitors_of
from stillhere.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from stillhere.core.records import Session
    from stillhere.manager import SessionManager
    from stillhere.server.sample.scripts import Act
    from stillhere.server.sample.world import Visitor

TICK_MS: Final = 1_000

FEWEST: Final = 4
"""When fewer are here somebody comes at once."""

MOST: Final = 9

_AT_FIRST: Final = 6
_COMES: Final = 0.03


class Somebody:
    """Somebody who is here, and what they will do next.

    Args:
        visitor: who.
        session: theirs.
        secret: its secret id.
        acts: what they do, in order.
        begun_at: when their script began.
    """

    def __init__(self, visitor: Visitor, session: Session, secret: str, acts: list[Act], *, begun_at: int) -> None:
        """Have them here."""
        self.visitor = visitor
        self.session = session
        self.secret = secret
        self._acts = acts
        self._begun_at = begun_at

    def due(self, now: int) -> list[Act]:
        """Take what is due."""
        acts, at = self._acts, now - self._begun_at
        count = next((place for place, act in enumerate(acts) if act.after_ms > at), len(acts))
        self._acts = acts[count:]
        return acts[:count]

    @property
    def is_done(self) -> bool:
        """They have nothing more to do."""
        return not self._acts


class Lively:
    """Keeps the sample alive. Call it about once a second.

    Args:
        manager: the sessions.
        rng: draws who comes and what they do.
        zone: whose working hours the past keeps, where it is to be filled in yet.
        random_bytes: draws so many random bytes for ids, which are as good as anybody's. Default: the operating system's.
    """

    def __init__(
        self,
        manager: SessionManager,
        rng: Random,
        *,
        zone: tzinfo,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,  # noqa: TID251  # here it enters, as in the manager
    ) -> None:
        """Have nobody here yet."""
        self._manager = manager
        self._rng = rng
        self._zone = zone
        self._random_bytes = random_bytes
        self._visitors = visitors_of(Random(SEED))  # noqa: S311  # those who came before
        self._names = 0
        self._has_begun = False
        timeout = manager.policy.idle_timeout
        self._pace = Pace(
            slice_ms=min(seconds(8), manager.policy.beat_interval),
            hidden_ms=max(seconds(5), min(minutes(2), timeout // 2)),
            stay_ms=min(minutes(30), timeout + seconds(10)),
            work_ms=minutes(6),
        )
        self.here: list[Somebody] = []

    async def __call__(self) -> None:
        """Let everybody do what is due; the first time, fill the store and have some here already."""
        if not self._has_begun:
            await fill(self._manager, zone=self._zone)
            self._has_begun = True
            for _ in range(_AT_FIRST):
                await self._have_been_here()
        while len(self.here) < FEWEST or (len(self.here) < MOST and self._rng.random() < _COMES):
            if not await self._arrive():
                break
        self.here = [one for one in self.here if await self._act(one)]

    async def _act(self, one: Somebody) -> bool:
        manager = self._manager
        for act in one.due(manager.clock()):
            if act.ends is not None:
                await manager.end_by_handle(one.session.handle, act.ends)
                return False
            if act.beat is not None and not (await manager.beat(one.secret, [act.beat])).is_alive:
                return False
        return not one.is_done

    async def _arrive(self) -> bool:
        visitor, manager = self._choose(), self._manager
        try:
            started = await manager.start(visitor.address, attributes=visitor.attributes)
        except SignInRefused:
            return False
        self.here.append(Somebody(visitor, started.session, started.secret, self._script(visitor), begun_at=started.session.created_at))
        return True

    async def _have_been_here(self) -> None:
        """Have somebody here who came a while ago, so that nobody has to wait for the dashboard to fill."""
        manager = self._manager
        if manager.archive is None or manager.archive.archiver is not None:
            return  # the living are kept elsewhere, and come by the door
        visitor = self._choose()
        acts, now = self._script(visitor), manager.clock()
        at = now - round(acts[-1].after_ms * self._rng.uniform(0.1, 0.7))
        living = Living(manager.policy)
        session, secret = await living.begin(
            visitor, handle=self._random_bytes(HANDLE_BYTES), secret=self._random_bytes(SECRET_BYTES), at=at
        )
        one = Somebody(visitor, session, secret, acts, begun_at=at)
        await living.play(session, one.due(now), at=at)
        if ending(living.store.sessions[session.handle], now=now) is None and (isinstance(manager.store, MemoryStore) or sink_of(manager)):
            await keep(manager, living.changes())
            self.here.append(one)

    def _choose(self) -> Visitor:
        present = {one.visitor.address for one in self.here}
        return choose_visitor(self._rng, [visitor for visitor in self._visitors if visitor.address not in present], DAYS)

    def _script(self, visitor: Visitor) -> list[Act]:
        self._names += 1
        writing = Writing(self._rng, self._pace, patience=visitor.patience, name=f"n{self._names}")
        return list(writing.visit(choose_parting(self._rng)))
