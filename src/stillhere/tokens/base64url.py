"""Base64 for URLs without padding (RFC 7515 section 2), read strictly: each run of bytes has one text, and no other is accepted.

A lenient reader gives one token many texts, so that a list of revoked ones, or a changed byte, goes unnoticed.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def write(raw: bytes) -> str:
    """Write bytes as text."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def read(text: str) -> bytes | None:
    """Read text as bytes, or None if no bytes are written so."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return raw if write(raw) == text else None
