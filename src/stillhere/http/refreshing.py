"""The token routes: a refresh token in, the next tokens out; and the keys by which others prove access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stillhere.core.ids import hash_secret
from stillhere.core.wire import read_presented, write_tokens
from stillhere.errors import BadBeat
from stillhere.http.bearer import challenge_of
from stillhere.http.cookies import read_refresh_cookie, set_refresh_cookie
from stillhere.http.messages import Response
from stillhere.http.problems import bad_body, over, problem, too_many
from stillhere.verdicts import NO_SESSION, verdict_of
from stillhere.words import instant

if TYPE_CHECKING:
    from stillhere.http.config import HttpConfig
    from stillhere.http.limits import RateLimit
    from stillhere.http.messages import Request
    from stillhere.http.origin import Peer
    from stillhere.manager import SessionManager

JWKS: Final = ("content-type", "application/jwk-set+json")

KEYS_CACHED: Final = ("cache-control", "public, max-age=300")
"""Others may use keys for as long as that after a new one was added: sign with a new key only once it has been published for longer."""


async def refreshed(manager: SessionManager, request: Request, peer: Peer, config: HttpConfig, limit: RateLimit) -> Response:
    """Answer a refresh: the next access token, and the next refresh token where this one came from, in the cookie or the body.

    It extends nothing: a client that refreshes proves that it runs, not that anybody is there (NIST SP 800-63B-4 section 5.1.2).
    """
    credentials = manager.credentials
    if credentials is None or credentials.refresh is None:
        return problem(404, "There are no refresh tokens here.")
    try:
        told = read_presented(request.body)
    except BadBeat as error:
        return bad_body(error)
    presented = told or read_refresh_cookie(request, peer, config)
    # By the token and not by the handle in it: nobody else can use up what a session may ask.
    wait_s = None if presented is None else limit.wait_s(hash_secret(presented))
    if wait_s is not None:
        return too_many("This session", wait_s)
    turned, access = await credentials.turn(presented)
    now = manager.clock()
    verdict = NO_SESSION if turned.session is None else verdict_of(turned.session, policy=manager.policy, now=now)
    if access is None or turned.token is None or verdict.standing is None:
        # No cookie is taken back: another tab may have been given a good one meanwhile, and one that is worth nothing does no harm.
        return over(verdict.session, verdict.ending, challenge=challenge_of(request, config))
    body = write_tokens(
        verdict.standing,
        verdict.next_beat_ms,
        access_token=access.text,
        access_in_ms=max(0, access.expires_at - now),
        access_expires_at=instant(access.expires_at),
        refresh_token=turned.token if told else None,
    )
    headers = () if told else set_refresh_cookie(turned.token, peer, config)
    return Response(status=200, headers=(("content-type", "application/json"), *headers), body=body)


def keys(manager: SessionManager) -> Response:
    """Answer with the public keys (RFC 7517), for whoever verifies access tokens elsewhere. Such a verifier learns of no sign-out."""
    access = None if manager.credentials is None else manager.credentials.access
    if access is None:
        return problem(404, "There are no access tokens here.")
    return Response(status=200, headers=(JWKS, KEYS_CACHED), body=access.keys.jwks())
