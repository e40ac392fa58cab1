"""Problems, as RFC 9457 JSON: what happened, and what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.records import EndedBy
from stillhere.http.messages import Headers, Response
from stillhere.words import in_words, instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillhere.core.records import Ending, Session

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
