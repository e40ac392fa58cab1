"""The provider's token endpoint: how it is asked, and what each of its answers means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeGuard
from urllib.parse import quote_plus, urlencode

import msgspec
from authlib.oauth2 import ClientAuth  # type: ignore[import-untyped]  # it has no types
from authlib.oauth2.rfc7523 import private_key_jwt_sign  # type: ignore[import-untyped]  # as above

from stillhere.tokens.provider.failures import (
    RETRY_AFTER_DEFAULT_S,
    Failure,
    ProviderError,
    failure_of,
    failure_of_status,
    is_weather,
    read_retry_after,
)
from stillhere.tokens.provider.records import Discreet
from stillhere.tokens.provider.transport import NoReply, call_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.tokens.provider.config import Provider
    from stillhere.tokens.provider.transport import Reply, Transport

LONGEST_LIFETIME: Final = 400 * 86_400_000
"""An access token that is said to be good for longer is believed so long; milliseconds."""

ASSERTION_LIFETIME_S: Final = 60
"""An assertion is used once, at once."""

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,65536}\Z")
"""What can travel in a header. Tokens that cannot are none."""

OK: Final = 200
TOO_MANY: Final = 429


class TokenAnswer(Discreet, frozen=True, kw_only=True):
    """What a token endpoint gave (RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3).

    Attributes:
        access_token: the access token.
        lifetime: how long it is good, in milliseconds.
        refresh_token: the next refresh token, or None if it is to stay the same.
        id_token: the ID token, if one came. It was not checked.
        scope: what was granted, if it is told.
    """

    SHOWN = ("lifetime", "scope")

    access_token: str
    lifetime: int
    refresh_token: str | None
    id_token: str | None
    scope: str | None


def authenticate(provider: Provider, url: str, form: Mapping[str, str], *, jti: str, now: int) -> tuple[dict[str, str], bytes]:
    """Write a form that proves to the provider that it is us.

    Args:
        provider: who we are there, and how we prove it.
        url: the endpoint.
        form: what is asked.
        jti: a text that was never used before, for an assertion.
        now: milliseconds since 1970.

    Returns:
        Headers and body.
    """
    headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    if provider.authentication == "private_key_jwt":
        proof = {
            "client_id": provider.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": _assertion(provider, jti=jti, now=now),
        }
        return headers, urlencode({**form, **proof}).encode("ascii")
    name, secret = provider.client_id, provider.client_secret or ""
    if provider.authentication == "client_secret_basic":
        # RFC 6749 section 2.3.1 has both written as in a form first; Authlib leaves that to its caller.
        name, secret = quote_plus(name), quote_plus(secret)
    _, headers, body = ClientAuth(name, secret, provider.authentication).prepare("POST", url, headers, urlencode(form))
    return headers, body.encode("ascii")


def _assertion(provider: Provider, *, jti: str, now: int) -> str:
    """Sign an assertion (RFC 7523 section 3)."""
    now_s = now // 1000
    header = {"typ": "JWT", **({} if provider.private_key_id is None else {"kid": provider.private_key_id})}
    signed: str = private_key_jwt_sign(
        provider.signing_key(),
        client_id=provider.client_id,
        token_endpoint=provider.assertion_audience or provider.issuer,
        alg=provider.private_key_algorithm,
        claims={"jti": jti, "iat": now_s, "exp": now_s + ASSERTION_LIFETIME_S},
        header=header,
    )
    return signed


async def ask(transport: Transport, provider: Provider, url: str, form: Mapping[str, str], *, endpoint: str, jti: str, now: int) -> Reply:
    """Post a form to an endpoint, with our proof.

    Raises:
        ProviderError: if there is no answer, or one that refuses.
    """
    headers, body = authenticate(provider, url, form, jti=jti, now=now)
    call = call_to(provider, "POST", url, headers=headers, body=body)
    try:
        reply = await transport.send(call)
    except NoReply as none:
        raise ProviderError(Failure.TRANSIENT, endpoint=endpoint, why=none.why, may_be_spent=none.may_have_arrived) from None
    refuse_failures(reply, endpoint=endpoint, now=now)
    return reply


def refuse_failures(reply: Reply, *, endpoint: str, now: int) -> None:
    """Raise what an answer means if it gives nothing.

    Only what is said in JSON, with a status that fits, is a refusal; a page of a firewall that says 403 signs nobody out.

    Raises:
        ProviderError: with what it means for the session.
    """
    code = error_code(reply)
    if reply.status == OK and code is None:
        return
    failure, why = failure_of_status(reply.status) if code is None else failure_of(code, reply.status)
    wait = read_retry_after(reply.headers.get("retry-after"), reply.headers.get("date"), now=now)
    # A gateway that gave up may have passed the request on; a refusal in the provider's own words, or one to count requests, used nothing
    # up.
    is_refusal = reply.status == TOO_MANY or (code is not None and not is_weather(reply.status))
    raise ProviderError(failure, endpoint=endpoint, why=why, status=reply.status, may_be_spent=not is_refusal, retry_after=wait)


def is_json(reply: Reply) -> bool:
    """Tell whether an answer says that it is JSON."""
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def error_code(reply: Reply) -> str | None:
    """Read the error code of an answer (RFC 6749 section 5.2), or None if it has none."""
    found = _members(reply)
    code = None if found is None else found.get("error")
    return code if isinstance(code, str) else None


def _members(reply: Reply) -> dict[str, Any] | None:
    if not is_json(reply):
        return None
    try:
        return msgspec.json.decode(reply.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_tokens(reply: Reply, *, default_lifetime: int) -> TokenAnswer:
    """Read the tokens of a good answer.

    Where the provider may have used up the old refresh token, nothing that can be used is thrown away for what is only untidy: a lifetime
    that cannot be read is the default, a refresh token that is missing or empty means that the old one stays (RFC 6749 section 6).

    Args:
        reply: an answer that refuses nothing.
        default_lifetime: how long the access token is believed to be good if that is not told, in milliseconds.

    Raises:
        ProviderError: if there is no token in it that can be used. The old refresh token may be spent all the same.
    """
    found = _members(reply)
    if found is None:
        raise _unusable("not_json" if not is_json(reply) else "unreadable")
    access_token, refresh_token, kind = found.get("access_token"), found.get("refresh_token") or None, found.get("token_type", "Bearer")
    if not _is_token(access_token) or not (refresh_token is None or _is_token(refresh_token)):
        raise _unusable("no_tokens")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _unusable("token_type", Failure.OPERATOR)
    return TokenAnswer(
        access_token=access_token,
        lifetime=_lifetime(found.get("expires_in"), default_lifetime),
        refresh_token=refresh_token,
        id_token=_text(found.get("id_token")),
        scope=_text(found.get("scope")),
    )


def _unusable(why: str, failure: Failure = Failure.TRANSIENT) -> ProviderError:
    return ProviderError(failure, endpoint="token", why=why, status=OK, may_be_spent=True, retry_after=RETRY_AFTER_DEFAULT_S)


def _is_token(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _TOKEN.match(value) is not None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _lifetime(told: object, default: int) -> int:
    """Read `expires_in`: seconds, which some providers write as text."""
    if isinstance(told, str) and told.isascii() and told.isdigit() and len(told) < 12:  # noqa: PLR2004  # digits
        told = int(told)
    if isinstance(told, bool) or not isinstance(told, int | float) or told <= 0:
        return default
    return round(min(told, LONGEST_LIFETIME / 1000) * 1000)
