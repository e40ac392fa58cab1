"""What the dashboard asks: who is here now, every visit, and the end of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response, StreamingResponse

from stillhere.archive.export import csv_lines
from stillhere.archive.records import VisitFilter
from stillhere.core.records import EndedBy
from stillhere.errors import BadCursor
from stillhere.http.problems import problem
from stillhere.server.admin.answers import carried, json_answer
from stillhere.server.admin.query import Query, operator_of
from stillhere.server.admin.rows import view_row, visit_row
from stillhere.words import instant

if TYPE_CHECKING:
    from starlette.requests import Request

    from stillhere.archive.archive import Archive
    from stillhere.manager import SessionManager
    from stillhere.server.admin.now import Glance

LONGEST_LIST: Final = 200
LONGEST_NUMBER: Final = 9


class Api:
    """The dashboard's own queries.

    Args:
        manager: the visitors' sessions.
        archive: their visits.
        site_name: shown to operators.
        zone: IANA name of the zone in which days begin.
        glance: tells who is here.
    """

    def __init__(self, manager: SessionManager, archive: Archive, *, site_name: str, zone: str, glance: Glance) -> None:
        """Ask nothing yet."""
        self._manager = manager
        self._glance = glance
        self._archive = archive
        self._site_name = site_name
        self._zone = zone

    def queries(self) -> list[Query]:
        """List them."""
        return [
            Query("me", self.me),
            Query("now", self.now),
            Query("visits", self.visits),
            Query("visits/{id}", self.visit),
            Query("visitors", self.visitors),
            Query("sessions/{handle}/end", self.end, role="operator", methods=("POST",)),
        ]

    async def me(self, request: Request) -> Response:
        """Tell operators who they are here."""
        operator = operator_of(request.scope)
        return json_answer(
            {
                "operator": operator.name,
                "role": operator.role,
                "signOut": "/admin/logout" if operator.signs_out else None,
                "zone": self._zone,
                "siteName": self._site_name,
            }
        )

    async def now(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        """Tell who is here, who just left, and today's totals."""
        return json_answer(await self._glance.now())

    async def visits(self, request: Request) -> Response:
        """List visits, newest first."""
        wanted = request.query_params
        asked = wanted.get("limit") or "50"
        if not (asked.isascii() and asked.isdigit() and len(asked) <= LONGEST_NUMBER and 0 < int(asked) <= LONGEST_LIST):
            return carried(problem(422, f"limit must be a whole number from 1 to {LONGEST_LIST}.", members={"field": "limit"}))
        limit = int(asked)
        try:
            chosen = VisitFilter(visitor=wanted.get("visitor") or None, before=wanted.get("before") or None, limit=limit)
            found = await self._archive.visits(chosen, beat_interval=self._manager.policy.beat_interval, now=self._manager.clock())
        except BadCursor as error:
            return carried(problem(422, f"{error}.", members={"field": "before"}))
        more = found[-1].cursor if len(found) == limit else None
        return json_answer({"visits": [visit_row(visit) for visit in found], "next": more})

    async def visit(self, request: Request) -> Response:
        """Show one visit and its views."""
        found = await self._archive.visit(
            request.path_params["id"],
            beat_interval=self._manager.policy.beat_interval,
            now=self._manager.clock(),
        )
        if found is None:
            return carried(problem(404, "There is no such visit."))
        visit, views = found
        return json_answer({"visit": visit_row(visit), "views": [view_row(view) for view in views]})

    async def visitors(self, request: Request) -> Response:  # noqa: ARG002  # every route gets its request
        """Add visits up by visitor."""
        rows = [msgspec.to_builtins(row) for row in await self._archive.visitors()]
        return json_answer({"visitors": [{**row, "firstAt": instant(row["firstAt"]), "lastAt": instant(row["lastAt"])} for row in rows]})

    async def end(self, request: Request) -> Response:
        """End a session."""
        verdict = await self._manager.end_by_handle(request.path_params["handle"], EndedBy.REVOKED)
        if verdict.session is None:
            return carried(problem(404, "There is no such session."))
        return json_answer({"ended": True})

    async def download(self, request: Request) -> Response:
        """Send visits as CSV, as many as there are."""
        visitor = request.query_params.get("visitor") or None
        if visitor is not None and "\0" in visitor:
            return carried(problem(422, "text has no U+0000 in it.", members={"field": "visitor"}))
        chosen = VisitFilter(visitor=visitor)
        visits = self._archive.all_visits(chosen, beat_interval=self._manager.policy.beat_interval, now=self._manager.clock())
        return StreamingResponse(
            csv_lines(visits),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="visits.csv"', "cache-control": "private, no-store"},
        )
