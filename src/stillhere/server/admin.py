"""The dashboard: who is here now, and every visit. Behind a token; its own sign-in is a stillhere session too."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from stillhere.adapters.asgi import request_of
from stillhere.archive.export import csv_lines
from stillhere.archive.records import Presence, VisitFilter, VisitReport
from stillhere.core.policy import Policy, hours, minutes
from stillhere.core.records import ON_SCREEN, EndedBy
from stillhere.core.rules import ending, standing
from stillhere.errors import BadCursor, InsecureTransport
from stillhere.http.cookies import delete_cookies, read_secret, refuse_unsafe_way, set_cookies
from stillhere.http.origin import is_allowed_site, peer_of
from stillhere.http.problems import problem
from stillhere.manager import SessionManager
from stillhere.server.gate import Forms
from stillhere.server.pages import go, with_headers
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from stillhere.archive.archive import Archive
    from stillhere.core.records import View
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Response as Problem
    from stillhere.server.pages import Pages

TRIES_PER_MINUTE: Final = 10
JUST_LEFT_MS: Final = 60_000
DAY_MS: Final = 86_400_000
LONGEST_LIST: Final = 200
LONGEST_NUMBER: Final = 9

OPERATOR_POLICY: Final = Policy(idle_timeout=hours(8), absolute_timeout=hours(24), warning_timeout=minutes(2))
"""A dashboard may stand on a wall for a working day. Its own polling extends nothing."""

_NO_OPERATOR: Final = problem(401, "Sign in at /admin/login first.", headers=(("www-authenticate", 'Session realm="operator"'),))


class Admin:
    """The dashboard's routes.

    Args:
        pages: renders.
        manager: the visitors' sessions.
        archive: their visits.
        token: opens the dashboard.
        http: how the visitors' session routes are offered; proxies and origins are the same here.
    """

    def __init__(self, pages: Pages, manager: SessionManager, archive: Archive, token: str, http: HttpConfig) -> None:
        """Keep the token's hash, not the token."""
        self._pages = pages
        self._manager = manager
        self._archive = archive
        self._token_hash = sha256(token.encode()).digest()
        self._http = msgspec.structs.replace(
            http,
            cookie_name="__Host-operator",
            loopback_cookie_name="operator",
            marker_cookie=None,
            bearer=False,
            same_site="strict",
        )
        self._operators = SessionManager("memory://", policy=OPERATOR_POLICY, clock=manager.clock)
        self._forms = Forms(pages, tries_per_minute=TRIES_PER_MINUTE)

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/admin/login", self.login, methods=["GET", "POST"]),
            Route("/admin/logout", self.leave, methods=["POST"]),
            Route("/admin", self._for_operators(self.dashboard, to_login=True)),
            Route("/admin/visits.csv", self._for_operators(self.download, to_login=True)),
            Route("/admin/api/now", self._for_operators(self.now)),
            Route("/admin/api/visits", self._for_operators(self.visits)),
            Route("/admin/api/visits/{id}", self._for_operators(self.visit)),
            Route("/admin/api/visitors", self._for_operators(self.visitors)),
            Route("/admin/api/sessions/{handle}/end", self._for_operators(self.end), methods=["POST"]),
        ]

    def _for_operators(
        self, handler: Callable[[Request], Awaitable[Response]], *, to_login: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            asked = request_of(request.scope)
            peer = peer_of(asked, self._http)
            if request.method == "POST" and not is_allowed_site(asked, peer, self._http):
                return _carried(problem(403, "This request came from another site."))
            verdict = await self._operators.authenticate(read_secret(asked, peer, self._http), extends=not asked.is_withheld)
            if not verdict.is_alive:
                return go("/admin/login") if to_login else _carried(_NO_OPERATOR)
            return await handler(request)

        return guarded

    async def login(self, request: Request) -> Response:
        """Ask for the token, and let in whoever has it."""
        if request.method != "POST":
            return self._pages.show("admin_login.html", error=None)
        asked = request_of(request.scope)
        peer = peer_of(asked, self._http)
        form = await self._forms.read(request, asked, peer, self._http)
        if not isinstance(form, dict):
            return form
        token = form.get("token", "").strip()
        if not secrets.compare_digest(sha256(token.encode("utf-8", "replace")).digest(), self._token_hash):
            return self._pages.show("admin_login.html", status=403, error="That is not the token. It was printed when the server started.")
        try:
            refuse_unsafe_way(peer)
        except InsecureTransport as error:
            return self._pages.error(403, "Not safe here", f"{error}.")
        started = await self._operators.start("operator", replaces=read_secret(asked, peer, self._http))
        return with_headers(go("/admin"), set_cookies(started.secret, peer, self._http))

    async def leave(self, request: Request) -> Response:
        """Sign the operator out."""
        asked = request_of(request.scope)
        peer = peer_of(asked, self._http)
        if not is_allowed_site(asked, peer, self._http):
            return self._pages.error(403, "Not from here", "This request came from another site.")
        await self._operators.end(read_secret(asked, peer, self._http))
        return with_headers(go("/admin/login"), delete_cookies(asked, peer, self._http))

    async def dashboard(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        """Show the dashboard; it asks for the numbers itself."""
        return self._pages.show("admin.html")

    async def now(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        """Tell who is here, who just left, and today's totals."""
        now, interval = self._manager.clock(), self._manager.policy.beat_interval
        since = now - max(2 * interval, JUST_LEFT_MS)
        people = [self._person(person, now) for person in await self._archive.present(seen_since=since, beat_interval=interval, now=now)]
        here = [person for person in people if person["present"] or person["left"]]
        today = await self._archive.totals(since=now - now % DAY_MS)
        return _json(
            {
                "at": instant(now),
                "here": here,
                "totals": {
                    "here": sum(bool(person["present"]) for person in here),
                    "sessions": await self._manager.count(),
                    "visitsToday": today.visits,
                    "visibleTodayMs": today.visible_ms,
                    "medianVisibleTodayMs": today.median_visible_ms,
                },
            },
        )

    async def visits(self, request: Request) -> Response:
        """List visits, newest first."""
        wanted = request.query_params
        asked = wanted.get("limit") or "50"
        if not (asked.isascii() and asked.isdigit() and len(asked) <= LONGEST_NUMBER and 0 < int(asked) <= LONGEST_LIST):
            return _carried(problem(422, f"limit must be a whole number from 1 to {LONGEST_LIST}.", members={"field": "limit"}))
        limit = int(asked)
        try:
            chosen = VisitFilter(visitor=wanted.get("visitor") or None, before=wanted.get("before") or None, limit=limit)
            found = await self._archive.visits(chosen, beat_interval=self._manager.policy.beat_interval, now=self._manager.clock())
        except BadCursor as error:
            return _carried(problem(422, f"{error}.", members={"field": "before"}))
        more = found[-1].cursor if len(found) == limit else None
        return _json({"visits": [_visit(visit) for visit in found], "next": more})

    async def visit(self, request: Request) -> Response:
        """Show one visit and its views."""
        found = await self._archive.visit(
            request.path_params["id"],
            beat_interval=self._manager.policy.beat_interval,
            now=self._manager.clock(),
        )
        if found is None:
            return _carried(problem(404, "There is no such visit."))
        visit, views = found
        return _json({"visit": _visit(visit), "views": [_view(view) for view in views]})

    async def visitors(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        """Add visits up by visitor."""
        rows = [msgspec.to_builtins(row) for row in await self._archive.visitors()]
        return _json({"visitors": [{**row, "firstAt": instant(row["firstAt"]), "lastAt": instant(row["lastAt"])} for row in rows]})

    async def end(self, request: Request) -> Response:
        """End a session."""
        verdict = await self._manager.end_by_handle(request.path_params["handle"], EndedBy.REVOKED)
        if verdict.session is None:
            return _carried(problem(404, "There is no such session."))
        return _json({"ended": True})

    async def download(self, request: Request) -> Response:
        """Send visits as CSV, as many as there are."""
        chosen = VisitFilter(visitor=request.query_params.get("visitor") or None)
        visits = self._archive.all_visits(chosen, beat_interval=self._manager.policy.beat_interval, now=self._manager.clock())
        return StreamingResponse(
            csv_lines(visits),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="visits.csv"', "cache-control": "private, no-store"},
        )

    async def close(self) -> None:
        """Let go of the operators' sessions."""
        await self._operators.close()

    def _person(self, person: Presence, now: int) -> dict[str, object]:
        visit, session, view = person.visit, person.session, person.view
        alive = ending(session, now=now) is None
        left = visit.ended_by is not None
        stand = standing(session, policy=self._manager.policy, now=now)
        return {
            "session": session.handle,
            "visit": visit.id,
            "visitor": visit.visitor,
            "page": view.page if view else None,
            "title": view.title if view else None,
            "lifecycle": view.lifecycle if view else None,
            "state": ("expiring" if stand.expiring else "active") if alive else "ended",
            "endedBy": visit.ended_by,
            "present": not left,
            "left": left and now - visit.ended_at <= JUST_LEFT_MS,
            "startedAt": instant(visit.started_at),
            "openMs": visit.open_ms,
            "visibleMs": visit.visible_ms,
            "activeMs": visit.active_ms,
            "lastSeenMs": max(0, now - session.last_seen_at),
            "lastActiveMs": max(0, now - session.last_active_at),
            "expiresInMs": stand.expires_in_ms if alive else 0,
            "idleTimeoutMs": session.idle_timeout,
            "tabs": person.tabs,
            "onScreen": view is None or view.lifecycle in ON_SCREEN,
        }


def _visit(visit: VisitReport) -> dict[str, object]:
    row: dict[str, object] = msgspec.to_builtins(visit)
    return {**row, "startedAt": instant(visit.started_at), "endedAt": instant(visit.ended_at), "here": visit.ended_by is None}


def _view(view: View) -> dict[str, object]:
    return {
        "view": view.view,
        "tab": view.tab,
        "page": view.page,
        "title": view.title,
        "openedAt": instant(view.opened_at),
        "lastSeenAt": instant(view.last_seen_at),
        "visibleMs": view.visible_ms,
        "activeMs": view.active_ms,
        "scrollPct": view.scroll_pct,
        "lifecycle": view.lifecycle,
    }


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"cache-control": "private, no-store"})


def _carried(answer: Problem) -> Response:
    response = Response(answer.body, answer.status, headers={"cache-control": "private, no-store"})
    response.raw_headers.extend((name.encode(), value.encode()) for name, value in answer.headers)
    return response
