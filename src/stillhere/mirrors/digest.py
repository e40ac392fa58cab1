"""A digest of each day by mail: who came, how long, and totals."""

from __future__ import annotations

import logging
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from stillhere.archive.records import VisitFilter, VisitReport
from stillhere.errors import MailError
from stillhere.mirrors.drain import is_ahead
from stillhere.mirrors.pace import backoff_ms
from stillhere.mirrors.records import LeaseLost, Mark, MirrorState
from stillhere.words import clock_span, even_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from zoneinfo import ZoneInfo

    from stillhere.archive.archive import Archive
    from stillhere.core.policy import Policy
    from stillhere.mirrors.mail import Sends
    from stillhere.mirrors.outbox import Outbox
    from stillhere.stores.protocol import Noting

logger = logging.getLogger("stillhere")

LEASE_MS: Final = 120_000
"""How long a process that sends the digest keeps the right to; it is renewed before each message."""

MOST_DAYS: Final = 7
"""So many days are made up for."""

NOTED_MS: Final = (MOST_DAYS + 2) * 86_400_000
"""How long it is remembered who has got a day's."""

MOST_LINES: Final = 200
"""Visitors listed in a digest, those who stayed longest."""


class Digest:
    """Sends a digest of each day, when it is over, to several addresses.

    One process sends it. Should one die in the moment after a message was taken, the next sends that one again; none is left out. A day
    without visits has no digest. Days on which no mail could be sent, or the program did not run, are made up for, the last seven.

    Args:
        to: the addresses.
        at: when, hour and minute of the day after.
        zone: whose days.
        mailer: sends.
        outbox: remembers which day was sent, and by whom.
        noting: remembers who has got a day's.
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
        noting: Noting,
        archive: Archive,
        policy: Policy,
        holder: str,
        clock: Callable[[], int],
        site_name: str,
    ) -> None:
        """Send nothing yet."""
        self._to = to
        self._at = time(*at)
        self._zone = zone
        self._mailer = mailer
        self._outbox = outbox
        self._noting = noting
        self._archive = archive
        self._policy = policy
        self._holder = holder
        self._clock = clock
        self._site_name = site_name

    async def run(self) -> bool:
        """Send the digests that are due, the oldest first, if nobody else does; tell whether this call has done with a day.

        Raises:
            StoreError: if the outbox or the archive cannot be reached; calling again goes on.
        """
        try:
            fence = await self._take()
            return fence is not None and await self._run(fence)
        except LeaseLost as error:
            logger.warning("%s; this process leaves it alone", error)
            return False

    async def state(self) -> MirrorState:
        """Tell how it stands, as of a mirror; what waits are days."""
        now = self._clock()
        mark = await self._outbox.mark(self.NAME) or Mark(scanned_at=now)
        days = self._days(mark, now)
        state = "away" if mark.failures else "behind" if days else "well"
        return MirrorState(
            name=self.NAME,
            kind="digest",
            state=state if await self._outbox.held_until(self.NAME) > now else "asleep",
            pending=len(days),
            sent=mark.sent_count,
            dead=0,
            lag_ms=now - self._due_at(days[0]) if days else 0,
            last_sent_at=mark.last_sent_at,
            last_error=mark.last_error,
        )

    async def wake(self) -> bool:
        """Let it be tried again now; tell whether it ever ran."""
        return await self._outbox.wake(self.NAME)

    async def close(self) -> None:
        """Let another process send."""
        await self._outbox.release(self.NAME, self._holder)

    async def _take(self) -> int | None:
        now = self._clock()
        return await self._outbox.take(self.NAME, self._holder, now=now, until=now + LEASE_MS)

    async def _run(self, fence: int) -> bool:
        mark, now = await self._outbox.mark(self.NAME), self._clock()
        if mark is not None and is_ahead(mark, now):
            mark = replace(mark, scanned_at=now, pause_until_at=0)
            await self._outbox.record(self.NAME, fence, [], mark=mark)
        if mark is None or now < mark.pause_until_at:
            return False
        trouble, done = None, 0
        for day in self._days(mark, now):
            try:
                await self._send(day, fence)
            except MailError as error:
                trouble = error
                if not error.is_recipient:
                    break
            else:
                done += 1
            if trouble is None:
                told = replace(mark, failures=0, pause_until_at=0, last_error=None, last_sent_at=now, sent_count=mark.sent_count + 1)
                mark = replace(told, scanned_at=self._ms(day + timedelta(days=1)))
                await self._outbox.record(self.NAME, fence, [], mark=mark)
        if trouble is not None:
            logger.warning("the digest will try again: %s", trouble)
            failures = mark.failures + 1
            mark = replace(mark, failures=failures, pause_until_at=now + backoff_ms(failures, 0), last_error=str(trouble))
            await self._outbox.record(self.NAME, fence, [], mark=mark)
        return done > 0

    def _days(self, mark: Mark, now: int) -> list[date]:
        """List the days whose digest is due."""
        first, today = self._date(mark.scanned_at), self._date(now)
        days = [today - timedelta(days=back) for back in range(MOST_DAYS, 0, -1)]
        return [day for day in days if day >= first and self._due_at(day) <= now]

    def _date(self, at: int) -> date:
        return datetime.fromtimestamp(at / 1000, self._zone).date()

    def _ms(self, day: date, at: time = time()) -> int:
        """Tell when it is that time; the first time, on a day on which clocks are put back over it."""
        return round(datetime.combine(day, at, self._zone).timestamp() * 1000)

    def _due_at(self, day: date) -> int:
        return self._ms(day + timedelta(days=1), self._at)

    async def _send(self, day: date, fence: int) -> None:
        """Send a day's to all who have not got it; one mailbox that takes nothing now holds up no other."""
        visits = await self._visits(self._ms(day), self._ms(day + timedelta(days=1)))
        if not visits:
            return
        subject = f"{self._site_name}: {_count(len({visit.visitor for visit in visits}), 'visitor')} on {day:%A, %d %B}"
        text = self._written(day, visits)
        name, late = f"digest {day}", None
        done = await self._noting.noted(name, now=self._clock())
        for to in self._to:
            if to in done:
                continue
            if await self._take() != fence:
                raise LeaseLost("another process sends the digest now")
            try:
                await self._mailer.send(to, subject, text)
            except MailError as error:
                if not error.is_recipient:
                    raise
                if error.is_transient:
                    late = error
                    continue
                logger.warning("a digest by mail was refused: %s", error)
            await self._noting.note(name, to, until=self._clock() + NOTED_MS)
        if late is not None:
            raise late

    async def _visits(self, began_at: int, ended_at: int) -> list[VisitReport]:
        """List the visits that began on a day."""
        wanted = VisitFilter(since_at=began_at, until_at=ended_at)
        return [visit async for visit in self._archive.all_visits(wanted, beat_interval=self._policy.beat_interval, now=self._clock())]

    def _written(self, day: date, visits: Sequence[VisitReport]) -> str:
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
