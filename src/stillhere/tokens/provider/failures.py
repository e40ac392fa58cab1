"""What can go wrong with a provider, in four words that decide what happens to the session.

Providers say it in status codes, in words of their own, in HTML, or by silence. Whoever asks for tokens needs to know four things: is the
grant over, is it us, is it somebody else now, or is it only the weather? Only an explicit refusal ends a session.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from stillhere.errors import StillhereError


class Failure(StrEnum):
    """What a failure means."""

    TERMINAL = "terminal"
    """The provider says that the grant is over (`invalid_grant`). The session ends: 401."""
    IDENTITY_CHANGED = "identity_changed"
    """The tokens that came are not this person's, or not for us. The session ends: 401."""
    OPERATOR = "operator"
    """The provider refuses *us*: a wrong client secret, a scope we may not have. People are not signed out; the log wakes somebody. 503."""
    TRANSIENT = "transient"
    """The provider is away, busy or talks nonsense. Try again later; whatever is still good is kept. 503."""


RETRY_AFTER_DEFAULT_S: Final = 5
RETRY_AFTER_LONGEST_S: Final = 300
"""A provider that asks for more is asked again after this: a typing error over there must not lock everybody out for a day."""

TERMINAL_CODES: Final = frozenset({"invalid_grant"})

OPERATOR_CODES: Final = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_client_metadata",
        "invalid_dpop_proof",
        "invalid_redirect_uri",
        "invalid_request",
        "invalid_request_object",
        "invalid_request_uri",
        "invalid_scope",
        "invalid_target",
        "registration_not_supported",
        "request_not_supported",
        "request_uri_not_supported",
        "unauthorized_client",
        "unmet_authentication_requirements",
        "unsupported_grant_type",
        "unsupported_response_type",
        "unsupported_token_type",
    }
)
"""RFC 6749 sections 4.1.2.1 and 5.2, RFC 7009 section 2.2.1, OpenID Connect Core section 3.1.2.6, RFC 8707, RFC 9449."""

TRANSIENT_CODES: Final = frozenset({"server_error", "slow_down", "temporarily_unavailable"})

_STATUS_HINT: Final = {Failure.TERMINAL: 401, Failure.IDENTITY_CHANGED: 401, Failure.OPERATOR: 503, Failure.TRANSIENT: 503}


class ProviderError(StillhereError):
    """The provider did not give what was asked for.

    No text of the provider's is kept: it could repeat a token.

    Attributes:
        failure: what it means for the session.
        endpoint: whom we asked: `discovery`, `jwks`, `authorization`, `token`, `revocation` or `userinfo`.
        why: what happened, in one word of ours or an error code of a standard: `timeout`, `redirect`, `invalid_grant`.
        status: the HTTP status of the answer, or None if there was none.
        may_be_spent: whether a refresh token that was sent may have been used up all the same. True where the answer was lost or cannot be
            read; False where the provider refused or was never reached, so that the token is as good as before.
        retry_after: seconds after which another try makes sense.
    """

    def __init__(
        self,
        failure: Failure,
        *,
        endpoint: str,
        why: str,
        status: int | None = None,
        may_be_spent: bool = False,
        retry_after: int = RETRY_AFTER_DEFAULT_S,
    ) -> None:
        """Keep the facts."""
        answered = "" if status is None else f", status {status}"
        super().__init__(f"the provider's {endpoint} endpoint: {why}{answered} ({failure}). {_ADVICE[failure]}")
        self.failure = failure
        self.endpoint = endpoint
        self.why = why
        self.status = status
        self.may_be_spent = may_be_spent
        self.retry_after = retry_after
        self.status_hint = _STATUS_HINT[failure]  # type: ignore[misc]  # an instance is more precise than its class


_ADVICE: Final = {
    Failure.TERMINAL: "The grant is over; the person signs in again",
    Failure.IDENTITY_CHANGED: "These tokens are not to be used; the person signs in again",
    Failure.OPERATOR: "Compare the client's settings with those at the provider; nobody is signed out meanwhile",
    Failure.TRANSIENT: "Try again later; nobody is signed out meanwhile",
}


def failure_of(code: str, status: int) -> tuple[Failure, str]:
    """Tell what an error code of a provider means, and its name if it has one in a standard.

    The status decides where it says more than the code: a 429 or a 5xx is the weather, whatever the body says (RFC 6749 section 5.2 wants
    400 and 401 for refusals). What nobody has heard of is not the person's fault: it is for the operator to look at.

    Args:
        code: the member `error` of the answer.
        status: the HTTP status.
    """
    known = code if code in TERMINAL_CODES | OPERATOR_CODES | TRANSIENT_CODES else "unknown_error"
    if is_weather(status) or known in TRANSIENT_CODES:
        return Failure.TRANSIENT, known
    return (Failure.TERMINAL if known in TERMINAL_CODES else Failure.OPERATOR), known


def failure_of_status(status: int) -> tuple[Failure, str]:
    """Tell what an answer means whose status is not the one hoped for and whose body says nothing, and what to call it.

    Not found and not allowed are for the operator: nobody is there, or not for us. Everything else is the weather.

    Args:
        status: the HTTP status.
    """
    if status in {401, 403, 404, 405, 410}:
        return Failure.OPERATOR, "not_for_us"
    if 300 <= status < 400:  # noqa: PLR2004  # 3xx
        return Failure.TRANSIENT, "redirect"
    return Failure.TRANSIENT, "busy" if status == 429 else "unavailable" if is_weather(status) else "unreadable"  # noqa: PLR2004  # too many


def is_weather(status: int) -> bool:
    """Tell whether a status says nothing about what was asked: too many requests, too slow, too early, or the provider's own fault."""
    return status in {408, 425, 429} or status >= 500  # noqa: PLR2004  # 5xx


def read_retry_after(text: str | None, date: str | None, *, now: int) -> int:
    """Read `Retry-After` (RFC 9110 section 10.2.3): seconds or a date, between one second and five minutes.

    Args:
        text: the header.
        date: the header `Date` of the same answer: a date is compared with the provider's own clock where it tells it.
        now: milliseconds since 1970, for where it does not.

    Returns:
        Seconds; the default if the header is missing or cannot be read.
    """
    if text is None:
        return RETRY_AFTER_DEFAULT_S
    text = text.strip()
    if text.isascii() and text.isdigit():
        # So many digits that Python would refuse to convert them are surely too many seconds.
        return _between(int(text) if len(text) < 10 else RETRY_AFTER_LONGEST_S)  # noqa: PLR2004  # digits
    until_at, told_at = _read_date(text), _read_date(date)
    if until_at is None:
        return RETRY_AFTER_DEFAULT_S
    return _between(-(-(until_at - (now if told_at is None else told_at)) // 1000))


def _between(seconds: int) -> int:
    return max(1, min(seconds, RETRY_AFTER_LONGEST_S))


def _read_date(text: str | None) -> int | None:
    """Read an HTTP date as milliseconds since 1970."""
    try:
        return None if text is None else round(parsedate_to_datetime(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


class LoginRefused(StillhereError):
    """A login did not come to a good end. Nobody is signed in; whoever it was begins again.

    Attributes:
        why: `transaction` (there is none, or not ours), `expired`, `state`, `issuer`, `query`, `denied` (the person or the provider said
            no), `interaction_required`, `code` (it is no good, or was used before), or `id_token`.
        detail: of an ID token what is wrong with it; otherwise None.
    """

    status_hint = 400

    def __init__(self, why: str, *, detail: str | None = None) -> None:
        """Keep the facts."""
        super().__init__(f"the login is refused: {why}{'' if detail is None else f' ({detail})'}. Begin again")
        self.why = why
        self.detail = detail
        if why == "denied":
            self.status_hint = _FORBIDDEN  # type: ignore[misc]  # an instance is more precise than its class


class NoticeRefused(StillhereError):
    """A provider's notice that somebody signed out is not to be believed.

    Attributes:
        why: the claim or header member at fault, or `unreadable`, `signature`, `unknown_key`.
    """

    status_hint = 400

    def __init__(self, why: str) -> None:
        """Keep what is wrong."""
        super().__init__(f"the logout token is refused: {why}")
        self.why = why


_FORBIDDEN: Final = 403
