"""What the dashboard asks: who is here now, every visit as a file, and the end of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.archive.export import csv_lines, together
from stillhere.archive.filters import read_filter
from stillhere.core.records import EndedBy
from stillhere.errors import BadFilter
from stillhere.http.problems import problem
from stillhere.server.admin.answers import carried, download, json_answer
from stillhere.server.admin.query import Query, operator_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.archive.archive import Archive
    from stillhere.manager import SessionManager
    from stillhere.server.admin.now import Glance


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

    async def end(self, request: Request) -> Response:
        """End a session."""
        verdict = await self._manager.end_by_handle(request.path_params["handle"], EndedBy.REVOKED)
        if verdict.session is None:
            return carried(problem(404, "There is no such session."))
        return json_answer({"ended": True})

    async def download(self, request: Request) -> Response:
        """Send visits as CSV, as many as there are."""
        try:
            wanted = read_filter(request.query_params, known=("visitor",)).wanted
        except BadFilter as error:
            return carried(problem(422, f"{error}.", members={"field": error.field}))
        visits = self._archive.all_visits(wanted, beat_interval=self._manager.policy.beat_interval, now=self._manager.clock())
        return await download(together(csv_lines(visits)), "visits.csv", "text/csv; charset=utf-8")
