"""Timelines: what may happen to a few sessions, the rules' own opinion of it, and how a store is driven through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.core.ids import hash_secret
from stillhere.core.records import Claim, EndedBy, Lifecycle, Outcome, Session, View, Visit
from stillhere.core.rules import apply_claim, end_session, ending, is_id_of, open_session, rotate_id
from stillhere.stores.protocol import Sweepable
from stillhere.testing.clock import START
from stillhere.testing.opener import World
from stillhere.testing.scene import GAP, POLICY, UNKNOWN

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from stillhere.core.policy import Policy
    from stillhere.stores.protocol import Store

PEOPLE: Final = 3
"""How many are signed in; messages come from one more, who is not."""

FORGET_AFTER: Final = 30_000
"""How long after its end a session of a timeline may be forgotten, milliseconds."""

SPANS: Final = (0, 1, 999, 5_000, 20_000, 59_999, 60_000, 60_001)
"""Spans at which something may tip over, milliseconds."""


class Step(msgspec.Struct, frozen=True):
    """The clock moves, perhaps back; then one thing happens.

    Attributes:
        advance_ms: how far the clock moves.
        claims: a batch is sent.
        ends: a person's session is ended, and why.
        rotates: a person's session gets a new id.
        sweeps: all who lapsed are ended.
        forgets: those who ended long ago are forgotten.
    """

    advance_ms: int
    claims: list[Claim] = []
    ends: tuple[int, EndedBy] | None = None
    rotates: int | None = None
    sweeps: bool = False
    forgets: bool = False


def handle_of(person: int) -> str:
    """Name a person's session."""
    return f"handle-{person}"


def id_hash(person: int, generation: int = 0) -> str:
    """Hash a person's id; a generation is one more rotation."""
    return hash_secret(f"person {person}, generation {generation}")


def claim_by(person: int, generation: int, told_by: int | None, **says: Any) -> Claim:  # noqa: ANN401  # a claim's members are of many types
    """Make a claim for a person's session; told by somebody else it comes with that one's id."""
    return Claim(handle=handle_of(person), id_hash=id_hash(person if told_by is None else told_by, generation), **says)


class RulesStore:
    """No store at all: the rules applied to three dictionaries, as a second opinion on every store.

    Args:
        touch_interval: the timeline's, milliseconds.
    """

    def __init__(self, touch_interval: int) -> None:
        """Start empty."""
        self.touch_interval = touch_interval
        self.sessions: dict[str, Session] = {}
        self.views: dict[tuple[str, str], View] = {}
        self.visits: dict[tuple[str, int], Visit] = {}

    def claim(self, claim: Claim, now: int) -> Outcome:
        """Apply one claim."""
        before = self.sessions.get(claim.handle)
        if before is None or not is_id_of(claim.id_hash, before):
            return UNKNOWN
        known = self.views.get((before.handle, claim.view or ""))
        number = known.visit if known else max((n for handle, n in self.visits if handle == before.handle), default=0)
        visit = self.visits.get((before.handle, number))
        after, view, visit = apply_claim(before, known, visit, claim, visit_gap=GAP, touch_interval=self.touch_interval, now=now)
        self.sessions[after.handle] = after
        if view:
            self.views[after.handle, view.view] = view
        if visit:
            self.visits[after.handle, visit.number] = visit
        return Outcome(session=after, ended_now=before.ended_at is None and after.ended_at is not None)

    def step(self, step: Step, now: int, rotations: dict[int, int]) -> list[object]:
        """Apply one step of a timeline.

        Args:
            step: what happens.
            now: the timeline's clock, milliseconds since 1970.
            rotations: how often each person's session was rotated so far.
        """
        answers: list[object] = [self.claim(claim, now) for claim in step.claims]
        if step.ends:
            answers.append(self._end(*step.ends, now))
        if step.rotates is not None:
            answers.append(self._rotate(step.rotates, rotations.get(step.rotates, 0), now))
        if step.sweeps:
            lapsed = [session for session in self.sessions.values() if session.ended_at is None and ending(session, now=now)]
            self.sessions |= {session.handle: end_session(session, EndedBy.IDLE, now=now) for session in lapsed}
            answers.append(sorted(session.handle for session in lapsed))
        if step.forgets:
            answers.append(self._forget(now - FORGET_AFTER))
        return answers

    def _end(self, person: int, by: EndedBy, now: int) -> Outcome:
        before = self.sessions.get(handle_of(person))
        if before is None:
            return UNKNOWN
        after = self.sessions[before.handle] = end_session(before, by, now=now)
        return Outcome(session=after, ended_now=before.ended_at is None)

    def _rotate(self, person: int, generation: int, now: int) -> Session | None:
        before = self.sessions.get(handle_of(person))
        after = rotate_id(before, id_hash(person, generation), id_hash(person, generation + 1), now=now) if before else None
        if after:
            self.sessions[after.handle] = after
        return after

    def _forget(self, ended_before: int) -> int:
        over = {handle: s.absolute_end_at if s.ended_at is None else s.ended_at for handle, s in self.sessions.items()}
        gone = {handle for handle, over_at in over.items() if over_at < ended_before}
        self.sessions = {handle: session for handle, session in self.sessions.items() if handle not in gone}
        self.views = {key: view for key, view in self.views.items() if key[0] not in gone}
        self.visits = {key: visit for key, visit in self.visits.items() if key[0] not in gone}
        return len(gone)

    def world(self) -> World:
        """Show all views and visits."""
        return World.of(self.views.values(), self.visits.values())

    def living(self, now: int) -> list[Session]:
        """List the living, the most recently seen first."""
        living = [session for session in self.sessions.values() if ending(session, now=now) is None]
        return sorted(living, key=lambda session: (-session.last_seen_at, session.handle))


async def begin(rules: RulesStore, stores: Sequence[Store], *, policy: Policy = POLICY) -> None:
    """Sign everybody in, everywhere."""
    for n in range(PEOPLE):
        subject = f"person{n % 2}@fund.example"
        session = open_session(id_hash(n), handle_of(n), subject, {"n": n}, policy=policy, now=START)
        rules.sessions[session.handle] = session
        for store in stores:
            await store.create(session)


async def drive(store: Store, step: Step, now: int, rotations: dict[int, int], touch_interval: int) -> list[object]:
    """Apply one step of a timeline to a store. The arguments are those of `RulesStore.step`."""
    answers: list[object] = []
    if step.claims:
        answers += await store.beat(step.claims, visit_gap=GAP, touch_interval=touch_interval, now=now)
    if step.ends:
        answers.append(await store.end(handle_of(step.ends[0]), step.ends[1], now=now))
    if step.rotates is not None:
        generation = rotations.get(step.rotates, 0)
        own, new = id_hash(step.rotates, generation), id_hash(step.rotates, generation + 1)
        answers.append(await store.rotate(handle_of(step.rotates), own, new, now=now))
    if isinstance(store, Sweepable) and step.sweeps:
        answers.append(sorted(session.handle for session in await store.sweep(limit=100, now=now)))
    if isinstance(store, Sweepable) and step.forgets:
        answers.append(await store.forget(ended_before=now - FORGET_AFTER, limit=100))
    return answers


def note_rotation(step: Step, answers: list[object], rotations: dict[int, int]) -> None:
    """Remember who has a new id after a step."""
    if step.rotates is not None and answers[-1] is not None:
        rotations[step.rotates] = rotations.get(step.rotates, 0) + 1


def random_timeline(chance: random.Random, length: int, *, sweeps: bool) -> list[Step]:
    """Draw a timeline on which most sessions live for a while.

    Args:
        chance: draws random numbers.
        length: how many steps.
        sweeps: it may sweep and forget.
    """
    generations = [0] * (PEOPLE + 1)
    timeline: list[Step] = []
    for _ in range(length):
        timeline.append(_random_step(chance, generations, sweeps=sweeps))
        if (rotated := timeline[-1].rotates) is not None:
            generations[rotated] += 1
    return timeline


def _random_step(chance: random.Random, generations: Sequence[int], *, sweeps: bool) -> Step:
    what = chance.choice(["beat"] * 12 + ["end", "rotate"] + ["sweep", "forget", "forget"] * sweeps)
    advance_ms = chance.choice([0, 1, chance.randint(0, 10_000), chance.randint(-10_000, 10_000), chance.randint(-20_000, 50_000)])
    if what == "beat":
        return Step(advance_ms, claims=[_random_claim(chance, generations) for _ in range(chance.randint(1, 4))])
    if what == "end":
        return Step(advance_ms, ends=(chance.randint(0, PEOPLE), chance.choice([EndedBy.SIGNED_OUT, EndedBy.REVOKED])))
    if what == "rotate":
        return Step(advance_ms, rotates=chance.randint(0, PEOPLE))
    return Step(advance_ms, sweeps=what == "sweep", forgets=what == "forget")


def _random_claim(chance: random.Random, generations: Sequence[int]) -> Claim:
    person = chance.randint(0, PEOPLE)

    def span() -> int:
        return chance.choice([*SPANS, chance.randint(0, 200_000)])

    def perhaps(draw: Callable[[], Any]) -> Any:  # noqa: ANN401  # as above
        return chance.choice([None, draw()])

    return claim_by(
        person,
        max(0, generations[person] - chance.choice([0] * 7 + [1])),
        chance.choice([None] * 7 + [chance.randint(0, PEOPLE)]),
        age_ms=chance.choice([0, span()]),
        active_ago_ms=perhaps(span),
        on_screen=chance.choice([False, True]),
        chosen=chance.choice([False, True]),
        opens=chance.choice([False, True]),
        leaves=chance.choice([False, True]),
        view=chance.choice([None, "v1", "v2", "v3"]),
        tab=chance.choice([None, "t1", "t2"]),
        page=chance.choice([None, "/", "/a", "/\u00fc\N{SNOWMAN}"]),
        title=chance.choice([None, "One", "Two"]),
        heat=chance.choice([None, None, "1" + ".0" * 19, "zz" + ".1a" * 19]),
        bands=chance.choice([None, None, "a5k", "a5k.h1z.i0"]),
        visible_ms=span(),
        active_ms=span(),
        scroll_pct=chance.choice([0.0, 100.0, chance.uniform(0, 100)]),
        lifecycle=perhaps(lambda: chance.choice(list(Lifecycle))),
        seq=perhaps(lambda: chance.randint(0, 5)),
    )
