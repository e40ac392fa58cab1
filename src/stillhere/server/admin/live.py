"""The dashboard, live: one look a second at who is here, shared by all who listen in this process, and none while nobody does.

Nothing here extends anything, neither a visitor's session nor an operator's.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stillhere.errors import StoreError
from stillhere.server.admin.now import written
from stillhere.server.admin.rows import visit_row
from stillhere.stores.protocol import Watchable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from stillhere.archive.records import VisitReport
    from stillhere.server.admin.now import Glance, Seen

logger = logging.getLogger("stillhere")

LOOK_INTERVAL_S: Final = 1.0
LEAST_INTERVAL_S: Final = 0.25
"""When the store tells of an end it is looked at once, and not more often than this."""

TOTALS_INTERVAL_MS: Final = 5_000
"""How old totals may be while nobody comes or goes."""

PAUSES_S: Final = (1.0, 2.0, 5.0)
"""Waits before each new look while the store is in trouble; the last one stays."""

MOST_PER_OPERATOR: Final = 10
"""Streams of one operator: ten pages of the dashboard."""

MOST: Final = 200
"""Streams of a process."""

MOST_KNOWN: Final = 5_000
"""Visits that are compared with how they were told."""

READ_AGAIN: Final = 50
"""Visits that are read one by one in one look."""

_encode: Final = msgspec.json.Encoder().encode


class Listener:
    """What one stream is still to be told: the latest, no backlog.

    Attributes:
        who: whose it is; their streams are counted together.
        handle: of the session of the visitors' manager by which its operator is signed in, or None.
        is_suspect: that session may be over.
        woken: set when there is something to take.
    """

    def __init__(self, who: str, handle: str | None) -> None:
        """Owe nothing yet."""
        self.who = who
        self.handle = handle
        self.is_suspect = False
        self.woken = asyncio.Event()
        self._now: bytes | None = None
        self._trouble: bytes | None = None
        self._visits: dict[str, dict[str, object]] = {}

    def owe(self, *, now: bytes | None = None, trouble: bytes | None = None, visits: Iterable[dict[str, object]] = ()) -> None:
        """Owe something more; the newer takes the place of the older."""
        if now is not None:
            self._now, self._trouble = now, None
        if trouble is not None:
            self._trouble = trouble
        for visit in visits:
            self._visits.pop(str(visit["id"]), None)
            self._visits[str(visit["id"])] = visit
            if len(self._visits) > MOST_KNOWN:
                del self._visits[next(iter(self._visits))]
        self.woken.set()

    def take(self) -> bytes:
        """Take what is to be sent; nothing if there is nothing."""
        self.woken.clear()
        body = b""
        if self._visits:
            body += write("visits", _encode({"visits": list(self._visits.values())}))
        body += b"".join(event for event in (self._now, self._trouble) if event is not None)
        self._now, self._trouble, self._visits = None, None, {}
        return body


def write(event: str, data: bytes) -> bytes:
    """Write a Server-Sent Event."""
    return b"event: %s\ndata: %s\n\n" % (event.encode("ascii"), data)


class Live:
    """Looks who is here while somebody listens, and tells them what is new.

    Args:
        glance: looks.
        store: tells of ends, if it can be watched.
        shown: writes a visit. Default: as `GET visits` does.
    """

    def __init__(self, glance: Glance, store: object, *, shown: Callable[[VisitReport], dict[str, Any]] = visit_row) -> None:
        """Look at nothing yet."""
        self._glance = glance
        self._store = store
        self._shown = shown
        self._listeners: set[Listener] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._woken = asyncio.Event()
        self._ended: set[str] = set()
        self._forget()

    def _forget(self) -> None:
        self._known: dict[str, VisitReport] | None = None
        self._news: object = None
        self._now: bytes | None = None
        self._trouble: bytes | None = None
        self._totals: dict[str, int | None] = {}
        self._totals_at = 0
        self._told_at = float("-inf")

    def listen(self, who: str, handle: str | None) -> Listener | None:
        """Begin to listen; None if there are too many streams already.

        Args:
            who: whose stream it is.
            handle: of the visitors' session by which they are signed in, or None.
        """
        if len(self._listeners) >= MOST or sum(other.who == who for other in self._listeners) >= MOST_PER_OPERATOR:
            return None
        if not self._tasks:
            self._forget()
        listener = Listener(who, handle)
        self._listeners.add(listener)
        if self._trouble is not None:
            listener.owe(trouble=self._trouble)
        else:
            self._now = None  # what was told last says how long ago things were then: everybody is told anew
            self._woken.set()
        if not self._tasks:
            self._tasks = [self._start(self._look_for_ever())]
            if isinstance(self._store, Watchable):
                self._tasks.append(self._start(self._watch_for_ever(self._store)))
        return listener

    def leave(self, listener: Listener) -> None:
        """Stop listening. With the last one the looking stops, too."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._stop()

    def changed(self, visit_id: str) -> None:
        """Take note that a visit was changed here, such as excluded; everybody who listens is told."""
        if self._known is not None:
            self._ended.add(visit_id)
            self._woken.set()

    async def close(self) -> None:
        """Stop, and wait until nothing is under way."""
        tasks = self._tasks
        self._stop()
        if tasks:
            await asyncio.wait(tasks)

    @staticmethod
    def _start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)

    def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()

    async def _look_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                await self._look()
                failures = 0
            except StoreError as error:
                self._tell_trouble(error)
                failures += 1
            except Exception:
                logger.exception("the dashboard's streams were not told what is new, and will be")
                failures += 1
            await self._pause(PAUSES_S[min(failures, len(PAUSES_S)) - 1] if failures else LOOK_INTERVAL_S)

    async def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        if self._woken.is_set():
            self._woken.clear()
            await asyncio.sleep(max(LEAST_INTERVAL_S, self._told_at + LOOK_INTERVAL_S - loop.time()))

    async def _look(self) -> None:
        seen = await self._glance.look()
        visits = await self._changed(seen)
        is_new = self._now is None or self._trouble is not None or seen.news != self._news
        if is_new or seen.at - self._totals_at >= TOTALS_INTERVAL_MS:
            totals = await self._glance.totals(seen.at)
            is_new = is_new or totals != self._totals
            self._totals, self._totals_at = totals, seen.at
        self._news, self._trouble = seen.news, None
        if is_new:
            self._now = write("now", _encode(written(seen, self._totals)))
            self._told_at = asyncio.get_running_loop().time()
        shown = [self._shown(visit) for visit in visits]
        if is_new or shown:
            for listener in self._listeners:
                listener.owe(now=self._now if is_new else None, visits=shown)

    async def _changed(self, seen: Seen) -> list[VisitReport]:
        """Tell which visits are not as they were told: of those seen lately, and of those that no longer are."""
        current = {visit.id: visit for visit in seen.visits}
        if self._known is None:
            self._known = current
            return []
        known, ended = self._known, self._ended
        again = [name for name, visit in known.items() if name not in current and (visit.ended_by is None or visit.session in ended)]
        again += [name for name in ended if name not in current and name not in again and "." in name]
        self._ended = set()
        for name in again[:READ_AGAIN]:
            found = await self._glance.visit(name)
            if found is None:
                known.pop(name, None)
            else:
                current[name] = found
        changed = [visit for name, visit in current.items() if known.get(name) != visit]
        known.update(current)
        for name in list(known)[: max(0, len(known) - MOST_KNOWN)]:
            del known[name]
        return changed

    def _tell_trouble(self, error: StoreError) -> None:
        if self._trouble is None:
            logger.warning("the dashboard's streams wait for the store: %s", error)
            self._trouble = write("trouble", _encode({"retryAfter": error.retry_after}))
            for listener in self._listeners:
                listener.owe(trouble=self._trouble)

    async def _watch_for_ever(self, store: Watchable) -> None:
        while True:
            with suppress(StoreError):  # the looks meet the same trouble, and tell of it
                async for handle in store.watch():
                    if handle is not None:
                        self._ended.add(handle)
                        self._woken.set()
                        for listener in self._listeners:
                            if listener.handle == handle:
                                listener.is_suspect = True
                                listener.woken.set()
            await asyncio.sleep(PAUSES_S[-1])
