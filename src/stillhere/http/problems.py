"""Problems, as RFC 9457 JSON: what happened, and what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.records import EndedBy
from stillhere.core.spans import in_words
from stillhere.http.messages import Headers, Response
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.core.records import Ending, Session
    from stillhere.errors import BadBeat, ProviderAway, SignInRefused

NO_SESSION: Final = "no_session"

_SENTENCES: Final = {
    NO_SESSION: "There is no session. Please sign in.",
    EndedBy.IDLE: "The session ended after {idle} without activity. Please sign in again.",
    EndedBy.ABSOLUTE: "The session reached its longest allowed time of {absolute}. Please sign in again.",
    EndedBy.SIGNED_OUT: "You signed out.",
    EndedBy.REVOKED: "The session was ended from elsewhere. Please sign in again.",
    EndedBy.REPLACED: "You signed in again, and that ended this session.",
    EndedBy.TOKEN_REUSE: "The session was ended because its credentials were used twice. Please sign in again.",
    EndedBy.PROVIDER: "The sign-in service ended the session. Please sign in again.",
}


def problem(status: int, detail: str, *, headers: Headers = (), members: Mapping[str, object] | None = None) -> Response:
    """Answer with a problem.

    Args:
        status: HTTP status.
        detail: one or two sentences for people: what happened and what to do.
        headers: more headers.
        members: more members of the problem.
    """
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **(members or {})}
    return Response(
        status=status,
        headers=(("content-type", "application/problem+json"), *headers),
        body=msgspec.json.encode(body),
    )


def bad_body(error: BadBeat) -> Response:
    """Answer 400 or 422: the body is not what it should be, and which member is at fault."""
    return problem(error.status_hint, f"{error}.", members={} if error.field is None else {"field": error.field})


def too_many(who: str, wait_s: int) -> Response:
    """Answer 429, and say when to try again."""
    return problem(429, f"{who} sent too many messages. Try again in {wait_s} s.", headers=(("retry-after", str(wait_s)),))


def provider_away(error: ProviderAway) -> Response:
    """Answer 503: the session lives, its access token is over, and the provider is in trouble. `reason` tells it from trouble of ours."""
    return problem(
        503,
        "The sign-in service cannot be reached. Nobody is signed out; try again in a moment.",
        headers=(("retry-after", str(error.retry_after)),),
        members={"reason": "provider_away"},
    )


def sign_in_refused(error: SignInRefused) -> Response:
    """Answer 409: somebody proved who they are, and yet no session began; `reason` says why. Signing in once more may do."""
    return problem(error.status_hint, f"Nobody was signed in: {error}.", members={"reason": error.reason})


def not_fresh(max_age_ms: int, *, bearer: bool = False) -> Response:
    """Answer 403: the session lives, but its person has to prove again who they are.

    The challenge is that of RFC 9470 section 3. The status is not: here a 401 says that a session is over, and clients act on that. A
    challenge may come with any status (RFC 9110 section 11.6.1).

    Args:
        max_age_ms: how long ago a proof may be, milliseconds.
        bearer: bearers count, so they are challenged too.
    """
    why = f'error="insufficient_user_authentication", max_age="{max_age_ms // 1000}"'
    told = f'Session realm="stillhere", {why}{f", Bearer {why}" if bearer else ""}'
    return problem(
        403,
        f"This asks for a sign-in within the last {in_words(max_age_ms)}. Please sign in once more, then try again.",
        headers=(("www-authenticate", told),),
        members={"reason": "reauthenticate", "maxAgeMs": max_age_ms},
    )


def over(session: Session | None, ending: Ending | None, *, challenge: str = "") -> Response:
    """Answer 401: the session is over, finally, and why. Unknown and absent look the same from outside.

    Args:
        session: the session, or None if there is none.
        ending: when and why it ended, or None if there is none.
        challenge: what else may be said to `WWW-Authenticate`.
    """
    members = over_members(session, ending)
    told = f'Session realm="stillhere", reason="{members["reason"]}"{challenge}'
    return problem(401, members["detail"], headers=(("www-authenticate", told),), members=members)


def over_members(session: Session | None, ending: Ending | None) -> dict[str, str]:
    """Say why a session is over: the members of that problem, for machines and people."""
    sentence = over_sentence(session, ending)
    reason = NO_SESSION if ending is None else ending.by.value
    ended = {} if ending is None else {"endedAt": instant(ending.at)}
    return {"reason": reason, "title": "Session over", "detail": sentence, "message": sentence, **ended}


def over_sentence(session: Session | None, ending: Ending | None) -> str:
    """Say to a person why a session is over."""
    if session is None or ending is None:
        return _SENTENCES[NO_SESSION]
    return _SENTENCES[ending.by].format(
        idle=in_words(session.idle_timeout),
        absolute=in_words(session.absolute_end_at - session.created_at),
    )
