"""Ids: how random bytes become a secret id, its hash and a public handle. The bytes are passed in; nothing here draws any."""

from __future__ import annotations

import re
from base64 import b32encode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

SECRET_BYTES: Final = 32
"""256 bits; OWASP ASVS 5.0 item 7.2.3 asks for 128."""

HANDLE_BYTES: Final = 12
"""96 bits: enough never to meet another, short enough to read."""

_SECRET_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def write_id(random_bytes: bytes) -> str:
    """Write random bytes as text for a cookie or a URL: base64url without padding."""
    return urlsafe_b64encode(random_bytes).rstrip(b"=").decode("ascii")


def write_handle(random_bytes: bytes) -> str:
    """Write random bytes as a handle: small letters and digits, so that it can be typed, and is no option on a command line."""
    return b32encode(random_bytes).rstrip(b"=").decode("ascii").lower()


def hash_secret(secret: str) -> str:
    """Hash a secret id for the store. Its 256 random bits need neither salt nor stretching."""
    return write_id(sha256(secret.encode("utf-8", "surrogatepass")).digest())


def looks_like_secret(text: str) -> bool:
    """Tell whether a cookie's value can be an id at all; if not, the store need not be asked."""
    return _SECRET_SHAPE.match(text) is not None
