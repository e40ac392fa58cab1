"""What a provider gave: who somebody is, and the tokens that speak for them. Nothing here shows a secret when it is printed."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Discreet(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is printed without its secrets: by print, in errors, and by rich, which shows records in tracebacks.

    Attributes:
        SHOWN: what is shown.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """Show what may be shown."""
        return f"{type(self).__name__}({''.join(f'{name}={value!r}, ' for name, value in self.__rich_repr__())}…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show rich no more."""
        return [(name, getattr(self, name)) for name in self.SHOWN]


class Identity(Discreet, frozen=True, kw_only=True):
    """Who somebody is, as an ID token that was verified says.

    Attributes:
        iss: the provider's issuer.
        sub: whom it means; unique and never given to anybody else, at this issuer only.
        sid: the provider's session, by which a back-channel logout names it; None if the provider does not tell.
        claims: all claims of the ID token, these included. They are personal data: printing the record does not show them.
    """

    SHOWN = ("iss", "sub", "sid")

    iss: str
    sub: str
    sid: str | None
    claims: dict[str, Any]


class ProviderTokens(Discreet, frozen=True, kw_only=True):
    """A provider's tokens. They stay on the server; printing the record shows none of them.

    Attributes:
        access_token: for calls to the provider's APIs.
        access_expires_at: when it stops being good, by our clock: counted from when the request was sent.
        received_at: when the request for it was sent, by our clock.
        refresh_token: for the next one, or None if the provider gives none; see scope `offline_access`.
        id_token: the last one that was verified.
        scope: what was granted, if the provider tells something else than what was asked for; None otherwise.
    """

    SHOWN = ("access_expires_at", "received_at", "scope")

    access_token: str
    access_expires_at: int
    received_at: int
    refresh_token: str | None
    id_token: str
    scope: str | None
