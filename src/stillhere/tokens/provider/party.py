"""The relying party: this application, as the provider knows it. Everything that is asked of a provider is asked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from stillhere.core.ids import write_handle
from stillhere.tokens.provider.endpoint import OK, ask, read_tokens
from stillhere.tokens.provider.failures import Failure, LoginRefused, ProviderError
from stillhere.tokens.provider.id_token import check_login, check_same_person, check_times, identity_of, read_claims
from stillhere.tokens.provider.jose import BadToken, candidates, open_unproven, prove
from stillhere.tokens.provider.login import (
    LOGIN_BYTES,
    Begun,
    Login,
    authorize_url,
    new_transaction,
    read_redirect,
    read_transaction,
    refuse_code,
)
from stillhere.tokens.provider.logout import end_session_url, read_logout
from stillhere.tokens.provider.metadata import Discovery
from stillhere.tokens.provider.records import ProviderTokens
from stillhere.tokens.provider.transport import HttpxTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stillhere.tokens.provider.config import Provider
    from stillhere.tokens.provider.endpoint import TokenAnswer
    from stillhere.tokens.provider.jose import Opened, PublicKey
    from stillhere.tokens.provider.login import Transaction
    from stillhere.tokens.provider.logout import LogoutNotice
    from stillhere.tokens.provider.metadata import Metadata
    from stillhere.tokens.provider.records import Identity
    from stillhere.tokens.provider.transport import Reply, Transport

TokenKind = Literal["refresh_token", "access_token"]

_JTI_BYTES: Final = 16

UNCHECKED: Final = frozenset({"unreadable", "unknown_key"})
"""An ID token of which nothing can be said. It came from the token endpoint, over TLS; the last good one stays."""


class Party(Protocol):
    """What is asked of a provider. `RelyingParty` is one."""

    async def refresh(self, tokens: ProviderTokens, *, now: int) -> ProviderTokens:
        """Spend the refresh token; `ProviderError` says what a refusal means for the session."""

    async def revoke(self, token: str, kind: TokenKind, *, now: int) -> bool:
        """Take a token back; `ProviderError` if that has to be tried again."""

    def refresh_at(self, tokens: ProviderTokens) -> int:
        """Tell from when on an access token is to be replaced."""


class RelyingParty:
    """This application, as one provider knows it.

    It keeps metadata and keys for a while, and nothing of any person. Nothing here is tried twice, locked or remembered: that one refresh
    token goes out once is the coordinator's business.

    Args:
        provider: the provider, and what was agreed with it.
        random_bytes: draws so many random bytes.
        transport: carries the calls. Default: httpx2.
    """

    def __init__(self, provider: Provider, *, random_bytes: Callable[[int], bytes], transport: Transport | None = None) -> None:
        """Ask nobody yet."""
        self.provider = provider
        self._random_bytes = random_bytes
        self._transport = HttpxTransport() if transport is None else transport
        self._discovery = Discovery(provider, self._transport)

    async def metadata(self, *, now: int) -> Metadata:
        """Give what the provider says of itself.

        Raises:
            ProviderError: if it cannot be asked or is not to be believed.
        """
        return await self._discovery.metadata(now)

    async def begin(
        self, *, return_to: str | None = None, max_age: int | None = None, extra: Mapping[str, str] | None = None, now: int
    ) -> Begun:
        """Begin a login.

        Args:
            return_to: where the person wants to go, as a browser said. Anything but a path of ours becomes `/`.
            max_age: how long ago they may have proven who they are, in milliseconds; the ID token is held to it. None if it does not
                matter.
            extra: more parameters of the authorization request, such as `prompt` or `login_hint`.
            now: milliseconds since 1970.

        Raises:
            ProviderError: if the provider's metadata cannot be had.
        """
        metadata = await self._discovery.metadata(now)
        transaction = new_transaction(
            self.provider, random_bytes=self._random_bytes(LOGIN_BYTES), return_to=return_to, max_age=max_age, now=now
        )
        url = authorize_url(self.provider, metadata, transaction, extra or {})
        return Begun(url=url, transaction=msgspec.json.encode(transaction))

    async def finish(self, query: str, transaction: bytes, *, now: int) -> Login:
        """Finish a login: exchange the code that a person brought back for tokens, and check who they are.

        Args:
            query: of the address that they came back to, without the question mark.
            transaction: what `begin` gave, from the sealed cookie of the same browser.
            now: milliseconds since 1970.

        Raises:
            LoginRefused: if it does not belong to this login, or anything is wrong with it.
            ProviderError: if the provider cannot be asked, or refuses us.
        """
        begun = read_transaction(transaction)
        metadata = await self._discovery.metadata(now)
        code = read_redirect(query, begun, self.provider, metadata, now=now)
        keys = await self._discovery.keys(now)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.provider.redirect_uri,
            "code_verifier": begun.verifier,
        }
        try:
            reply = await self._ask(metadata.token_endpoint, form, "token", now)
        except ProviderError as error:
            raise refuse_code(error) from None
        answer = read_tokens(reply, default_lifetime=self.provider.access_lifetime)
        if answer.id_token is None:
            raise LoginRefused("id_token", detail="missing")
        identity = await self._identity(answer.id_token, answer.access_token, keys, begun, now)
        tokens = ProviderTokens(
            access_token=answer.access_token,
            access_expires_at=now + answer.lifetime,
            received_at=now,
            refresh_token=answer.refresh_token,
            id_token=answer.id_token,
            scope=answer.scope,
        )
        return Login(identity=identity, tokens=tokens, return_to=begun.return_to)

    async def _identity(self, id_token: str, access_token: str, keys: list[PublicKey], begun: Transaction, now: int) -> Identity:
        try:
            opened = await self._prove(id_token, keys, now)
            claims = check_login(opened, self.provider, nonce=begun.nonce, access_token=access_token, max_age=begun.max_age, now=now)
        except BadToken as bad:
            raise LoginRefused("id_token", detail=bad.why) from None
        return identity_of(opened.payload, claims)

    async def refresh(self, tokens: ProviderTokens, *, now: int) -> ProviderTokens:
        """Spend the refresh token, once, and give what came for it.

        Whatever can be used of an answer is given back, for the old refresh token may be worth nothing any more. So an ID token that
        cannot be checked, because the provider's keys are out of reach or its clock is wrong, is left, and the last good one stays; one
        that says somebody else, or that somebody else signed, is refused with all that came with it.

        Args:
            tokens: the ones before.
            now: milliseconds since 1970, when the call goes out; lifetimes count from here.

        Returns:
            The new ones, with the old refresh token if no new one came, and the old ID token if none came that could be checked.

        Raises:
            ProviderError: with what it means for the session (`failure`), and whether the refresh token may be spent (`may_be_spent`).
        """
        if tokens.refresh_token is None:
            raise ProviderError(Failure.TERMINAL, endpoint="token", why="no_refresh_token")
        url = (await self._discovery.metadata(now)).token_endpoint
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        # The keys come first: what the refresh brings is to be kept at once, not after another call.
        keys = await self._keys_if_there(now)
        reply = await self._ask(url, form, "token", now)
        answer = read_tokens(reply, default_lifetime=self.provider.access_lifetime)
        return ProviderTokens(
            access_token=answer.access_token,
            access_expires_at=now + answer.lifetime,
            received_at=now,
            refresh_token=answer.refresh_token or tokens.refresh_token,
            id_token=await self._id_token_after(answer, tokens, keys, now),
            scope=answer.scope or tokens.scope,
        )

    async def revoke(self, token: str, kind: TokenKind, *, now: int) -> bool:
        """Take a token back at the provider (RFC 7009).

        Args:
            token: which.
            kind: what it is; a hint for the provider.
            now: milliseconds since 1970.

        Returns:
            True once the provider says so, also of a token that it does not know any more; False if it has no endpoint for that, or
            revokes no such tokens (RFC 7009 section 2.2.1), as some do with access tokens that are JWTs.

        Raises:
            ProviderError: if it cannot be asked or refuses; trying again later makes sense if it is transient.
        """
        url = (await self._discovery.metadata(now)).revocation_endpoint
        if url is None:
            return False
        try:
            await self._ask(url, {"token": token, "token_type_hint": kind}, "revocation", now)
        except ProviderError as error:
            if error.why != "unsupported_token_type":
                raise
            return False
        return True

    async def logout_url(self, *, state: str | None = None, now: int) -> str | None:
        """Tell where a person signs out at the provider, or None if it has no page for that. No token is in it.

        Args:
            state: comes back with them; None for none.
            now: milliseconds since 1970.

        Raises:
            ProviderError: if the provider's metadata cannot be had.
        """
        return end_session_url(self.provider, await self._discovery.metadata(now), state=state)

    async def read_logout_token(self, text: str, *, now: int) -> LogoutNotice:
        """Read what a provider posts when it has signed somebody out (OpenID Connect Back-Channel Logout 1.0).

        Whether the notice came before is for the caller to find out: it has a `jti`.

        Args:
            text: the form's field `logout_token`.
            now: milliseconds since 1970.

        Raises:
            BadToken: if it is not to be believed.
            ProviderError: if the provider's keys cannot be had.
        """
        return read_logout(await self._prove(text, await self._discovery.keys(now), now), self.provider, now=now)

    def refresh_at(self, tokens: ProviderTokens) -> int:
        """Tell from when on an access token is to be replaced."""
        return tokens.access_expires_at - self.provider.margin_of(tokens.access_expires_at - tokens.received_at)

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()

    async def _keys_if_there(self, now: int) -> list[PublicKey]:
        try:
            return await self._discovery.keys(now)
        except ProviderError:
            return []

    async def _id_token_after(self, answer: TokenAnswer, before: ProviderTokens, keys: list[PublicKey], now: int) -> str:
        """Tell which ID token holds after a refresh: the new one if it can be checked and says the same person, or the last one."""
        if answer.id_token is None:
            return before.id_token
        try:
            claims = read_claims(open_unproven(answer.id_token).payload)
            check_same_person(claims, before.id_token, self.provider)
            await self._prove(answer.id_token, keys, now)
        except BadToken as bad:
            if bad.why in UNCHECKED:
                return before.id_token
            raise ProviderError(
                Failure.IDENTITY_CHANGED, endpoint="token", why=f"id_token_{bad.why}", status=OK, may_be_spent=True
            ) from None
        except ProviderError:
            return before.id_token
        try:
            check_times(claims, self.provider, now=now)
        except BadToken:
            return before.id_token
        return answer.id_token

    async def _prove(self, text: str, keys: list[PublicKey], now: int) -> Opened:
        """Hold a token to the provider's keys, which are fetched anew if it names one that is not among them.

        Raises:
            BadToken: if nobody of them signed it.
            ProviderError: if the keys cannot be had.
        """
        opened = open_unproven(text)
        if opened.algorithm in self.provider.algorithms and not candidates(opened, keys):
            keys = await self._discovery.keys_anew(now)
        return prove(text, keys, self.provider.algorithms)

    async def _ask(self, url: str, form: Mapping[str, str], endpoint: str, now: int) -> Reply:
        jti = write_handle(self._random_bytes(_JTI_BYTES))
        return await ask(self._transport, self.provider, url, form, endpoint=endpoint, jti=jti, now=now)
