"""Writes the audit log, and shows it to operators.

An entry says what was asked for, and is written before it is done: if it cannot be written, nothing is done. Only sign-ins go on without.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Final

from stillhere.archive.audit import AuditEntry, read_audit_cursor
from stillhere.archive.filters import refuse_unknown
from stillhere.core.ids import write_handle
from stillhere.core.policy import days
from stillhere.errors import BadCursor, BadFilter, StoreError
from stillhere.http.limits import RateLimit
from stillhere.http.problems import problem
from stillhere.server.admin.answers import carried, json_answer
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from stillhere.archive.audit import AuditLog
    from stillhere.server.admin.query import Operator

logger = logging.getLogger("stillhere")

RETENTION: Final = days(400)

LONGEST_TEXT: Final = 500
"""Characters of a target or a detail; both may be what somebody typed."""

REFUSALS_PER_MINUTE: Final = 60
"""Refusals that are written down in a minute: strangers cause them, and must not fill the log."""

FORGOTTEN_AT_ONCE: Final = 500

_ID_BYTES: Final = 10

LIST_LENGTH: Final = 100


class Audit:
    """Records what operators do.

    Args:
        log: where entries are kept.
        clock: tells the milliseconds since 1970.
        retention: how long an entry is kept, milliseconds.
        random_bytes: draws so many random bytes.
    """

    def __init__(
        self,
        log: AuditLog,
        clock: Callable[[], int],
        *,
        retention: int = RETENTION,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,  # noqa: TID251  # here it enters
    ) -> None:
        """Record nothing yet."""
        self._log = log
        self._clock = clock
        self._retention = retention
        self._random_bytes = random_bytes
        self._refusals = RateLimit(REFUSALS_PER_MINUTE)
        self._last_at = 0

    async def record(self, operator: Operator, action: str, target: str | None = None, detail: str | None = None) -> None:
        """Record something before it is done.

        Args:
            operator: who does it.
            action: what.
            target: to what.
            detail: more about it.

        Raises:
            StoreError: if it cannot be written down. Then it is not to be done.
        """
        who = operator.name if operator.network is None else f"{operator.name} from {operator.network}"
        self._last_at = max(self._clock(), self._last_at + 1)  # so that the order in which things were done can be seen
        await self._log.append(
            AuditEntry(
                at=self._last_at,
                id=write_handle(self._random_bytes(_ID_BYTES)),
                operator=clean(who),
                action=action,
                target=None if target is None else clean(target),
                detail=None if detail is None else clean(detail),
            )
        )

    async def note(self, operator: Operator, action: str, target: str | None = None, detail: str | None = None) -> None:
        """Record something that happens whether or not it can be written down: a sign-in."""
        try:
            await self.record(operator, action, target, detail)
        except StoreError as error:
            logger.warning("not in the audit log: %s by %s: %s", action, operator.name, error)

    async def refused(self, operator: Operator, action: str, target: str | None = None, detail: str | None = None) -> None:
        """Record a refusal, unless there are so many that somebody seems to want the log full."""
        if self._refusals.wait_s("") is None:
            await self.note(operator, action, target, detail)

    async def entries(self, *, before: str | None = None, limit: int = LIST_LENGTH) -> tuple[list[AuditEntry], str | None]:
        """List entries, the latest first.

        Args:
            before: a cursor that this gave; None begins at the latest.
            limit: at most so many.

        Returns:
            Them, and the cursor where the list goes on, or None at its end.

        Raises:
            BadCursor: if that is no cursor.
            StoreError: if the log cannot be read.
        """
        found = await self._log.entries(before=None if before is None else read_audit_cursor(before), limit=limit + 1)
        return found[:limit], found[limit - 1].cursor if len(found) > limit else None

    async def upkeep(self) -> int:
        """Forget what is older than the retention, a little at a time; tell how much.

        Raises:
            StoreError: if the log cannot be reached.
        """
        before, forgotten = self._clock() - self._retention, 0
        while True:
            few = await self._log.forget(before=before, limit=FORGOTTEN_AT_ONCE)
            forgotten += few
            if few < FORGOTTEN_AT_ONCE:
                return forgotten
            await asyncio.sleep(0)  # a log that never waits would let nobody else have a turn

    async def show(self, request: Request) -> Response:
        """Answer `GET audit`."""
        try:
            refuse_unknown(request.query_params, ("before",))
            found, following = await self.entries(before=request.query_params.get("before") or None)
        except BadCursor as error:
            return carried(problem(422, f"{error}.", members={"field": "before"}))
        except BadFilter as error:
            return carried(problem(422, f"{error}.", members={"field": error.field}))
        return json_answer({"entries": [shown(entry) for entry in found], "next": following})


def shown(entry: AuditEntry) -> dict[str, object]:
    """Write an entry as the API and the command line show it."""
    return {
        "at": instant(entry.at),
        "operator": entry.operator,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
    }


def clean(text: str) -> str:
    """Cut a text that may come from anybody, and leave out what databases refuse and terminals obey."""
    shorter = text[:LONGEST_TEXT]
    return "".join(character if character.isprintable() else "\ufffd" for character in shorter)
