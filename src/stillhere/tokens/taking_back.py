"""The tokens of sessions that are over: taken back at the provider, wherever and whenever that was left undone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stillhere.core.policy import seconds
from stillhere.core.rules import ending
from stillhere.errors import Unsealable
from stillhere.tokens.events import TokenEvent, TokenNews
from stillhere.tokens.provider.failures import ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.core.grants import Held
    from stillhere.tokens.provider.party import Party
    from stillhere.tokens.provider.records import ProviderTokens
    from stillhere.tokens.safe import Safe

REVOKE_AGAIN_MS: Final = seconds(60)
"""When a revocation that failed is tried again."""

REVOKE_FOR_MS: Final = seconds(24 * 3600)
"""How long; a provider that is away for a day has let the tokens lapse or does not mean to answer."""

_HANDFUL: Final = 100
_AT_ONCE: Final = 8


class TakingBack:
    """Revokes at the provider what sessions held that are over.

    Args:
        party: asks the provider.
        safe: has what they held.
        clock: tells the milliseconds since 1970.
        tell: hears what happened.
    """

    def __init__(self, party: Party, safe: Safe, *, clock: Callable[[], int], tell: Callable[[TokenEvent], None]) -> None:
        """Take nothing back yet."""
        self._party = party
        self._safe = safe
        self._clock = clock
        self._tell = tell
        self._is_away = False
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._left: dict[str, ProviderTokens | None] = {}

    async def revoke(self, handle: str, fresh: ProviderTokens | None = None) -> bool:
        """Take back at the provider what a session held that is over, or what came too late for it, and forget it.

        Returns:
            Whether that is done. If not, `upkeep` tries again.

        Raises:
            StoreError: if the store cannot be reached.
        """
        # To the end, so that one that cannot be taken back keeps nobody waiting.
        fresh = self._left[handle] = self._left.pop(handle, None) or fresh
        if is_done := await self._revoked(handle, await self._safe.look(handle), fresh):
            self._left.pop(handle, None)
        return is_done

    async def _revoked(self, handle: str, held: Held, fresh: ProviderTokens | None = None) -> bool:
        """Take back the tokens that are kept, or new ones in their place."""
        now, grant = self._clock(), held.grant
        holding = None if grant is None or fresh is not None else self._safe.read(grant)
        if holding is not None and holding.lease is not None and now < holding.leased_until:
            return False  # whoever is refreshing finds the session over, and takes back what comes
        try:
            tokens = fresh if holding is None else self._safe.open(handle, holding)
            if tokens is None:
                return True
            await self._take_back(tokens, now=now)
            self._say(TokenNews.REVOKED, handle)
        except (ProviderError, Unsealable) as error:
            if isinstance(error, ProviderError):
                self._is_away = True
            self._say(TokenNews.NOT_REVOKED, handle, error.why if isinstance(error, ProviderError) else "unsealable")
            ended_at = now if held.session is None or held.session.ended_at is None else held.session.ended_at
            if now - ended_at < REVOKE_FOR_MS:
                return False
        if grant is not None:
            await self._safe.drop(grant)
        return True

    async def _take_back(self, tokens: ProviderTokens, *, now: int) -> None:
        """Revoke the refresh token, and with it what came of it; the access token too, for not every provider does that by itself.

        A few at a time: a crowd whose sessions end together must not stand in the way of those who are at work.
        """
        async with self._at_once:
            await self._revoke_both(tokens, now=now)

    async def _revoke_both(self, tokens: ProviderTokens, *, now: int) -> None:
        if tokens.refresh_token is not None:
            await self._party.revoke(tokens.refresh_token, "refresh_token", now=now)
        if now < tokens.access_expires_at:
            await self._party.revoke(tokens.access_token, "access_token", now=now)

    async def give_back(self, tokens: ProviderTokens) -> None:
        """Take back tokens that nobody will hold; if the provider cannot be asked they lapse by themselves."""
        with suppress(ProviderError):
            await self._take_back(tokens, now=self._clock())

    async def upkeep(self) -> None:
        """Take back what sessions hold that are over, wherever that was left undone. Several processes share this.

        It ends as soon as the provider cannot be asked: what is left is tried the next time, and whoever waits for this is not kept.

        Raises:
            StoreError: if the store cannot be reached.
        """
        self._is_away = False
        for handle in list(self._left)[:_HANDFUL]:
            await self.revoke(handle)
            if self._is_away:
                return
        while True:
            now = self._clock()
            due = await self._safe.due(limit=_HANDFUL, now=now, until=now + REVOKE_AGAIN_MS)
            for held in due:
                if held.session is None or held.grant is None:
                    continue  # forgotten in between
                over = ending(held.session, now=now)
                if over is None:
                    await self._safe.swap(held.session, held.grant, self._safe.read(held.grant))  # checked again when it could be over
                elif held.session.ended_at is not None or now - over.at >= REVOKE_AGAIN_MS:
                    # Not sooner: until its end is recorded a beat that came in time may still be on its way.
                    await self._revoked(held.session.handle, held)
                if self._is_away:
                    return
            if len(due) < _HANDFUL:
                return

    def _say(self, news: TokenNews, handle: str, why: str = "") -> None:
        self._tell(TokenEvent(news=news, handle=handle, why=why))
