"""A small application to wrap, and ways to call it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import httpx2

from stillhere.adapters.asgi import SCOPE_KEY, SessionMiddleware, send_response, session_of
from stillhere.errors import InsecureTransport
from tests.http.doubles import OWN

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from stillhere.adapters.asgi import App, Receive, Scope, Send
    from stillhere.core.records import Session
    from stillhere.http.messages import Headers

TELLS: Final = "/tells"
"""Whose session it is."""

SIGNS_IN: Final = "/sign-in"
"""Begins a session for the person named in the query."""

SIGNS_OUT: Final = "/sign-out"
"""Ends the session."""


ROTATES: Final = "/rotates"
"""Gives the session a new id."""


STEPS_UP: Final = "/steps-up"
"""Lets the person do more for the milliseconds in the query."""

GUARDED: Final = "/guarded"
"""Tells who is fresh and who has stepped up; asks again for a sign-in within the milliseconds in the query, or the policy's."""


ANSWERS: Final = "/answers"
"""Answers as the session routes do."""


ISSUES: Final = "/issues"
"""Issues access and refresh tokens for the session."""

CALLS: Final = "/calls"
"""Tells the provider's access token that it would call with."""


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer by path: tell the session, begin one, end one; any other path is answered without asking for a session."""
    del receive
    answer: dict[str, object] = {"path": scope["path"], "has_session": SCOPE_KEY in scope}
    cookies: Headers = ()
    status = 200
    if scope["path"] == ANSWERS:
        await send_response(session_of(scope).answer(), send)
        return
    if scope["path"] == GUARDED:
        mine, within = session_of(scope), int(scope["query_string"].decode() or 0) or None
        if not await mine.is_fresh(within):
            await send_response(mine.ask_again(within), send)
            return
        answer |= {"stepped_up": await mine.has_stepped_up()}
    if scope["path"] == TELLS:
        mine = session_of(scope)
        answer |= {"subject": mine.session.subject if mine.session else None, "ended": mine.verdict.ending is not None}
    elif scope["path"] == SIGNS_IN:
        try:
            started, cookies = await session_of(scope).start(scope["query_string"].decode(), role="reader")
            answer |= {"attributes": started.session.attributes}
        except InsecureTransport as error:
            status = error.status_hint
    elif scope["path"] in {SIGNS_OUT, STEPS_UP, ROTATES}:
        status, cookies = await _changed(scope)
    elif scope["path"] in {ISSUES, CALLS}:
        told, cookies = await _tokens(scope)
        answer |= told
    headers = [(name.encode(), value.encode()) for name, value in cookies]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def _changed(scope: Scope) -> tuple[int, Headers]:
    mine = session_of(scope)
    if scope["path"] == SIGNS_OUT:
        return 200, await mine.end()
    if scope["path"] == ROTATES:
        rotated = await mine.rotate()
        return 200, () if rotated is None else rotated[1]
    span = int(scope["query_string"].decode() or 0)
    stepped = await (mine.step_up(span) if span else mine.reauthenticated())
    return (401, ()) if stepped is None else (200, stepped[1])


async def _tokens(scope: Scope) -> tuple[dict[str, object], Headers]:
    if scope["path"] == CALLS:
        return {"token": await session_of(scope).access_token()}, ()
    issued = await session_of(scope).issue(_known(scope), role="reader")
    return {"access": None if issued is None else issued[0].access.text}, () if issued is None else issued[1]


def _known(scope: Scope) -> Session:
    session = session_of(scope).verdict.session
    assert session is not None
    return session


def browser(app: App, *, url: str = OWN, cookie: str | None = None) -> httpx2.AsyncClient:
    """Give a client that calls an application as a page of our own would."""
    headers = {"sec-fetch-site": "same-origin", **({"cookie": f"__Host-session={cookie}"} if cookie else {})}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=url, headers=headers)


def wrapped(manager: Any, **options: Any) -> SessionMiddleware:
    """Wrap the application."""
    return SessionMiddleware(application, manager, **options)


class Line:
    """One connection, spoken by hand: what a server would receive and send.

    Args:
        messages: what `receive` gives, in order; after them the client is gone.
        scope: changes to an ordinary scope.
    """

    def __init__(self, *messages: MutableMapping[str, Any], **scope: Any) -> None:
        self._messages = [*messages]
        self.taken = 0
        self.sent: list[MutableMapping[str, Any]] = []
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/session/beat",
            "query_string": b"",
            "scheme": "https",
            "client": ("203.0.113.9", 5000),
            "headers": [(b"host", b"app.example"), (b"x-stillhere", b"1")],
            **scope,
        }

    async def receive(self) -> MutableMapping[str, Any]:
        """Give the next message."""
        self.taken += 1
        return self._messages.pop(0) if self._messages else {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take what is sent."""
        self.sent.append(message)

    async def through(self, app: App) -> int | None:
        """Carry the connection through an application; tell the status that was sent, or None if nothing was."""
        await app(self.scope, self.receive, self.send)
        return self.sent[0]["status"] if self.sent else None


def chunk(body: bytes, *, more: bool) -> dict[str, Any]:
    """Write a message that carries a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}
