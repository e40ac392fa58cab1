"""Own refresh tokens: which one is current, which repeats a lost answer, which is theft. Pure.

Theory of operation. A session has one *family* of refresh tokens. Each use of the current one makes its *successor*, which is then the
current one, and the used one is its *parent*. Only hashes are kept. A successor is derived from its parent and a salt that is kept:

    secret of the successor = HMAC-SHA256(secret of the parent, salt)

So whoever repeats the parent, because the answer was lost, gets the very same successor, although nobody kept it; and whoever reads the
store can derive nothing, for the parent's secret is not in it.

Every token also carries a tag made with a key of its family. It opens nothing. It tells an older ancestor, which is theft, from
a text that somebody made up, which is nothing: or anyone who knows a public handle could end that session.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

import msgspec
from msgspec.structs import replace

REFRESH: Final = "refresh"
"""The kind of grant that holds a family."""

SECRET_BYTES: Final = 32
SALT_BYTES: Final = 32
TAG_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_SECRET_CHARS: Final = 43

_SHAPE: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{22})\Z")


class Family(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is kept of a session's refresh tokens.

    Attributes:
        current: SHA-256 of the current token's secret, base64url.
        parent: the same of the token before it, or None if it is the first.
        salt: what the current token was derived from its parent with, base64url; None as above.
        tag_key: tells this family's tokens from made-up ones, base64url.
        turn: number of the current token, from 1.
        turned_at: when the current token was made.
        seen_at: when the current token's turn was first seen in use, by an access token of it; None if it was not.
    """

    current: str
    parent: str | None = None
    salt: str | None = None
    tag_key: str
    turn: int = 1
    turned_at: int
    seen_at: int | None = None


class Presented(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A refresh token as somebody presented it.

    Attributes:
        handle: of the session it speaks for.
        secret: its secret part.
        tag: what shows that it is of its family.
    """

    handle: str
    secret: str
    tag: str

    def __repr__(self) -> str:
        """Show whose it is, and nothing of it."""
        return f"Presented(handle={self.handle!r})"


class Standing(StrEnum):
    """What a presented token is to its family."""

    CURRENT = "current"
    """Good: it gets a successor."""
    REPEATED = "repeated"
    """The parent of the current token, whose answer may have been lost: it gets that token once more."""
    REUSED = "reused"
    """It had been followed by others that were used: two parties have this family."""
    UNKNOWN = "unknown"
    """Nothing of this family."""


def read_token(text: str | None) -> Presented | None:
    """Read a refresh token, or None if the text cannot be one; then the store need not be asked."""
    found = None if text is None else _SHAPE.match(text)
    return None if found is None else Presented(handle=found[1], secret=found[2], tag=found[3])


def begin_family(handle: str, *, secret: bytes, tag_key: bytes, now: int) -> tuple[Family, str]:
    """Begin a family.

    Args:
        handle: the session's.
        secret: 32 random bytes.
        tag_key: 32 more.
        now: milliseconds since 1970.

    Returns:
        What is kept, and the first token.
    """
    family = Family(current=_hash(_text(secret)), tag_key=_text(tag_key), turned_at=now)
    return family, _token(handle, _text(secret), family)


def standing_of(family: Family, presented: Presented, *, replay_timeout: int, grace: int, now: int) -> Standing:
    """Tell what a token is to its family. Compares in constant time.

    The parent may be repeated until its successor was seen in use, as SuperTokens has it, and only it, as Supabase has it: then nobody
    is signed out by a lost answer, and nobody gets a branch of their own.

    Args:
        family: as it is kept.
        presented: the token.
        replay_timeout: how long after its use the parent may be repeated at most, milliseconds.
        grace: how long it may still be repeated once the successor's access token was seen, milliseconds: requests that were on their
            way with the older token when the newer arrived (TriliumNext/Trilium pull request 10371).
        now: milliseconds since 1970.
    """
    hashed = _hash(presented.secret)
    if not compare_digest(presented.tag, _tag(presented.handle, presented.secret, family.tag_key)):
        return Standing.UNKNOWN
    if compare_digest(hashed, family.current):
        return Standing.CURRENT
    if family.parent is None or not compare_digest(hashed, family.parent):
        return Standing.REUSED
    may_repeat = now - family.turned_at <= replay_timeout and (family.seen_at is None or now - family.seen_at <= grace)
    return Standing.REPEATED if may_repeat else Standing.REUSED


def turn_family(family: Family, presented: Presented, *, salt: bytes, now: int) -> Family:
    """Let the current token be followed by its successor.

    Args:
        family: as it is kept; `presented` is its current token.
        presented: the token.
        salt: 32 random bytes.
        now: milliseconds since 1970.
    """
    successor = _successor(presented.secret, _text(salt))
    return replace(
        family,
        current=_hash(successor),
        parent=family.current,
        salt=_text(salt),
        turn=family.turn + 1,
        turned_at=now,
        seen_at=None,
    )


def successor_of(family: Family, presented: Presented) -> str:
    """Write the current token once more, for whoever presents its parent."""
    return _token(presented.handle, _successor(presented.secret, family.salt or ""), family)


def see_turn(family: Family, turn: int, *, now: int) -> Family | None:
    """Take note that a turn's access token was used; None if that is no news."""
    if family.turn != turn or family.seen_at is not None:
        return None
    return replace(family, seen_at=now)


def _successor(secret: str, salt: str) -> str:
    return _text(digest(urlsafe_b64decode(secret + "="), salt.encode("ascii"), "sha256"))


def _token(handle: str, secret: str, family: Family) -> str:
    return f"{handle}.{secret}{_tag(handle, secret, family.tag_key)}"


def _tag(handle: str, secret: str, tag_key: str) -> str:
    return _text(digest(tag_key.encode("ascii"), f"{handle}.{secret}".encode("ascii"), "sha256")[:_TAG_BYTES])


def _hash(secret: str) -> str:
    return _text(sha256(secret.encode("ascii")).digest())


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
