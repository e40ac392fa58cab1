"""Lists of addresses: who is meant, and who is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.addresses import read_email, shortened
from stillhere.core.lists import AddressList, read_list
from stillhere.errors import SettingsError

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
LOCAL = st.from_regex(r"[a-zA-Z0-9!#$%&'+/=?^_`{|}~.-]{1,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("pattern", "email", "is_meant"),
    [
        ("a@firm.example", "a@firm.example", True),
        ("A@Firm.Example", "a@firm.example", True),
        ("a@firm.example", "A@FIRM.EXAMPLE", True),
        ("a@firm.example", "b@firm.example", False),
        ("a@firm.example", "a+x@firm.example", False),
        ("a+x@firm.example", "a@firm.example", False),
        ("a@firm.example", "a@firm.example.", True),
        ("a@firm.example.", "a@firm.example", True),
        ("@firm.example", "anybody@firm.example", True),
        ("@firm.example", "anybody@sub.firm.example", False),
        ("@firm.example", "anybody@notfirm.example", False),
        ("@firm.example", "anybody@firm.example.evil.example", False),
        ("@*.firm.example", "anybody@sub.firm.example", True),
        ("@*.firm.example", "anybody@a.b.firm.example", True),
        ("@*.firm.example", "anybody@firm.example", False),
        ("@*.firm.example", "anybody@notfirm.example", False),
        ("@*.example", "anybody@firm.example", True),
        ("@bücher.example", "a@xn--bcher-kva.example", True),
        ("@xn--bcher-kva.example", "a@Bücher.example", True),
        ("@*.bücher.example", "a@shop.BÜCHER.example", True),
        ("jörg@firm.example", "JÖRG@firm.example", True),
        ("mark@firm.example", "mar\u212a@firm.example", False),
        ("@firm.example", "no address", False),
        ("@firm.example", "@firm.example", False),
        ("@firm.example", "", False),
        ("@firm.example", "a@firm.example..", False),
        ("@firm.example", "a@evil.example@firm.example", False),
        ("@localhost", "root@localhost", True),
    ],
)
def test_who_is_meant(pattern: str, email: str, *, is_meant: bool) -> None:
    """A pattern means its address or its domain, whatever the capitals, and nobody who only looks like it."""
    assert AddressList((pattern,)).matches(email) is is_meant


@pytest.mark.parametrize(
    "pattern",
    [
        *("", " ", "@", "firm.example", "*@firm.example", "@*", "@*.", "*.firm.example", "@*firm.example", "a@*.firm.example"),
        *("a b@firm.example", "@firm..example", "@-firm.example", "@firm.example..", "a@b@c.example", "@a.*.example", "@@firm.example"),
    ],
)
def test_what_is_no_pattern_is_refused_by_name(pattern: str) -> None:
    """A pattern that would mean nobody, or somebody else than it seems, is refused at start, and the message names it."""
    with pytest.raises(SettingsError, match="is no address and no domain; write someone@") as refused:
        AddressList(("fine@firm.example", pattern))
    assert repr(pattern) in str(refused.value)


def test_a_list_is_read_from_text() -> None:
    """Commas, spaces and line ends separate, a comment goes to the end of its line, and what came twice is kept once."""
    text = "# our people\na@firm.example, @Firm.Example\r\n@*.firm.example # all branches, x@y\n\na@FIRM.example,b#c@firm.example"
    assert read_list(text).patterns == ("a@firm.example", "@firm.example", "@*.firm.example", "b#c@firm.example")
    assert read_list(["A@firm.example "]).patterns == ("a@firm.example",)


def test_an_empty_list_means_nobody() -> None:
    """Nothing on it: it is false, and matches nothing."""
    for empty in (AddressList(), read_list(""), read_list(" \n# nobody\n"), read_list([])):
        assert not empty
        assert not empty.matches("a@firm.example")
    assert read_list("@firm.example")


@given(LOCAL, DOMAIN, LABEL)
def test_every_address_is_meant_by_its_own_patterns(local: str, domain: str, label: str) -> None:
    """An address is meant by itself, by its domain and by what its domain is below; and by none of them at another domain."""
    email, elsewhere = f"{local}@{label}.{domain}", f"{local}@{label}.{domain}.other"
    for pattern in (email, email.upper(), f"@{label}.{domain}", f"@*.{domain}"):
        listed = read_list([pattern])
        assert listed.matches(email)
        assert listed.matches(email.swapcase())
        assert not listed.matches(elsewhere)
        assert not listed.matches(f"x{email}") or pattern.startswith("@")


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_breaks_a_list(pattern: str, email: str) -> None:
    """Whatever is asked or listed, the answer is yes, no or a refusal; a list that was read reads the same again."""
    try:
        listed = read_list([pattern])
    except SettingsError:
        return
    assert listed.matches(email) in {True, False}
    assert read_list(listed.patterns) == listed


@given(st.text(max_size=40))
def test_what_is_read_is_read_again_the_same(text: str) -> None:
    """An address in one spelling is in that spelling still when it is read once more, and no line end is in it."""
    email = read_email(text)
    if email is not None:
        assert read_email(email) == email
        assert not set("\r\n\0 ") & set(email)


def test_an_address_is_shortened_for_logs() -> None:
    """A log tells the first letter, if it can be shown, and the domain."""
    assert shortened("someone@firm.example") == "s…@firm.example"
    assert shortened("\u202esomeone@firm.example") == "?…@firm.example"


@pytest.mark.parametrize(
    ("listed", "pattern", "is_covered"),
    [
        ("a@firm.example", "a@firm.example", True),
        ("@firm.example", "a@firm.example", True),
        ("a@firm.example", "@firm.example", False),
        ("@firm.example", "@firm.example", True),
        ("@*.firm.example", "@firm.example", False),
        ("@*.firm.example", "@sub.firm.example", True),
        ("@*.firm.example", "@*.sub.firm.example", True),
        ("@*.firm.example", "@*.firm.example", True),
        ("@sub.firm.example", "@*.firm.example", False),
        ("@firm.example", "@*.firm.example", False),
    ],
)
def test_who_is_meant_by_whom(listed: str, pattern: str, *, is_covered: bool) -> None:
    """A list covers a pattern if everybody whom that means is on it."""
    assert AddressList((listed,)).covers(pattern) is is_covered


@given(DOMAIN, st.sampled_from(["@", "@*."]), LOCAL, LABEL)
def test_who_is_covered_is_meant(domain: str, begins: str, local: str, label: str) -> None:
    """Whoever is meant by a pattern is meant by a list that covers it."""
    (listed,) = read_list([f"@*.{domain.rpartition('.')[2]}"]).patterns
    (pattern,) = read_list([f"{begins}{domain}"]).patterns
    email = f"{local}@{label}.{domain}" if begins == "@*." else f"{local}@{domain}"
    if AddressList((listed,)).covers(pattern) and AddressList((pattern,)).matches(email):
        assert AddressList((listed,)).matches(email)
