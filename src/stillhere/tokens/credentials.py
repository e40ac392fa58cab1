"""What a session has beside its cookie: access and refresh tokens of ours, and a provider's. One object for the manager to ask."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, runtime_checkable

import msgspec

from stillhere.core.ids import write_handle
from stillhere.core.people import FRESH, authentication_of
from stillhere.core.policy import minutes
from stillhere.core.records import EndedBy, Session
from stillhere.core.rotation import REFRESH, Standing
from stillhere.core.rules import ending
from stillhere.errors import StillhereError, StoreError, TokenLapsed
from stillhere.stores.protocol import Granting, Noting
from stillhere.tokens.access import AccessClaims, AccessToken, looks_like
from stillhere.tokens.coordinator import Coordinator
from stillhere.tokens.events import TokenEvent, TokenNews
from stillhere.tokens.provider.party import RelyingParty
from stillhere.tokens.refresh import RefreshTokens
from stillhere.tokens.signing_in import SigningIn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from stillhere.core.policy import Policy
    from stillhere.core.records import Claim
    from stillhere.tokens.refresh import Turned
    from stillhere.tokens.settings import Tokens

logger = logging.getLogger("stillhere")

KNOWN: Final = 100_000
"""Sessions of which a process remembers when their tokens are due, so that a beat before that asks nobody."""

LOOK_AGAIN_MS: Final = minutes(1)
"""How long it is believed that a session holds nothing of a provider."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_JTI_BYTES: Final = 16

_LEVELS: Final = {
    TokenNews.ALARM: logging.ERROR,
    TokenNews.LOST: logging.ERROR,
    TokenNews.REUSED: logging.WARNING,
    TokenNews.TROUBLE: logging.WARNING,
    TokenNews.NOT_REVOKED: logging.WARNING,
}


@runtime_checkable
class TokenStore(Granting, Noting, Protocol):
    """A store that can keep tokens."""


class EndSession(Protocol):
    """Ends a session by its handle."""

    def __call__(self, handle: str, by: EndedBy) -> Awaitable[Session | None]:
        """End it for that reason, and give its record; None if there is none."""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens for a client. Keep them out of logs.

    Attributes:
        access: the access token.
        refresh: the refresh token, or None if there are none.
    """

    access: AccessToken
    refresh: str | None = None

    def __repr__(self) -> str:
        """Show when they end, and no more."""
        return f"Issued(access={self.access!r}, refresh={'None' if self.refresh is None else '…'})"


class _Due(msgspec.Struct, frozen=True, gc=False):
    """When a session's provider tokens are to be asked about again, and when the access token ends; None if it holds none."""

    look_at: int
    expires_at: int | None = None


class Expiry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """When a session's provider tokens end.

    Attributes:
        session: the record as it is by now; over, if the provider ended it.
        expires_at: when the access token ends, or None if the session holds none.
        refresh_at: from when on it is time for the next one.
    """

    session: Session | None
    expires_at: int | None = None
    refresh_at: int | None = None


class Credentials:
    """Issues, reads and refreshes what sessions have beside their cookies.

    Args:
        tokens: which there are.
        store: keeps what has to be kept.
        policy: says who counts as being there.
        clock: tells the milliseconds since 1970.
        random_bytes: draws so many random bytes.
        end: ends the session of that handle for that reason, and gives its record.

    Attributes:
        access: mints and reads access tokens, or None.
        refresh: issues and turns refresh tokens, or None.
        party: asks the provider, or None.
        provider: keeps the provider's tokens, or None.
        signing_in: begins and finishes logins there, or None.
        spans: what of all this is a matter of time.
        turns: how often refresh tokens of ours were presented, by what became of it.
        news: how often what happened, of provider tokens and of reuse.
    """

    def __init__(  # what it works with, all by keyword but the first two
        self,
        tokens: Tokens,
        store: TokenStore,
        *,
        policy: Policy,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        end: EndSession,
    ) -> None:
        """Put them to work."""
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes
        self._end = end
        self._on_event = tokens.on_event
        self.turns, self.news = Counter[str](), Counter[TokenNews]()
        self.spans = tokens.spans()
        self._window = max(policy.activity_window, policy.beat_interval)
        self._seen, self._due = OrderedDict[tuple[str, int], None](), OrderedDict[str, _Due]()
        self._tasks: set[asyncio.Task[None]] = set()
        self.access = tokens.access
        self.refresh = (
            RefreshTokens(store, clock=clock, random_bytes=random_bytes, replay_timeout=tokens.replay_timeout, grace=tokens.grace)
            if tokens.refresh
            else None
        )
        self.party: RelyingParty | None = None
        self.provider: Coordinator | None = None
        self.signing_in: SigningIn | None = None
        if tokens.provider is not None and tokens.vault is not None:
            self.party = RelyingParty(tokens.provider, random_bytes=random_bytes, transport=tokens.transport)
            self.provider = Coordinator(
                self.party,
                tokens.vault,
                store,
                clock=clock,
                random_bytes=random_bytes,
                end=partial(end, by=EndedBy.PROVIDER),
                tell=self.tell,
            )
            self.signing_in = SigningIn(
                party=self.party,
                vault=tokens.vault,
                store=store,
                coordinator=self.provider,
                clock=clock,
                random_bytes=random_bytes,
                end=partial(end, by=EndedBy.PROVIDER),
                welcome=tokens.welcome,
            )

    # Our own

    def named(self, text: str) -> tuple[str, str] | None:
        """Read whom a bearer names that is an access token: the handle, and the hash that proves it; None if it counts for nothing."""
        if self.access is None or not looks_like(text):
            return None
        claims = self.access.read(text, now=self._clock())
        if not isinstance(claims, AccessClaims):
            logger.info("an access token was refused: %s", claims)
            return None
        self._see(claims)
        return claims.named

    async def outlived(self, text: str) -> tuple[str, str] | None:
        """Read whom an access token named that is over because its session is, or no longer than its session; else None.

        So its client hears why the session ended. A token counts whole seconds: one that was cut to its session's absolute end is over up
        to a second before, and that second belongs to the session. Of a session that goes on, a token that is over says nothing.

        Raises:
            StoreError: if the store cannot be reached.
        """
        now = self._clock()
        if self.access is None or not looks_like(text):
            return None
        claims = self.access.read(text, now=now, also_expired=True)
        if not isinstance(claims, AccessClaims):
            return None
        session = (await self._store.held(claims.handle, REFRESH)).session
        if session is None:
            return None
        is_cut = claims.expires_at == session.absolute_end_at // 1000 * 1000
        return claims.named if is_cut or ending(session, now=now) is not None else None

    def _see(self, claims: AccessClaims) -> None:
        """Have it noted, once in this process, that the tokens of a turn are in use."""
        key = (claims.handle, claims.refresh)
        if self.refresh is None or claims.refresh == 0 or key in self._seen:
            return
        _remember(self._seen, key, None)
        self._later(self._note_seen(self.refresh, key))

    async def _note_seen(self, tokens: RefreshTokens, key: tuple[str, int]) -> None:
        try:
            await tokens.see(*key)
        except BaseException:
            self._seen.pop(key, None)  # the next use is noted instead
            raise

    async def issue(self, session: Session, claims: Mapping[str, Any] | None = None) -> Issued | None:
        """Issue tokens for a session that just began, or has a new id. Refresh tokens that it had are worth nothing any more.

        Args:
            session: a living one.
            claims: the application's own, for the access token.

        Returns:
            Them, or None if the session is over.

        Raises:
            SettingsError: if there are no access tokens here.
            StoreError: if the store cannot be reached.
        """
        if self.refresh is None:
            return Issued(access=await self._minted(session, 0, claims))
        begun = await self.refresh.begin(session.handle)
        if begun.token is None or begun.session is None:
            return None
        return Issued(access=await self._minted(session, begun.turn, claims), refresh=begun.token)

    async def turn(self, text: str | None) -> tuple[Turned, AccessToken | None]:
        """Turn a refresh token, and mint the access token that comes with its successor.

        One that was used twice ends its session, and nothing else of that person (RFC 9700 section 4.14.2; Macro-Deck issue 815).

        Raises:
            StillhereError: if there are no refresh tokens here.
            StoreError: if the store cannot be reached. Presenting the token again is safe.
        """
        if self.refresh is None:
            raise StillhereError("there are no refresh tokens here; set `refresh` in `Tokens`")
        turned = await self.refresh.turn(text)
        self.turns[turned.outcome] += 1
        session = turned.session
        if session is None or turned.token is not None:
            return turned, None if session is None else await self._minted(session, turned.turn, None)
        if turned.standing is Standing.REUSED and ending(session, now=self._clock()) is None:
            ended = await self._end(session.handle, EndedBy.TOKEN_REUSE)
            self.tell(TokenEvent(news=TokenNews.REUSED, handle=session.handle))
            turned = msgspec.structs.replace(turned, session=ended)
        return turned, None

    async def _minted(self, session: Session, turn: int, claims: Mapping[str, Any] | None) -> AccessToken:
        if self.access is None:
            raise StillhereError("there are no access tokens here; set `access` in `Tokens`")
        now, held = self._clock(), await self._store.held(session.handle, FRESH)
        proof = authentication_of(held, session.id_hash, now=now)
        jti = write_handle(self._random_bytes(_JTI_BYTES))
        return self.access.mint(session, now=now, jti=jti, refresh=turn, auth_at=None if proof is None else proof.at, claims=claims)

    # The provider's

    def is_present(self, claims: Sequence[Claim]) -> bool:
        """Tell whether a message says that a person is there: input inside the activity window, or since the last beat."""
        return any(claim.active_ago_ms is not None and claim.active_ago_ms <= self._window for claim in claims)

    def was_active(self, session: Session) -> bool:
        """Tell whether somebody was active in a session inside that window."""
        return self._clock() - session.last_active_at <= self._window

    async def expiry(self, session: Session, *, may_refresh: bool) -> Expiry:
        """Keep a session's provider tokens fresh, and tell when they end. Before they are due this asks nobody.

        Args:
            session: a living one.
            may_refresh: a person is there.

        Raises:
            ProviderAway: if the access token is over, and the provider in trouble.
            StoreError: if the store cannot be reached.
        """
        if self.provider is None:
            return Expiry(session=session)
        now, due = self._clock(), self._due.get(session.handle)
        if due is None or now >= due.look_at:
            kept = await self.provider.fresh(session.handle, may_refresh=may_refresh)
            if kept.session is None or ending(kept.session, now=now) is not None:
                return Expiry(session=kept.session)
            holding = kept.holding
            due = _Due(now + LOOK_AGAIN_MS) if holding is None else _Due(holding.refresh_at, holding.access_expires_at)
            _remember(self._due, session.handle, due)
        return Expiry(session=session, expires_at=due.expires_at, refresh_at=None if due.expires_at is None else due.look_at)

    async def access_token(self, session: Session, *, may_refresh: bool) -> str | None:
        """Get the provider's access token, for a call of the application's own.

        Args:
            session: a living one.
            may_refresh: a person is there; not so for a request marked as background.

        Returns:
            It, or None if the session holds none, or is over by now.

        Raises:
            TokenLapsed: if it is over, and nobody is there for whom it may be refreshed.
            ProviderAway: if it is over, and the provider in trouble.
            StoreError: if the store cannot be reached, or what is sealed there cannot be opened.
        """
        holding = None
        if self.provider is not None:
            holding = (await self.provider.fresh(session.handle, may_refresh=may_refresh)).holding
        if self.provider is None or holding is None:
            return None
        if self._clock() >= holding.access_expires_at:
            raise TokenLapsed(session.handle, holding.access_expires_at)
        return self.provider.safe.open(session.handle, holding).access_token

    def ended(self, session: Session) -> None:
        """Take back at the provider what a session held that just ended; if that fails, `upkeep` tries again."""
        self._due.pop(session.handle, None)
        if self.provider is not None:
            self._later(self.provider.back.revoke(session.handle))

    async def upkeep(self) -> None:
        """Take back what was left undone, in whatever process.

        Raises:
            StoreError: if the store cannot be reached.
        """
        if self.provider is not None:
            await self.provider.back.upkeep()

    def tell(self, event: TokenEvent) -> None:
        """Log what happened, and tell the application."""
        logger.log(_LEVELS.get(event.news, logging.INFO), "tokens of session %s: %s %s", event.handle, event.news, event.why)
        self._due.pop(event.handle, None)
        self.news[event.news] += 1
        if self._on_event is not None:
            self._later(self._told(self._on_event, event))

    @staticmethod
    async def _told(hook: Callable[[TokenEvent], Awaitable[None]], event: TokenEvent) -> None:
        await hook(event)  # called in a task of its own, too: a hook that fails before it is awaited must not break a refresh

    async def close(self) -> None:
        """Let what is under way finish, and let go of connections."""
        if self.provider is not None:
            await self.provider.close()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self.party is not None:
            await self.party.close()

    def _later(self, work: Coroutine[Any, Any, object] | Awaitable[object]) -> None:
        task = asyncio.get_running_loop().create_task(_done(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _done(work: Awaitable[object]) -> None:
    try:
        await work
    except StoreError as error:
        logger.warning("%s; it is tried again later", error)
    except Exception:
        logger.exception("a hook, or what follows an end, failed")


def _remember(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > KNOWN:
        kept.popitem(last=False)
