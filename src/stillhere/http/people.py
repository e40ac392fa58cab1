"""A person's own sessions: the list of them, and how to end one, all others, or all (OWASP ASVS 5.0 item 7.5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.people import recalled
from stillhere.core.records import EndedBy
from stillhere.core.rules import deadline
from stillhere.core.wire import Listed, read_revoking, write_list
from stillhere.errors import BadBeat
from stillhere.http.cookies import delete_cookies
from stillhere.http.messages import Response
from stillhere.http.problems import bad_body, not_fresh, problem
from stillhere.stores.protocol import Listable
from stillhere.words import instant

if TYPE_CHECKING:
    from stillhere.core.records import Session
    from stillhere.core.wire import Revoking
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Headers, Request
    from stillhere.http.origin import Peer
    from stillhere.manager import SessionManager

LONGEST_LIST: Final = 200
"""Sessions in a list; who has more can end all others at once."""

_JSON: Final = ("content-type", "application/json")


async def listed(manager: SessionManager, session: Session) -> Response:
    """Answer with the living sessions of somebody's own, the one that asks first. Writes nothing.

    Args:
        manager: the sessions.
        session: the one that asks, alive.
    """
    if not isinstance(manager.store, Listable):
        return _no_list()
    living = await manager.people.living(session.subject)
    ordered = [session, *(other for other in living if other.handle != session.handle)][:LONGEST_LIST]
    now = manager.clock()
    return Response(status=200, headers=(_JSON,), body=write_list([_listed(one, own=session.handle, now=now) for one in ordered]))


def _listed(session: Session, *, own: str, now: int) -> Listed:
    return Listed(
        handle=session.handle,
        current=session.handle == own,
        created_ago_ms=max(0, now - session.created_at),
        last_seen_ago_ms=max(0, now - session.last_seen_at),
        last_active_ago_ms=max(0, now - session.last_active_at),
        expires_in_ms=max(0, deadline(session) - now),
        created_at=instant(session.created_at),
        last_seen_at=instant(session.last_seen_at),
        last_active_at=instant(session.last_active_at),
        device=recalled(session.attributes, "device"),
        network=recalled(session.attributes, "network"),
    )


async def revoked(manager: SessionManager, session: Session, request: Request, peer: Peer, config: HttpConfig) -> Response:
    """Answer a wish to end sessions of one's own. Idempotent.

    Whoever holds a session may end it. To end others they must have signed in lately: else whoever steals one throws out the owner.

    Args:
        manager: the sessions.
        session: the one that asks, alive.
        request: what it asks.
        peer: where it comes from.
        config: how the routes are offered.
    """
    try:
        asked = read_revoking(request.body)
    except BadBeat as error:
        return bad_body(error)
    if asked.handle != session.handle:
        if not isinstance(manager.store, Listable):
            return _no_list()
        # Before anything is looked for, so that nothing is told to whoever must not ask.
        if not await manager.people.is_fresh(session):
            return not_fresh(manager.policy.fresh_timeout, bearer=config.bearer)
    ended = await _ended(manager, session, asked)
    if ended is None:
        return problem(404, "There is no such session of yours.")
    signed_out = asked.everywhere or asked.handle == session.handle
    headers = (_JSON, *signed_out_headers(request, peer, config)) if signed_out else (_JSON,)
    return Response(status=200, headers=headers, body=msgspec.json.encode({"success": True, "ended": ended, "signedOut": signed_out}))


async def _ended(manager: SessionManager, session: Session, asked: Revoking) -> int | None:
    """End what is asked for, and tell how many; None if there is no such session, or it is somebody else's."""
    if asked.handle is not None:
        found = await manager.people.own(session.subject, asked.handle)
        if found is None:
            return None
        by = EndedBy.SIGNED_OUT if asked.handle == session.handle else EndedBy.REVOKED
        return await manager.people.end_one(found, by)
    ended = await manager.end_all(session.subject, but=session.handle)
    # One's own comes last: if the store breaks down on the way, there is somebody to try again.
    return ended + (await manager.people.end_one(session, EndedBy.SIGNED_OUT) if asked.everywhere else 0)


def signed_out_headers(request: Request, peer: Peer, config: HttpConfig) -> Headers:
    """Write the headers of a sign-out: the cookies go, and what the browser keeps of this site."""
    deleted = delete_cookies(request, peer, config)
    if not config.clear_site_data:
        return deleted
    return (*deleted, ("clear-site-data", ", ".join(f'"{kind}"' for kind in config.clear_site_data)))


def _no_list() -> Response:
    return problem(404, "This store does not list sessions.")
