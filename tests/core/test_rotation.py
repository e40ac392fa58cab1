"""Own refresh tokens: what a presented one is to its family."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.rotation import Family, Presented, Standing, begin_family, read_token, see_turn, standing_of, successor_of, turn_family

NOW = 1_700_000_000_000
REPLAY, GRACE = 120_000, 10_000


def _begun() -> tuple[Family, str]:
    return begin_family("handle", secret=b"s" * 32, tag_key=b"k" * 32, now=NOW)


def _read(text: str) -> Presented:
    presented = read_token(text)
    assert presented is not None
    return presented


def _standing(family: Family, text: str, now: int = NOW) -> Standing:
    return standing_of(family, _read(text), replay_timeout=REPLAY, grace=GRACE, now=now)


def _turned(family: Family, text: str, salt: bytes = b"1" * 32, now: int = NOW) -> tuple[Family, str]:
    turned = turn_family(family, _read(text), salt=salt, now=now)
    return turned, successor_of(turned, _read(text))


def test_the_first_token_is_current() -> None:
    """A family begins with a token that is good."""
    family, first = _begun()
    assert _standing(family, first) is Standing.CURRENT
    assert family.turn == 1


def test_a_turn_makes_a_successor_that_is_current() -> None:
    """After a turn the successor is good, and has the next number."""
    family, first = _begun()
    family, second = _turned(family, first)
    assert second != first
    assert _standing(family, second) is Standing.CURRENT
    assert family.turn == 2


def test_a_repeated_parent_gets_the_same_successor() -> None:
    """Whoever presents the parent again is given the very token that was lost, and nothing changes."""
    family, first = _begun()
    family, second = _turned(family, first)
    assert _standing(family, first) is Standing.REPEATED
    assert successor_of(family, _read(first)) == second


def test_the_parent_is_theft_once_its_successor_was_used() -> None:
    """A successor that was used for a turn makes its parent an older ancestor, which two parties must have."""
    family, first = _begun()
    family, second = _turned(family, first)
    family, third = _turned(family, second, salt=b"2" * 32)
    assert _standing(family, first) is Standing.REUSED
    assert _standing(family, second) is Standing.REPEATED
    assert _standing(family, third) is Standing.CURRENT


def test_the_parent_is_theft_when_the_successors_access_token_has_been_in_use_for_longer_than_a_request_travels() -> None:
    """Requests that were on their way when the successor came into use are forgiven, later ones are not."""
    family, first = _begun()
    family, _ = _turned(family, first)
    seen = see_turn(family, 2, now=NOW + 1_000)
    assert seen is not None
    assert _standing(seen, first, NOW + 1_000 + GRACE) is Standing.REPEATED
    assert _standing(seen, first, NOW + 1_000 + GRACE + 1) is Standing.REUSED


def test_the_parent_cannot_be_repeated_for_ever() -> None:
    """Past the cap a repeated parent is theft, whether its successor was seen or not."""
    family, first = _begun()
    family, _ = _turned(family, first)
    assert _standing(family, first, NOW + REPLAY) is Standing.REPEATED
    assert _standing(family, first, NOW + REPLAY + 1) is Standing.REUSED


def test_use_is_noted_once_and_for_the_current_turn_only() -> None:
    """Only the first use of the newest turn's access token is news."""
    family, first = _begun()
    seen = see_turn(family, 1, now=NOW)
    assert seen is not None
    assert see_turn(seen, 1, now=NOW + 1) is None
    turned, _ = _turned(seen, first)
    assert turned.seen_at is None
    assert see_turn(turned, 1, now=NOW) is None


def test_a_made_up_token_is_nothing_and_no_theft() -> None:
    """Who knows a handle cannot end its session by presenting a text of the right shape."""
    family, first = _begun()
    family, _ = _turned(family, first)
    assert _standing(family, "handle." + "A" * 65) is Standing.UNKNOWN


@given(position=st.integers(0, 64), letter=st.sampled_from("ABCxyz019-_"))
def test_any_other_letter_makes_a_token_nothing(position: int, letter: str) -> None:
    """A token with one letter changed is not of its family, be it the current one, the parent or an ancestor."""
    family, first = _begun()
    turned, second = _turned(family, first)
    for text in (first, second):
        at = len("handle.") + position
        changed = text[:at] + letter + text[at + 1 :]
        assert changed == text or _standing(turned, changed) is Standing.UNKNOWN


def test_a_token_of_another_session_is_nothing() -> None:
    """The tag holds the handle: a family's token says nothing in another name."""
    family, first = _begun()
    assert _standing(family, first.replace("handle", "other")) is Standing.UNKNOWN


@given(st.text(max_size=200))
def test_texts_of_other_shapes_are_not_read(text: str) -> None:
    """What cannot be a refresh token is None; a secret id cannot be one."""
    presented = read_token(text)
    assert presented is None or f"{presented.handle}.{presented.secret}{presented.tag}" == text
    assert read_token("handle." + "A" * 43) is None
    assert read_token(None) is None


def test_what_is_kept_holds_no_token_and_derives_none() -> None:
    """The record has neither a token's secret nor what a successor can be made of without its parent's."""
    family, first = _begun()
    family, second = _turned(family, first)
    kept = repr(family)
    for token in (first, second):
        assert _read(token).secret not in kept
        assert _read(token).tag not in kept
    assert "secret" not in repr(_read(first))


@given(st.lists(st.sampled_from(["current", "parent", "ancestor"]), max_size=12))
def test_only_the_holder_of_the_newest_token_goes_on(presented: list[str]) -> None:
    """In any order of uses: the current token turns, the parent repeats what was given, an ancestor is theft; nobody gets a branch."""
    family, first = _begun()
    tokens = [first]
    for turn, which in enumerate(presented):
        if which == "current":
            family, token = _turned(family, tokens[-1], salt=turn.to_bytes(32, "big"))
            tokens.append(token)
        elif which == "parent" and len(tokens) > 1:
            assert _standing(family, tokens[-2]) is Standing.REPEATED
            assert successor_of(family, _read(tokens[-2])) == tokens[-1]
        elif len(tokens) > 2:
            assert _standing(family, tokens[-3]) is Standing.REUSED
    assert len(set(tokens)) == len(tokens) == family.turn
