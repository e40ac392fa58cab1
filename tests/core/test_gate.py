"""The gate's rules: in which order lists are asked, and what a code is worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.gate import CODE_BYTES, CODE_DIGITS, Judged, Lists, is_code, judge, read_code, seal_code, write_code
from stillhere.core.lists import read_list

PATTERNS = ("a@firm.example", "@firm.example", "@other.example", "@*.example")
SOME = st.lists(st.sampled_from(PATTERNS), max_size=3, unique=True).map(read_list)


@pytest.mark.parametrize(
    ("block", "allow", "deny", "judged"),
    [
        ("", "", "", Judged.ASKED),
        ("a@firm.example", "a@firm.example", "a@firm.example", Judged.BLOCKED),
        ("", "@other.example", "a@firm.example", Judged.NOT_ALLOWED),
        ("", "@firm.example", "a@firm.example", Judged.DENIED),
        ("", "@firm.example", "b@firm.example", Judged.ASKED),
        ("", "", "@firm.example", Judged.DENIED),
        ("@other.example", "@firm.example", "", Judged.ASKED),
    ],
)
def test_lists_are_asked_in_order(block: str, allow: str, deny: str, judged: Judged) -> None:
    """Block comes first, then allow, then deny; who passes is asked for the code, or is in."""
    lists = Lists(read_list(block), read_list(allow), read_list(deny))
    assert judge("A@firm.example", lists, asks_for_code=True) is judged
    without = judge("A@firm.example", lists, asks_for_code=False)
    assert without is (Judged.ADMITTED if judged is Judged.ASKED else judged)
    assert judged.is_refused is without.is_refused is (judged is not Judged.ASKED)


@given(SOME, SOME, SOME, st.sampled_from(["a@firm.example", "b@firm.example", "a@other.example", "x@sub.example"]))
def test_a_longer_list_never_lets_in_whom_it_is_to_keep_out(block: object, allow: object, deny: object, email: str) -> None:
    """Whoever is on the block or the deny list stays out, whatever else the lists say; and who is let in is on neither."""
    lists = Lists(block, allow, deny)  # type: ignore[arg-type]  # Hypothesis maps lose their type
    out = lists.block.matches(email) or lists.deny.matches(email) or (bool(lists.allow) and not lists.allow.matches(email))
    assert judge(email, lists, asks_for_code=True).is_refused is out


@given(st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES), st.text(alphabet=" \t-\u00a0\u2009", max_size=5), st.integers(0, CODE_DIGITS))
def test_a_code_is_read_as_it_is_typed(drawn: bytes, gap: str, at: int) -> None:
    """A code has eight digits, and is the same with spaces and hyphens and in the digits of another script."""
    code = write_code(drawn)
    assert len(code) == CODE_DIGITS
    assert code.isdecimal()
    assert read_code(f"{gap}{code[:at]}{gap}{code[at:]}{gap}") == code
    assert read_code(code.translate({ord("0") + n: 0x0660 + n for n in range(10)})) == code


@pytest.mark.parametrize(
    "typed", ["", "1234567", "123456789", "1234567a", "12345\uff167\u00b2", "-" * 8, "1" * 1_000_000, "+1234567", "1234567\0"]
)
def test_what_can_be_no_code(typed: str) -> None:
    """Anything but eight digits is no code."""
    assert read_code(typed) is None


def test_a_code_is_good_for_its_browser_address_and_terms() -> None:
    """The hash that is kept holds for the very code, nonce, address and version of the terms, and tells none of them."""
    sealed = seal_code("12345678", nonce="n", email="a@firm.example", terms="v1")
    assert "12345678" not in sealed
    assert is_code(sealed, "12345678", nonce="n", email="a@firm.example", terms="v1")
    assert not is_code(sealed, "12345679", nonce="n", email="a@firm.example", terms="v1")
    assert not is_code(sealed, "12345678", nonce="m", email="a@firm.example", terms="v1")
    assert not is_code(sealed, "12345678", nonce="n", email="b@firm.example", terms="v1")
    assert not is_code(sealed, "12345678", nonce="n", email="a@firm.example", terms="v2")
