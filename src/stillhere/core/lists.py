"""Lists of e-mail addresses: who is meant by a pattern. One rule for whom the gate lets in and for who counts as internal."""

from __future__ import annotations

import re
from collections.abc import Sequence  # noqa: TC003  # beside the record, whose annotations are read at run time
from typing import Final

import msgspec

from stillhere.core.addresses import read_email
from stillhere.errors import SettingsError

_ADVICE: Final = "write someone@firm.example, @firm.example for a domain, or @*.firm.example for its subdomains"

_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)


class AddressList(msgspec.Struct, frozen=True):
    """Addresses and domains.

    `someone@firm.example` is that address, `@firm.example` everybody of that domain and of none below it, `@*.firm.example`
    everybody of the domains below it, at any depth, and not of itself. Capitals do not count. What follows a plus does: `a+b@firm.example`
    is another address than `a@firm.example`, for only that domain's mail server knows whether they are one person.

    Attributes:
        patterns: as read, in one spelling.

    Raises:
        SettingsError: if a pattern is none of these; the message names it.
    """

    patterns: tuple[str, ...] = ()
    _known: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Bring every pattern into one spelling."""
        patterns = tuple(dict.fromkeys(_read(pattern) for pattern in self.patterns))
        msgspec.structs.force_setattr(self, "patterns", patterns)
        msgspec.structs.force_setattr(self, "_known", frozenset(patterns))

    def __bool__(self) -> bool:
        """Tell whether anything is on it."""
        return bool(self.patterns)

    def matches(self, email: str) -> bool:
        """Tell whether an address is meant; what is no address never is."""
        read = read_email(_without_dot(email))
        if read is None or not self._known:
            return False
        folded = _fold(read)
        return folded in self._known or self._has_domain(folded.rpartition("@")[2])

    def covers(self, pattern: str) -> bool:
        """Tell whether everybody is meant whom a pattern means, by one pattern of this list.

        Args:
            pattern: in the spelling of `patterns`.
        """
        if not pattern.startswith("@"):
            return self.matches(pattern)
        if pattern.startswith("@*."):
            return pattern in self._known or self._has_parent(pattern.removeprefix("@*."))
        return self._has_domain(pattern.removeprefix("@"))

    def _has_domain(self, domain: str) -> bool:
        return f"@{domain}" in self._known or self._has_parent(domain)

    def _has_parent(self, domain: str) -> bool:
        labels = domain.split(".")
        return any(f"@*.{'.'.join(labels[n:])}" in self._known for n in range(1, len(labels)))


def read_list(told: str | Sequence[str]) -> AddressList:
    """Read a list.

    Args:
        told: patterns; as one text they are separated by commas, spaces or line ends, and `#` begins a comment.

    Raises:
        SettingsError: if one of them is none; the message names it.
    """
    if isinstance(told, str):
        told = [part for part in re.split(r"[\s,]+", _COMMENT.sub("", told)) if part]
    return AddressList(tuple(told))


def _read(pattern: str) -> str:
    text = _without_dot(pattern.strip())
    begins = next((begin for begin in ("@*.", "@") if text.startswith(begin)), "")
    email = read_email(f"somebody@{text.removeprefix(begins)}" if begins else text)
    if email is None or "*" in email:
        raise SettingsError(f"{pattern!r} is no address and no domain; {_ADVICE}")
    return f"{begins}{email.removeprefix('somebody@')}" if begins else _fold(email)


def _without_dot(text: str) -> str:
    text = text.strip()
    return text[:-1] if text.endswith(".") and not text.endswith("..") else text


def _fold(email: str) -> str:
    # No letter of another script may become one of ASCII, as the Kelvin sign would: whoever owns the one address is not who is meant.
    return "".join(lower if (lower := letter.lower()).isascii() == letter.isascii() else letter for letter in email)
