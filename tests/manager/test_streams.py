"""What streams are owed, and when: pure bookkeeping with a clock that is moved."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pytest
from msgspec.structs import replace

from stillhere.core.policy import Policy, minutes, seconds
from stillhere.core.records import EndedBy, Ending, Session
from stillhere.core.rules import open_session
from stillhere.streams import _STATE, ALIVE_INTERVAL_MS, GRACE_MS, STATE_INTERVAL_MS, WARNED_INTERVAL_MS, Event, Stream, Streams, Telling
from tests.support import START, FakeClock

POLICY: Final = Policy()
WARNED_AT: Final = POLICY.idle_timeout - POLICY.warning_timeout


class Room:
    """Streams, a clock, and what was heard."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.warned: list[Session] = []
        self.streams = Streams(POLICY, self.clock, on_expiring=self.warned.append)
        self.woken: list[str] = []

    def session(self, name: str = "a") -> Session:
        """Begin a session."""
        return open_session(f"hash-{name}", f"handle-{name}", "reader", {}, policy=POLICY, now=START)

    def follow(self, session: Session, name: str = "first") -> Stream:
        """Follow it, and take the first state."""
        stream = self.streams.add(session, lambda: self.woken.append(name))
        assert kind(stream.take()) is Event.STATE
        return stream

    def pass_by(self, span_ms: int) -> None:
        """Let time pass, and tick once at its end."""
        self.clock.advance(span_ms)
        self.streams.tick()

    def looked(self) -> list[str]:
        """Tell who is to be looked at, and forget it."""
        handles = list(self.streams.unsure)
        self.streams.unsure.clear()
        return handles


def kind(telling: Telling | None) -> Event | None:
    """Tell what kind of thing is told; something must be."""
    assert telling is not None
    return telling.event


def active(session: Session, at: int) -> Session:
    """Be active at an instant."""
    return replace(session, last_active_at=at, last_seen_at=max(at, session.last_seen_at))


@pytest.fixture
def room() -> Room:
    """Give streams that nobody follows yet."""
    return Room()


def test_the_first_thing_told_is_the_state_as_of_now(room: Room) -> None:
    """Spans are those of the moment in which it is taken, and there is nothing more to take."""
    stream = room.streams.add(room.session(), lambda: None)
    room.clock.advance(seconds(7))
    telling = stream.take()
    assert telling is not None
    assert telling.verdict.standing is not None
    assert telling.verdict.standing.expires_in_ms == POLICY.idle_timeout - seconds(7)
    assert telling.verdict.next_beat_ms == POLICY.beat_interval
    assert not telling.is_last
    assert stream.take() is None


def test_an_idle_stream_shows_that_it_is_alive_and_asks_for_nothing(room: Room) -> None:
    """In the quiet a stream gets a sign of life every 25 s, the first a little earlier, and no session is looked at."""
    stream = room.follow(room.session())
    signs = []
    for second in range(1, WARNED_AT // 1_000):
        room.pass_by(seconds(1))
        if (telling := stream.take()) is not None:
            assert (telling.event, telling.is_last) == (None, False)
            signs.append(second)
    assert room.looked() == []
    assert ALIVE_INTERVAL_MS / 2_000 <= signs[0] <= ALIVE_INTERVAL_MS / 1_000
    assert {later - earlier for earlier, later in pairwise(signs)} == {ALIVE_INTERVAL_MS // 1_000}


def test_many_that_come_at_once_are_alive_in_turn(room: Room) -> None:
    """A thousand streams opened in the same moment are not all written to in the same moment."""
    for number in range(1_000):
        room.follow(room.session(str(number)), str(number))
    most = 0
    while len(set(room.woken)) < 1_000:
        before = len(room.woken)
        room.pass_by(250)
        most = max(most, len(room.woken) - before)
    assert most <= 25


def test_a_deadline_that_moved_is_told_at_most_once_a_second(room: Room) -> None:
    """However often somebody is active, his pages are told the newest state, once in a second."""
    session = room.session()
    stream = room.follow(session)
    told = []
    for step in range(1, 41):
        room.clock.advance(250)
        room.streams.learn(active(session, room.clock()))
        room.streams.tick()
        if (telling := stream.take()) is not None and telling.verdict.standing is not None:
            told.append((step, telling.event, telling.verdict.standing.expires_in_ms))
    assert len(told) == 10
    assert {(event, left) for _, event, left in told} == {(Event.STATE, POLICY.idle_timeout)}


def test_what_does_not_move_the_deadline_is_not_told(room: Room) -> None:
    """A check that was only seen is no news."""
    session = room.session()
    stream = room.follow(session)
    room.clock.advance(seconds(5))
    room.streams.learn(replace(session, last_seen_at=room.clock()))
    room.streams.tick()
    assert stream.take() is None


def test_what_was_read_earlier_does_not_undo_what_is_known(room: Room) -> None:
    """A look that began before a beat and came back after it changes nothing."""
    session = room.session()
    stream = room.follow(session)
    room.clock.advance(seconds(5))
    room.streams.learn(active(session, room.clock()))
    room.streams.learn(session)
    room.streams.tick()
    telling = stream.take()
    assert telling is not None
    assert telling.verdict.standing is not None
    assert telling.verdict.standing.expires_in_ms == POLICY.idle_timeout


def test_a_warning_is_given_after_a_look_and_once(room: Room) -> None:
    """When it falls due the session is looked at first; then each stream is told, the hook is called once, and looks go on slowly."""
    session = room.session()
    streams = [room.follow(session, name) for name in ("first", "second")]
    room.pass_by(WARNED_AT - 1)
    assert room.looked() == []
    room.pass_by(1)
    assert room.looked() == ["handle-a"]
    assert room.warned == []
    looks = 0
    for _ in range(4 * 30):
        room.streams.plan(room.streams.followed["handle-a"])
        room.pass_by(250)
        looks += len(room.looked())
    assert room.warned == [session]
    assert [kind(stream.take()) for stream in streams] == [Event.EXPIRING] * 2
    assert looks == 0, "planned anew each time, it is never due"
    room.pass_by(WARNED_INTERVAL_MS)
    assert room.looked() == ["handle-a"]


def test_a_session_that_was_extended_elsewhere_is_not_warned(room: Room) -> None:
    """If the look finds a later deadline, that is told instead, and the warning waits for it."""
    session = room.session()
    stream = room.follow(session)
    room.pass_by(WARNED_AT)
    assert room.looked() == ["handle-a"]
    room.streams.learn(active(session, START + minutes(15)))
    room.pass_by(250)
    telling = stream.take()
    assert kind(telling) is Event.STATE
    assert telling is not None
    assert telling.verdict.standing is not None
    assert not telling.verdict.standing.expiring
    assert room.warned == []
    room.pass_by(minutes(15) - 250)
    assert room.looked() == ["handle-a"]


def test_a_choice_to_stay_ends_the_warning_and_the_next_is_a_new_one(room: Room) -> None:
    """Extended while the warning shows, a page is told the state; the hook hears of the next warning again."""
    session = room.session()
    stream = room.follow(session)
    room.pass_by(WARNED_AT)
    room.streams.plan(room.streams.followed["handle-a"])
    assert kind(stream.take()) is Event.EXPIRING
    room.clock.advance(seconds(30))
    session = active(session, room.clock())
    room.streams.learn(session)
    room.pass_by(250)
    assert kind(stream.take()) is Event.STATE
    room.pass_by(WARNED_AT)
    room.streams.plan(room.streams.followed["handle-a"])
    assert kind(stream.take()) is Event.EXPIRING
    assert room.warned == [replace(session, last_active_at=START, last_seen_at=START), session]


def test_an_old_warning_is_not_told_of_a_session_that_was_extended_meanwhile(room: Room) -> None:
    """A page that reads slowly is told how things are, not how they were."""
    session = room.session()
    stream = room.follow(session)
    room.pass_by(WARNED_AT)
    room.streams.plan(room.streams.followed["handle-a"])
    room.streams.learn(active(session, room.clock()))
    assert kind(stream.take()) is Event.STATE


def test_who_comes_back_during_a_warning_is_no_new_warning(room: Room) -> None:
    """A stream that breaks and is opened anew begins with a state that says `expiring`; the hook is not called again."""
    session = room.session()
    room.pass_by(WARNED_AT + 1)
    for _ in range(3):
        stream = room.follow(session)
        stream.close()
        room.pass_by(seconds(3))
    assert room.warned == [session]
    room.pass_by(minutes(2))
    assert room.streams._warned == {}, "and that is forgotten when it is over"


def test_a_deadline_is_judged_a_moment_later(room: Room) -> None:
    """The look comes a grace after the deadline, for beats that were in time; before it nobody is told anything of an end."""
    stream = room.follow(room.session())
    room.pass_by(POLICY.idle_timeout - 1)
    room.looked()
    room.streams.plan(room.streams.followed["handle-a"])
    assert kind(stream.take()) is Event.EXPIRING
    room.pass_by(GRACE_MS)
    assert room.looked() == []
    room.pass_by(1)
    assert room.looked() == ["handle-a"]
    room.streams.plan(room.streams.followed["handle-a"])
    stream.owe(_STATE)
    assert stream.take() == Telling(None), "a sign of life, for no end is recorded"
    assert len(room.warned) == 1


def test_nobody_is_warned_of_what_has_lapsed(room: Room) -> None:
    """Found at its deadline for the first time, as after trouble with the store, a session is judged, not warned."""
    stream = room.follow(room.session())
    room.clock.advance(POLICY.idle_timeout)
    room.streams.plan(room.streams.followed["handle-a"])
    assert stream.take() is None
    assert room.warned == []


@pytest.mark.parametrize("by", [EndedBy.REVOKED, EndedBy.IDLE])
def test_an_end_is_told_and_is_the_last(room: Room, by: EndedBy) -> None:
    """Every stream is told the end, whatever else it was owed, and is to be closed; the session is followed no more."""
    session = room.session()
    streams = [room.follow(session, name) for name in ("first", "second")]
    room.pass_by(WARNED_AT)
    room.streams.plan(room.streams.followed["handle-a"])
    ended = replace(session, ended_at=room.clock(), ended_by=by)
    room.streams.learn(ended)
    for stream in streams:
        telling = stream.take()
        assert telling is not None
        assert (telling.event, telling.is_last) == (Event.ENDED, True)
        assert telling.verdict.ending == Ending(at=room.clock(), by=by)
        assert stream.take() is None
        stream.close()
    assert (room.streams.followed, room.streams.count, room.streams.opened) == ({}, 0, 2)
    room.streams.learn(ended)
    assert room.looked() == ["handle-a"], "it was due when it ended"


def test_a_session_that_is_let_go_is_closed_without_a_word(room: Room) -> None:
    """When the server stops, or nothing is known of the session any more, no end is told."""
    stream = room.follow(room.session())
    room.streams.let_go(room.streams.followed["handle-a"])
    telling = stream.take()
    assert telling is not None
    assert (telling.event, telling.is_last) == (None, True)


def test_streams_are_counted_and_forgotten(room: Room) -> None:
    """Closing is idempotent; the last one of a session takes the session with it, and what was owed to it."""
    session = room.session()
    first, second = room.follow(session), room.follow(session)
    assert (room.streams.count, room.streams.count_of("handle-a"), room.streams.count_of("handle-b")) == (2, 2, 0)
    room.streams.learn(active(session, START + 1))
    for _ in range(2):
        first.close()
    assert (room.streams.count, room.streams.count_of("handle-a")) == (1, 1)
    second.close()
    assert (room.streams.count, room.streams.followed, room.streams._moved) == (0, {}, {})
    again = room.follow(session)
    first.close()
    assert room.streams.count_of("handle-a") == 1
    again.close()


def test_a_second_stream_brings_what_it_saw(room: Room) -> None:
    """A look that opened a stream is news for the others of its session."""
    session = room.session()
    first = room.follow(session)
    room.clock.advance(STATE_INTERVAL_MS)
    room.follow(active(session, room.clock()))
    room.streams.tick()
    assert kind(first.take()) is Event.STATE


def test_only_who_is_followed_is_suspected(room: Room) -> None:
    """Ends of others, of which a busy site has many, cost nothing."""
    room.follow(room.session())
    room.streams.suspect(["handle-a", "handle-b"])
    assert room.looked() == ["handle-a"]
    room.streams.learn(room.session("b"))
    assert "handle-b" not in room.streams.followed
