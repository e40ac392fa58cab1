"""Which tokens an application wants beside its sessions, as one frozen record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from stillhere.core.deadlines import TokenSpans
from stillhere.core.policy import minutes, seconds
from stillhere.errors import SettingsError
from stillhere.tokens.access import AccessTokens
from stillhere.tokens.credentials import Credentials, TokenStore
from stillhere.tokens.events import TokenEvent
from stillhere.tokens.provider.config import Provider
from stillhere.tokens.provider.transport import Transport
from stillhere.tokens.signing_in import Welcome
from stillhere.tokens.vault import Vault

if TYPE_CHECKING:
    from stillhere.core.policy import Policy
    from stillhere.tokens.credentials import EndSession


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokens there are beside the session's cookie. Spans are whole milliseconds.

    Attributes:
        access: mints access tokens, JWTs that name a session, for clients that send a bearer. Default none.
        refresh: whether sessions have refresh tokens of ours, by which a client gets its next access token. Needs `access`. Default no.
        provider: where people sign in, and whose tokens are kept fresh while they work. Needs `vault`. Default none.
        vault: seals the provider's tokens.
        welcome: decides whom somebody is taken for who signed in there: given the `Identity`, it gives a `SignIn`, or None to turn them
            away. Default: everybody is their `sub`.
        replay_timeout: how long after its use a refresh token may be presented again at most, because its answer was lost. Default
            2 minutes. It also ends when the token that followed is seen in use.
        grace: how long after that it is still no theft, for requests that were on their way. Default 10 seconds.
        transport: carries calls to the provider. Default: httpx2.
        on_event: told of what happens to tokens: `stillhere.tokens.events`.

    Raises:
        SettingsError: if something needed is missing, or a span is not one.
    """

    access: AccessTokens | None = None
    refresh: bool = False
    provider: Provider | None = None
    vault: Vault | None = None
    welcome: Welcome | None = None
    replay_timeout: int = minutes(2)
    grace: int = seconds(10)
    transport: Transport | None = None
    on_event: Callable[[TokenEvent], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.refresh and self.access is None:
            raise SettingsError("refresh tokens bring access tokens: give `access`, or leave `refresh` off")
        if self.provider is not None and self.vault is None:
            raise SettingsError("a provider's tokens are kept encrypted: give a `vault`")
        if self.access is None and self.provider is None:
            raise SettingsError("these would be no tokens: give `access`, `provider`, or both")
        for name in ("replay_timeout", "grace"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise SettingsError(f"{name} must be a whole number of milliseconds from 0, not {value!r}")

    def spans(self) -> TokenSpans:
        """Tell what of them is a matter of time, for the table of deadlines."""
        provider = self.provider
        return TokenSpans(
            access_lifetime=None if self.access is None else self.access.lifetime,
            replay_timeout=self.replay_timeout if self.refresh else None,
            grace=self.grace,
            provider_lifetime=None if provider is None else provider.access_lifetime,
            refresh_margin=0 if provider is None else provider.wanted_margin_of(provider.access_lifetime),
            asks_offline=provider is None or "offline_access" in provider.scopes,
        )

    def open(
        self,
        store: object,
        *,
        policy: Policy,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        end: EndSession,
    ) -> Credentials:
        """Put them to work for a manager's sessions.

        Args:
            store: the manager's.
            policy: its rules; they say who counts as being there.
            clock: tells the milliseconds since 1970.
            random_bytes: draws so many random bytes.
            end: ends a session by its handle.

        Raises:
            SettingsError: if the store cannot keep them.
        """
        if not isinstance(store, TokenStore):
            raise SettingsError(f"{type(store).__name__} cannot keep tokens: it has no `held`, `swap` and `first`; see docs/testing.md")
        return Credentials(self, store, policy=policy, clock=clock, random_bytes=random_bytes, end=end)
