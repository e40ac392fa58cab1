"""What operators may ask of mirrors, and do about their dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stillhere.http.problems import problem
from stillhere.server.admin.answers import carried, json_answer
from stillhere.server.admin.query import Query
from stillhere.words import instant

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.mirrors.drain import Drain
    from stillhere.mirrors.records import DeadLetter, MirrorState
    from stillhere.server.mirroring import Mirroring

MOST_LETTERS: Final = 1_000
"""Dead letters listed at once, the latest."""


def routes(mirroring: Mirroring) -> list[Query]:
    """List what operators may ask of mirrors, and do."""
    answers = Answers(mirroring)
    letter = "mirrors/{name}/dead/{id}"
    return [
        Query("mirrors", answers.mirrors),
        Query("mirrors/{name}/dead", answers.dead),
        Query("mirrors/{name}/wake", answers.wake, role="operator", methods=("POST",), action="wake mirror"),
        Query("mirrors/{name}/retry", answers.retry_all, role="operator", methods=("POST",), action="retry mirror"),
        Query(f"{letter}/retry", answers.retry, role="operator", methods=("POST",), action="retry letter"),
        Query(f"{letter}/drop", answers.drop, role="operator", methods=("POST",), action="drop letter"),
    ]


class Answers:
    """Answers operators.

    Args:
        mirroring: the mirrors.
    """

    def __init__(self, mirroring: Mirroring) -> None:
        """Keep them."""
        self._mirroring = mirroring

    async def mirrors(self, request: Request) -> Response:  # noqa: ARG002  # every handler gets its request
        """Tell how all stand."""
        return json_answer({"mirrors": [shown(state) for state in await self._mirroring.states()]})

    async def dead(self, request: Request) -> Response:
        """List a mirror's dead letters."""
        drain = self._drain(request)
        if drain is None:
            return _unknown("mirror")
        letters = await drain.outbox.dead(drain.mirror.name, limit=MOST_LETTERS)
        return json_answer({"letters": [shown_letter(one) for one in letters]})

    async def wake(self, request: Request) -> Response:
        """Try a mirror again now."""
        woken = await self._mirroring.wake(request.path_params["name"])
        return json_answer({"woken": True}) if woken else _unknown("mirror")

    async def retry_all(self, request: Request) -> Response:
        """Try a mirror and all its dead letters again now."""
        retried = await self._mirroring.retry(request.path_params["name"])
        return _unknown("mirror") if retried is None else json_answer({"retried": retried})

    async def retry(self, request: Request) -> Response:
        """Try a dead letter again."""
        return await self._revive(request, drop=False)

    async def drop(self, request: Request) -> Response:
        """Drop a dead letter for good."""
        return await self._revive(request, drop=True)

    async def _revive(self, request: Request, *, drop: bool) -> Response:
        drain = self._drain(request)
        if drain is None:
            return _unknown("mirror")
        if not await drain.outbox.revive(drain.mirror.name, request.path_params["id"], drop=drop, now=drain.clock()):
            return _unknown("dead letter")
        return json_answer({"dropped" if drop else "retried": True})

    def _drain(self, request: Request) -> Drain | None:
        return self._mirroring.named(request.path_params["name"])


def shown(state: MirrorState) -> dict[str, object]:
    """Write a mirror's state as the API and the command line show it."""
    return {
        "name": state.name,
        "kind": state.kind,
        "state": state.state,
        "pending": state.pending,
        "sent": state.sent,
        "dead": state.dead,
        "lagMs": state.lag_ms,
        "lastSentAt": None if state.last_sent_at is None else instant(state.last_sent_at),
        "lastError": state.last_error,
    }


def shown_letter(letter: DeadLetter) -> dict[str, object]:
    """Write a dead letter so."""
    return {"id": letter.id, "visit": letter.visit, "at": instant(letter.at), "attempts": letter.attempts, "error": letter.error}


def _unknown(what: str) -> Response:
    return carried(problem(404, f"There is no such {what}."))
