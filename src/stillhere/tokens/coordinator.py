"""The refresh of a provider's tokens, once for everybody who wants them: one call of a session at a time, in all processes.

`core/refreshing.py` says who may ask; this asks. A refresh runs in a task of its own, so that no request that goes away takes it along,
and it ends in one of three ways, whatever happens to the process: committed, noted as failed, or left as a lease that runs out.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.policy import seconds
from stillhere.core.records import Session
from stillhere.core.refreshing import (
    LONGEST_PAUSE_MS,
    Holding,
    Next,
    commit_tokens,
    next_step,
    note_failure,
    renew_lease,
    take_lease,
    was_lost,
)
from stillhere.core.rules import ending
from stillhere.errors import ProviderAway, StoreError
from stillhere.tokens.events import TokenEvent, TokenNews
from stillhere.tokens.provider.failures import Failure, ProviderError
from stillhere.tokens.safe import Safe, is_over
from stillhere.tokens.taking_back import TakingBack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from stillhere.core.grants import Grant
    from stillhere.stores.protocol import Granting
    from stillhere.tokens.provider.login import Login
    from stillhere.tokens.provider.party import Party
    from stillhere.tokens.provider.records import ProviderTokens
    from stillhere.tokens.vault import Vault

LEASE_MS: Final = seconds(10)
"""How long a lease lasts; it is renewed three times as often while the provider thinks."""

WAIT_MS: Final = seconds(20)
"""How long somebody waits for a refresh, their own or another's, before they hear that the provider is in trouble."""

COMMIT_MS: Final = seconds(60)
"""How long tokens that a provider gave are kept in memory for a store that cannot be reached."""

_OWNER_BYTES: Final = 12
_LONGEST_NAP_S: Final = 0.25
_LONGEST_COMMIT_NAP_S: Final = 1

LINGER_S = 1.5
"""How long a lease that ran out is left alone once more; longer than its holder naps while it waits for a store to take its answer."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A session and what it holds, as they were last seen.

    Attributes:
        session: the record, or None if there is none. It may be over: then there is no holding.
        holding: what it holds of the provider, or None.
    """

    session: Session | None
    holding: Holding | None = None


class Coordinator:
    """Keeps the tokens that sessions hold of a provider.

    Args:
        party: asks the provider.
        vault: seals the tokens.
        store: keeps what is sealed.
        clock: tells the milliseconds since 1970.
        random_bytes: draws so many random bytes.
        end: ends the session of that handle, because the provider ended it.
        tell: hears what happened.

    Attributes:
        safe: has what sessions hold.
        back: takes back what those held that are over.
    """

    def __init__(  # what it works with, all by keyword but the first three
        self,
        party: Party,
        vault: Vault,
        store: Granting,
        *,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        end: Callable[[str], Awaitable[object]],
        tell: Callable[[TokenEvent], None],
    ) -> None:
        """Ask nothing yet."""
        self._party = party
        self.safe = Safe(vault, store, refresh_at=party.refresh_at, clock=clock, random_bytes=random_bytes)
        self.back = TakingBack(party, self.safe, clock=clock, tell=tell)
        self._clock = clock
        self._random_bytes = random_bytes
        self._end = end
        self._tell = tell
        self._settling: dict[tuple[str, bool], asyncio.Task[Kept]] = {}

    async def keep(self, handle: str, login: Login) -> bool:
        """Keep the tokens that somebody signed in with, and who the provider says they are; what was there before is forgotten.

        Returns:
            Whether they are kept; not if the session is not there or is over.

        Raises:
            StoreError: if the store cannot be reached.
        """
        while True:
            held = await self.safe.look(handle)
            if held.session is None or ending(held.session, now=self._clock()) is not None:
                return False
            generation = 1 if held.grant is None else self.safe.read(held.grant).generation + 1
            if await self.safe.swap(held.session, held.grant, self.safe.sealed(handle, login.tokens, login.identity, generation)):
                return True

    async def fresh(self, handle: str, *, may_refresh: bool) -> Kept:
        """Get what a session holds, refreshed if it is time and a person is there.

        Args:
            handle: the session's.
            may_refresh: a person is there.

        Returns:
            It, with the session as it is by now. Where nobody is there it may have lapsed.

        Raises:
            ProviderAway: if the access token is over and the provider in trouble.
            StoreError: if the store cannot be reached, or what is sealed there cannot be opened.
        """
        key = (handle, may_refresh)
        task = self._settling.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._settled(*key))
            self._settling[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        try:
            return await asyncio.wait_for(asyncio.shield(task), WAIT_MS / 1000)
        except TimeoutError:
            session, holding = await self.safe.holding_of(handle)
            if holding is not None:
                _refuse_if_over(holding, now=self._clock())
            return Kept(session=session, holding=holding)

    def _forget(self, key: tuple[str, bool], task: asyncio.Task[Kept]) -> None:
        del self._settling[key]
        if not task.cancelled():
            task.exception()  # whoever waited has it; if nobody did, it is nobody's

    async def _settled(self, handle: str, may_refresh: bool) -> Kept:  # noqa: FBT001  # half of a key
        waited_until, nap_s = self._clock() + WAIT_MS, 0.01
        has_asked = has_lingered = False
        while True:
            now, held = self._clock(), await self.safe.look(handle)
            if held.session is None or held.grant is None or ending(held.session, now=now) is not None:
                return Kept(session=held.session)
            holding = self.safe.read(held.grant)
            step = next_step(holding, may_refresh=may_refresh, now=now)
            if step is Next.PAUSE or (step is Next.WAIT and now >= waited_until):
                _refuse_if_over(holding, now=now)
                step = Next.USE
            if step in {Next.USE, Next.LAPSED} or has_asked:
                # A token that is due again as soon as it comes is not asked for again and again: whoever comes next asks once more.
                return Kept(session=held.session, holding=holding)
            if step is Next.REFRESH and holding.lease is not None and not has_lingered:
                # Its holder may be alive, with the answer in hand, and wait for a store that was away: it looks again before this is over.
                await asyncio.sleep(LINGER_S)
                has_lingered = True
            elif step is Next.REFRESH:
                has_asked = await self._refresh(held.session, held.grant, holding)
            else:
                await asyncio.sleep(nap_s)
                nap_s = min(nap_s * 2, _LONGEST_NAP_S)

    async def _refresh(self, session: Session, grant: Grant, holding: Holding) -> bool:
        """Ask the provider, unless somebody else took the lease first; tell whether it was asked and gave something that is kept."""
        handle, owner = session.handle, self._random_bytes(_OWNER_BYTES).hex()
        tokens = self.safe.open(handle, holding)
        leased = take_lease(holding, owner, lease_timeout=LEASE_MS, now=self._clock())
        if not await self.safe.swap(session, grant, leased):
            return False
        async with self._renewing(handle, owner):
            return await self._asked(handle, owner, leased, tokens)

    async def _asked(self, handle: str, owner: str, leased: Holding, tokens: ProviderTokens) -> bool:
        try:
            fresh = await self._party.refresh(tokens, now=self._clock())
        except ProviderError as error:
            await self._failed(handle, owner, leased, error)
            return False
        await self._commit(handle, fresh, generation=leased.generation)
        return True

    @asynccontextmanager
    async def _renewing(self, handle: str, owner: str) -> AsyncIterator[None]:
        """Renew a lease as long as it is needed. A renewal that fails is no reason to stop: the answer may come in time all the same."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(LEASE_MS / 3000)
                with suppress(StoreError):
                    await self.safe.change(handle, lambda held: renew_lease(held, owner, lease_timeout=LEASE_MS, now=self._clock()))

        task = asyncio.get_running_loop().create_task(renew())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _commit(self, handle: str, fresh: ProviderTokens, *, generation: int) -> None:
        """Keep new tokens before anybody hears of them. A store that is away is waited for, for the old token may be spent."""
        give_up_at, nap_s = self._clock() + COMMIT_MS, 0.05
        while True:
            try:
                done, held = await self.safe.change(
                    handle,
                    lambda kept: commit_tokens(kept, self.safe.sealed(handle, fresh, kept, generation), generation=generation),
                )
            except StoreError:
                if self._clock() >= give_up_at:
                    raise
                await asyncio.sleep(nap_s)
                nap_s = min(nap_s * 2, _LONGEST_COMMIT_NAP_S)
                continue
            if done:
                self._say(TokenNews.REFRESHED, handle)
            elif is_over(held, now=self._clock()):
                await self.back.revoke(handle, fresh)  # somebody signed out meanwhile; nobody may have these
            return

    async def _failed(self, handle: str, owner: str, leased: Holding, error: ProviderError) -> None:
        if error.failure in {Failure.TERMINAL, Failure.IDENTITY_CHANGED}:
            held = await self.safe.look(handle)
            if held.grant is None or self.safe.read(held.grant).lease != owner:
                return  # another one is at it, or has new tokens already, and this refusal came of that
            is_lost = error.failure is Failure.TERMINAL and was_lost(leased)
            await self._end(handle)
            self._say(TokenNews.LOST if is_lost else TokenNews.REFUSED, handle, error.why)
            return
        is_ours = error.failure is Failure.OPERATOR
        self._say(TokenNews.ALARM if is_ours else TokenNews.TROUBLE, handle, error.why)
        answered, pause = not error.may_be_spent, LONGEST_PAUSE_MS if is_ours else error.retry_after * 1000
        await self.safe.change(
            handle, lambda kept: note_failure(kept, owner, is_answered=answered, retry_after_ms=pause, now=self._clock())
        )

    async def close(self) -> None:
        """Let refreshes that are under way finish, for a while: whatever breaks off here leaves a lease that runs out."""
        if self._settling:
            _, late = await asyncio.wait(self._settling.values(), timeout=WAIT_MS / 1000)
            for task in late:
                task.cancel()

    def _say(self, news: TokenNews, handle: str, why: str = "") -> None:
        self._tell(TokenEvent(news=news, handle=handle, why=why))


def _refuse_if_over(holding: Holding, *, now: int) -> None:
    if now >= holding.access_expires_at:
        wait_ms = max(holding.retry_at, holding.leased_until if holding.lease is not None else 0) - now
        raise ProviderAway("it is in trouble, and the access token is over", retry_after=max(1, -(-wait_ms // 1000)))
