"""What always holds, whatever happens in whatever order: properties over random histories, clocks stepping back included."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.policy import BeatsExtend
from stillhere.core.records import ON_SCREEN, Claim, EndedBy, Ending, Lifecycle
from stillhere.core.rules import claim_of, deadline, end_session, ending, rotate_id, standing
from stillhere.core.wire import Beat, Kind
from tests.core.worlds import HANDLE, ID_HASH, POLICIES, POLICY, Moment, World, beats, histories, living_worlds, spans, worlds
from tests.support import START

extends = st.sampled_from(BeatsExtend)


@given(world=worlds(), beat=beats, extend=extends)
def test_x_heartbeat_can_only_withhold(world: World, beat: Beat, extend: BeatsExtend) -> None:
    """Under `X-Heartbeat: true` no message leaves a later deadline than without it, nor than there was."""
    before, plain = deadline(world.session), world.copy()
    plain.beat(beat, policy=POLICIES[extend])
    world.beat(beat, policy=POLICIES[extend], withheld=True)
    assert deadline(world.session) == before <= deadline(plain.session)


@given(world=worlds(), beat=beats, extend=extends)
def test_a_check_changes_nothing_but_what_was_last_seen(world: World, beat: Beat, extend: BeatsExtend) -> None:
    """Looking is not living: a check moves no deadline, opens nothing and adds to no total."""
    before = world.copy()
    world.beat(replace(beat, kind=Kind.CHECK), policy=POLICIES[extend])
    assert (world.views, world.visits) == (before.views, before.visits)
    told = before.session
    assert replace(world.session, last_seen_at=told.last_seen_at, ended_at=told.ended_at, ended_by=told.ended_by) == told


@given(world=worlds(), beat=beats, extend=extends)
def test_a_message_applied_twice_equals_once(world: World, beat: Beat, extend: BeatsExtend) -> None:
    """Every message is idempotent."""
    world.beat(beat, policy=POLICIES[extend])
    once = world.facts()
    world.beat(beat, policy=POLICIES[extend])
    assert world.facts() == once


@given(world=worlds(), beat=beats, between=histories, extend=extends, waits_ms=st.integers(0, 30_000))
def test_an_old_message_that_comes_again_extends_nothing(
    world: World,
    beat: Beat,
    between: list[Moment],
    extend: BeatsExtend,
    waits_ms: int,
) -> None:
    """However much was said and however much time passed since: the deadline stays where the later messages put it."""
    first = replace(beat, kind=Kind.BEAT, view="again", seq=1, lifecycle=Lifecycle.ACTIVE)
    world.beat(first, policy=POLICIES[extend])
    world.beat(replace(first, seq=2), policy=POLICIES[extend])
    for moment in between:
        moment.happen(world)
    world.advance(waits_ms)
    before = world.session.last_active_at
    for repeated in (first, replace(first, seq=2)):
        world.beat(repeated, policy=POLICIES[extend])
        assert world.session.last_active_at == before


@given(history=histories)
def test_credited_time_is_never_more_than_the_server_saw_pass(history: list[Moment]) -> None:
    """Whatever a client claims, no total exceeds the time since the session began."""
    world = World()
    for moment in history:
        moment.happen(world)
        passed = world.latest - START
        for view in world.views.values():
            assert 0 <= view.active_ms <= view.visible_ms <= passed
        assert all(visit.visible_ms <= passed for visit in world.visits)
        assert world.session.last_active_at <= world.latest


@given(history=histories)
def test_a_visits_visible_time_never_exceeds_its_open_span(history: list[Moment]) -> None:
    """Active time fits in visible time, visible time in the open span, and the open span in the session."""
    world = World()
    for moment in history:
        moment.happen(world)
        for visit in world.visits:
            assert 0 <= visit.active_ms <= visit.visible_ms <= visit.last_seen_at - visit.started_at
            assert START <= visit.started_at <= visit.covered_until_at
            assert visit.uncounted_from_at <= visit.uncounted_until_at <= visit.covered_until_at
            assert visit.last_seen_at <= world.latest


@given(history=histories)
def test_a_visit_is_never_longer_than_its_views_together(history: list[Moment]) -> None:
    """A visit's visible time is a union: never more than the sum over its views."""
    world = World()
    for moment in history:
        moment.happen(world)
    for visit in world.visits:
        views = [view for view in world.views.values() if view.visit == visit.number]
        assert visit.visible_ms <= sum(view.visible_ms for view in views)
        assert visit.active_ms <= sum(view.active_ms for view in views)


@given(history=histories)
def test_times_never_go_back_and_totals_only_grow(history: list[Moment]) -> None:
    """No message and no clock takes anything back that was known."""
    world = World()
    for moment in history:
        before = world.copy()
        moment.happen(world)
        was, now_is = before.session, world.session
        assert was.last_active_at <= now_is.last_active_at
        assert was.last_seen_at <= now_is.last_seen_at
        for name, view in before.views.items():
            after = world.views[name]
            assert (view.opened_at, view.visit, view.tab) == (after.opened_at, after.visit, after.tab)
            assert view.last_seen_at <= after.last_seen_at
            assert view.visible_ms <= after.visible_ms
            assert view.active_ms <= after.active_ms
            assert view.scroll_pct <= after.scroll_pct
            assert view.seq <= after.seq
        for visit, later in zip(before.visits, world.visits, strict=False):
            assert (visit.number, visit.started_at) == (later.number, later.started_at)
            assert visit.last_seen_at <= later.last_seen_at
            assert visit.covered_until_at <= later.covered_until_at
            assert visit.visible_ms <= later.visible_ms
            assert visit.active_ms <= later.active_ms


@given(history=histories, more=histories, by=st.sampled_from(EndedBy))
def test_ended_is_for_ever(history: list[Moment], more: list[Moment], by: EndedBy) -> None:
    """Once an end is recorded, no message, no second end, no new id and no clock changes when or why."""
    world = World()
    for moment in history:
        moment.happen(world)
    world.session = end_session(world.session, by, now=world.now)
    first = ending(world.session, now=world.now)
    known = (set(world.views), len(world.visits))
    for moment in more:
        moment.happen(world)
        assert ending(world.session, now=world.now) == ending(world.session, now=START) == first
        assert rotate_id(world.session, ID_HASH, "new", now=world.now) is None
        assert (set(world.views), len(world.visits)) == known


@given(history=histories)
def test_the_absolute_end_never_moves(history: list[Moment]) -> None:
    """Nothing but the sign-in decides how long a session may last in all."""
    world = World()
    fixed = world.session
    for moment in history:
        moment.happen(world)
        assert world.session.absolute_end_at == fixed.absolute_end_at >= deadline(world.session)
        assert replace(world.session, last_active_at=0, last_seen_at=0, ended_at=None, ended_by=None) == replace(
            fixed, last_active_at=0, last_seen_at=0
        )


@given(world=living_worlds(), beat=beats, late_ms=spans, extend=extends)
def test_expiry_is_judged_before_any_claim_of_activity(world: World, beat: Beat, late_ms: int, extend: BeatsExtend) -> None:
    """At its deadline and ever after a session is over, whatever the message says that finds it."""
    over_at, last_active_at = deadline(world.session), world.session.last_active_at
    world.now = over_at + late_ms
    world.beat(beat, policy=POLICIES[extend])
    assert world.session.ended_at == over_at
    assert world.session.last_active_at == last_active_at


@given(world=living_worlds(), beat=beats, by=st.sampled_from(EndedBy), late_ms=spans)
def test_a_session_that_lapsed_ended_at_its_deadline_whoever_noticed(world: World, beat: Beat, by: EndedBy, late_ms: int) -> None:
    """A beat, a sign-out, a sweep or a look finds the same instant and the same reason."""
    over_at = deadline(world.session)
    reason = EndedBy.ABSOLUTE if over_at == world.session.absolute_end_at else EndedBy.IDLE
    looked_at = ending(world.session, now=over_at + late_ms)
    ended = end_session(world.session, by, now=over_at + late_ms)
    world.now = over_at + late_ms
    world.beat(beat)
    assert looked_at == ending(ended, now=0) == ending(world.session, now=0) == Ending(at=over_at, by=reason)


@given(world=living_worlds(), beat=beats, extend=extends)
def test_a_deadline_is_never_further_than_the_idle_timeout(world: World, beat: Beat, extend: BeatsExtend) -> None:
    """Activity is credited no later than now, so no message buys more than one idle timeout from now."""
    world.beat(beat, policy=POLICIES[extend])
    assert world.session.last_active_at <= world.now
    stands = standing(world.session, policy=POLICY, now=world.now)
    assert stands.expires_in_ms == min(stands.idle_in_ms, stands.absolute_in_ms) <= POLICY.idle_timeout
    assert (stands.warn_in_ms == 0) == stands.expiring == (stands.expires_in_ms <= POLICY.warning_timeout)
    assert stands.can_extend == (stands.idle_in_ms < stands.absolute_in_ms)


@given(world=worlds(), beat=beats, extend=extends)
def test_last_words_open_nothing_and_extend_nothing(world: World, beat: Beat, extend: BeatsExtend) -> None:
    """A `leave` brings totals up to date and no more."""
    before = world.copy()
    world.beat(replace(beat, kind=Kind.LEAVE), policy=POLICIES[extend])
    assert set(world.views) == set(before.views)
    assert len(world.visits) == len(before.visits)
    assert deadline(world.session) == deadline(before.session)


@given(world=worlds(), beat=beats, lifecycle=st.sampled_from([Lifecycle.HIDDEN, Lifecycle.FROZEN, Lifecycle.TERMINATED]))
def test_a_page_that_nobody_saw_opens_no_view_and_no_visit(world: World, beat: Beat, lifecycle: Lifecycle) -> None:
    """Prerendered pages, background tabs and link scanners leave no trace."""
    before = world.copy()
    world.beat(replace(beat, view="unseen", visible_ms=0, lifecycle=lifecycle))
    assert "unseen" not in world.views
    assert len(world.visits) == len(before.visits)


@given(beat=beats.filter(lambda beat: beat.kind in {Kind.BEAT, None} and not beat.is_plain))
def test_beats_extend_what_the_policy_says(beat: Beat) -> None:
    """Under `never` nothing, under `activity` as far as the evidence goes, under `always` from when a page on screen made it."""
    hidden = beat.lifecycle not in {None, *ON_SCREEN}
    age_ms = beat.age_ms or 0
    claimed = {extend: claim_of(beat, handle=HANDLE, id_hash=ID_HASH, policy=policy).active_ago_ms for extend, policy in POLICIES.items()}
    assert claimed == {
        BeatsExtend.NEVER: None,
        BeatsExtend.ACTIVITY: None if beat.idle_ms is None else age_ms + beat.idle_ms,
        BeatsExtend.ALWAYS: None if hidden else age_ms,
    }


@given(beat=beats, extend=extends)
def test_a_choice_to_stay_counts_under_every_policy(beat: Beat, extend: BeatsExtend) -> None:
    """An `extend` is credited at the instant of the choice, not of the last input."""
    claim = claim_of(replace(beat, kind=Kind.EXTEND), handle=HANDLE, id_hash=ID_HASH, policy=POLICIES[extend])
    assert claim.active_ago_ms == (beat.age_ms or 0)


@given(data=st.data(), marks=st.lists(st.tuples(st.integers(1, 9_000), st.booleans(), st.floats(0, 100)), min_size=1, max_size=5))
def test_the_order_of_arrival_does_not_change_what_a_view_adds_up_to(data: st.DataObject, marks: list[tuple[int, bool, float]]) -> None:
    """Messages of an honest page, kept back and delivered in any order, give the same totals, title and state."""
    at, visible_ms, told = START + 1_000, 0, list[tuple[int, Beat]]()
    for seq, (span_ms, on_screen, scroll_pct) in enumerate(marks):
        at += span_ms
        visible_ms += span_ms if on_screen or seq == 0 else 0
        beat = Beat(seq=seq, view="v", title=f"{seq}", visible_ms=visible_ms, scroll_pct=scroll_pct, lifecycle=Lifecycle.ACTIVE)
        told.append((at, beat))
    world = World()
    world.advance(at - START)
    for made_at, beat in data.draw(st.permutations(told)):
        world.beat(replace(beat, age_ms=world.now - made_at))
    view = world.views["v"]
    assert (view.visible_ms, view.title, view.seq) == (visible_ms, f"{len(marks) - 1}", len(marks) - 1)
    assert view.scroll_pct == max(scroll_pct for _, _, scroll_pct in marks)
    assert view.last_seen_at == at


@given(world=worlds(), beat=beats)
def test_records_that_did_not_change_are_the_very_same_objects(world: World, beat: Beat) -> None:
    """A store can tell by identity what it need not write."""
    assume(world.session.ended_at is None)
    before = world.session
    world.claim(Claim(handle=HANDLE, id_hash=ID_HASH))
    unchanged = world.session
    world.claim(Claim(handle=HANDLE, id_hash=ID_HASH, age_ms=beat.age_ms or 0))
    assert world.session is unchanged
    assert (world.session is before) == (world.session == before)


@pytest.mark.parametrize("by", list(EndedBy))
def test_the_first_reason_wins_for_ever(by: EndedBy) -> None:
    """Whatever ended a session first is what is told of it."""
    world = World()
    ended = end_session(world.session, by, now=START + 1)
    for other in EndedBy:
        assert end_session(ended, other, now=START + 2) is ended
