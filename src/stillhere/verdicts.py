"""What the manager answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from stillhere.core.records import Ending, Session, Standing
from stillhere.core.rules import ending, next_beat_in, standing

if TYPE_CHECKING:
    from stillhere.core.policy import Policy


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has just begun, or has a new id.

    Attributes:
        secret: the secret id, for the cookie or the bearer. It is nowhere else; keep it out of logs.
        session: the record.
    """

    secret: str
    session: Session

    def __repr__(self) -> str:
        """Show the session's public name only."""
        return f"Started(session={self.session.handle!r})"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was found of a session.

    Attributes:
        session: the record, or None if there is no such session.
        ending: when and why it ended, or None while it lives.
        standing: how it stands, or None if it does not live.
        next_beat_ms: visible milliseconds until the next beat is wanted; 0 if it does not live.
        access_expires_at: when the access token ends that the session holds of a provider, or None.
    """

    session: Session | None = None
    ending: Ending | None = None
    standing: Standing | None = None
    next_beat_ms: int = 0
    access_expires_at: int | None = None

    @property
    def is_alive(self) -> bool:
        """The session is there and has not ended."""
        return self.standing is not None


NO_SESSION = Verdict()


def verdict_of(session: Session, *, policy: Policy, now: int, visible_ms: int | None = None) -> Verdict:
    """Judge a record.

    Args:
        session: the record.
        policy: the rules.
        now: milliseconds since 1970.
        visible_ms: how long the asking view has been visible, or None if it did not say.
    """
    stands = standing(session, policy=policy, now=now)
    if session.ended_at is not None or stands.expires_in_ms == 0:
        return Verdict(session=session, ending=ending(session, now=now))
    return Verdict(session=session, standing=stands, next_beat_ms=next_beat_in(policy, visible_ms))


def with_expiry(verdict: Verdict, expires_at: int | None, refresh_at: int | None, *, now: int) -> Verdict:
    """Add to a verdict when the access token ends, and ask for a beat in time for the next one.

    Args:
        verdict: of a living session.
        expires_at: when the access token ends, or None if there is none.
        refresh_at: from when on it is time for the next one.
        now: milliseconds since 1970.
    """
    if expires_at is None or refresh_at is None:
        return verdict
    due_ms = refresh_at - now
    next_beat_ms = min(verdict.next_beat_ms, due_ms) if due_ms > 0 else verdict.next_beat_ms
    return replace(verdict, access_expires_at=expires_at, next_beat_ms=next_beat_ms)
