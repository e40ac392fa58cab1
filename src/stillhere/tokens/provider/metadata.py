"""What a provider says of itself (OpenID Connect Discovery 1.0), believed as far as it agrees with what was configured."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from stillhere.tokens.provider.config import is_safe_address
from stillhere.tokens.provider.failures import Failure, ProviderError, failure_of_status, read_retry_after
from stillhere.tokens.provider.jose import read_keys
from stillhere.tokens.provider.transport import NoReply, call_to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stillhere.tokens.provider.config import Provider
    from stillhere.tokens.provider.jose import PublicKey
    from stillhere.tokens.provider.transport import Reply, Transport

Value = TypeVar("Value")

STALE_LIFETIME: Final = 86_400_000
"""Metadata that was good a day ago serves while the provider cannot be asked for it; keys do not."""

KEYS_ASKED_AGAIN: Final = 30_000
"""Whoever sends tokens with made-up key names makes us ask the provider for its keys no more often than this."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of itself. Other members are not looked at.

    Attributes:
        issuer: its name.
        authorization_endpoint: where people are sent to sign in.
        token_endpoint: where codes and refresh tokens become tokens.
        jwks_uri: where its keys are.
        revocation_endpoint: where tokens are taken back, if it can.
        end_session_endpoint: where people are sent to sign out, if it can.
        userinfo_endpoint: where it tells more of somebody than in their ID token, if it does.
        authorization_response_iss_parameter_supported: its redirects say who sends them (RFC 9207).
        code_challenge_methods_supported: kinds of PKCE, or None if it does not say.
        token_endpoint_auth_methods_supported: how clients may prove themselves, or None for `client_secret_basic`.
        id_token_signing_alg_values_supported: what its ID tokens are signed with.
        scopes_supported: scopes it knows, or None if it does not say.
        backchannel_logout_supported: it tells applications when somebody signed out.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str | None = None
    end_session_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    authorization_response_iss_parameter_supported: bool = False
    code_challenge_methods_supported: tuple[str, ...] | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] | None = None
    backchannel_logout_supported: bool = False

    def problems(self, provider: Provider) -> list[str]:
        """Tell where this provider and our settings do not fit, a sentence each."""
        found = []
        methods = self.token_endpoint_auth_methods_supported or ("client_secret_basic",)
        if provider.authentication not in methods:
            found.append(f"client_authentication is {provider.authentication}; the provider takes {', '.join(methods)}")
        if self.code_challenge_methods_supported is not None and "S256" not in self.code_challenge_methods_supported:
            found.append("the provider does not say that it knows PKCE with S256; it is used all the same, but protects nothing there")
        if self.id_token_signing_alg_values_supported and not set(self.id_token_signing_alg_values_supported) & set(provider.algorithms):
            theirs = ", ".join(self.id_token_signing_alg_values_supported)
            found.append(f"algorithms are {', '.join(provider.algorithms)}; the provider signs with {theirs}")
        if self.scopes_supported is not None:
            found += [
                f"the provider does not name scope `{scope}` as one it knows"
                for scope in provider.scopes
                if scope not in self.scopes_supported
            ]
        if self.revocation_endpoint is None:
            found.append("the provider cannot revoke tokens: after a sign-out a refresh token that was stolen earlier stays good")
        if self.end_session_endpoint is None:
            found.append("the provider has no page to sign out: who signs out here is still signed in there")
        return found


ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint", "end_session_endpoint")


def metadata_url(issuer: str) -> str:
    """Tell where an issuer's metadata is (OpenID Connect Discovery section 4)."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def read_metadata(document: bytes, issuer: str) -> Metadata:
    """Read metadata, and hold it to the issuer it was asked for (section 4.3) and every address in it to https.

    Raises:
        ProviderError: if it is none, is of another issuer, or would send secrets where they may be read.
    """
    try:
        found = msgspec.json.decode(document, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProviderError(Failure.TRANSIENT, endpoint="discovery", why="unreadable", status=200) from None
    if found.issuer != issuer:
        raise ProviderError(Failure.OPERATOR, endpoint="discovery", why="other_issuer", status=200)
    for name in ENDPOINTS:
        url = getattr(found, name)
        if url is not None and not is_safe_address(url):
            raise ProviderError(Failure.OPERATOR, endpoint="discovery", why=f"insecure_{name}", status=200)
    return found


class Cached(Generic[Value]):
    """A value that is fetched once for all who ask meanwhile, kept for a while, and not kept where fetching failed.

    Args:
        fetch: fetches it; told the time.
        lifetime: how long it is kept, in milliseconds.

    Attributes:
        value: the last one, or None before the first.
        fetched_at: when that was asked for.
    """

    def __init__(self, fetch: Callable[[int], Awaitable[Value]], lifetime: int) -> None:
        """Begin with nothing."""
        self._fetch = fetch
        self._lifetime = lifetime
        self._task: asyncio.Task[Value] | None = None
        self.value: Value | None = None
        self.fetched_at = 0

    async def get(self, now: int, *, anew: bool = False) -> Value:
        """Give the value, fetched if it is too old.

        Args:
            now: milliseconds since 1970.
            anew: fetch it whatever its age.

        Raises:
            ProviderError: if it cannot be fetched.
        """
        if self._task is None:
            if self.value is not None and not anew and 0 <= now - self.fetched_at < self._lifetime:
                return self.value
            self._task = asyncio.ensure_future(self._fetch_and_keep(now))
            self._task.add_done_callback(self._done)
        # One who gives up waiting takes it away from nobody.
        return await asyncio.shield(self._task)

    async def _fetch_and_keep(self, now: int) -> Value:
        value = await self._fetch(now)
        self.value, self.fetched_at = value, now
        return value

    def _done(self, task: asyncio.Task[Value]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # looked at, in case that nobody waits any more


class Discovery:
    """A provider's metadata and keys, fetched when they are needed.

    Args:
        provider: whose.
        transport: carries the calls.
    """

    def __init__(self, provider: Provider, transport: Transport) -> None:
        """Fetch nothing yet."""
        self._provider = provider
        self._transport = transport
        self._metadata = Cached(self._fetch_metadata, provider.metadata_lifetime)
        self._keys = Cached(self._fetch_keys, provider.metadata_lifetime)
        self._asked_again_at: int | None = None

    async def metadata(self, now: int) -> Metadata:
        """Give the metadata. If the provider cannot be asked, what it said up to a day ago serves.

        Raises:
            ProviderError: if there is none.
        """
        try:
            return await self._metadata.get(now)
        except ProviderError as error:
            known = self._metadata.value
            if known is None or error.failure is not Failure.TRANSIENT or not 0 <= now - self._metadata.fetched_at < STALE_LIFETIME:
                raise
            return known

    async def keys(self, now: int) -> list[PublicKey]:
        """Give the keys.

        Raises:
            ProviderError: if there are none to be had.
        """
        return await self._keys.get(now)

    async def keys_anew(self, now: int) -> list[PublicKey]:
        """Give the keys, fetched anew because one was asked for that is not among them; not too often.

        Raises:
            ProviderError: if there are none to be had.
        """
        latest = max(self._keys.fetched_at, self._asked_again_at or 0)
        if 0 <= now - latest < KEYS_ASKED_AGAIN:
            return await self._keys.get(now)
        self._asked_again_at = now
        return await self._keys.get(now, anew=True)

    async def _fetch_metadata(self, now: int) -> Metadata:
        reply = await self._get(metadata_url(self._provider.issuer), "discovery", now)
        return read_metadata(reply.body, self._provider.issuer)

    async def _fetch_keys(self, now: int) -> list[PublicKey]:
        reply = await self._get((await self.metadata(now)).jwks_uri, "jwks", now)
        try:
            return read_keys(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ProviderError(Failure.TRANSIENT, endpoint="jwks", why="unreadable", status=200) from None

    async def _get(self, url: str, endpoint: str, now: int) -> Reply:
        provider = self._provider
        call = call_to(provider, "GET", url, headers={"accept": "application/json"})
        try:
            reply = await self._transport.send(call)
        except NoReply as none:
            raise ProviderError(Failure.TRANSIENT, endpoint=endpoint, why=none.why) from None
        if reply.status != 200:  # noqa: PLR2004  # OK
            failure, why = failure_of_status(reply.status)
            wait = read_retry_after(reply.headers.get("retry-after"), reply.headers.get("date"), now=now)
            raise ProviderError(failure, endpoint=endpoint, why=why, status=reply.status, retry_after=wait)
        return reply
