"""Own refresh tokens: issued with a session, turned at every use, repeated when an answer was lost, and never twice in use.

They last as long as their session, no longer: its absolute end is theirs (turning moves it no more than anything else does), and its idle
timeout is theirs, for a refresh is no activity (RFC 9700 section 4.14.2; OWASP ASVS 5.0 item 10.4.8; NIST SP 800-63B-4 section 5.1.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.grants import Grant
from stillhere.core.records import Session
from stillhere.core.rotation import (
    REFRESH,
    SALT_BYTES,
    SECRET_BYTES,
    TAG_KEY_BYTES,
    Family,
    Standing,
    begin_family,
    read_token,
    see_turn,
    standing_of,
    successor_of,
    turn_family,
)
from stillhere.core.rules import ending
from stillhere.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.stores.protocol import Granting

ROUNDS: Final = 20
"""How often a write is tried that others overtake; each time one of them got through, so this many are never seen."""

_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(Family).decode


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a refresh token that somebody presented.

    Attributes:
        standing: what it is to its family.
        session: whose it is, or None if it is nothing. It may be over; then there is no token.
        token: the current token, for whoever presented the one before it; None if it gets none.
        turn: its number.
    """

    standing: Standing = Standing.UNKNOWN
    session: Session | None = None
    token: str | None = None
    turn: int = 0

    @property
    def outcome(self) -> str:
        """One word for it: `current`, `repeated`, `reused` or `unknown`, as its standing; `over` if only its session is."""
        if self.session is None or self.token is not None or self.standing is Standing.REUSED:
            return self.standing.value
        return "over"

    def __repr__(self) -> str:
        """Show everything but the token."""
        handle = None if self.session is None else self.session.handle
        return f"Turned(standing={self.standing.value!r}, session={handle!r}, turn={self.turn})"


class RefreshTokens:
    """Issues and turns the refresh tokens of sessions.

    Args:
        store: where their families are kept.
        clock: tells the milliseconds since 1970.
        random_bytes: draws so many random bytes.
        replay_timeout: how long after its use a token may be repeated at most, milliseconds.
        grace: how long it may still be repeated once its successor was seen in use, milliseconds.
    """

    def __init__(
        self,
        store: Granting,
        *,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        replay_timeout: int,
        grace: int,
    ) -> None:
        """Keep what is needed; no token is kept here."""
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes
        self._replay_timeout = replay_timeout
        self._grace = grace

    async def begin(self, handle: str) -> Turned:
        """Begin a session's family; one that it had is forgotten, and with it all tokens of it.

        Args:
            handle: the session's public name.

        Returns:
            The first token, or none if the session is not there or is over.

        Raises:
            StoreError: if the store cannot be reached.
        """
        draw = self._random_bytes
        family, token = begin_family(handle, secret=draw(SECRET_BYTES), tag_key=draw(TAG_KEY_BYTES), now=self._clock())
        for _ in range(ROUNDS):
            now, held = self._clock(), await self._store.held(handle, REFRESH)
            session = held.session
            if session is None or ending(session, now=now) is not None:
                return Turned(standing=Standing.CURRENT, session=session)
            version = 0 if held.grant is None else held.grant.version
            if await self._keep(handle, version, family, session):
                return Turned(standing=Standing.CURRENT, session=session, token=token, turn=family.turn)
        raise StoreError(_OVERTAKEN)

    async def turn(self, text: str | None) -> Turned:
        """Turn a refresh token: the current one gets a successor, its parent the same one again, and everything else gets nothing.

        Ends nothing: who asks decides what a reused token means.

        Raises:
            StoreError: if the store cannot be reached. Presenting the token again is safe.
        """
        presented = read_token(text)
        if presented is None:
            return NOTHING
        for _ in range(ROUNDS):
            now, held = self._clock(), await self._store.held(presented.handle, REFRESH)
            session, grant = held.session, held.grant
            if session is None or grant is None:
                return NOTHING
            family = _read(grant.document)
            standing = standing_of(family, presented, replay_timeout=self._replay_timeout, grace=self._grace, now=now)
            if standing is Standing.UNKNOWN:
                return NOTHING
            if ending(session, now=now) is not None or standing is Standing.REUSED:
                return Turned(standing=standing, session=session)
            if standing is Standing.CURRENT:
                family = turn_family(family, presented, salt=self._random_bytes(SALT_BYTES), now=now)
                if not await self._keep(presented.handle, grant.version, family, session):
                    continue  # another was faster, and its successor is this one's, too; or the session is over by now
            return Turned(standing=standing, session=session, token=successor_of(family, presented), turn=family.turn)
        raise StoreError(_OVERTAKEN)

    async def see(self, handle: str, turn: int) -> None:
        """Take note that the access token of a turn is in use, so that the tokens before it are nobody's any more.

        Raises:
            StoreError: if the store cannot be reached.
        """
        held = await self._store.held(handle, REFRESH)
        if held.session is None or held.grant is None:
            return
        seen = see_turn(_read(held.grant.document), turn, now=self._clock())
        if seen is not None:
            await self._keep(handle, held.grant.version, seen, held.session)  # overtaken by a turn, this is no news any more

    async def _keep(self, handle: str, version: int, family: Family, session: Session) -> bool:
        grant = Grant(
            handle=handle,
            kind=REFRESH,
            version=version + 1,
            document=_write(family).decode("ascii"),
            check_at=session.absolute_end_at,
        )
        return (await self._store.swap(grant, now=self._clock())).done


NOTHING: Final = Turned()

_OVERTAKEN: Final = "a refresh token was overtaken again and again; try once more"
