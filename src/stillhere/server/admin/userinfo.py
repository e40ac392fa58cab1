"""What a provider tells of somebody beside their ID token (OpenID Connect Core 1.0 section 5.3). Some keep addresses out of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from stillhere.tokens.provider.config import is_safe_address
from stillhere.tokens.provider.failures import Failure, LoginRefused, ProviderError, failure_of_status
from stillhere.tokens.provider.transport import NoReply, call_to

if TYPE_CHECKING:
    from stillhere.tokens.provider.config import Provider
    from stillhere.tokens.provider.login import Login
    from stillhere.tokens.provider.records import Identity
    from stillhere.tokens.provider.transport import Transport

_OK: Final = 200


async def informed(login: Login, endpoint: str | None, provider: Provider, transport: Transport) -> Identity:
    """Tell who somebody is, with what the provider tells beside the ID token, if that names no address.

    Args:
        login: theirs.
        endpoint: the provider's for this, or None if it has none. One in the clear is not asked: the token would be read on the way.
        provider: whose time-outs count.
        transport: carries the call.

    Raises:
        ProviderError: if it cannot be asked.
        LoginRefused: if it speaks of somebody else.
    """
    identity = login.identity
    if endpoint is None or not is_safe_address(endpoint) or "email" in identity.claims:
        return identity
    call = call_to(
        provider, "GET", endpoint, headers={"accept": "application/json", "authorization": f"Bearer {login.tokens.access_token}"}
    )
    try:
        reply = await transport.send(call)
    except NoReply as none:
        raise ProviderError(Failure.TRANSIENT, endpoint="userinfo", why=none.why) from None
    if reply.status != _OK:
        failure, why = failure_of_status(reply.status)
        raise ProviderError(failure, endpoint="userinfo", why=why, status=reply.status)
    try:
        told = msgspec.json.decode(reply.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProviderError(Failure.TRANSIENT, endpoint="userinfo", why="unreadable", status=_OK) from None
    if told.get("sub") != identity.sub:  # section 5.3.2: what is told of somebody else must not be used
        raise LoginRefused("id_token", detail="userinfo of somebody else")
    return replace(identity, claims={**told, **identity.claims})
