"""The gate's rules: who may enter, and what a code typed at it is worth. Pure; what is random is passed in."""

from __future__ import annotations

from enum import StrEnum
from hmac import compare_digest
from typing import Final

import msgspec

from stillhere.core.ids import hash_secret
from stillhere.core.lists import AddressList

CODE_DIGITS: Final = 8
"""With five guesses a code and thirty codes an hour for an address, guessing takes more than fifty years."""

CODE_BYTES: Final = 16
"""Random bytes for a code: so many more than needed that every code is as likely as any other."""

CODE_TIMEOUT: Final = 600_000
"""How long a code is good, milliseconds."""

GUESSES: Final = 5
"""How often one may type a code; then it is spent."""


class Lists(msgspec.Struct, frozen=True):
    """Who may enter.

    Attributes:
        block: these never, whatever else is said.
        allow: only these, if anybody is on it.
        deny: these not, of those that are allowed.
    """

    block: AddressList = AddressList()
    allow: AddressList = AddressList()
    deny: AddressList = AddressList()


class Judged(StrEnum):
    """What the gate does about an address."""

    BLOCKED = "blocked"
    NOT_ALLOWED = "not_allowed"
    DENIED = "denied"
    ASKED = "asked"
    ADMITTED = "admitted"

    @property
    def is_refused(self) -> bool:
        """Whether a list keeps it out."""
        return self in {Judged.BLOCKED, Judged.NOT_ALLOWED, Judged.DENIED}


GATE_ANSWERS: Final = (*(judged.value for judged in Judged), "wrong_access_code", "wrong_code", "entered")
"""What a gate counts: what it judged of addresses, what was typed wrongly, and sessions that it began."""


def judge(email: str, lists: Lists, *, asks_for_code: bool) -> Judged:
    """Judge an address: block, then allow, then deny, then the code.

    Args:
        email: as `read_email` gives it.
        lists: who may enter.
        asks_for_code: whether who may enter has to show that the address is theirs.
    """
    if lists.block.matches(email):
        return Judged.BLOCKED
    if lists.allow and not lists.allow.matches(email):
        return Judged.NOT_ALLOWED
    if lists.deny.matches(email):
        return Judged.DENIED
    return Judged.ASKED if asks_for_code else Judged.ADMITTED


def write_code(random_bytes: bytes) -> str:
    """Write random bytes as a code to be typed."""
    return f"{int.from_bytes(random_bytes) % 10**CODE_DIGITS:0{CODE_DIGITS}}"


def read_code(typed: str) -> str | None:
    """Read a code as typed, with whatever spaces and hyphens, in the digits of any script; None if it cannot be one."""
    kept = [letter for letter in typed[:100] if not letter.isspace() and letter != "-"]
    if len(kept) != CODE_DIGITS or not all(letter.isdecimal() for letter in kept):
        return None
    return "".join(str(int(letter)) for letter in kept)


def seal_code(code: str, *, nonce: str, email: str, terms: str) -> str:
    """Hash a code for the store.

    A code of eight digits alone would be guessed from its hash in a second; the nonce, which only the browser that asked has, keeps
    whoever reads the store from that. The address and the terms are bound to it, too.

    Args:
        code: as `read_code` gives it.
        nonce: 128 random bits as text.
        email: whom it was sent to.
        terms: which version was accepted, or an empty text.
    """
    return hash_secret(f"{nonce}\0{email}\0{terms}\0{code}")


def is_code(sealed: str, code: str, *, nonce: str, email: str, terms: str) -> bool:
    """Tell whether a code is the one that was sealed; how long that takes tells nothing."""
    return compare_digest(sealed, seal_code(code, nonce=nonce, email=email, terms=terms))
