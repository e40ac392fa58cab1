"""The questions as the dashboard's API takes them."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from stillhere.archive.archive import visitor_cursor
from stillhere.archive.export import FORMS
from stillhere.archive.filters import refuse_unknown
from stillhere.errors import BadCursor, BadFilter, MissingExtra
from stillhere.http.problems import problem
from stillhere.server.admin.answers import carried, download, json_answer
from stillhere.server.admin.query import Query
from stillhere.server.querying.asking import MEDIA, TABLES, Asking
from stillhere.server.querying.rows import (
    bucket_row,
    crowd_row,
    full_view_row,
    page_row,
    totals_row,
    visit_row,
    visitor_row,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.archive.archive import Archive
    from stillhere.archive.filters import Chosen
    from stillhere.manager import SessionManager
    from stillhere.server.admin.query import Handler
    from stillhere.server.settings import Settings

Body = TypeVar("Body")

_SEVERAL: Final = ("ended", "with")
"""Words that may be there more than once."""


class _Excluding(msgspec.Struct):
    excluded: bool


class _Erasing(msgspec.Struct):
    subject: str


def routes(manager: SessionManager, archive: Archive, settings: Settings) -> list[Query]:
    """List the questions.

    Args:
        manager: the sessions.
        archive: their visits.
        settings: say in which zone days begin unless a question says it.
    """
    return Questions(Asking(manager, archive, zone=settings.zone)).queries()


class Questions:
    """Answers questions over HTTP.

    Args:
        asking: asks the archive.
    """

    def __init__(self, asking: Asking) -> None:
        """Answer nothing yet."""
        self._asking = asking
        self._archive = asking.archive

    def queries(self) -> list[Query]:
        """List them."""
        seen = {
            "visits": self.visits,
            "visits/{id}": self.visit,
            "visitors": self.visitors,
            "pages": self.pages,
            "buckets": self.buckets,
            "durations": self.durations,
            "simultaneous": self.simultaneous,
            "totals": self.totals,
            "export/{name}.{form}": self.export,
        }
        done = (
            Query("visits/{id}/exclude", _refusing(self.exclude), role="operator", methods=("POST",)),
            Query("subjects/erase", _refusing(self.erase), role="operator", methods=("POST",)),
            Query("subjects/export", _refusing(self.of_subject), role="operator"),
        )
        return [*(Query(path, _refusing(handler)) for path, handler in seen.items()), *done]

    async def visits(self, request: Request) -> Response:
        """List visits, newest first."""
        chosen = self._read(request, "visits", in_pages=True)
        found = await self._archive.visits(chosen.wanted, **self._asking.when)
        more = found[-1].cursor if len(found) == chosen.wanted.limit else None
        return json_answer({"visits": [visit_row(visit) for visit in found], "next": more})

    async def visit(self, request: Request) -> Response:
        """Show one visit and its views."""
        found = await self._archive.visit(request.path_params["id"], **self._asking.when)
        if found is None:
            return carried(problem(404, "There is no such visit."))
        return json_answer({"visit": visit_row(found[0]), "views": [full_view_row(view) for view in found[1]]})

    async def exclude(self, request: Request) -> Response:
        """Leave a visit out of every count, or count it again."""
        visit, asked = request.path_params["id"], await _body(request, _Excluding)
        if not await self._archive.exclude(visit, excluded=asked.excluded):
            return carried(problem(404, "There is no such visit."))
        return json_answer({"excluded": asked.excluded})

    async def visitors(self, request: Request) -> Response:
        """Add visits up by visitor."""
        chosen = self._read(request, "visitors", in_pages=True)
        found = await self._archive.visitors(chosen.wanted, sort=chosen.sort, **self._asking.when)
        more = visitor_cursor(found[-1], chosen.sort) if len(found) == chosen.wanted.limit else None
        return json_answer({"visitors": [visitor_row(row) for row in found], "next": more})

    async def pages(self, request: Request) -> Response:
        """Add views up by page."""
        chosen = self._read(request, "pages", in_pages=True)
        found = await self._archive.pages(chosen.wanted, **self._asking.when)
        more = found[-1].cursor if len(found) == chosen.wanted.limit else None
        return json_answer({"pages": [page_row(row) for row in found], "next": more})

    async def buckets(self, request: Request) -> Response:
        """Add visits up by hour, day, week or month."""
        chosen = self._read(request, "buckets")
        found = await self._archive.buckets(chosen.wanted, chosen.unit, chosen.zone, **self._asking.when)
        return json_answer({"zone": chosen.zone.key, "unit": chosen.unit, "buckets": [bucket_row(row) for row in found]})

    async def durations(self, request: Request) -> Response:
        """Count visits by their visible time."""
        found = await self._archive.durations(self._read(request, "durations").wanted, **self._asking.when)
        return json_answer({"bins": msgspec.to_builtins(found)})

    async def simultaneous(self, request: Request) -> Response:
        """Tell how many visitors were there at once."""
        chosen = self._read(request, "simultaneous")
        return json_answer(crowd_row(await self._archive.simultaneous(chosen.wanted, **self._asking.when)))

    async def totals(self, request: Request) -> Response:
        """Add visits up."""
        return json_answer(totals_row(await self._archive.totals(self._read(request, "totals").wanted, **self._asking.when)))

    async def export(self, request: Request) -> Response:
        """Send a table as a file, as many rows as there are."""
        name, form = request.path_params["name"], request.path_params["form"]
        if name not in TABLES or form not in FORMS:
            known = ", ".join(f"{table}.{form}" for table in TABLES for form in FORMS)
            return carried(problem(404, f"There is no such file; there are {known}."))
        chosen = self._read(request, name)
        self._asking.prepare(form)
        rows, count = await self._asking.counted(name, chosen)
        headers = None if count is None else {"stillhere-rows": str(count)}
        return await download(self._asking.written(name, form, rows), f"{name}.{form}", MEDIA[form], headers)

    async def erase(self, request: Request) -> Response:
        """Delete all that is kept of a person."""
        erased = await self._asking.erase((await _body(request, _Erasing)).subject)
        return json_answer(msgspec.to_builtins(erased))

    async def of_subject(self, request: Request) -> Response:
        """Send all that is kept of a person."""
        refuse_unknown(request.query_params, ("subject",))
        answer = json_answer(await self._asking.of_subject(request.query_params.get("subject", "")))
        answer.headers["content-disposition"] = 'attachment; filename="person.json"'
        return answer

    def _read(self, request: Request, name: str, *, in_pages: bool = False) -> Chosen:
        return self._asking.read(name, words_of(request), in_pages=in_pages)


def words_of(request: Request) -> Mapping[str, str]:
    """Read the words of a query; those that may be there several times are put together."""
    asked = request.query_params
    return {name: ",".join(asked.getlist(name)) if name in _SEVERAL else asked[name] for name in asked}


async def _body(request: Request, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$.")
        field = path.rstrip("`") or what.rpartition("`")[0].rpartition("`")[2] or "$"
        raise BadFilter(field, what) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFilter("$", "the body is not JSON") from error
    except RecursionError as error:
        raise BadFilter("$", "the body is nested too deeply") from error


def _refusing(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Answer what cannot be read with 422 and the name of what is at fault."""

    @wraps(handler)
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except BadCursor as error:
            return carried(problem(422, f"{error}.", members={"field": "before"}))
        except BadFilter as error:
            return carried(problem(422, f"{error}.", members={"field": error.field}))
        except MissingExtra as error:
            return carried(problem(501, f"{error}."))

    return answered
