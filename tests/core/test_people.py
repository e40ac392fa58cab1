"""How many sessions a person may have, and when they last proved who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.grants import Grant, Held
from stillhere.core.people import FRESH, Authentication, Fresh, authentication_of, surplus_of, write_fresh
from stillhere.core.policy import SessionLimitBy
from stillhere.core.records import EndedBy, Session
from stillhere.core.rules import end_session
from tests.stores.every import session_of
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Sequence

EVICTING = (SessionLimitBy.EVICT_OLDEST, SessionLimitBy.EVICT_LEAST_RECENT)


def began(name: str, created: int, active: int = 0) -> Session:
    """Make a session that began so many milliseconds after the start, and was active so many later."""
    return replace(session_of(name), handle=name, created_at=START + created, last_active_at=START + created + active)


def handles(sessions: Sequence[Session]) -> list[str]:
    """Name sessions."""
    return [session.handle for session in sessions]


@pytest.mark.parametrize("by", SessionLimitBy)
def test_below_the_limit_nobody_gives_way(by: SessionLimitBy) -> None:
    """As many as are allowed may stay."""
    assert surplus_of([began("a", 1), began("b", 2)], "b", limit=2, by=by) == []


@pytest.mark.parametrize(
    ("by", "given_way"),
    [(SessionLimitBy.EVICT_OLDEST, ["a"]), (SessionLimitBy.EVICT_LEAST_RECENT, ["b"]), (SessionLimitBy.REFUSE, ["c"])],
)
def test_who_gives_way_to_a_new_one(by: SessionLimitBy, given_way: list[str]) -> None:
    """The oldest, or the one inactive for longest, or the new one."""
    living = [began("c", 3), began("a", 1, active=100), began("b", 2)]
    assert handles(surplus_of(living, "c", limit=2, by=by)) == given_way


def test_a_sign_in_never_loses_to_somebody_busy() -> None:
    """Whoever is active in the very moment of a sign-in does not push it out again."""
    living = [began("a", 1, active=1_000), began("b", 2)]
    assert handles(surplus_of(living, "b", limit=1, by=SessionLimitBy.EVICT_LEAST_RECENT)) == ["a"]


def test_a_sign_in_that_later_ones_overtook_gives_way() -> None:
    """If as many as are allowed began after it, it goes, and so does everybody before it."""
    living = [began("a", 1, active=900), began("b", 2, active=800), began("c", 3)]
    for by in EVICTING:
        assert handles(surplus_of(living, "b", limit=1, by=by)) == ["a", "b"]


def test_at_the_same_instant_the_handle_decides() -> None:
    """All who look find the same order."""
    living = [began("b", 1), began("a", 1)]
    assert handles(surplus_of(living, "a", limit=1, by=SessionLimitBy.EVICT_OLDEST)) == ["a"]
    assert handles(surplus_of(living, "a", limit=1, by=SessionLimitBy.REFUSE)) == ["b"]


crowds = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), min_size=1, max_size=12).map(
    lambda facts: [began(f"h{n:02}", created, active) for n, (created, active) in enumerate(facts)]
)


@given(crowds, st.integers(1, 6), st.sampled_from(SessionLimitBy), st.data())
def test_whoever_looks_leaves_no_more_than_the_limit(crowd: list[Session], limit: int, by: SessionLimitBy, data: st.DataObject) -> None:
    """However they began and whoever looks, exactly the surplus is named, each once and of those that are there; order does not matter."""
    own = data.draw(st.sampled_from([*handles(crowd), "gone"]))
    surplus = surplus_of(crowd, own, limit=limit, by=by)
    assert len(surplus) == len(set(handles(surplus))) == max(0, len(crowd) - limit)
    assert set(handles(surplus)) <= set(handles(crowd))
    assert surplus_of(data.draw(st.permutations(crowd)), own, limit=limit, by=by) == surplus


@given(crowds, st.integers(1, 6), st.sampled_from([SessionLimitBy.EVICT_OLDEST, SessionLimitBy.REFUSE]), st.data())
def test_parallel_sign_ins_agree(crowd: list[Session], limit: int, by: SessionLimitBy, data: st.DataObject) -> None:
    """Each begins, looks, and ends the surplus, in any interleaving: exactly the limit is left, or all if they are fewer."""
    living = dict[str, Session]()
    # Each has two steps, in its own order: begin, then look; all steps are shuffled.
    for handle in data.draw(st.permutations([*handles(crowd), *handles(crowd)])):
        session = next(session for session in crowd if session.handle == handle)
        if f"{handle} began" not in living:
            living |= {f"{handle} began": session, handle: session}
            continue
        there = [one for name, one in living.items() if " " not in name]
        for one in surplus_of(there, handle, limit=limit, by=by):
            living.pop(one.handle)
    left = [name for name in living if " " not in name]
    assert len(left) == min(limit, len(crowd))


@given(crowds, st.integers(1, 6), st.data())
def test_parallel_sign_ins_by_least_recent_leave_no_more(crowd: list[Session], limit: int, data: st.DataObject) -> None:
    """The same, where activity decides: never more than the limit, and never nobody."""
    living, begun = dict[str, Session](), set[str]()
    for handle in data.draw(st.permutations([*handles(crowd), *handles(crowd)])):
        if handle not in begun:
            begun.add(handle)
            living[handle] = next(session for session in crowd if session.handle == handle)
            continue
        for one in surplus_of(list(living.values()), handle, limit=limit, by=SessionLimitBy.EVICT_LEAST_RECENT):
            del living[one.handle]
    assert 1 <= len(living) <= limit


SESSION = session_of("a")
LATER = START + 5_000


def held(session: Session | None = SESSION, *, auth_at: int = START + 1_000, until_at: int = 0, id_hash: str = SESSION.id_hash) -> Held:
    """Make a session with a proof."""
    document = write_fresh(Fresh(auth_at=auth_at, until_at=until_at, id_hash=id_hash))
    return Held(session=session, grant=Grant(handle="handle-a", kind=FRESH, version=1, document=document, check_at=0))


def test_a_sign_in_is_a_proof() -> None:
    """Without another, somebody proved who they are when their session began."""
    assert authentication_of(Held(session=SESSION, grant=None), SESSION.id_hash, now=LATER) == Authentication(at=START)


def test_a_later_proof_counts_instead() -> None:
    """It counts from then on, and whoever has not stepped up with it has not."""
    assert authentication_of(held(), SESSION.id_hash, now=LATER) == Authentication(at=START + 1_000)
    assert authentication_of(held(auth_at=START - 1), SESSION.id_hash, now=LATER) == Authentication(at=START)


def test_stepping_up_lapses_at_its_instant() -> None:
    """Up to it, and no longer."""
    stepped = held(until_at=LATER)
    assert authentication_of(stepped, SESSION.id_hash, now=LATER - 1) == Authentication(at=START + 1_000, stepped_up_until=LATER)
    assert authentication_of(stepped, SESSION.id_hash, now=LATER) == Authentication(at=START + 1_000)


def test_a_proof_under_another_id_is_none() -> None:
    """A rotation takes it back: whoever holds the new id did not give it."""
    rotated = replace(SESSION, id_hash="B" * 43)
    assert authentication_of(held(rotated, until_at=LATER + 1), rotated.id_hash, now=LATER) == Authentication(at=START)


def test_nobody_has_proved_anything_in_a_session_that_is_not_theirs_or_over() -> None:
    """Not there, another id, ended, lapsed: no answer at all."""
    assert authentication_of(held(None), SESSION.id_hash, now=LATER) is None
    assert authentication_of(held(), "B" * 43, now=LATER) is None
    assert authentication_of(held(end_session(SESSION, EndedBy.REVOKED, now=LATER)), SESSION.id_hash, now=LATER) is None
    assert authentication_of(held(), SESSION.id_hash, now=SESSION.absolute_end_at) is None
