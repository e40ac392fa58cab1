"""Grants: what a session holds of a token issuer, and the one rule by which it is replaced. Pure, and told the time.

A grant is replaced, never changed in place: whoever writes says which version it read, and the store judges version and session
in one operation. So of many that refresh at once one is heard, whoever comes late learns what there is instead, and nothing is
written for a session that is over: a provider's answer that arrives after a sign-out revives nobody.
"""

from __future__ import annotations

import msgspec

from stillhere.core.records import Session
from stillhere.core.rules import ending


class Grant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a session holds of one issuer.

    Attributes:
        handle: the session's.
        kind: whose tokens they are: `refresh` (our own) or `provider`; up to 32 small letters.
        version: counts its writes from 1: the fencing number.
        document: JSON text. Whatever is secret in it is hashed or sealed by who writes it; no store reads it.
        check_at: when upkeep is to look at it.
    """

    handle: str
    kind: str
    version: int
    document: str
    check_at: int


class Held(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One consistent look at a session and what it holds.

    Attributes:
        session: the record, or None if there is no such session.
        grant: of the kind that was asked for, or None if it holds none.
    """

    session: Session | None
    grant: Grant | None


class Swapped(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a swap.

    Attributes:
        done: the grant is kept.
        held: how things are afterwards.
    """

    done: bool
    held: Held


def swap_grant(held: Held, grant: Grant, *, now: int) -> Grant | None:
    """Judge whether a grant may take the place of what its session holds.

    Args:
        held: the session, and what it holds of that kind.
        grant: the new record; its version is one more than that of the record it takes the place of, 1 if there is none.
        now: milliseconds since 1970.

    Returns:
        The grant if it is to be kept, or is there already (a repetition, also after the end); None if the session is not there, is over,
        or holds another version.
    """
    if held.grant == grant:
        return grant
    if held.session is None or ending(held.session, now=now) is not None:
        return None
    version = 0 if held.grant is None else held.grant.version
    return grant if version == grant.version - 1 else None
