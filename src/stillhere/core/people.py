"""A person's sessions: how many at once, and when they last proved who they are. Pure, and told the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.core.policy import SessionLimitBy
from stillhere.core.rules import ending, is_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stillhere.core.grants import Held
    from stillhere.core.records import Session

FRESH: Final = "fresh"
"""Kind of the grant that says when somebody proved again who they are."""

REMEMBERED: Final = "stillhere"
"""Attribute in which a sign-in is remembered: `{"device": "Firefox on Windows", "network": "203.0.113.0/24"}`."""


def recalled(attributes: Mapping[str, Any], name: str) -> str | None:
    """Read back one of those facts, or None; an application may have put anything there."""
    facts = attributes.get(REMEMBERED)
    value = facts.get(name) if isinstance(facts, dict) else None
    return value if isinstance(value, str) else None


class Fresh(msgspec.Struct, frozen=True, kw_only=True):
    """The document of that grant.

    Attributes:
        auth_at: when they proved it.
        until_at: up to when they have stepped up; not later than `auth_at` if they have not.
        id_hash: of the secret id that was given out for it. Under another one it says nothing.
    """

    auth_at: int
    until_at: int
    id_hash: str


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """When somebody last proved who they are.

    Attributes:
        at: when, milliseconds since 1970: at the sign-in, or later in the same session.
        stepped_up_until: until when they have stepped up, or None if they have not.
    """

    at: int
    stepped_up_until: int | None = None


_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(Fresh).decode


def write_fresh(fresh: Fresh) -> str:
    """Write the document of a grant."""
    return _write(fresh).decode("ascii")


def authentication_of(held: Held, id_hash: str, *, now: int) -> Authentication | None:
    """Tell when somebody last proved who they are.

    Args:
        held: their session, and its grant of kind `fresh`.
        id_hash: hash of the secret id that they came with.
        now: milliseconds since 1970.

    Returns:
        When; None if the session is not there, is over, or has another id. A proof that came with an id that was given up since is
        none: whoever holds the new one did not give it.
    """
    session = held.session
    if session is None or not is_id_of(id_hash, session) or ending(session, now=now) is not None:
        return None
    fresh = None if held.grant is None else _read(held.grant.document)
    if fresh is None or fresh.id_hash != session.id_hash:
        return Authentication(at=session.created_at)
    return Authentication(at=max(fresh.auth_at, session.created_at), stepped_up_until=fresh.until_at if now < fresh.until_at else None)


def surplus_of(living: Sequence[Session], own: str, *, limit: int, by: SessionLimitBy) -> list[Session]:
    """Tell which of a subject's sessions give way to the limit. All who sign in at once come to agree on it.

    Whoever looks last, after all have begun, finds everybody, and leaves no more than the limit. The order is that of beginning, and
    of the handle at the same instant: it is the same for all, and does not change while they look.

    Args:
        living: the subject's living sessions.
        own: handle of the one that just began. Nobody who began earlier displaces it by being active meanwhile.
        limit: how many may stay.
        by: what gives way.

    Returns:
        Those, the earliest first.
    """
    ordered = sorted(living, key=lambda session: (session.created_at, session.handle))
    if by is SessionLimitBy.REFUSE:
        return ordered[limit:]
    surplus = ordered[: max(0, len(ordered) - limit)]
    began = next((n for n, session in enumerate(ordered) if session.handle == own), len(ordered))
    if by is SessionLimitBy.EVICT_OLDEST or not surplus or began < len(surplus):
        return surplus
    least_recent = sorted(ordered[:began], key=lambda session: (session.last_active_at, session.created_at, session.handle))
    chosen = {session.handle for session in least_recent[: len(surplus)]}
    return [session for session in ordered if session.handle in chosen]
