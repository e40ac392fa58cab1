"""What is told to other systems, and what becomes of it. Instants are ms since 1970, spans ms."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from stillhere.archive.records import VisitReport
from stillhere.core.records import Session, View
from stillhere.errors import StillhereError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Step(StrEnum):
    """How far the making of something on the other side has come.

    Attributes:
        NONE: nothing is under way.
        SENDING: it was sent, or was about to be, and nobody knows whether it arrived. It is looked for before it is sent again.
        CONFIRM: it was sent again after such a doubt. It is looked for once more, lest it be there twice.
        DROPPED: an operator dropped it; it is not sent any more.
    """

    NONE = ""
    SENDING = "sending"
    CONFIRM = "confirm"
    DROPPED = "dropped"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What the outbox knows of one visit, or of a session, and one mirror.

    Attributes:
        mirror: the mirror's name.
        handle: the session's.
        number: the visit's, from 1; 0 means the session itself.
        record_id: what the other side calls it, or None if it has none that is known.
        facts: which state of the archive was looked at last, or None.
        sent: what was told last, in the mirror's own words, or None.
        step: how far a creation has come.
        attempts: how often in a row it was refused, or broke, on its own account.
        due_at: when it is to be looked at, or None if nothing is to come but by a change.
        since_at: since when something waits to be told, or None.
        sent_at: when it was told last, or None.
        dead_at: when it became a dead letter, or None.
        error: why it was not taken, or None.
    """

    mirror: str
    handle: str
    number: int
    record_id: str | None = None
    facts: str | None = None
    sent: str | None = None
    step: Step = Step.NONE
    attempts: int = 0
    due_at: int | None = None
    since_at: int | None = None
    sent_at: int | None = None
    dead_at: int | None = None
    error: str | None = None

    @property
    def id(self) -> str:
        """The visit's name, as the archive has it; of a session its handle."""
        return f"{self.handle}.{self.number}" if self.number else self.handle


class Due(msgspec.Struct, frozen=True):
    """A row that is to be looked at.

    Attributes:
        row: the row.
        facts: which state the archive has now; None if the session was forgotten.
    """

    row: Row
    facts: str | None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to tell: a visit, or a session.

    Attributes:
        visit: the visit, or None if it is about the session.
        views: the visit's views, by the time they were opened.
        session: the session, or None if it is about a visit.
        is_over: it will not go on: a visit is over for good, and not only left or silent for a while.
        returns: the visitor had been here before this visit. Looked up only for mirrors that ask.
        internal: the session is of one's own team; a visit says so itself.
    """

    visit: VisitReport | None = None
    views: list[View] = []
    session: Session | None = None
    is_over: bool = False
    returns: bool = False
    internal: bool = False

    @property
    def is_private(self) -> bool:
        """It is no other system's business: it is of one's own team, or an operator left the visit out of every count."""
        return self.internal or (self.visit is not None and (self.visit.internal or self.visit.excluded))


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on its way to a mirror.

    Attributes:
        row: what is known of it.
        about: what there is to tell.
        told: the same, in the mirror's own words.
    """

    row: Row
    about: Told
    told: str


class Fate(StrEnum):
    """What became of a delivery.

    Attributes:
        DELIVERED: the other side has it.
        AGAIN: it was not taken, and that is about this one; it is tried again, later and alone.
        BROKE: the other side broke over it, or just broke, and nobody can tell which; the outbox judges by what else it takes.
        DEAD: it was refused for what it is; only a person can help.
        AWAY: the other side takes nothing at present; nothing is known about this one.
    """

    DELIVERED = "delivered"
    AGAIN = "again"
    BROKE = "broke"
    DEAD = "dead"
    AWAY = "away"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery, and what to remember of it.

    Attributes:
        fate: what became of it.
        record_id: what the other side calls it; None leaves what is known.
        sent: what the other side was told so far; None leaves what is known. Delivered means all of it.
        step: how far a creation has come.
        after_ms: when to come again with this one at the earliest, and after others that wait; None leaves it to the outbox.
        pause_ms: how long the other side is left alone at least, if it is away.
        why: what was wrong, for people; no secret is in it.
    """

    fate: Fate
    record_id: str | None = None
    sent: str | None = None
    step: Step = Step.NONE
    after_ms: int | None = None
    pause_ms: int = 0
    why: str = ""


def delivered(record_id: str | None = None, *, step: Step = Step.NONE) -> Result:
    """Say that the other side has it."""
    return Result(fate=Fate.DELIVERED, record_id=record_id, step=step)


class Mirror(Protocol):
    """Another system that is told of visits.

    Attributes:
        name: names it in the outbox, for ever: another name is another mirror.
        kind: what it is, for people.
        batch: how many deliveries it takes at a time.
        creates: the first delivery makes something there; it is written down beforehand, so that it is not made twice.
        events: it wants to know whether somebody returns.
        sessions: it is told of sessions, too.
        grace_ms: how long after a doubtful creation it can still take effect.
    """

    @property
    def name(self) -> str:
        """See `Mirror`."""
        ...

    @property
    def kind(self) -> str:
        """See `Mirror`."""
        ...

    @property
    def batch(self) -> int:
        """See `Mirror`."""
        ...

    @property
    def creates(self) -> bool:
        """See `Mirror`."""
        ...

    @property
    def events(self) -> bool:
        """See `Mirror`."""
        ...

    @property
    def sessions(self) -> bool:
        """See `Mirror`."""
        ...

    @property
    def grace_ms(self) -> int:
        """See `Mirror`."""
        ...

    def told(self, about: Told) -> str | None:
        """Put into words what the other side should know. What is the same as before is not sent; None is never sent."""
        ...

    async def deliver(self, batch: Sequence[Delivery]) -> list[Result]:
        """Deliver, and tell of each what became of it. Raises nothing for what the other side does."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class MirrorState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a mirror stands.

    Attributes:
        name: the mirror's.
        kind: what it is.
        state: `well`, `behind` (something waits), `away` (the other side takes nothing), `refused` (there are dead letters), `off` (the
            other side wants no more) or `asleep` (no process drains it, so nobody knows what waits).
        pending: how many wait to be told.
        sent: how many were told.
        dead: how many dead letters there are.
        lag_ms: how long the oldest of them waits, or, of one that is asleep, since when nobody looked for any, if that is longer.
        last_sent_at: when something was told last, or None.
        last_error: what was wrong last, or None if all is well since.
    """

    name: str
    kind: str
    state: str
    pending: int
    sent: int
    dead: int
    lag_ms: int
    last_sent_at: int | None
    last_error: str | None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that another system refused.

    Attributes:
        id: names it.
        visit: the visit, or the session's handle.
        at: when it was given up.
        attempts: how often it was tried.
        error: what was wrong.
    """

    id: str
    visit: str
    at: int
    attempts: int
    error: str


class LeaseLost(StillhereError):
    """Another process drains this mirror now, for this one was silent too long."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a mirror has come.

    Attributes:
        scanned_at: up to when changes were looked for.
        pause_until_at: nothing is sent before.
        failures: how often in a row the other side was away.
        last_error: what was wrong last, or None.
        last_sent_at: when something was told last, or None.
        sent_count: how many visits, and sessions, were told.
    """

    scanned_at: int
    pause_until_at: int = 0
    failures: int = 0
    last_error: str | None = None
    last_sent_at: int | None = None
    sent_count: int = 0


class Waiting(msgspec.Struct, frozen=True):
    """How much waits: how many rows, since when the oldest, how many dead letters, and what keeps one of those who wait, or None."""

    pending: int
    since_at: int | None
    dead: int
    error: str | None
