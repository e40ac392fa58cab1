"""The dashboard's routes, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from stillhere.server.admin.api import Api
from stillhere.server.admin.events import Events
from stillhere.server.admin.guard import Guard, Tokens
from stillhere.server.admin.live import Live
from stillhere.server.admin.now import Glance
from stillhere.server.admin.openid import OpenIdDoor
from stillhere.server.admin.pages import Doors
from stillhere.server.admin.query import API, Query, operator_of
from stillhere.server.admin.rows import visit_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.archive.archive import Archive
    from stillhere.archive.records import VisitReport
    from stillhere.http.config import HttpConfig
    from stillhere.manager import SessionManager
    from stillhere.server.admin.audit import Audit
    from stillhere.server.admin.guard import Who
    from stillhere.server.admin.openid import OpenIdAccess
    from stillhere.server.pages import Pages


class Admin:
    """The dashboard's routes.

    Args:
        pages: renders.
        manager: the visitors' sessions.
        archive: their visits.
        http: how the visitors' session routes are offered; proxies are the same here.
        audit: records what operators do.
        tokens: open the dashboard.
        who: an application's own check. Then nobody signs in here.
        openid: where operators may sign in beside the tokens, or None.
        queries: more that can be asked. One of the same path and method takes the place of the dashboard's own.
        site_name: shown to operators.
        zone: IANA name of the zone in which days begin.
        shown_visit: writes a visit for the live stream, as `GET visits` does.
    """

    def __init__(  # noqa: PLR0913  # what it is put together from, all by keyword
        self,
        *,
        pages: Pages,
        manager: SessionManager,
        archive: Archive,
        http: HttpConfig,
        audit: Audit,
        tokens: Tokens,
        who: Who | None = None,
        openid: OpenIdAccess | None = None,
        queries: Sequence[Query] = (),
        site_name: str = "stillhere",
        zone: str = "UTC",
        shown_visit: Callable[[VisitReport], dict[str, Any]] = visit_row,
    ) -> None:
        """Let nobody in yet."""
        self._guard = Guard(http, manager.clock, tokens=tokens, audit=audit, who=who)
        self._doors = Doors(pages, self._guard, tokens, audit, by_openid=openid is not None)
        self._openid = (
            None
            if openid is None
            else OpenIdDoor(openid, pages=pages, guard=self._guard, doors=self._doors, audit=audit, clock=manager.clock)
        )
        glance = Glance(manager, archive, zone=zone)
        self._live = Live(glance, manager.store, shown=shown_visit)
        self._events = Events(self._live, self._guard, manager)
        self._guard.on_done = self._done
        self._api = Api(manager, archive, site_name=site_name, zone=zone, glance=glance)
        self._audit = audit
        self._queries = queries
        self._signs_in = who is None

    def routes(self) -> list[Route]:
        """List the routes."""
        own = [*self._api.queries(), Query("audit", self._audit.show)]
        events = Query("events", self._events.show)
        return [
            *(self._doors.routes() if self._signs_in else []),
            *([] if self._openid is None else self._openid.routes()),
            *self._doors.shells(),
            Route("/admin/visits.csv", self._guard.page(self._download)),
            Route(events.below_api, self._guard.query(events, extends=False)),
            *(Route(query.below_api, self._guard.query(query), methods=[*query.methods]) for query in chosen(own, self._queries)),
        ]

    async def _download(self, request: Request) -> Response:
        """Record an export, like those below the API, and give it."""
        await self._audit.record(operator_of(request.scope), "export", "visits/csv", request.url.query or None)
        return await self._api.download(request)

    def _done(self, query: Query, request: Request) -> None:
        if query.below_api.startswith(f"{API}visits/"):
            self._live.changed(str(request.path_params.get("id")))

    async def close(self) -> None:
        """Stop looking, and let go of the operators' sessions."""
        await self._live.close()
        if self._openid is not None:
            await self._openid.close()
        await self._guard.close()


def chosen(own: Sequence[Query], given: Sequence[Query]) -> list[Query]:
    """Put given queries before the dashboard's own, and leave out those that they replace. A path without a gap goes before one with."""
    taken = {(query.below_api, method) for query in given for method in query.methods}
    left = [query for query in own if not any((query.below_api, method) in taken for method in query.methods)]
    return sorted([*given, *left], key=lambda query: "{" in query.below_api)
