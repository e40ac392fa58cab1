"""Signing in at a provider, and being signed out by it: what has to be remembered between the two, and nothing else.

A login that is under way is remembered in a cookie of the browser that began it, sealed, and good once: so nobody can be made to finish
somebody else's login, and nothing is kept of people who never come back.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.core.rules import ending
from stillhere.errors import Unsealable
from stillhere.tokens.provider.failures import LoginRefused, NoticeRefused
from stillhere.tokens.provider.jose import BadToken
from stillhere.tokens.provider.login import Login, read_transaction
from stillhere.tokens.vault import NONCE_BYTES

if TYPE_CHECKING:
    from stillhere.core.records import Session
    from stillhere.stores.protocol import Noting
    from stillhere.tokens.coordinator import Coordinator
    from stillhere.tokens.provider.logout import LogoutNotice
    from stillhere.tokens.provider.party import RelyingParty
    from stillhere.tokens.provider.records import Identity
    from stillhere.tokens.vault import Vault


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an application takes somebody for who signed in at its provider.

    Attributes:
        subject: whom the session is to belong to.
        attributes: what is to be kept with it, JSON.
    """

    subject: str
    attributes: Mapping[str, Any] = msgspec.field(default_factory=dict)


Welcome = Callable[["Identity"], Awaitable[SignIn | None]]
"""Decides whom a person from the provider is taken for; None turns them away."""


class UnderWay(msgspec.Struct, frozen=True, kw_only=True):
    """A login that began.

    Attributes:
        url: where the person is to be sent.
        name: tells this login from others of the same browser; no secret.
        sealed: what its cookie holds.
        lasts: how long it may take, milliseconds.
    """

    url: str
    name: str
    sealed: str
    lasts: int

    def __repr__(self) -> str:
        """Show no more than which one it is."""
        return f"UnderWay(name={self.name!r})"


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who came back from the provider and is welcome.

    Attributes:
        login: who they are there, their tokens, and where they wanted to go.
        sign_in: whom they are taken for.
        replaces: handle of the session that the browser had when the login began, or None.
        began_at: when the login began.
    """

    login: Login
    sign_in: SignIn
    replaces: str | None
    began_at: int


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a login's cookie holds."""

    transaction: str
    replaces: str | None


NAME_CHARS: Final = 8
"""Of the state, in the name of a login's cookie: several logins of one browser do not disturb each other."""

LONGEST_WAY_BACK: Final = 1_500
"""Characters of where somebody wants to go, or the cookie that holds it would be longer than browsers keep (4,096 bytes)."""

_NAME: Final = re.compile(rf"(?:^|&)state=([A-Za-z0-9_-]{{{NAME_CHARS}}})")

_BOUND_TO: Final = ("login",)

_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(_Kept).decode


class SigningIn:
    """Begins and finishes logins at a provider, and takes its notices of logouts.

    Args:
        party: asks the provider.
        vault: seals what a browser keeps meanwhile.
        store: knows what was used before, and which sessions a provider's names mean.
        coordinator: keeps the tokens.
        clock: tells the milliseconds since 1970.
        random_bytes: draws so many random bytes.
        end: ends the session of that handle, because the provider ended it.
        welcome: decides whom somebody is taken for. Default: `sub`, whoever it is.
    """

    def __init__(  # noqa: PLR0913  # what it works with, all by keyword
        self,
        *,
        party: RelyingParty,
        vault: Vault,
        store: Noting,
        coordinator: Coordinator,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        end: Callable[[str], Awaitable[object]],
        welcome: Welcome | None,
    ) -> None:
        """Begin nothing yet."""
        self._party = party
        self._vault = vault
        self._store = store
        self._coordinator = coordinator
        self._clock = clock
        self._random_bytes = random_bytes
        self._end = end
        self._welcome = welcome or _by_sub

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to."""
        return self._party.provider.redirect_uri

    async def begin(self, *, return_to: str | None, replaces: str | None, max_age: int | None = None) -> UnderWay:
        """Begin a login.

        Args:
            return_to: where the person wants to go, as a browser said.
            replaces: handle of the session that the browser has, or None.
            max_age: how long ago they may have proven to the provider who they are, milliseconds; the login is held to it. None if it
                does not matter.

        Raises:
            ProviderError: if the provider's metadata cannot be had.
        """
        wanted = return_to if return_to is not None and len(return_to) <= LONGEST_WAY_BACK else None
        begun = await self._party.begin(return_to=wanted, max_age=max_age, now=self._clock())
        kept = _write(_Kept(transaction=b64encode(begun.transaction).decode("ascii"), replaces=replaces))
        return UnderWay(
            url=begun.url,
            name=read_transaction(begun.transaction).state[:NAME_CHARS],
            sealed=self._vault.seal(kept, bound_to=_BOUND_TO, nonce=self._random_bytes(NONCE_BYTES)),
            lasts=self._party.provider.login_lifetime,
        )

    @staticmethod
    def name_of(query: str) -> str | None:
        """Tell which login of a browser a redirect's query speaks of, as `UnderWay.name` has it; None if it cannot be one."""
        found = _NAME.search(query)
        return None if found is None else found[1]

    async def finish(self, query: str, sealed: str | None) -> Arrived | None:
        """Finish a login.

        Args:
            query: of the address that the person came back to, without the question mark.
            sealed: from the cookie of that login, or None if the browser has none.

        Returns:
            Who it is, or None if the application turns them away.

        Raises:
            LoginRefused: if it does not belong to a login of this browser, was finished before, or anything is wrong with it.
            ProviderError: if the provider cannot be asked, or refuses us.
            StoreError: if the store cannot be reached.
        """
        if sealed is None:
            raise LoginRefused("transaction")
        try:
            kept = _read(self._vault.open(sealed, bound_to=_BOUND_TO))
        except Unsealable:
            # A browser sent this, and may send anything; a key that is gone only means that the login begins again.
            raise LoginRefused("transaction") from None
        transaction, now = b64decode(kept.transaction), self._clock()
        begun = read_transaction(transaction)
        spent = f"login {begun.state}"
        if not await self._store.first(spent, until=now + self._party.provider.login_lifetime, now=now):
            raise LoginRefused("transaction")
        login = await self._party.finish(query, transaction, now=now)
        try:
            sign_in = await self._welcome(login.identity)
        except BaseException:
            await self.give_back(login)
            raise
        if sign_in is None:
            await self.give_back(login)
            return None
        return Arrived(login=login, sign_in=sign_in, replaces=kept.replaces, began_at=begun.issued_at)

    async def keep(self, session: Session, login: Login) -> bool:
        """Keep what somebody signed in with, in their new session, and what the provider calls it.

        Returns:
            Whether it is kept; not if the session is over by now.

        Raises:
            StoreError: if the store cannot be reached.
        """
        # The names come first: a session that holds tokens is found by them, whatever happens in between.
        for name in _names_of(login.identity):
            await self._store.note(name, session.handle, until=session.absolute_end_at)
        return await self._coordinator.keep(session.handle, login)

    async def give_back(self, login: Login) -> None:
        """Take back at the provider what somebody signed in with who gets no session here."""
        await self._coordinator.back.give_back(login.tokens)

    async def logged_out(self, logout_token: str) -> int:
        """End the sessions that a provider says are over (OpenID Connect Back-Channel Logout 1.0).

        Args:
            logout_token: what it posted.

        Returns:
            How many. None for a notice that came before: whoever signed in since then stays.

        Raises:
            NoticeRefused: if it is not to be believed.
            ProviderError: if the provider's keys cannot be had.
            StoreError: if the store cannot be reached. The notice may come again.
        """
        now = self._clock()
        try:
            notice = await self._party.read_logout_token(logout_token, now=now)
        except BadToken as bad:
            raise NoticeRefused(bad.why) from None
        taken = f"logout {len(notice.iss)} {notice.iss} {notice.jti}"
        if await self._store.noted(taken, now=now):
            return 0
        handles = [handle for handle in await self._store.noted(_name_of(notice), now=now) if await self._is_meant(handle, notice, now=now)]
        for handle in handles:
            await self._end(handle)
        # Noted when it is done: one that failed half-way is taken once more when the provider repeats it.
        await self._store.note(taken, "done", until=notice.replay_until_at)
        return len(handles)

    async def _is_meant(self, handle: str, notice: LogoutNotice, *, now: int) -> bool:
        """Look at a session that goes by a notice's name. One that holds nothing is still being signed in, and its name is all there is."""
        session, holding = await self._coordinator.safe.holding_of(handle)
        if session is None or ending(session, now=now) is not None:
            return False
        if holding is None:
            return True
        return holding.iss == notice.iss and notice.sid in {None, holding.sid} and notice.sub in {None, holding.sub}

    async def logout_url(self, handle: str) -> str | None:
        """Tell where the person of a session signs out at the provider; None if they did not sign in there, or it has no page for that.

        Raises:
            ProviderError: if the provider's metadata cannot be had.
            StoreError: if the store cannot be reached.
        """
        _, holding = await self._coordinator.safe.holding_of(handle)
        return None if holding is None else await self._party.logout_url(now=self._clock())


def _names_of(identity: Identity) -> list[str]:
    """Write the names that a provider has for a session."""
    names = [_name(identity.iss, "sub", identity.sub)]
    return names if identity.sid is None else [*names, _name(identity.iss, "sid", identity.sid)]


def _name_of(notice: LogoutNotice) -> str:
    """Write the most exact name in a notice."""
    return _name(notice.iss, "sub", notice.sub or "") if notice.sid is None else _name(notice.iss, "sid", notice.sid)


def _name(iss: str, kind: str, value: str) -> str:
    return f"{kind} {len(iss)} {iss} {value}"


async def _by_sub(identity: Identity) -> SignIn:
    return SignIn(subject=identity.sub)
