"""The rulebook by example: borders that a reader should see in numbers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stillhere.core.endings import PARTING_MS, visit_ended_by
from stillhere.core.policy import Policy, hours, minutes, seconds
from stillhere.core.records import Claim, EndedBy, Ending, Lifecycle, Session, View, Visit
from stillhere.core.rules import (
    apply_claim,
    claim_of,
    deadline,
    end_session,
    ending,
    next_beat_in,
    open_session,
    rotate_id,
    standing,
)
from stillhere.core.wire import PLAIN, Beat, Kind
from tests.core.worlds import HANDLE, ID_HASH, World
from tests.support import START

POLICY = Policy()


def fresh(policy: Policy = POLICY) -> Session:
    """Begin a session at `START`."""
    return open_session(ID_HASH, "handle", "reader@fund.example", {"role": "reader"}, policy=policy, now=START)


def test_a_fresh_session_holds_facts_only() -> None:
    """It began, was active and was seen now; its absolute end is fixed; no end is recorded."""
    session = fresh()
    assert session == Session(
        handle=HANDLE,
        id_hash=ID_HASH,
        subject="reader@fund.example",
        created_at=START,
        last_active_at=START,
        last_seen_at=START,
        absolute_end_at=START + hours(24),
        idle_timeout=minutes(20),
        attributes={"role": "reader"},
        ended_at=None,
        ended_by=None,
    )


def test_attributes_are_the_sessions_own() -> None:
    """What the caller does with its mapping afterwards changes no session."""
    given = {"role": "reader"}
    session = open_session(ID_HASH, "handle", "reader", given, policy=POLICY, now=START)
    given["role"] = "owner"
    assert session.attributes == {"role": "reader"}


def test_a_session_is_over_at_its_deadline_and_not_before() -> None:
    """One millisecond before it lives; at that instant it is over, for idleness."""
    session = fresh()
    assert deadline(session) == START + minutes(20)
    assert ending(session, now=deadline(session) - 1) is None
    assert ending(session, now=deadline(session)) == Ending(at=deadline(session), by=EndedBy.IDLE)


@pytest.mark.parametrize(
    ("idle_ms", "by"), [(999, EndedBy.IDLE), (1_000, EndedBy.ABSOLUTE), (1_001, EndedBy.ABSOLUTE)], ids=["before", "together", "after"]
)
def test_when_both_timeouts_meet_the_absolute_one_is_the_reason(idle_ms: int, by: EndedBy) -> None:
    """Whichever comes first ends it; at the same instant nothing could have kept it alive."""
    session = replace(fresh(), idle_timeout=idle_ms, absolute_end_at=START + 1_000)
    assert ending(session, now=START + 5_000) == Ending(at=START + min(idle_ms, 1_000), by=by)


def test_a_session_keeps_the_timeouts_it_began_under() -> None:
    """A new policy holds for new sessions; only the warning follows it at once."""
    session = fresh(Policy(idle_timeout=minutes(30)))
    stands = standing(session, policy=Policy(warning_timeout=minutes(5)), now=START)
    assert (stands.idle_in_ms, stands.warn_in_ms) == (minutes(30), minutes(25))


@pytest.mark.parametrize(
    ("visible_ms", "interval", "wanted"),
    [
        (0, minutes(3), 5_000),
        (4_999, minutes(3), 1),
        (5_000, minutes(3), 10_000),
        (60_000, minutes(3), minutes(3)),
        (10**12, minutes(3), minutes(3)),
        (30_000, seconds(20), seconds(20)),
        (0, seconds(2), seconds(2)),
    ],
)
def test_the_next_beat_is_wanted_at_the_next_mark_or_after_the_interval(visible_ms: int, interval: int, wanted: int) -> None:
    """The ramp comes first, and never waits longer than the interval, or one lost beat could sign an active person out."""
    assert next_beat_in(Policy(beat_interval=interval), visible_ms) == wanted


def test_without_a_ramp_every_beat_is_an_interval_away() -> None:
    """A policy may do without the early beats."""
    assert next_beat_in(Policy(ramp=()), 0) == POLICY.beat_interval


@pytest.mark.parametrize("beat", [PLAIN, Beat(kind=Kind.EXTEND, idle_ms=0), Beat(kind=Kind.LEAVE, view="v", visible_ms=9), Beat(kind=None)])
def test_what_is_withheld_asks_for_nothing(beat: Beat) -> None:
    """Under `X-Heartbeat: true` nothing is left of a message but whose it is."""
    assert claim_of(beat, handle=HANDLE, id_hash=ID_HASH, policy=POLICY, withheld=True) == Claim(handle=HANDLE, id_hash=ID_HASH)


@pytest.mark.parametrize(
    ("beat", "on_screen", "opens"),
    [
        (PLAIN, True, True),
        (Beat(view="v", lifecycle=Lifecycle.ACTIVE), True, True),
        (Beat(view="v", lifecycle=Lifecycle.PASSIVE), True, True),
        (Beat(view="v", lifecycle=Lifecycle.HIDDEN), False, False),
        (Beat(view="v", lifecycle=Lifecycle.HIDDEN, visible_ms=1), False, True),
        (Beat(view="v"), False, False),
        (Beat(view="v", visible_ms=0), False, False),
        (Beat(view="v", visible_ms=1), False, True),
        (Beat(idle_ms=0), False, False),
        (Beat(kind=Kind.LEAVE, view="v", lifecycle=Lifecycle.ACTIVE, visible_ms=1), False, False),
        (Beat(kind=Kind.EXTEND), True, True),
    ],
)
def test_a_view_is_opened_only_by_a_page_that_somebody_saw(beat: Beat, *, on_screen: bool, opens: bool) -> None:
    """Visible time above 0, a visible lifecycle, or a plain beat; never last words."""
    claim = claim_of(beat, handle=HANDLE, id_hash=ID_HASH, policy=POLICY)
    assert (claim.on_screen, claim.opens) == (on_screen, opens)


def test_claimed_time_is_believed_as_far_as_the_server_saw_it_pass() -> None:
    """A page that claims an hour after ten seconds has its ten seconds."""
    world = World()
    world.advance(10_000)
    world.beat(Beat(view="v", visible_ms=hours(1), active_ms=hours(1), idle_ms=0))
    assert (world.views["v"].visible_ms, world.views["v"].active_ms) == (10_000, 10_000)
    assert (world.visits[0].visible_ms, world.visits[0].active_ms) == (10_000, 10_000)


def test_evidence_from_before_the_session_moves_nothing() -> None:
    """Input before the sign-in is no activity of this session."""
    world = World()
    world.advance(10_000)
    world.beat(Beat(idle_ms=hours(5), age_ms=hours(5)))
    assert world.session.last_active_at == START


def test_a_message_without_a_number_counts_as_the_newest() -> None:
    """A client that doesn't count its messages is believed in the order of arrival; missing words change nothing."""
    world = World()
    world.advance(5_000)
    world.beat(Beat(view="v", seq=4, page="/a", title="A", lifecycle=Lifecycle.ACTIVE, visible_ms=5_000))
    world.beat(Beat(view="v", page="/b", lifecycle=Lifecycle.PASSIVE))
    world.beat(Beat(view="v", seq=5, lifecycle=None))
    world.beat(Beat(view="v", seq=3, page="/c", title="C", lifecycle=Lifecycle.HIDDEN))
    view = world.views["v"]
    assert (view.page, view.title, view.lifecycle, view.seq) == ("/b", "A", Lifecycle.PASSIVE, 5)


def test_what_a_page_measured_follows_the_newest_message() -> None:
    """Heat and bands are those of the highest `seq`; they stay where a message has none, and an overtaken one brings nothing."""
    world = World()
    world.advance(9_000)
    world.beat(Beat(view="v", seq=1, heat="1", bands="a1", visible_ms=5_000))
    world.beat(Beat(view="v", seq=4, heat="2", visible_ms=6_000))
    assert (world.views["v"].heat, world.views["v"].bands) == ("2", "a1")
    for seq in (3, 4):
        world.beat(Beat(view="v", seq=seq, heat="3", bands="a3"))
    world.beat(Beat(view="v", bands="a2"))
    assert (world.views["v"].heat, world.views["v"].bands) == ("2", "a2")


def test_the_first_message_of_a_view_has_the_number_0() -> None:
    """What it says of its page is taken in with it; a second message of that number is a repetition and says nothing new."""
    world = World()
    world.beat(Beat(view="v", seq=0, title="First", lifecycle=Lifecycle.ACTIVE))
    assert (world.views["v"].title, world.views["v"].lifecycle, world.views["v"].seq) == ("First", Lifecycle.ACTIVE, 0)
    world.beat(Beat(view="v", seq=0, lifecycle=Lifecycle.PASSIVE))
    assert [view.lifecycle for view in world.views.values()] == [Lifecycle.ACTIVE]
    world.beat(Beat(view="v", seq=1, lifecycle=Lifecycle.PASSIVE))
    assert [view.lifecycle for view in world.views.values()] == [Lifecycle.PASSIVE]


def test_a_message_that_arrives_twice_is_credited_once() -> None:
    """Delivered again later, a beat moves no deadline, extends no visit and takes no leave back."""
    world = World()
    beat = Beat(view="v", seq=3, lifecycle=Lifecycle.ACTIVE, visible_ms=0, idle_ms=0)
    world.beat(beat)
    before = world.session.last_active_at
    world.advance(10_000)
    world.beat(beat)
    assert world.session.last_active_at == before
    assert world.visits[0].last_seen_at == START
    world.beat(Beat(view="v", seq=4, lifecycle=Lifecycle.ACTIVE, visible_ms=10_000, idle_ms=5_000))
    world.advance(10_000)
    world.beat(beat)
    assert world.session.last_active_at == START + 5_000


def test_last_words_that_were_overtaken_do_not_end_the_visit() -> None:
    """A leave that arrives after the beat of the return leaves the person where they are."""
    world = World()
    world.beat(Beat(view="v", seq=0, lifecycle=Lifecycle.ACTIVE))
    world.advance(5_000)
    world.beat(Beat(view="v", seq=2, lifecycle=Lifecycle.ACTIVE, visible_ms=5_000))
    world.beat(Beat(kind=Kind.LEAVE, view="v", seq=1, visible_ms=5_000, lifecycle=Lifecycle.HIDDEN))
    assert world.visits[0].left_at is None
    assert world.views["v"].lifecycle is Lifecycle.ACTIVE


def test_a_choice_to_stay_that_was_overtaken_counts() -> None:
    """An `extend` that a later leave overtook on the way is still somebody's choice."""
    world = World()
    world.beat(Beat(view="v", seq=0, lifecycle=Lifecycle.ACTIVE))
    world.advance(30_000)
    world.beat(Beat(kind=Kind.LEAVE, view="v", seq=2, lifecycle=Lifecycle.HIDDEN))
    world.beat(Beat(kind=Kind.EXTEND, view="v", seq=1, lifecycle=Lifecycle.ACTIVE))
    assert world.session.last_active_at == START + 30_000


def test_last_words_that_come_late_do_not_date_the_leave_before_what_was_seen() -> None:
    """A visit was never left before somebody was last there."""
    world = World()
    world.beat(Beat(view="v", lifecycle=Lifecycle.ACTIVE))
    world.advance(10_000)
    world.beat(Beat(view="v", lifecycle=Lifecycle.ACTIVE, visible_ms=10_000))
    world.beat(Beat(kind=Kind.LEAVE, view="v", visible_ms=4_000, age_ms=6_000))
    assert world.visits[0].left_at == world.visits[0].last_seen_at == START + 10_000


def test_words_after_the_end_do_not_take_a_leave_back() -> None:
    """A page that speaks on after its session ended is not somebody who returned."""
    world = World()
    world.advance(10_000)
    world.beat(Beat(view="v", visible_ms=10_000, lifecycle=Lifecycle.ACTIVE))
    world.beat(Beat(kind=Kind.LEAVE, view="v", visible_ms=10_000))
    world.session = end_session(world.session, EndedBy.SIGNED_OUT, now=world.now)
    world.advance(5_000)
    world.beat(Beat(view="v", visible_ms=15_000, lifecycle=Lifecycle.ACTIVE))
    assert world.visits[0].left_at == START + 10_000


def test_a_claim_without_a_view_still_makes_a_visit() -> None:
    """Somebody is there, also where the client names no view; once there is one, a message for no view adds nothing to it."""
    session, view, visit = apply_claim(
        fresh(),
        None,
        None,
        Claim(handle=HANDLE, id_hash=ID_HASH, opens=True, on_screen=True),
        visit_gap=POLICY.visit_gap,
        touch_interval=0,
        now=START + 5,
    )
    assert view is None
    assert visit == Visit(
        handle="handle",
        number=1,
        subject="reader@fund.example",
        started_at=START + 5,
        last_seen_at=START + 5,
        covered_until_at=START + 5,
    )
    quiet = Claim(handle=HANDLE, id_hash=ID_HASH)
    assert apply_claim(session, None, visit, quiet, visit_gap=POLICY.visit_gap, touch_interval=0, now=START + 5) == (session, None, visit)


def test_visible_time_of_no_view_belongs_to_no_view() -> None:
    """A message that names no view is presence from now on: its totals date nothing back and add to nothing."""
    world = World()
    world.advance(10_000)
    world.beat(Beat(visible_ms=10_000, lifecycle=Lifecycle.ACTIVE))
    assert (world.visits[0].started_at, world.visits[0].visible_ms, world.views) == (START + 10_000, 0, {})


def test_a_sign_out_before_the_start_of_a_stepping_clock_ends_at_the_start() -> None:
    """No session ends before it began."""
    assert end_session(fresh(), EndedBy.SIGNED_OUT, now=START - 60_000).ended_at == START


def test_a_new_id_changes_the_id_and_nothing_else() -> None:
    """Rotation keeps the session; one that is over, or has another id than the one presented, gets no new one."""
    session = fresh()
    assert rotate_id(session, ID_HASH, "new", now=START + 1) == replace(session, id_hash="new")
    assert rotate_id(session, ID_HASH, "new", now=deadline(session)) is None
    assert rotate_id(session, "another", "new", now=START + 1) is None


TOUCH = 10_000


def touched(claim: Claim, *, now: int, visit: Visit | None = None) -> tuple[Session, View | None, Visit | None]:
    """Apply a claim to a fresh session under a touch interval."""
    return apply_claim(fresh(), None, visit, claim, visit_gap=POLICY.visit_gap, touch_interval=TOUCH, now=now)


def test_a_touch_that_moves_little_is_not_written() -> None:
    """Under a touch interval the clocks stay until one would move by as much: the record is the very same object."""
    active = Claim(handle=HANDLE, id_hash=ID_HASH, active_ago_ms=0)
    before = fresh()
    assert touched(active, now=START + TOUCH - 1)[0] == before
    after, _, _ = touched(active, now=START + TOUCH)
    assert after.last_active_at == after.last_seen_at == START + TOUCH


def test_a_choice_to_stay_is_always_written() -> None:
    """A person who clicked sees the full span, whatever the touch interval."""
    chosen = Claim(handle=HANDLE, id_hash=ID_HASH, active_ago_ms=0, chosen=True)
    assert touched(chosen, now=START + 1)[0].last_active_at == START + 1


def test_a_view_is_brought_up_to_date_whatever_the_touch_interval() -> None:
    """The touch interval spares the session's clocks, never what a page reports of itself."""
    reading = Claim(handle=HANDLE, id_hash=ID_HASH, view="v", opens=True, on_screen=True, visible_ms=500, active_ago_ms=0)
    session, view, visit = touched(reading, now=START + 500)
    assert session == fresh()
    assert view is not None
    assert visit is not None
    assert (view.visible_ms, visit.visible_ms, visit.last_seen_at) == (500, 500, START + 500)


def test_presence_without_a_view_moves_its_visit_in_steps() -> None:
    """A plain beat brings the visit's rolling end forward when that is due, and at once when somebody had left."""
    plain = Claim(handle=HANDLE, id_hash=ID_HASH, opens=True, on_screen=True)
    visit = touched(plain, now=START)[2]
    assert visit is not None
    assert touched(plain, now=START + TOUCH - 1, visit=visit)[2] is visit
    later = touched(plain, now=START + TOUCH, visit=visit)[2]
    assert later == replace(visit, last_seen_at=START + TOUCH)
    back = touched(plain, now=START + 1, visit=replace(visit, left_at=START))[2]
    assert back == replace(visit, last_seen_at=START + 1)


def test_a_touch_interval_never_saves_what_has_lapsed() -> None:
    """Judging comes first: the deadline of the record counts, and activity that was not written is not made up for."""
    active = Claim(handle=HANDLE, id_hash=ID_HASH, active_ago_ms=0)
    session, _, _ = touched(active, now=START + POLICY.idle_timeout)
    assert (session.ended_at, session.ended_by) == (START + POLICY.idle_timeout, EndedBy.IDLE)


VISIT = Visit(handle="handle", number=1, subject="reader", started_at=START, last_seen_at=START + 60_000, covered_until_at=START + 60_000)
SILENCE = 2 * POLICY.beat_interval
SEEN = VISIT.last_seen_at


@pytest.mark.parametrize(
    ("left_at", "over", "is_last", "now", "told"),
    [
        (None, None, True, SEEN + SILENCE, None),
        (None, None, True, SEEN + SILENCE + 1, "lost"),
        (None, None, False, SEEN, "away"),
        (None, Ending(at=SEEN, by=EndedBy.SIGNED_OUT), False, SEEN, "away"),
        (SEEN, None, True, SEEN, "leave"),
        (SEEN, None, False, SEEN, "leave"),
        (SEEN, Ending(at=SEEN + PARTING_MS, by=EndedBy.SIGNED_OUT), True, SEEN + 9_999, "signed_out"),
        (SEEN, Ending(at=SEEN + PARTING_MS + 1, by=EndedBy.SIGNED_OUT), True, SEEN + 9_999, "leave"),
        (SEEN, Ending(at=SEEN, by=EndedBy.SIGNED_OUT), False, SEEN + 9_999, "leave"),
        (None, Ending(at=SEEN + SILENCE, by=EndedBy.REVOKED), True, SEEN + SILENCE, "revoked"),
        (None, Ending(at=SEEN + SILENCE + 1, by=EndedBy.REVOKED), True, SEEN + SILENCE + 1, "lost"),
    ],
)
def test_a_visit_is_told_to_have_ended_as_it_did(
    left_at: int | None, over: Ending | None, now: int, told: str | None, *, is_last: bool
) -> None:
    """By its session's end, by the last tab's words, by a long absence, by silence; or somebody is still there."""
    session = fresh() if over is None else replace(fresh(), ended_at=over.at, ended_by=over.by)
    visit = replace(VISIT, left_at=left_at)
    assert visit_ended_by(visit, session=session, is_last=is_last, beat_interval=POLICY.beat_interval, now=now) == told


def test_a_visit_that_lasted_to_the_deadline_ended_as_its_session_did() -> None:
    """Nobody needs to have recorded the end for the archive to know it."""
    session = replace(fresh(), last_active_at=START)
    visit = replace(VISIT, last_seen_at=deadline(session) - 1_000)
    assert visit_ended_by(visit, session=session, is_last=True, beat_interval=POLICY.beat_interval, now=deadline(session)) == "idle"


@pytest.mark.parametrize("subject", ["admin\0@evil.example", "\ud800", "x" * 2_001, "\N{PILE OF POO}" * 501])
def test_a_subject_that_some_store_cannot_keep_is_refused(subject: str) -> None:
    """No store may cut a subject into another's: what one of them could not give back unchanged begins no session."""
    with pytest.raises(ValueError, match="subject"):
        open_session(ID_HASH, HANDLE, subject, {}, policy=POLICY, now=START)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), "\ud800"])
def test_attributes_that_are_no_json_are_refused(value: object) -> None:
    """What would come back otherwise than it went in, or not at all, begins no session."""
    with pytest.raises(ValueError, match="attributes"):
        open_session(ID_HASH, HANDLE, "reader", {"deep": [value]}, policy=POLICY, now=START)


def test_attributes_are_a_copy() -> None:
    """What the caller does to its dictionary later changes no session."""
    roles = ["reader"]
    session = open_session(ID_HASH, HANDLE, "reader", {"roles": roles}, policy=POLICY, now=START)
    roles.append("admin")
    assert session.attributes == {"roles": ["reader"]}
