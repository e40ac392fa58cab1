"""`GET /session?explain=1`: the answer to a look, with the table of deadlines of that session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from stillhere.core.rules import deadline
from stillhere.core.wire import Answer
from stillhere.explain import explain

if TYPE_CHECKING:
    from stillhere.explain import Explanation
    from stillhere.http.messages import Request, Response
    from stillhere.manager import SessionManager, Verdict


class ToldDeadline(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One timeout, as it is told; `spec/protocol.md` says what each member means."""

    name: str
    setting: str
    span_ms: int | None
    in_ms: int | None
    counts_from: str
    moved_by: str
    then: str
    enforced_by: str
    ends_session: bool
    effective: bool


class ExplainedAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """How a living session stands, and, if asked for, all its deadlines."""

    deadlines: list[ToldDeadline] | msgspec.UnsetType = msgspec.UNSET


def asks_why(request: Request) -> bool:
    """Tell whether the query asks for the table."""
    return "explain=1" in request.query.split("&")


async def explained(manager: SessionManager, verdict: Verdict, response: Response) -> Response:
    """Add the table to the answer to a look; one that says that the session is over is left as it is.

    Nothing is written. Findings are not told: they are the operator's business (`stillhere doctor`).

    Raises:
        StoreError: if what the session holds of a provider cannot be read.
    """
    if verdict.session is None or verdict.standing is None:
        return response
    # The rows are of the same instant as the rest of the answer.
    now = deadline(verdict.session) - verdict.standing.expires_in_ms
    rows = told_deadlines(await explain(manager, verdict.session, now=now))
    return replace(response, body=msgspec.json.encode({**msgspec.json.decode(response.body), "deadlines": rows}))


def told_deadlines(explanation: Explanation) -> list[ToldDeadline]:
    """Write the table as it is told."""
    now = explanation.now or 0
    return [
        ToldDeadline(
            name=row.name,
            setting=row.setting,
            span_ms=row.span_ms,
            in_ms=row.remaining_ms(now),
            counts_from=row.counts_from,
            moved_by=row.moved_by,
            then=row.then,
            enforced_by=row.enforced_by,
            ends_session=row.ends_session,
            effective=row.is_effective,
        )
        for row in explanation.deadlines
    ]
