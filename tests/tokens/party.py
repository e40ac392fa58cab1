"""A provider that answers as a test says, for the speed of it; the real one is asked in the tests of `provider/` and of faults."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from stillhere.core.policy import Policy, hours, minutes
from stillhere.core.records import EndedBy
from stillhere.core.rules import open_session
from stillhere.stores.memory import MemoryStore
from stillhere.testing.scene import id_of
from stillhere.tokens.coordinator import Coordinator
from stillhere.tokens.provider.failures import Failure, ProviderError
from stillhere.tokens.provider.login import Login
from stillhere.tokens.provider.records import Identity, ProviderTokens
from stillhere.tokens.vault import Vault, read_vault_key
from tests.support import FakeClock

if TYPE_CHECKING:
    from stillhere.core.records import Session
    from stillhere.tokens.events import TokenEvent, TokenNews
    from stillhere.tokens.provider.party import TokenKind

LIFE = minutes(5)
POLICY = Policy(idle_timeout=minutes(20), absolute_timeout=hours(24))
HANDLE = "handle-a"
VAULT = Vault([read_vault_key(f"one:{'A' * 43}=")])

REFUSED = ProviderError(Failure.TERMINAL, endpoint="token", why="invalid_grant", status=400)
CHANGED = ProviderError(Failure.IDENTITY_CHANGED, endpoint="token", why="id_token_sub", status=200, may_be_spent=True)
AWAY = ProviderError(Failure.TRANSIENT, endpoint="token", why="timeout", may_be_spent=True, retry_after=3)
BUSY = ProviderError(Failure.TRANSIENT, endpoint="token", why="status", status=503, retry_after=30)
OURS = ProviderError(Failure.OPERATOR, endpoint="token", why="invalid_client", status=401)


class ScriptedParty:
    """Gives a new pair of tokens for each refresh, or raises what it was told to.

    Attributes:
        refreshed: refresh tokens that were spent, in order.
        revoked: tokens that were taken back, in order.
        fails: raised by the next calls, one each.
        lasts: how long an access token is good, milliseconds.
        gate: open from the start; clear it to hold refreshes back.
        arrived: set as soon as a refresh stands at the gate.
    """

    def __init__(self, clock: FakeClock) -> None:
        """Begin with an open gate."""
        self._clock = clock
        self._numbers = itertools.count(1)
        self.refreshed: list[str] = []
        self.revoked: list[str] = []
        self.fails: list[ProviderError] = []
        self.lasts = LIFE
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()

    def tokens(self) -> ProviderTokens:
        """Make a new pair."""
        number, now = next(self._numbers), self._clock()
        return ProviderTokens(
            access_token=f"access-{number}",
            access_expires_at=now + self.lasts,
            received_at=now,
            refresh_token=f"refresh-{number}",
            id_token="id",
            scope=None,
        )

    def login(self) -> Login:
        """Sign somebody in with a new pair."""
        identity = Identity(iss="https://id.example", sub="42", sid="there", claims={})
        return Login(identity=identity, tokens=self.tokens(), return_to="/")

    async def refresh(self, tokens: ProviderTokens, *, now: int) -> ProviderTokens:
        """Spend a refresh token."""
        del now
        self.refreshed.append(str(tokens.refresh_token))
        self.arrived.set()
        await self.gate.wait()
        if self.fails:
            raise self.fails.pop(0)
        return self.tokens()

    async def revoke(self, token: str, kind: TokenKind, *, now: int) -> bool:
        """Take a token back."""
        del kind, now
        if self.fails:
            raise self.fails.pop(0)
        self.revoked.append(token)
        return True

    def refresh_at(self, tokens: ProviderTokens) -> int:
        """Refresh in the last minute and a half."""
        return tokens.access_expires_at - (tokens.access_expires_at - tokens.received_at) * 3 // 10


class Side:
    """A coordinator as one process has it; several can share store, clock and party.

    Attributes:
        events: what it told.
    """

    def __init__(self, store: MemoryStore | None = None, clock: FakeClock | None = None, party: ScriptedParty | None = None) -> None:
        """Put it together."""
        self.clock = clock or FakeClock()
        self.store = store or MemoryStore()
        self.party = party or ScriptedParty(self.clock)
        self.events: list[TokenEvent] = []
        numbers = itertools.count(id(self))
        self.coordinator = Coordinator(
            self.party,
            VAULT,
            self.store,
            clock=self.clock,
            random_bytes=lambda size: next(numbers).to_bytes(size, "big"),
            end=self.end,
            tell=self.events.append,
        )

    async def end(self, handle: str) -> Session | None:
        """End a session as its provider's."""
        return (await self.store.end(handle, EndedBy.PROVIDER, now=self.clock())).session

    def beside(self) -> Side:
        """Give another process on the same store."""
        return Side(self.store, self.clock, self.party)

    async def signed_in(self) -> Session:
        """Begin a session that holds tokens."""
        session = open_session(id_of("a"), HANDLE, "reader@fund.example", {}, policy=POLICY, now=self.clock())
        await self.store.create(session)
        assert await self.coordinator.keep(HANDLE, self.party.login())
        return session

    async def token(self, *, may_refresh: bool = True) -> str | None:
        """Get the access token."""
        holding = (await self.coordinator.fresh(HANDLE, may_refresh=may_refresh)).holding
        return None if holding is None else self.coordinator.safe.open(HANDLE, holding).access_token

    async def refreshing(self) -> asyncio.Task[str | None]:
        """Sign in, and have a refresh under way that waits for the party's gate."""
        await self.signed_in()
        self.near_the_end()
        self.party.gate.clear()
        asking = asyncio.create_task(self.token())
        await self.party.arrived.wait()
        return asking

    def near_the_end(self) -> None:
        """Move to where it is time to refresh; the session is still alive."""
        self.clock.advance(LIFE * 7 // 10)

    def past_the_end(self) -> None:
        """Move to where the access token is over."""
        self.clock.advance(LIFE)


def news(side: Side) -> list[TokenNews]:
    """Tell what happened, in order."""
    return [event.news for event in side.events]


async def ended_by(side: Side) -> EndedBy | None:
    """Tell why the session ended, or None."""
    session = await side.store.get(HANDLE)
    assert session is not None
    return session.ended_by
