"""The refresh of a provider's tokens: who may do it, when, and what is known after each step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.refreshing import (
    FIRST_PAUSE_MS,
    LONGEST_PAUSE_MS,
    Holding,
    Next,
    commit_tokens,
    next_step,
    note_failure,
    renew_lease,
    take_lease,
    was_lost,
)

NOW = 1_700_000_000_000
LIFE = 300_000
LEASE = 10_000
NEAR = NOW + LIFE - 90_000
"""From here on the access token is near its end."""

HOLDING = Holding(iss="https://id.example", sub="42", sealed="sealed", can_refresh=True, access_expires_at=NOW + LIFE, refresh_at=NEAR)


def _next(holding: Holding, now: int, *, may_refresh: bool = True) -> Next:
    return next_step(holding, may_refresh=may_refresh, now=now)


def test_a_token_is_used_until_it_is_near_its_end() -> None:
    """Refreshing begins at `refresh_at`, to the millisecond."""
    assert _next(HOLDING, NEAR - 1) is Next.USE
    assert _next(HOLDING, NEAR) is Next.REFRESH


def test_without_a_person_nothing_is_refreshed() -> None:
    """A token that nobody is there for is used while it lasts, and lapses."""
    assert _next(HOLDING, NOW + LIFE - 1, may_refresh=False) is Next.USE
    assert _next(HOLDING, NOW + LIFE, may_refresh=False) is Next.LAPSED


def test_without_a_refresh_token_it_lapses() -> None:
    """A provider that gave none has nothing to be asked for."""
    holding = replace(HOLDING, can_refresh=False)
    assert _next(holding, NOW + LIFE - 1) is Next.USE
    assert _next(holding, NOW + LIFE) is Next.LAPSED


def test_a_lease_makes_others_wait_until_it_runs_out() -> None:
    """One asks and the others wait; a lease whose holder is gone keeps nobody for longer than it says."""
    leased = take_lease(HOLDING, "a", lease_timeout=LEASE, now=NEAR)
    assert _next(leased, NEAR + LEASE - 1) is Next.WAIT
    assert _next(leased, NEAR + LEASE) is Next.REFRESH


def test_only_its_holder_prolongs_a_lease() -> None:
    """A renewal lasts as long as a new lease; somebody else's is refused, and one that was given back."""
    leased = take_lease(HOLDING, "a", lease_timeout=LEASE, now=NEAR)
    renewed = renew_lease(leased, "a", lease_timeout=LEASE, now=NEAR + 5_000)
    assert renewed is not None
    assert renewed.leased_until == NEAR + 15_000
    assert renewed.tries == 1
    assert renew_lease(leased, "b", lease_timeout=LEASE, now=NEAR) is None
    assert renew_lease(HOLDING, "a", lease_timeout=LEASE, now=NEAR) is None


def test_a_commit_puts_the_new_tokens_in_place_once() -> None:
    """The first result of a generation counts; a holder that was overtaken cannot put an older one in the place of a newer."""
    leased = take_lease(HOLDING, "a", lease_timeout=LEASE, now=NEAR)
    fresh = Holding(
        iss="https://id.example", sub="42", sealed="fresh", can_refresh=True, access_expires_at=NEAR + LIFE, refresh_at=NEAR + LIFE - 90_000
    )
    committed = commit_tokens(leased, fresh, generation=1)
    assert committed == replace(fresh, generation=2)
    assert commit_tokens(committed, fresh, generation=1) is None


def test_an_answer_that_was_lost_is_told_from_a_refusal() -> None:
    """A refusal after a try whose answer nobody learned means that we spent the token ourselves; a first refusal does not."""
    once = take_lease(HOLDING, "a", lease_timeout=LEASE, now=NEAR)
    assert not was_lost(once)
    assert was_lost(take_lease(once, "b", lease_timeout=LEASE, now=NEAR + LEASE))
    unanswered = note_failure(once, "a", is_answered=False, retry_after_ms=None, now=NEAR)
    assert unanswered is not None
    assert was_lost(take_lease(unanswered, "b", lease_timeout=LEASE, now=NEAR))
    busy = note_failure(take_lease(unanswered, "b", lease_timeout=LEASE, now=NEAR), "b", is_answered=True, retry_after_ms=None, now=NEAR)
    assert busy is not None
    assert was_lost(take_lease(busy, "c", lease_timeout=LEASE, now=NEAR))
    answered = note_failure(once, "a", is_answered=True, retry_after_ms=None, now=NEAR)
    assert answered is not None
    assert not was_lost(take_lease(answered, "b", lease_timeout=LEASE, now=NEAR))


def test_trouble_pauses_the_provider_and_gives_the_lease_back() -> None:
    """Nobody asks a provider in trouble before the pause is over; then anybody may."""
    leased = take_lease(HOLDING, "a", lease_timeout=LEASE, now=NEAR)
    failed = note_failure(leased, "a", is_answered=True, retry_after_ms=None, now=NEAR)
    assert failed is not None
    assert failed.lease is None
    assert _next(failed, NEAR + FIRST_PAUSE_MS - 1) is Next.PAUSE
    assert _next(failed, NEAR + FIRST_PAUSE_MS) is Next.REFRESH
    assert note_failure(leased, "b", is_answered=True, retry_after_ms=None, now=NEAR) is None


@given(failures=st.integers(0, 10_000), retry_after=st.none() | st.integers(0, 10**12))
def test_pauses_grow_and_have_an_end(failures: int, retry_after: int | None) -> None:
    """However often it failed and whatever the provider asks for, a pause is between the first and the longest."""
    leased = take_lease(replace(HOLDING, failures=failures), "a", lease_timeout=LEASE, now=NEAR)
    failed = note_failure(leased, "a", is_answered=True, retry_after_ms=retry_after, now=NEAR)
    assert failed is not None
    assert FIRST_PAUSE_MS <= failed.retry_at - NEAR <= LONGEST_PAUSE_MS
    assert failed.failures == failures + 1


def test_a_commit_forgets_the_trouble_before_it() -> None:
    """New tokens come without a lease, tries, failures or a pause."""
    leased = take_lease(replace(HOLDING, failures=3, tries=2, retry_at=NEAR), "a", lease_timeout=LEASE, now=NEAR)
    committed = commit_tokens(leased, replace(HOLDING, sealed="fresh"), generation=1)
    assert committed is not None
    assert (committed.lease, committed.tries, committed.failures, committed.retry_at) == (None, 0, 0, 0)
