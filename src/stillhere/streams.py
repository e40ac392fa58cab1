"""Who follows a session from this process, and what each is still to be told: the latest, no backlog. No sockets, no store, no tasks.

A stream extends nothing. Here is only kept what others have read; `push.py` reads it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from stillhere.core.policy import seconds
from stillhere.core.rules import deadline, standing
from stillhere.verdicts import NO_SESSION, Verdict, verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stillhere.core.policy import Policy
    from stillhere.core.records import Session

ALIVE_INTERVAL_MS: Final = seconds(25)
"""How often a stream shows that it is alive; proxies commonly cut one that is silent for 30 or 60 s."""

STATE_INTERVAL_MS: Final = seconds(1)
"""A session that changes more often than this is told of once in so long."""

WARNED_INTERVAL_MS: Final = seconds(5)
"""While the warning is due, so often it is looked whether another process has heard of a choice to stay."""

GRACE_MS: Final = 250
"""How long after a deadline it is judged; beats that were sent in time are in the store by then."""

TROUBLE_INTERVAL_MS: Final = seconds(60)
"""When a session is looked at again whose look came to nothing."""

_ALIVE, _STATE, _WARNING, _LAST = 1, 2, 4, 8


class Event(StrEnum):
    """What a stream tells."""

    STATE = "state"
    EXPIRING = "expiring"
    ENDED = "ended"


class Telling(NamedTuple):
    """One thing to tell.

    Attributes:
        event: what kind, or None for a mere sign of life, or for a stream that is closed without a word.
        verdict: how the session stands, or how it ended.
        is_last: the stream is to be closed after it.
    """

    event: Event | None
    verdict: Verdict = NO_SESSION
    is_last: bool = False


_SIGN_OF_LIFE: Final = Telling(None)


class Followed:
    """A session that is followed from this process.

    Attributes:
        session: the record, as far as it is known here.
        streams: those that follow it.
        due_at: when it is to be looked at.
        alive_at: when its streams are to show that they are alive.
        stated_at: when they were last told that it moved.
        is_warned: the warning was given, and is due still.
    """

    __slots__ = ("alive_at", "due_at", "is_warned", "session", "stated_at", "streams")

    def __init__(self, session: Session, *, alive_at: int, is_warned: bool) -> None:
        """Nobody follows it yet."""
        self.session = session
        self.streams: list[Stream] = []
        self.due_at = self.stated_at = 0
        self.alive_at = alive_at
        self.is_warned = is_warned

    def owe(self, what: int) -> None:
        """Owe something to every stream."""
        for stream in tuple(self.streams):
            stream.owe(what)


class Stream:
    """What one connection is still to be told, however slowly it reads."""

    __slots__ = ("_all", "_followed", "_owed", "_wake")

    def __init__(self, streams: Streams, followed: Followed, wake: Callable[[], None]) -> None:
        """Owe it the state."""
        self._all = streams
        self._followed = followed
        self._wake = wake
        self._owed = _STATE

    def owe(self, what: int) -> None:
        """Owe something more, and wake whoever tells it."""
        self._owed |= what
        self._wake()

    def take(self) -> Telling | None:
        """Take what is to be told next, as of now; None if there is nothing."""
        owed, self._owed = self._owed, 0
        if not owed:
            return None
        session = self._followed.session
        if owed & _LAST:
            return Telling(None if session.ended_at is None else Event.ENDED, self._all.verdict(session), is_last=True)
        verdict = NO_SESSION if owed == _ALIVE else self._all.verdict(session)
        if verdict.standing is None:  # it has lapsed, and is told so when that is recorded
            return _SIGN_OF_LIFE
        return Telling(Event.EXPIRING if owed & _WARNING and verdict.standing.expiring else Event.STATE, verdict)

    def close(self) -> None:
        """Forget it; its connection is gone."""
        self._all.remove(self, self._followed)


class Streams:
    """All streams of this process.

    Args:
        policy: the rules.
        clock: tells the milliseconds since 1970.
        on_expiring: called with each session whose warning falls due, once for each warning.

    Attributes:
        followed: the sessions, by handle.
        unsure: handles of those that are to be looked at, in order.
        count: how many streams there are.
        opened: how many there ever were.
    """

    def __init__(self, policy: Policy, clock: Callable[[], int], *, on_expiring: Callable[[Session], None]) -> None:
        """Nobody follows anything yet."""
        self._policy = policy
        self._clock = clock
        self._on_expiring = on_expiring
        self.followed: dict[str, Followed] = {}
        self.unsure: dict[str, None] = {}
        self.count = self.opened = 0
        self._moved: dict[str, Followed] = {}
        self._warned: dict[str, int] = {}  # deadlines that were warned of, so that who comes back is not a new warning

    def add(self, session: Session, wake: Callable[[], None]) -> Stream:
        """Let somebody follow a living session that was looked at just now.

        Args:
            session: the session.
            wake: called whenever there is something to `take`; it must not wait.
        """
        now, handle = self._clock(), session.handle
        followed = self.followed.get(handle)
        if followed is None:
            spread = self.opened * 0.618 % 1  # the golden ratio: however many come at once, they are told in turn
            alive_at = now + round(ALIVE_INTERVAL_MS * (1 - spread / 2))
            followed = self.followed[handle] = Followed(session, alive_at=alive_at, is_warned=handle in self._warned)
            self.plan(followed)
        else:
            self.learn(session)
        stream = Stream(self, followed, wake)
        followed.streams.append(stream)
        self.opened += 1
        self.count += 1
        return stream

    def remove(self, stream: Stream, followed: Followed) -> None:
        """Forget a stream; once or twice is the same."""
        if stream in followed.streams:
            followed.streams.remove(stream)
            self.count -= 1
        if not followed.streams:
            self._forget(followed)

    def count_of(self, handle: str) -> int:
        """Count the streams of one session."""
        followed = self.followed.get(handle)
        return 0 if followed is None else len(followed.streams)

    def verdict(self, session: Session) -> Verdict:
        """Judge what is known of a session, now."""
        return verdict_of(session, policy=self._policy, now=self._clock())

    def suspect(self, handles: Iterable[str]) -> None:
        """Have sessions looked at, if anybody follows them."""
        self.unsure.update((handle, None) for handle in handles if handle in self.followed)

    def learn(self, session: Session) -> None:
        """Take note of a session as the store has it: answered to somebody in this process, or looked at."""
        followed = self.followed.get(session.handle)
        if followed is None:
            return
        before = followed.session
        if session.ended_at is not None:
            followed.session = session
            self.let_go(followed)
        elif (session.last_active_at, session.last_seen_at) >= (before.last_active_at, before.last_seen_at):
            followed.session = session
            if deadline(session) != deadline(before):
                self._moved[session.handle] = followed
                self.plan(followed)

    def plan(self, followed: Followed) -> None:
        """Tell when a session is to be looked at, from what is known of it; warn if that is due."""
        session, now = followed.session, self._clock()
        stands = standing(session, policy=self._policy, now=now)
        if not stands.expiring:
            followed.is_warned = False
            self._warned.pop(session.handle, None)
            followed.due_at = now + stands.warn_in_ms
            return
        over_at = deadline(session)
        followed.due_at = min(now + WARNED_INTERVAL_MS, over_at + GRACE_MS)
        if not followed.is_warned and now < over_at:
            followed.is_warned = True
            self._warned[session.handle] = over_at
            followed.owe(_WARNING)
            self._on_expiring(session)

    def tick(self) -> None:
        """Look who is due; to be called a few times a second."""
        now = self._clock()
        for handle, followed in self.followed.items():
            if followed.due_at <= now:
                followed.due_at = now + TROUBLE_INTERVAL_MS  # planned anew when it was looked at
                self.unsure[handle] = None
            if followed.alive_at <= now:
                followed.alive_at = now + ALIVE_INTERVAL_MS
                followed.owe(_ALIVE)
        for handle, followed in list(self._moved.items()):
            if now - followed.stated_at >= STATE_INTERVAL_MS:
                followed.stated_at = now
                del self._moved[handle]
                followed.owe(_STATE)
        for handle in [handle for handle, over_at in self._warned.items() if over_at <= now]:
            del self._warned[handle]

    def let_go(self, followed: Followed) -> None:
        """Tell all who follow a session the last there is to tell: its end, if it is recorded."""
        self._forget(followed)
        followed.owe(_LAST)

    def _forget(self, followed: Followed) -> None:
        handle = followed.session.handle
        if self.followed.get(handle) is followed:
            del self.followed[handle]
            self._moved.pop(handle, None)
