"""Drains the outbox of one mirror: what changed is found, told in its latest state, and remembered. One process does at a time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from stillhere.archive.internal import is_internal
from stillhere.archive.records import VisitFilter
from stillhere.mirrors.outbox import DEEP_MS, SETTLING_MS
from stillhere.mirrors.pace import backoff_ms
from stillhere.mirrors.records import Delivery, Due, Fate, LeaseLost, Mark, MirrorState, Result, Row, Step, Told, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stillhere.archive.archive import Archive
    from stillhere.archive.records import VisitReport
    from stillhere.core.policy import Policy
    from stillhere.mirrors.outbox import Outbox
    from stillhere.mirrors.records import Mirror

logger = logging.getLogger("stillhere")

LEASE_MS: Final = 60_000
"""How long a process that says nothing keeps the right to drain; it is renewed all the while."""

DEEP_INTERVAL_MS: Final = 600_000
"""How often a scan goes deep."""

MOST_ATTEMPTS: Final = 15
"""With the waits between them some hours; then it is a dead letter."""

UNPROVEN_ATTEMPTS: Final = 12
"""So many may count without a proof that the other side takes anything else: they lengthen the waits, and make no dead letter."""

OFF_MS: Final = 365 * 86_400_000
"""How long a mirror is left alone that wants no more, unless an operator wakes it."""

LONGEST_ATTEMPT_WAIT_MS: Final = 3_600_000
"""How long one that breaks on its own account waits for its next attempt at most."""


class Drain:
    """Drains one mirror.

    Args:
        mirror: where to.
        outbox: what from.
        archive: tells visits.
        policy: says when nobody is there any more, and when a visit is over for good.
        holder: names this process.
        clock: tells the milliseconds since 1970.
        chance: draws a number between 0 and 1.
        interval_ms: how often it is called.
    """

    def __init__(  # noqa: PLR0913  # its surroundings
        self,
        mirror: Mirror,
        outbox: Outbox,
        archive: Archive,
        policy: Policy,
        *,
        holder: str,
        clock: Callable[[], int],
        chance: Callable[[], float],
        interval_ms: int = 10_000,
    ) -> None:
        """Tell nothing yet."""
        self.mirror = mirror
        self.outbox = outbox
        self._archive = archive
        self._policy = policy
        self._holder = holder
        self.clock = clock
        self._chance = chance
        self._patience_ms = 3 * interval_ms  # between two turns of one that called rarely the lease passes
        self._deep_at = 0
        self._fence = -1
        self._renew_at = 0

    async def run(self) -> int:
        """Tell all that is due, and give how many rows moved on. Does nothing while another process drains, or the mirror is away.

        Raises:
            StoreError: if the outbox cannot be reached; calling again goes on.
        """
        try:
            return await self._run() if await self._take() else 0
        except LeaseLost as error:
            self._fence = -1
            logger.warning("%s; this process leaves it alone", error)
            return 0

    async def close(self) -> None:
        """Give the lease back, and let go of connections."""
        self._fence = -1
        await self.outbox.release(self.mirror.name, self._holder)
        await self.mirror.close()

    async def retry(self) -> int:
        """Try the mirror and all its dead letters again, whichever process drains it; tell how many letters."""
        revived = await self.outbox.revive_all(self.mirror.name, now=self.clock())
        await self.outbox.wake(self.mirror.name)
        return revived

    async def state(self) -> MirrorState:
        """Tell how the mirror stands, whichever process drains it."""
        name = self.mirror.name
        now = self.clock()
        mark = await self.outbox.mark(name) or Mark(scanned_at=now)
        waiting = await self.outbox.waiting(name)
        is_asleep = await self.outbox.held_until(name) + self._patience_ms <= now
        since_at = min(waiting.since_at or now, mark.scanned_at if is_asleep else now)
        return MirrorState(
            name=name,
            kind=self.mirror.kind,
            state=_state(mark, waiting, now, is_asleep=is_asleep),
            pending=waiting.pending,
            sent=mark.sent_count,
            dead=waiting.dead,
            lag_ms=max(0, now - since_at),
            last_sent_at=mark.last_sent_at,
            last_error=mark.last_error or waiting.error,
        )

    async def _take(self) -> bool:
        """Have the lease, renewed before a third of it is over; every write is fenced, so a look at the clock is enough in between."""
        now = self.clock()
        if self._fence >= 0 and now < self._renew_at:
            return True
        fence = await self.outbox.take(self.mirror.name, self._holder, now=now, until=now + LEASE_MS)
        if fence != self._fence:
            self._deep_at = 0  # who drained before may have been behind
        self._fence, self._renew_at = -1 if fence is None else fence, now + LEASE_MS // 3
        return fence is not None

    async def _run(self) -> int:
        mark, now = await self.outbox.mark(self.mirror.name), self.clock()
        if mark is not None and is_ahead(mark, now):
            mark = replace(mark, scanned_at=now, pause_until_at=0)
            await self.outbox.rewind(self.mirror.name, self._fence, mark=mark, now=now)
        if mark is None or now < mark.pause_until_at:
            return 0
        mark, done = await self._scan(mark), 0
        while due := await self.outbox.due(self.mirror.name, limit=self.mirror.batch, now=self.clock()):
            mark, moved = await self._tell(due, mark)
            done += moved
            if mark.failures or not moved:
                break
        return done

    async def _scan(self, mark: Mark) -> Mark:
        now = self.clock()
        deep = now >= self._deep_at
        since = mark.scanned_at - (DEEP_MS if deep else SETTLING_MS)
        await self.outbox.scan(self.mirror.name, self._fence, since=since, sessions=self.mirror.sessions, now=now)
        if deep:
            await self.outbox.tidy(self.mirror.name, self._fence)
            self._deep_at = now + DEEP_INTERVAL_MS
        if deep or now - mark.scanned_at >= SETTLING_MS // 2:
            mark = replace(mark, scanned_at=max(mark.scanned_at, now))
            await self.outbox.record(self.mirror.name, self._fence, [], mark=mark)
        return mark

    async def _tell(self, due: Sequence[Due], mark: Mark) -> tuple[Mark, int]:
        """Tell these; give the mark as it is now, and how many rows moved on."""
        known = [(one, await self._about(one.row)) for one in due]
        gone = [one.row for one, about in known if about is None or one.facts is None]
        if gone:
            await self.outbox.remove(self.mirror.name, self._fence, gone)
        rows, deliveries = list[Row](), list[tuple[Delivery, Due]]()
        for one, about in known:
            if about is None or one.facts is None:
                continue
            told = None if about.is_private else self.mirror.told(about)
            if told is None or (told == one.row.sent and one.row.step is Step.NONE):
                rows.append(self._settled(one, about))
            else:
                deliveries.append((Delivery(row=one.row, about=about, told=told), one))
        if rows:
            await self.outbox.record(self.mirror.name, self._fence, rows)
        if not deliveries:
            return mark, len(due)
        mark, moved = await self._send(deliveries, mark)
        return mark, moved + len(rows) + len(gone)

    async def _send(self, deliveries: Sequence[tuple[Delivery, Due]], mark: Mark) -> tuple[Mark, int]:
        batch = [delivery for delivery, _ in deliveries]
        await self._write_ahead(batch)
        results = await self._leased(batch)
        now = self.clock()
        told_at = now if any(result.fate is Fate.DELIVERED for result in results) else mark.last_sent_at
        proven = {one.row.id for one in batch if _is_proven(one.row, told_at)}
        results = [_judged(one.row, result, is_proven=one.row.id in proven) for one, result in zip(batch, results, strict=True)]
        rows = [
            self._after(one, due, result, now, most=MOST_ATTEMPTS if one.row.id in proven else UNPROVEN_ATTEMPTS)
            for (one, due), result in zip(deliveries, results, strict=True)
        ]
        mark = self._marked(mark, batch, results, now)
        await self.outbox.record(self.mirror.name, self._fence, rows, mark=mark)
        for delivery, result in zip(batch, results, strict=True):
            if result.fate is Fate.DEAD:
                logger.error("%s refused %s: %s", self.mirror.name, delivery.row.id, result.why)
        return mark, sum(result.fate is not Fate.AWAY for result in results)

    async def _write_ahead(self, batch: Sequence[Delivery]) -> None:
        """Write down what is about to be made over there: whoever comes after a crash looks for it before making it, and not at once."""
        if self.mirror.creates:
            doubtful_until = self.clock() + self.mirror.grace_ms
            new = [one.row for one in batch if one.row.record_id is None and one.row.step is Step.NONE]
            ahead = [replace(row, step=Step.SENDING, due_at=doubtful_until) for row in new]
            if ahead:
                await self.outbox.record(self.mirror.name, self._fence, ahead)

    async def _leased(self, batch: Sequence[Delivery]) -> list[Result]:
        """Deliver, and keep the lease meanwhile; if it is lost, stop."""
        delivering = asyncio.ensure_future(self.mirror.deliver(batch))
        try:
            while not delivering.done():
                await asyncio.wait({delivering}, timeout=LEASE_MS / 3_000)
                before = self._fence
                if not await self._take() or self._fence != before:
                    raise LeaseLost(f"another process drains {self.mirror.name} now")
            return delivering.result()
        finally:
            delivering.cancel()

    async def _about(self, row: Row) -> Told | None:
        if row.number == 0:
            session = await self.outbox.session(row.handle)
            if session is None:
                return None
            internal = is_internal(session.subject, self._archive.internal)
            return Told(session=session, is_over=session.ended_at is not None, internal=internal)
        found = await self._archive.visit(row.id, beat_interval=self._policy.beat_interval, now=self.clock())
        if found is None:
            return None
        visit, views = found
        returns = self.mirror.events and row.sent_at is None and await self._returns(visit)
        return Told(visit=visit, views=views, is_over=self._over_at(visit) is None, returns=returns)

    async def _returns(self, visit: VisitReport) -> bool:
        everything = VisitFilter(visitor=visit.visitor, internal=True, excluded=True, limit=1)
        totals = await self._archive.visitors(everything, beat_interval=self._policy.beat_interval, now=self.clock())
        return bool(totals) and totals[0].first_at < visit.started_at

    def _over_at(self, visit: VisitReport) -> int | None:
        """Tell when a visit is over for good if nothing happens, or None if it is."""
        if visit.ended_by not in {None, "leave", "lost"}:
            return None
        over_at = visit.ended_at + self._policy.visit_gap + 1
        return over_at if self.clock() < over_at else None

    def _next_look(self, about: Told) -> int | None:
        """Tell when time alone may change what there is to tell."""
        if about.visit is None:
            return None
        if about.visit.ended_by is None:
            return about.visit.ended_at + 2 * self._policy.beat_interval + 1
        return self._over_at(about.visit)

    def _settled(self, due: Due, about: Told) -> Row:
        return replace(due.row, facts=due.facts, attempts=0, due_at=self._next_look(about), since_at=None, error=None)

    def _after(self, delivery: Delivery, due: Due, result: Result, now: int, *, most: int) -> Row:
        row = delivery.row
        record_id = result.record_id or row.record_id
        known = replace(row, record_id=record_id, sent=result.sent or row.sent, step=result.step, error=result.why or None)
        if result.fate is Fate.DELIVERED:
            settled = self._settled(due, delivery.about)
            look_at = settled.due_at
            if result.step is Step.CONFIRM:
                look_at = min(look_at or now + self.mirror.grace_ms, now + self.mirror.grace_ms)
            return replace(settled, record_id=record_id, sent=delivery.told, step=result.step, sent_at=now, due_at=look_at)
        if result.fate is Fate.AWAY:
            return known if result.after_ms is None else replace(known, due_at=now + result.after_ms)
        attempts = max(row.attempts, min(row.attempts + 1, most))
        if result.fate is Fate.DEAD or attempts >= MOST_ATTEMPTS:
            return replace(known, attempts=attempts, due_at=None, since_at=None, dead_at=now)
        wait_ms = _wait_ms(attempts, self._chance())
        return replace(known, attempts=attempts, due_at=now + max(wait_ms, result.after_ms or 0))

    def _marked(self, mark: Mark, batch: Sequence[Delivery], results: Sequence[Result], now: int) -> Mark:
        told = [one for one, result in zip(batch, results, strict=True) if result.fate is Fate.DELIVERED]
        away = [result for result in results if result.fate is Fate.AWAY]
        why = next((result.why for result in results if result.why), None)
        if told:
            new = sum(one.row.sent_at is None for one in told)
            mark = replace(mark, last_sent_at=now, sent_count=mark.sent_count + new, failures=0, last_error=None)
        if not away:
            return replace(mark, failures=0, pause_until_at=0, last_error=why or mark.last_error)
        failures = mark.failures + 1
        wait_ms = max(backoff_ms(failures, self._chance()), *(result.pause_ms for result in away))
        logger.warning("%s is away, next try in %d s: %s", self.mirror.name, wait_ms // 1000, why)
        return replace(mark, failures=failures, pause_until_at=now + wait_ms, last_error=why)


def is_ahead(mark: Mark, now: int) -> bool:
    """Tell whether a mark was written before the clock was put back."""
    return mark.scanned_at > now + LEASE_MS


def _is_proven(row: Row, told_at: int | None) -> bool:
    """Tell whether trouble is about this row: something else was taken since it met some before, so the other side does take things."""
    if row.error is None or row.due_at is None or told_at is None:
        return False
    # It met that at the latest as long before it came due as the shortest wait is.
    return told_at > row.due_at - _wait_ms(row.attempts, 1)


def _wait_ms(attempts: int, chance: float) -> int:
    return backoff_ms(attempts, chance, longest_ms=LONGEST_ATTEMPT_WAIT_MS) if attempts else 0


def _judged(row: Row, result: Result, *, is_proven: bool) -> Result:
    """Say whether one that broke did so by itself, or the other side is away; one that did before keeps its waits, and others go first."""
    if result.fate is not Fate.BROKE:
        return result
    if is_proven:
        return replace(result, fate=Fate.AGAIN)
    return replace(result, fate=Fate.AWAY, after_ms=max(result.after_ms or 0, _wait_ms(row.attempts, 0)))


def _state(mark: Mark, waiting: Waiting, now: int, *, is_asleep: bool) -> str:
    if mark.pause_until_at - now > OFF_MS // 2:
        return "off"
    if is_asleep:
        return "asleep"
    return "away" if mark.failures else "refused" if waiting.dead else "behind" if waiting.pending else "well"
