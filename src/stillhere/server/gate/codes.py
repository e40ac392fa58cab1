"""Codes that are mailed and typed: made, kept as hashes, guessed at most five times, used once. No process keeps anything of them."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.addresses import read_email
from stillhere.core.gate import CODE_BYTES, CODE_TIMEOUT, GUESSES, is_code, read_code, seal_code, write_code
from stillhere.core.ids import hash_name
from stillhere.http.messages import read_cookie

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.http.messages import Headers, Request
    from stillhere.http.origin import Peer
    from stillhere.stores.protocol import Noting

_COOKIE: Final = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{2,800})\Z")


class Challenge(msgspec.Struct, frozen=True):
    """What the browser that asked for a code knows of it, in a cookie.

    Attributes:
        nonce: 128 random bits. The store has a hash of it; without it a code is worth nothing.
        email: whom the code was sent to, if the address may enter.
    """

    nonce: str
    email: str

    @property
    def name(self) -> str:
        """What the store calls it."""
        return f"gate:code:{hash_name(self.nonce)}"


class Wrong(Enum):
    """Why a code does not open. Which of wrong, old and never sent it is nobody is told."""

    CODE = "code"
    SPENT = "spent"


class Codes:
    """Makes and checks codes.

    Args:
        store: keeps hashes, guesses and uses.
        clock: tells the milliseconds since 1970.
        random_bytes: draws so many random bytes.
    """

    def __init__(self, store: Noting, clock: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        """Make none yet."""
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    async def begin(self, email: str, *, terms: str, accepted_at: int, may_enter: bool) -> tuple[Challenge, str]:
        """Make a code and keep its hash. For who may not enter the same is kept, but a hash that no code has.

        Args:
            email: whom it is for.
            terms: version that was accepted, or an empty text.
            accepted_at: when, milliseconds since 1970.
            may_enter: whether the code is to open.

        Returns:
            What the browser is to keep, and the code to be mailed.

        Raises:
            StoreError: if the store cannot be reached.
        """
        challenge = Challenge(self._random_bytes(16).hex(), email)
        code = write_code(self._random_bytes(CODE_BYTES))
        sealed = seal_code(code if may_enter else self._random_bytes(16).hex(), nonce=challenge.nonce, email=email, terms=terms)
        await self._store.note(challenge.name, f"{sealed}.{hash_name(terms)}.{accepted_at}", until=self._clock() + CODE_TIMEOUT - 1)
        return challenge, code

    async def accepted_at(self, challenge: Challenge, *, terms: str) -> int | None:
        """Tell when who has this asked first; None if the challenge is over, was never one of ours, or other terms were accepted.

        Args:
            challenge: what the browser kept.
            terms: version that counts now, or an empty text.

        Raises:
            StoreError: if the store cannot be reached.
        """
        for kept in await self._store.noted(challenge.name, now=self._clock()):
            _, accepted, accepted_at = _read_note(kept)
            if accepted == hash_name(terms):
                return accepted_at
        return None

    async def check(self, challenge: Challenge, typed: str, *, terms: str) -> int | Wrong:
        """Check a code as typed; a right one is used by that. A text that can be no code costs no guess.

        Args:
            challenge: what the browser kept.
            typed: the code.
            terms: version that counts now, or an empty text.

        Returns:
            When the person asked, milliseconds since 1970, or what is wrong.

        Raises:
            StoreError: if the store cannot be reached; then it may have cost a guess.
        """
        code = read_code(typed)
        if code is None:
            return Wrong.CODE
        now = self._clock()
        guess = f"{challenge.name}:guess:"
        for number in range(GUESSES):
            if await self._store.first(f"{guess}{number}", until=now + CODE_TIMEOUT, now=now):
                break
        else:
            return Wrong.SPENT
        for kept in await self._store.noted(challenge.name, now=now):
            sealed, _, accepted_at = _read_note(kept)
            if is_code(sealed, code, nonce=challenge.nonce, email=challenge.email, terms=terms):
                is_first = await self._store.first(f"{challenge.name}:used", until=now + CODE_TIMEOUT, now=now)
                return accepted_at if is_first else Wrong.CODE
        return Wrong.CODE


def read_challenge(request: Request, peer: Peer) -> Challenge | None:
    """Read what the browser kept of the code it asked for, or None; anybody can write such a cookie, so it proves nothing."""
    found = _COOKIE.match(read_cookie(request.header("cookie"), _name(peer)) or "")
    if found is None:
        return None
    try:
        email = urlsafe_b64decode(f"{found[2]}==").decode("utf-8")
    except (binascii.Error, UnicodeError):
        return None
    return Challenge(found[1], email) if read_email(email) == email else None


def keep_challenge(challenge: Challenge, peer: Peer) -> Headers:
    """Write the header that has the browser keep it: for as long as the code is good, not for scripts, never sent from another site."""
    value = f"{challenge.nonce}.{urlsafe_b64encode(challenge.email.encode()).decode('ascii').rstrip('=')}"
    return (("set-cookie", f"{_name(peer)}={value}; Max-Age={CODE_TIMEOUT // 1000}; {_manner(peer)}"),)


def drop_challenge(peer: Peer) -> Headers:
    """Write the header that has the browser forget it."""
    return (("set-cookie", f"{_name(peer)}=; Max-Age=0; {_manner(peer)}"),)


def _read_note(kept: str) -> tuple[str, str, int]:
    # A process of the version before wrote no terms; then none were accepted that could be the right ones.
    sealed, _, rest = kept.partition(".")
    accepted, _, accepted_at = rest.rpartition(".")
    return sealed, accepted, int(accepted_at)


def _name(peer: Peer) -> str:
    return "gate" if peer.scheme == "http" and peer.is_loopback else "__Host-gate"


def _manner(peer: Peer) -> str:
    secure = "" if peer.scheme == "http" and peer.is_loopback else "Secure; "
    return f"Path=/; {secure}HttpOnly; SameSite=Strict"
