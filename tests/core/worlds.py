"""One session with its views and visits, driven through the bare rules, and random messages for it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import msgspec
from hypothesis import strategies as st

from stillhere.core.policy import BeatsExtend, Policy, seconds
from stillhere.core.records import Claim, EndedBy, Lifecycle, Session, View, Visit
from stillhere.core.rules import apply_claim, claim_of, end_session, open_session
from stillhere.core.wire import Beat, Kind
from tests.support import START

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

HANDLE = "handle"
ID_HASH = "hash of the only secret"

POLICIES = {
    extend: Policy(
        idle_timeout=seconds(60),
        absolute_timeout=seconds(240),
        warning_timeout=seconds(20),
        beat_interval=seconds(20),
        activity_window=seconds(20),
        visit_gap=seconds(30),
        beats_extend=extend,
    )
    for extend in BeatsExtend
}
POLICY = POLICIES[BeatsExtend.ACTIVITY]


class World:
    """A session and all that is remembered of it."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.session: Session = open_session(ID_HASH, HANDLE, "reader@fund.example", {}, policy=policy, now=START)
        self.views: dict[str, View] = {}
        self.visits: list[Visit] = []
        self.now = START
        self.latest = START

    def claim(self, claim: Claim) -> None:
        """Apply a claim now."""
        known = self.views.get(claim.view or "")
        number = known.visit if known else len(self.visits)
        visit = self.visits[number - 1] if number else None
        self.session, view, visit = apply_claim(
            self.session, known, visit, claim, visit_gap=self.policy.visit_gap, touch_interval=self.policy.touch_interval, now=self.now
        )
        if view is not None:
            self.views[view.view] = view
        if visit is not None:
            self.visits[visit.number - 1 : visit.number] = [visit]

    def beat(self, beat: Beat, *, policy: Policy | None = None, withheld: bool = False) -> None:
        """Apply what a message may ask under a policy, the world's or another."""
        self.claim(claim_of(beat, handle=HANDLE, id_hash=ID_HASH, policy=policy or self.policy, withheld=withheld))

    def advance(self, span_ms: int) -> None:
        """Let time pass; a negative span steps back."""
        self.now += span_ms
        self.latest = max(self.latest, self.now)

    def facts(self) -> tuple[object, ...]:
        """Show everything, to be compared."""
        return (self.session, dict(self.views), list(self.visits))

    def copy(self) -> World:
        """Start a second future from here."""
        return copy.deepcopy(self)


class Moment(msgspec.Struct, frozen=True):
    """The clock moves, perhaps back; then one message arrives, or the session is ended."""

    advance_ms: int
    beat: Beat
    withheld: bool = False
    ends: EndedBy | None = None

    def happen(self, world: World) -> None:
        """Let it happen."""
        world.advance(self.advance_ms)
        if self.ends is not None:
            world.session = end_session(world.session, self.ends, now=world.now)
        else:
            world.beat(self.beat, withheld=self.withheld)


spans = st.one_of(st.sampled_from([0, 1, 999, 5_000, 20_000, 59_999, 60_000, 60_001]), st.integers(0, 300_000))
maybe_spans = st.one_of(st.none(), spans)

beats: SearchStrategy[Beat] = st.builds(
    Beat,
    kind=st.sampled_from([*Kind, Kind.BEAT, None]),
    seq=st.one_of(st.none(), st.integers(0, 5)),
    tab=st.sampled_from([None, "t", "u"]),
    view=st.sampled_from([None, "v", "w", "x"]),
    page=st.sampled_from([None, "/", "/a"]),
    title=st.sampled_from([None, "One", "Two"]),
    heat=st.sampled_from([None, "1" + ".0" * 19, "0" + ".1a" * 19]),
    bands=st.sampled_from([None, "a5k", "a5k.h1z"]),
    visible_ms=maybe_spans,
    active_ms=maybe_spans,
    scroll_pct=st.one_of(st.none(), st.floats(0, 100)),
    idle_ms=maybe_spans,
    lifecycle=st.sampled_from([None, *Lifecycle]),
    age_ms=st.one_of(st.none(), st.just(0), spans),
)

moments = st.builds(
    Moment,
    advance_ms=st.integers(-20_000, 50_000),
    beat=beats,
    withheld=st.booleans(),
    ends=st.sampled_from([None] * 19 + [EndedBy.SIGNED_OUT]),
)

histories = st.lists(moments, max_size=12)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a session to which something has happened already."""
    world = World()
    for moment in draw(histories):
        moment.happen(world)
    world.advance(draw(st.integers(-20_000, 70_000)))
    return world


@st.composite
def living_worlds(draw: st.DrawFn) -> World:
    """Draw a session that has lived through something and still does, on a clock that never stepped back."""
    world = World()
    for beat, share in draw(st.lists(st.tuples(beats, st.floats(0, 0.999)), max_size=8)):
        world.beat(beat)
        left = min(world.session.last_active_at + world.session.idle_timeout, world.session.absolute_end_at) - world.now
        world.advance(int(left * share))
    return world
