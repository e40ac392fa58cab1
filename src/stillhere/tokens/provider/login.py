"""A login by authorization code with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9207, RFC 9700), the parts that ask nobody.

What has to be remembered between the two halves is one record. It goes into a cookie, sealed by whoever sets it, so no server remembers
anything of people who never come back.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from stillhere.core.paths import local_path
from stillhere.tokens.provider.config import OURS
from stillhere.tokens.provider.failures import OPERATOR_CODES, TRANSIENT_CODES, Failure, LoginRefused, ProviderError, failure_of
from stillhere.tokens.provider.records import Discreet, Identity, ProviderTokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.errors import StillhereError
    from stillhere.tokens.provider.config import Provider
    from stillhere.tokens.provider.metadata import Metadata

LOGIN_BYTES: Final = 96
"""Random bytes of a login: 256 bits each for state, nonce and verifier."""

_FORBIDDEN: Final = 403

LONGEST_QUERY: Final = 16_384
"""Characters of a redirect's query; codes of real providers have a few hundred."""

MOST_FIELDS: Final = 50

INTERACTION_CODES: Final = frozenset({"account_selection_required", "consent_required", "interaction_required", "login_required"})
"""The person would have had to do something (OpenID Connect Core section 3.1.2.6), which `prompt=none` forbade."""


class Transaction(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a login remembers while the person is at the provider. All of it is secret but where they come back to.

    Attributes:
        issuer: where they were sent. A redirect of another provider is not for this login (RFC 9700 section 4.4).
        state: comes back with them, so that nobody can be signed in to somebody else's account.
        nonce: comes back in the ID token, so that it belongs to this login.
        verifier: proves that whoever brings the code began the login (RFC 7636).
        return_to: path of ours where they wanted to go.
        issued_at: when it began.
        max_age: how long ago they may have proven who they are, in milliseconds, or None.
    """

    SHOWN = ("issuer", "return_to", "issued_at")

    issuer: str
    state: str
    nonce: str
    verifier: str
    return_to: str
    issued_at: int
    max_age: int | None = None


class Begun(Discreet, frozen=True, kw_only=True):
    """A login that began.

    Attributes:
        url: where the person is to be sent.
        transaction: what `finish` needs, as bytes; to be sealed and kept in a cookie of that browser until then.
    """

    url: str
    transaction: bytes


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A login that came to a good end.

    Attributes:
        identity: who it is.
        tokens: the provider's tokens.
        return_to: path of ours where they wanted to go.
    """

    identity: Identity
    tokens: ProviderTokens
    return_to: str


def new_transaction(provider: Provider, *, random_bytes: bytes, return_to: str | None, max_age: int | None, now: int) -> Transaction:
    """Make the record of a login.

    Args:
        provider: where the person is sent.
        random_bytes: `LOGIN_BYTES` of them.
        return_to: where they want to go, as a browser said. Anything but a path of ours becomes `/`.
        max_age: how long ago they may have proven who they are, in milliseconds, or None.
        now: milliseconds since 1970.
    """
    third = LOGIN_BYTES // 3
    state, nonce, verifier = (_base64url(random_bytes[start : start + third]) for start in range(0, LOGIN_BYTES, third))
    return Transaction(
        issuer=provider.issuer,
        state=state,
        nonce=nonce,
        verifier=verifier,
        return_to=local_path(return_to) or "/",
        issued_at=now,
        max_age=max_age,
    )


def read_transaction(document: bytes) -> Transaction:
    """Read a transaction back.

    Raises:
        LoginRefused: if it is none.
    """
    try:
        found = msgspec.json.decode(document, type=Transaction)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise LoginRefused("transaction") from None
    if local_path(found.return_to) is None:
        raise LoginRefused("transaction")
    return found


def authorize_url(provider: Provider, metadata: Metadata, transaction: Transaction, extra: Mapping[str, str]) -> str:
    """Write the address at which a login begins.

    Args:
        provider: who we are there.
        metadata: the provider's.
        transaction: of this login.
        extra: more parameters, such as `prompt`; they override those of the settings, never those of the login.
    """
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": provider.redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": transaction.state,
        "nonce": transaction.nonce,
        "code_challenge": _base64url(sha256(transaction.verifier.encode("ascii")).digest()),
        "code_challenge_method": "S256",
    }
    if provider.audience is not None:
        asked["audience"] = provider.audience
    if transaction.max_age is not None:
        asked["max_age"] = str(transaction.max_age // 1000)
    more = {name: value for name, value in {**provider.authorize_parameters, **extra}.items() if name not in OURS}
    return with_query(metadata.authorization_endpoint, {**more, **asked})


def read_redirect(query: str, transaction: Transaction, provider: Provider, metadata: Metadata, *, now: int) -> str:
    """Read what a person brings back from the provider.

    Args:
        query: of the address that they came back to, without the question mark.
        transaction: of the login that their browser began.
        provider: where they were sent.
        metadata: the provider's.
        now: milliseconds since 1970.

    Returns:
        The code.

    Raises:
        LoginRefused: if it does not belong to this login, or they were refused.
        ProviderError: if the provider says that it is its own trouble, or ours.
    """
    if transaction.issuer != provider.issuer:
        raise LoginRefused("issuer")
    if not 0 <= now - transaction.issued_at < provider.login_lifetime:
        raise LoginRefused("expired")
    found = _read_query(query)
    if not compare_digest(found.get("state", "").encode(), transaction.state.encode()):
        raise LoginRefused("state")
    iss = found.get("iss")
    if iss != metadata.issuer and (iss is not None or metadata.authorization_response_iss_parameter_supported):
        raise LoginRefused("issuer")
    if "error" in found:
        raise _refusal(found["error"])
    if not found.get("code"):
        raise LoginRefused("code")
    return found["code"]


def _read_query(query: str) -> dict[str, str]:
    """Read a query in which nothing is said twice (RFC 6749 section 3.1), so that no two readers take two things from it."""
    try:
        if len(query) > LONGEST_QUERY:
            raise LoginRefused("query")
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise LoginRefused("query") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise LoginRefused("query")
    return found


def _refusal(code: str) -> StillhereError:
    if code in INTERACTION_CODES:
        return LoginRefused("interaction_required")
    if code == "access_denied" or code not in OPERATOR_CODES | TRANSIENT_CODES:
        return LoginRefused("denied")
    failure, why = failure_of(code, status=_FORBIDDEN)
    return ProviderError(failure, endpoint="authorization", why=why)


def refuse_code(error: ProviderError) -> StillhereError:
    """Tell what it means that a code could not be exchanged: one that is refused is the login's end, the rest is trouble."""
    return LoginRefused("code") if error.failure is Failure.TERMINAL else error


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Add parameters to an address that may have some already."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
