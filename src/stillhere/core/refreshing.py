"""The refresh of a provider's tokens: who may do it, when, and what is known after each step. Pure.

Theory of operation. What a session holds of a provider is one record, written only by a conditional swap. A refresh is three of them:

1. *lease*: whoever refreshes says so first, and for how long. That is also the note of intent: from here on the provider may have
   spent the refresh token although nobody learned what came of it.
2. *renew*, while the provider thinks.
3. *commit*: the new tokens, before anybody is told of them; or the failure, and when to try again.

Only the holder of a lease asks the provider, so at most one call of a session is under way in all processes. A holder that stalls past
its lease is overtaken; `generation`, which counts the sets of tokens, then keeps the older result from replacing the newer one. A lease
that ran out without an answer leaves `tries` behind: if the provider then says that the token was spent, the answer was lost, not stolen.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from msgspec.structs import replace

PROVIDER: Final = "provider"
"""The kind of grant that holds a provider's tokens."""

FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 60_000
"""Pauses double from the first to the longest while a provider is in trouble, as Supabase and mod_auth_openidc bound them."""


class Holding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a session holds of a provider.

    Attributes:
        iss: the provider's issuer.
        sub: whom it means.
        sid: its own session of theirs, by which a logout there names it, or None.
        sealed: the tokens, encrypted and bound to the session.
        can_refresh: there is a refresh token among them.
        access_expires_at: when the access token ends.
        refresh_at: from when on it is time for the next one.
        generation: counts the sets of tokens that were committed, from 1.
        lease: name of whoever is refreshing, or None.
        leased_until: until when; later the lease counts for nothing, and its `tries` stay.
        tries: how often the refresh token was given to the provider without an answer to it being known.
        failures: how often in a row the provider was in trouble.
        retry_at: before that it is not asked again.
    """

    iss: str
    sub: str
    sid: str | None = None
    sealed: str
    can_refresh: bool
    access_expires_at: int
    refresh_at: int
    generation: int = 1
    lease: str | None = None
    leased_until: int = 0
    tries: int = 0
    failures: int = 0
    retry_at: int = 0


class Next(StrEnum):
    """What is to be done for somebody who wants a fresh access token."""

    USE = "use"
    """The one there is will do."""
    REFRESH = "refresh"
    """Take the lease, and ask the provider."""
    WAIT = "wait"
    """Somebody is asking; their answer will do."""
    PAUSE = "pause"
    """The provider is in trouble; it is asked again at `retry_at`."""
    LAPSED = "lapsed"
    """It is over, and nothing here may refresh it."""


def next_step(holding: Holding, *, may_refresh: bool, now: int) -> Next:
    """Tell what is to be done.

    Args:
        holding: what the session holds.
        may_refresh: a person is there. Nothing else refreshes: a provider takes every refresh for its user's activity, too.
        now: milliseconds since 1970.
    """
    if now < holding.refresh_at:
        return Next.USE
    if not holding.can_refresh or not may_refresh:
        return Next.USE if now < holding.access_expires_at else Next.LAPSED
    if holding.lease is not None and now < holding.leased_until:
        return Next.WAIT
    return Next.PAUSE if now < holding.retry_at else Next.REFRESH


def take_lease(holding: Holding, owner: str, *, lease_timeout: int, now: int) -> Holding:
    """Note that the refresh token is about to be given to the provider, and by whom."""
    return replace(holding, lease=owner, leased_until=now + lease_timeout, tries=holding.tries + 1)


def renew_lease(holding: Holding, owner: str, *, lease_timeout: int, now: int) -> Holding | None:
    """Prolong a lease; None if somebody else has it, or nobody."""
    return replace(holding, leased_until=now + lease_timeout) if holding.lease == owner else None


def commit_tokens(holding: Holding, fresh: Holding, *, generation: int) -> Holding | None:
    """Put new tokens in the place of those they came from; None if others are there by now.

    Args:
        holding: what is kept.
        fresh: the new ones.
        generation: of the tokens that were spent for them.
    """
    return None if holding.generation != generation else replace(fresh, generation=generation + 1)


def note_failure(holding: Holding, owner: str, *, is_answered: bool, retry_after_ms: int | None, now: int) -> Holding | None:
    """Note that the provider was in trouble, and when to ask it again; None if somebody else is asking by now.

    Args:
        holding: what is kept.
        owner: who asked.
        is_answered: the provider said that it did nothing, so that this try did not spend the refresh token; an earlier one still may have.
        retry_after_ms: what it asked for, or None.
        now: milliseconds since 1970.
    """
    if holding.lease != owner:
        return None
    pause = min(FIRST_PAUSE_MS * 2 ** min(holding.failures, 16), LONGEST_PAUSE_MS)
    return replace(
        holding,
        lease=None,
        tries=holding.tries - 1 if is_answered else holding.tries,
        failures=holding.failures + 1,
        retry_at=now + max(pause, min(retry_after_ms or 0, LONGEST_PAUSE_MS)),
    )


def was_lost(holding: Holding) -> bool:
    """Tell of a refused refresh token whether an earlier answer for it had been lost: it was spent by ourselves."""
    return holding.tries > 1
