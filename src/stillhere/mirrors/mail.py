"""Mail about visits: a note when somebody comes for the first time, or comes back, and a digest of each day."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from msgspec.structs import replace

from stillhere.archive.records import VisitFilter, VisitReport
from stillhere.errors import MailError
from stillhere.mirrors.pace import backoff_ms
from stillhere.mirrors.records import Delivery, Fate, Result, Told
from stillhere.words import clock_span, even_span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from zoneinfo import ZoneInfo

    from stillhere.archive.archive import Archive
    from stillhere.core.policy import Policy
    from stillhere.mirrors.outbox import Outbox

logger = logging.getLogger("stillhere")

LEASE_MS: Final = 120_000
"""How long a process that sends the digest keeps the right to."""

NOTED_MS: Final = 30 * 86_400_000
"""How long it is remembered that a note was sent."""

MOST_LINES: Final = 200
"""Visitors listed in a digest, those who stayed longest."""

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
        results = [Result(fate=Fate.AWAY, sent=one.row.sent) for one in batch]
        for place, one in enumerate(batch):
            results[place] = await self._note(one)
            if results[place].fate is not Fate.DELIVERED:
                break
        return results

    async def close(self) -> None:
        """See `Mirror.close`. A message has a connection of its own."""

    async def _note(self, one: Delivery) -> Result:
        """Send one note to everybody who has not got it; a process that dies meanwhile has sent it, as far as anybody can tell."""
        visit = one.about.visit
        if visit is None or (one.about.returns and not self._returns):
            return Result(fate=Fate.DELIVERED)
        done = set(msgspec.json.decode(one.row.sent, type=list[str])) if one.row.sent else set[str]()
        subject, text = self._written(one.about, visit)
        for to in self._to:
            if to in done:
                continue
            try:
                if await self._first(f"note {visit.id} {to} {one.row.attempts}", self._clock() + NOTED_MS):
                    await self._mailer.send(to, subject, text)
            except MailError as error:
                if error.is_recipient and not error.is_transient:
                    logger.warning("a note by mail was refused: %s", error)
                else:
                    return Result(fate=Fate.AGAIN, sent=msgspec.json.encode(sorted(done)).decode(), why=str(error))
            done.add(to)
        return Result(fate=Fate.DELIVERED)

    def _written(self, about: Told, visit: VisitReport) -> tuple[str, str]:
        what = "is back at" if about.returns else "came to"
        at = datetime.fromtimestamp(visit.started_at / 1000, self._zone)
        page = next((view.title or view.page for view in about.views if view.title or view.page), None)
        lines = [f"{visit.visitor} {what} {self._site_name}.", "", f"When: {at:%A, %d %B %Y, %H:%M} ({self._zone.key})"]
        if page is not None:
            lines.append(f"First page: {page}")
        return f"{visit.visitor} {what} {self._site_name}", "\n".join(lines) + "\n"


class Digest:
    """Sends a digest of each day, when it is over, to several addresses.

    One process sends it. One that dies while it does leaves the rest to the next, so an address may get the same one twice; none is left
    out. A day without visits has no digest, and days on which the program did not run are not made up for, but the last.

    Args:
        to: the addresses.
        at: when, hour and minute of the day after.
        zone: whose days.
        mailer: sends.
        outbox: remembers which day was sent, and by whom.
        archive: tells the visits.
        policy: tells when nobody is there any more.
        holder: names this process.
        clock: tells the milliseconds since 1970.
        site_name: of the site.
    """

    NAME: Final = "digest"

    def __init__(  # noqa: PLR0913  # its surroundings
        self,
        to: Sequence[str],
        *,
        at: tuple[int, int],
        zone: ZoneInfo,
        mailer: Sends,
        outbox: Outbox,
        archive: Archive,
        policy: Policy,
        holder: str,
        clock: Callable[[], int],
        site_name: str,
    ) -> None:
        """Send nothing yet."""
        self._to = to
        self._at = at
        self._zone = zone
        self._mailer = mailer
        self._outbox = outbox
        self._archive = archive
        self._policy = policy
        self._holder = holder
        self._clock = clock
        self._site_name = site_name
        self._done: dict[int, set[str]] = {}

    async def run(self) -> bool:
        """Send the digest of yesterday, if it is time and nobody did; tell whether this call has done with it.

        Raises:
            StoreError: if the outbox or the archive cannot be reached; calling again goes on.
        """
        now = self._clock()
        today = datetime.fromtimestamp(now / 1000, self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        ended_at, due_at = _ms(today), _ms(today.replace(hour=self._at[0], minute=self._at[1]))
        fence = await self._outbox.take(self.NAME, self._holder, now=now, until=now + LEASE_MS)
        mark = None if fence is None else await self._outbox.mark(self.NAME)
        if fence is None or mark is None or now < max(due_at, mark.pause_until_at) or mark.scanned_at >= ended_at:
            return False
        yesterday = today - timedelta(days=1)
        try:
            await self._send(yesterday, _ms(yesterday), ended_at)
        except MailError as error:
            logger.warning("the digest will try again: %s", error)
            failures = mark.failures + 1
            mark = replace(mark, failures=failures, pause_until_at=now + backoff_ms(failures, 0), last_error=str(error))
            await self._outbox.record(self.NAME, fence, [], mark=mark)
            return False
        self._done.clear()
        mark = replace(mark, scanned_at=ended_at, failures=0, pause_until_at=0, last_error=None, last_sent_at=now)
        await self._outbox.record(self.NAME, fence, [], mark=mark)
        return True

    async def close(self) -> None:
        """Let another process send."""
        await self._outbox.release(self.NAME, self._holder)

    async def _send(self, day: datetime, began_at: int, ended_at: int) -> None:
        visits = await self._visits(began_at, ended_at)
        if not visits:
            return
        subject = f"{self._site_name}: {_count(len({visit.visitor for visit in visits}), 'visitor')} on {day:%A, %d %B}"
        text = self._written(day, visits)
        done = self._done.setdefault(ended_at, set())
        for to in self._to:
            if to in done:
                continue
            try:
                await self._mailer.send(to, subject, text)
            except MailError as error:
                if not error.is_recipient or error.is_transient:
                    raise
                logger.warning("a digest by mail was refused: %s", error)
            done.add(to)

    async def _visits(self, began_at: int, ended_at: int) -> list[VisitReport]:
        """List the visits that began on a day."""
        wanted = VisitFilter(since_at=began_at, until_at=ended_at)
        return [visit async for visit in self._archive.all_visits(wanted, beat_interval=self._policy.beat_interval, now=self._clock())]

    def _written(self, day: datetime, visits: Sequence[VisitReport]) -> str:
        by_visitor: dict[str, list[VisitReport]] = {}
        for visit in visits:
            by_visitor.setdefault(visit.visitor, []).append(visit)
        total = clock_span(sum(visit.visible_ms for visit in visits))
        rows = [(name, len(theirs), sum(visit.visible_ms for visit in theirs)) for name, theirs in by_visitor.items()]
        rows.sort(key=lambda row: (-row[2], row[0]))
        width = max(len(name) for name, _, _ in rows[:MOST_LINES])
        lines = [f"{name:<{width}}  {_count(count, 'visit'):>10}  {even_span(visible_ms)}" for name, count, visible_ms in rows[:MOST_LINES]]
        if len(rows) > MOST_LINES:
            lines.append(f"and {len(rows) - MOST_LINES} more")
        head = [
            f"{self._site_name}, {day:%A, %d %B %Y} ({self._zone.key})",
            f"{_count(len(rows), 'visitor')}, {_count(len(visits), 'visit')}, {total} on screen",
        ]
        return "\n".join([*head, "", *lines]) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
