"""Ids: how random bytes become a handle and a secret id, and how a cookie is read back. The bytes are passed in; nothing here draws any.

A secret id is `<handle>.<random text>`. The handle finds the session, the hash of the whole proves it: a store needs no index of
secrets, a rotation changes one record, and no store ever answers to a guess by its first letters.
"""

from __future__ import annotations

import re
from base64 import b32encode
from binascii import b2a_base64
from hashlib import sha256
from typing import Final

SECRET_BYTES: Final = 32
"""256 bits; OWASP ASVS 5.0 item 7.2.3 asks for 128."""

HANDLE_BYTES: Final = 12
"""96 bits: enough never to meet another, short enough to read."""

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")

_ID_SHAPE: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_-]{43}\Z")


def write_handle(random_bytes: bytes) -> str:
    """Write random bytes as a handle: small letters and digits, so that it can be typed, and is no option on a command line."""
    return b32encode(random_bytes).rstrip(b"=").decode("ascii").lower()


def write_id(handle: str, random_bytes: bytes) -> str:
    """Write random bytes as the secret id of the session of that handle, for a cookie or a URL."""
    return f"{handle}.{_text(random_bytes)}"


def read_id(secret: str | None) -> tuple[str, str] | None:
    """Read the handle and the hash of a secret id, or None if the text cannot be one; then the store need not be asked."""
    found = None if secret is None else _ID_SHAPE.match(secret)
    return None if found is None else (found[1], hash_secret(found[0]))


def hash_secret(secret: str) -> str:
    """Hash a secret id for the store. Its 256 random bits need neither salt nor stretching."""
    return _text(sha256(secret.encode("utf-8", "surrogatepass")).digest())


def hash_name(name: str) -> str:
    """Hash a name that others may have chosen, so that a store keeps 43 plain letters whatever it is, and finds nothing else by it."""
    return hash_secret(name)


def _text(random_bytes: bytes) -> str:
    return b2a_base64(random_bytes, newline=False).translate(_URL_SAFE, b"=").decode("ascii")
