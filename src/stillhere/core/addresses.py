"""E-mail addresses: read as typed, in one spelling, and shortened for logs."""

from __future__ import annotations

import re
from typing import Final

# One @, nothing that could end a line or a header, a domain of labels. Whether the address exists only a message could tell.
_EMAIL: Final = re.compile(
    r"[^@\s\x00-\x20\x7f\ud800-\udfff<>\"(),:;\\\[\]]{1,64}@(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z"
)


def read_email(text: str) -> str | None:
    """Read an e-mail address as typed: trimmed, its domain in lower case and ASCII; None if it is none."""
    local, at, domain = text.strip().rpartition("@")
    try:
        ascii_domain = domain.lower() if domain.isascii() else domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    email = f"{local}{at}{ascii_domain}"
    return email if _EMAIL.match(email) else None


def shortened(email: str) -> str:
    """Shorten an address for a log: its first character and its domain, enough to recognise somebody one knows already."""
    local, _, domain = email.rpartition("@")
    return f"{local[0] if local[:1].isprintable() and local else '?'}…@{domain}"
