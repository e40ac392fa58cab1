"""Mail about visits: a note when somebody comes for the first time, or comes back."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from stillhere.errors import MailError
from stillhere.mirrors.records import Delivery, Fate, Result, Told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from zoneinfo import ZoneInfo

    from stillhere.archive.records import VisitReport
    from stillhere.mirrors.records import Row

logger = logging.getLogger("stillhere")

NOTED_MS: Final = 30 * 86_400_000
"""How long it is remembered that a note was sent."""

_NOTED: Final = "noted"


class Sends(Protocol):
    """What sends mail: `stillhere.mail.Mailer`."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Send a message.

        Raises:
            MailError: if it was not taken.
        """
        ...


class Notes:
    """Sends a note about each visitor, to several addresses.

    Args:
        to: the addresses.
        returns: also when somebody comes back.
        mailer: sends.
        first: tells whether nobody sent a note of that name before; across processes.
        clock: tells the milliseconds since 1970.
        zone: in which times are written.
        site_name: of the site.
    """

    name = "mail"
    kind = "mail"
    batch = 5
    creates = False
    events = True
    sessions = False
    grace_ms = 0

    def __init__(  # its surroundings
        self,
        to: Sequence[str],
        *,
        returns: bool,
        mailer: Sends,
        first: Callable[[str, int], Awaitable[bool]],
        clock: Callable[[], int],
        zone: ZoneInfo,
        site_name: str,
    ) -> None:
        """Send nothing yet."""
        self._to = to
        self._returns = returns
        self._mailer = mailer
        self._first = first
        self._clock = clock
        self._zone = zone
        self._site_name = site_name

    def told(self, about: Told) -> str | None:
        """See `Mirror.told`: a visit is noted once."""
        return None if about.visit is None else _NOTED

    async def deliver(self, batch: Sequence[Delivery]) -> list[Result]:
        """See `Mirror.deliver`."""
        results = [Result(fate=Fate.AWAY) for _ in batch]
        for place, one in enumerate(batch):
            results[place] = await self._note(one)
            if results[place].fate is Fate.AWAY:
                break
        return results

    async def close(self) -> None:
        """See `Mirror.close`. A message has a connection of its own."""

    async def _note(self, one: Delivery) -> Result:
        """Send one note to everybody who has not got it; a process that dies meanwhile has sent it, as far as anybody can tell."""
        visit = one.about.visit
        if visit is None or (one.about.returns and not self._returns):
            return Result(fate=Fate.DELIVERED)
        tries, done = _read(one.row)
        subject, text = self._written(one.about, visit)
        fate, why = Fate.DELIVERED, ""
        for to in self._to:
            if to in done:
                continue
            try:
                if await self._first(f"note {visit.id} {to} {tries}", self._clock() + NOTED_MS):
                    await self._mailer.send(to, subject, text)
            except MailError as error:
                if not is_over(error):
                    fate, why = Fate.AGAIN if error.is_recipient else Fate.AWAY, str(error)
                    if fate is Fate.AWAY:
                        break
                    continue
                logger.warning("a note by mail is not sent again: %s", error)
            done.add(to)
        return Result(fate=fate, sent=None if fate is Fate.DELIVERED else _write(tries + 1, done), why=why)

    def _written(self, about: Told, visit: VisitReport) -> tuple[str, str]:
        what = "is back at" if about.returns else "came to"
        at = datetime.fromtimestamp(visit.started_at / 1000, self._zone)
        page = next((view.title or view.page for view in about.views if view.title or view.page), None)
        lines = [f"{visit.visitor} {what} {self._site_name}.", "", f"When: {at:%A, %d %B %Y, %H:%M} ({self._zone.key})"]
        if page is not None:
            lines.append(f"First page: {page}")
        return f"{visit.visitor} {what} {self._site_name}", "\n".join(lines) + "\n"


def is_over(error: MailError) -> bool:
    """Tell whether a message is done with, though nobody said that it was taken: it may have been, or this mailbox is not there."""
    return error.in_doubt or (error.is_recipient and not error.is_transient)


def _read(row: Row) -> tuple[int, set[str]]:
    """Read how often a note was tried in vain, for each try has a name of its own, and who has got it."""
    parts = msgspec.json.decode(row.sent, type=list[int | str]) if row.sent else []
    # Once only addresses were written here, and attempts named the tries.
    tries = next((part for part in parts if isinstance(part, int)), row.attempts)
    return tries, {part for part in parts if isinstance(part, str)}


def _write(tries: int, done: set[str]) -> str:
    return msgspec.json.encode([tries, *sorted(done)]).decode()
