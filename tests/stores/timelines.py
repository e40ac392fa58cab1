"""Random timelines: what may happen to a few sessions, and how every store is driven through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st

from stillhere.core.ids import hash_secret
from stillhere.core.records import Claim, EndedBy, Lifecycle, Outcome, Session, View, Visit
from stillhere.core.rules import apply_claim, end_session, ending, open_session, rotate_id
from stillhere.stores.sql.schema import Record, record_of, sessions, views, visits
from tests.stores.every import GAP
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table

    from stillhere.core.policy import Policy
    from stillhere.stores.memory import MemoryStore
    from stillhere.stores.sqlite.store import SqliteStore
    from tests.stores.every import FullStore

PEOPLE = 3

FORGET_AFTER = 30_000
"""How long after its end a session of a timeline may be forgotten, milliseconds."""

spans = st.one_of(st.sampled_from([0, 1, 999, 5_000, 20_000, 59_999, 60_000, 60_001]), st.integers(0, 200_000))


class Step(msgspec.Struct, frozen=True):
    """The clock moves, perhaps back; then one thing happens."""

    advance_ms: int
    claims: list[Claim] = []
    ends: tuple[int, EndedBy] | None = None
    rotates: int | None = None
    sweeps: bool = False
    forgets: bool = False


def id_hash(person: int, generation: int = 0) -> str:
    """Name a session of the timeline; a generation is one more rotation."""
    return hash_secret(f"person {person}, generation {generation}")


def claim_by(person: int, generation: int, told_by: int | None, **says: Any) -> Claim:  # a claim's members are of many types
    """Make a claim for a session of the timeline; told by somebody else it comes with that one's id."""
    return Claim(handle=f"handle-{person}", id_hash=id_hash(person if told_by is None else told_by, generation), **says)


claims = st.builds(
    claim_by,
    st.integers(0, PEOPLE),
    st.sampled_from([0, 0, 1]),
    st.one_of(st.none(), st.none(), st.none(), st.integers(0, PEOPLE)),
    age_ms=st.one_of(st.just(0), spans),
    active_ago_ms=st.one_of(st.none(), spans),
    on_screen=st.booleans(),
    chosen=st.booleans(),
    opens=st.booleans(),
    leaves=st.booleans(),
    view=st.one_of(st.none(), st.sampled_from(["v1", "v2", "v3"])),
    tab=st.sampled_from([None, "t1", "t2"]),
    page=st.sampled_from([None, "/", "/a", "/ü\N{SNOWMAN}"]),
    title=st.sampled_from([None, "One", "Two"]),
    visible_ms=spans,
    active_ms=spans,
    scroll_pct=st.floats(0, 100),
    lifecycle=st.one_of(st.none(), st.sampled_from(Lifecycle)),
    seq=st.one_of(st.none(), st.integers(0, 5)),
)

steps = st.one_of(
    st.builds(Step, advance_ms=st.integers(-20_000, 50_000), claims=st.lists(claims, min_size=1, max_size=4)),
    st.builds(Step, advance_ms=st.integers(-20_000, 50_000), claims=st.lists(claims, min_size=1, max_size=4)),
    st.builds(
        Step,
        advance_ms=st.integers(-20_000, 50_000),
        ends=st.tuples(st.integers(0, PEOPLE), st.sampled_from([EndedBy.SIGNED_OUT, EndedBy.REVOKED])),
    ),
    st.builds(Step, advance_ms=st.integers(-20_000, 50_000), rotates=st.integers(0, PEOPLE)),
    st.builds(Step, advance_ms=st.integers(-20_000, 50_000), sweeps=st.just(True)),  # a strategy, not a flag
    st.builds(Step, advance_ms=st.integers(-20_000, 200_000), forgets=st.just(True)),  # as above
)

touch_intervals = st.sampled_from([0, 0, 1, 5_000, 20_000])


class World(msgspec.Struct):
    """All that a store keeps, in a form that can be compared."""

    sessions: list[Session]
    views: list[View]
    visits: list[Visit]


class RulesStore:
    """No store at all: the rules applied to three dictionaries, as a second opinion on the memory store.

    Attributes:
        touch_interval: the timeline's, milliseconds.
    """

    def __init__(self, touch_interval: int) -> None:
        self.touch_interval = touch_interval
        self.sessions: dict[str, Session] = {}
        self.views: dict[tuple[str, str], View] = {}
        self.visits: dict[tuple[str, int], Visit] = {}

    def claim(self, claim: Claim, now: int) -> Outcome:
        """Apply one claim."""
        before = self.sessions.get(claim.handle)
        if before is None or before.id_hash != claim.id_hash:
            return Outcome(session=None)
        known = self.views.get((before.handle, claim.view or ""))
        number = known.visit if known else max((n for handle, n in self.visits if handle == before.handle), default=0)
        after, view, visit = apply_claim(
            before,
            known,
            self.visits.get((before.handle, number)),
            claim,
            visit_gap=GAP,
            touch_interval=self.touch_interval,
            now=now,
        )
        self.sessions[after.handle] = after
        if view:
            self.views[after.handle, view.view] = view
        if visit:
            self.visits[after.handle, visit.number] = visit
        return Outcome(session=after, ended_now=before.ended_at is None and after.ended_at is not None)

    def step(self, step: Step, now: int, rotations: dict[int, int]) -> list[object]:
        """Apply one step of a timeline."""
        answers: list[object] = [self.claim(claim, now) for claim in step.claims]
        if step.ends and (ends := self.sessions.get(f"handle-{step.ends[0]}")):
            self.sessions[ends.handle] = end_session(ends, step.ends[1], now=now)
            answers.append(Outcome(session=self.sessions[ends.handle], ended_now=ends.ended_at is None))
        elif step.ends:
            answers.append(Outcome(session=None))
        if step.rotates is not None:
            held = self.sessions.get(f"handle-{step.rotates}")
            generation = rotations.get(step.rotates, 0)
            own, new = id_hash(step.rotates, generation), id_hash(step.rotates, generation + 1)
            swapped = rotate_id(held, own, new, now=now) if held else None
            if swapped:
                self.sessions[swapped.handle] = swapped
            answers.append(swapped)
        if step.sweeps:
            lapsed = [s for s in self.sessions.values() if s.ended_at is None and ending(s, now=now)]
            for session in lapsed:
                self.sessions[session.handle] = end_session(session, EndedBy.IDLE, now=now)
            answers.append(sorted(session.handle for session in lapsed))
        if step.forgets:
            answers.append(self.forget(now - FORGET_AFTER))
        return answers

    def forget(self, ended_before: int) -> int:
        """Forget who ended before an instant."""
        gone = {s.handle for s in self.sessions.values() if s.ended_at is not None and s.ended_at < ended_before}
        self.sessions = {handle: session for handle, session in self.sessions.items() if handle not in gone}
        self.views = {key: view for key, view in self.views.items() if key[0] not in gone}
        self.visits = {key: visit for key, visit in self.visits.items() if key[0] not in gone}
        return len(gone)

    def world(self) -> World:
        """Show everything."""
        return _sorted(list(self.sessions.values()), list(self.views.values()), list(self.visits.values()))

    def living(self, now: int) -> list[Session]:
        """List the living, the most recently seen first."""
        living = [session for session in self.sessions.values() if ending(session, now=now) is None]
        return sorted(living, key=lambda session: (-session.last_seen_at, session.handle))


async def begin(rules: RulesStore, stores: Sequence[FullStore], *, policy: Policy) -> None:
    """Sign everybody of the timelines in, everywhere."""
    for person in range(PEOPLE):
        session = open_session(
            id_hash(person), f"handle-{person}", f"person{person % 2}@fund.example", {"n": person}, policy=policy, now=START
        )
        rules.sessions[session.handle] = session
        for store in stores:
            await store.create(session)


async def drive(store: FullStore, step: Step, now: int, rotations: dict[int, int], touch_interval: int) -> list[object]:
    """Apply one step of a timeline to a store."""
    answers: list[object] = []
    if step.claims:
        answers += await store.beat(step.claims, visit_gap=GAP, touch_interval=touch_interval, now=now)
    if step.ends:
        answers.append(await store.end(f"handle-{step.ends[0]}", step.ends[1], now=now))
    if step.rotates is not None:
        generation = rotations.get(step.rotates, 0)
        own, new = id_hash(step.rotates, generation), id_hash(step.rotates, generation + 1)
        answers.append(await store.rotate(f"handle-{step.rotates}", own, new, now=now))
    if step.sweeps:
        answers.append(sorted(session.handle for session in await store.sweep(limit=100, now=now)))
    if step.forgets:
        answers.append(await store.forget(ended_before=now - FORGET_AFTER, limit=100))
    return answers


def memory_world(store: MemoryStore) -> World:
    """Show everything a memory store keeps."""
    return _sorted(
        list(store.sessions.values()),
        [view for by_name in store.views.values() for view in by_name.values()],
        [visit for in_order in store.visits.values() for visit in in_order],
    )


async def sql_world(store: SqliteStore) -> World:
    """Show everything a SQL store keeps."""
    return _sorted(
        await store.readers(_all, sessions, Session),
        await store.readers(_all, views, View),
        await store.readers(_all, visits, Visit),
    )


def _all(connection: Connection, table: Table, kind: type[Record]) -> list[Record]:
    return [record_of(row, kind) for row in connection.execute(table.select())]


async def empty(store: SqliteStore) -> None:
    """Delete everything a SQL store keeps, through a connection of its own."""

    def delete(connection: Connection) -> None:
        for table in (views, visits, sessions):
            connection.execute(table.delete())
        connection.commit()

    await store.readers(delete)


def _sorted(sessions: Sequence[Session], views: Sequence[View], visits: Sequence[Visit]) -> World:
    return World(
        sorted(sessions, key=lambda session: session.handle),
        sorted(views, key=lambda view: (view.handle, view.view)),
        sorted(visits, key=lambda visit: (visit.handle, visit.number)),
    )
