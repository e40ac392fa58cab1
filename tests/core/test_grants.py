"""The rule by which a grant is replaced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.grants import Grant, Held, swap_grant
from stillhere.core.records import EndedBy, Session
from stillhere.core.rules import end_session
from stillhere.testing.scene import ABSOLUTE, IDLE, session_of
from tests.support import START

SESSION = session_of("a")
OVER = end_session(SESSION, EndedBy.SIGNED_OUT, now=START)


def grant_of(version: int, document: str = "{}") -> Grant:
    """Make a grant of the session above."""
    return Grant(handle=SESSION.handle, kind="provider", version=version, document=document, check_at=START + 1)


def test_the_first_write_has_number_one() -> None:
    """Where nothing is held only version 1 is kept."""
    nothing = Held(session=SESSION, grant=None)
    assert [swap_grant(nothing, grant_of(n), now=START) for n in range(-1, 4)] == [None, None, grant_of(1), None, None]


def test_the_next_version_takes_the_place() -> None:
    """Only the version after the one that is held is kept, however the documents differ."""
    held = Held(session=SESSION, grant=grant_of(5))
    kept = [swap_grant(held, grant_of(n, '{"new":1}'), now=START) for n in range(4, 8)]
    assert kept == [None, None, grant_of(6, '{"new":1}'), None]


@pytest.mark.parametrize("document", ["{}", '{"other":1}'])
@pytest.mark.parametrize("session", [SESSION, OVER, None])
def test_a_repetition_is_done_again(document: str, session: Session | None) -> None:
    """The very same grant is kept once more, also if its session ended meanwhile; one that differs in anything is not."""
    held = Held(session=session, grant=grant_of(5))
    assert swap_grant(held, grant_of(5, document), now=START) == (grant_of(5) if document == "{}" else None)
    assert swap_grant(held, replace(grant_of(5), check_at=START), now=START) is None


@pytest.mark.parametrize(
    ("session", "now"), [(None, START), (OVER, START - 9), (SESSION, START + IDLE), (SESSION, START + ABSOLUTE), (OVER, START)]
)
def test_nothing_is_written_for_who_is_over(session: Session | None, now: int) -> None:
    """A session that is not there, has ended or has lapsed takes no grant."""
    held = Held(session=session, grant=None)
    assert swap_grant(held, grant_of(1), now=now) is None
    assert swap_grant(replace(held, grant=grant_of(1)), grant_of(2), now=now) is None


@given(kept=st.none() | st.integers(1, 4), version=st.integers(-1, 6), span=st.integers(-5, IDLE + 5))
def test_the_rule_in_one_line(kept: int | None, version: int, span: int) -> None:
    """A different document is kept if, and only if, the session lives and the version is the next."""
    held = Held(session=SESSION, grant=None if kept is None else grant_of(kept))
    new = grant_of(version, '{"new":1}')
    assert swap_grant(held, new, now=START + span) == (new if span < IDLE and version == (kept or 0) + 1 else None)
