"""Push: tells open streams how their sessions stand. One watch, one timer and few looks serve them all.

Nothing here extends anything. Sessions are only looked at: when a warning or a deadline falls due, or the store tells of an end. One
that has lapsed is judged by a claim that moves no clock, so that its end is recorded before anybody is told.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from stillhere.core.policy import LONGEST_SPAN, seconds
from stillhere.core.records import Claim
from stillhere.core.rules import deadline, ending
from stillhere.errors import StoreError
from stillhere.stores.protocol import Watchable
from stillhere.streams import GRACE_MS, Streams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from stillhere.core.policy import Policy
    from stillhere.core.records import Session
    from stillhere.stores.protocol import Store
    from stillhere.streams import Stream

logger = logging.getLogger("stillhere")

TICK_S: Final = 0.25
"""How often the one timer looks who is due."""

LINGER_MS: Final = seconds(30)
"""How long watching goes on when the last stream is gone; browsers come back."""

LOOKS_AT_ONCE: Final = 16
"""Sessions that are asked for together, so that the store always has time for beats."""

PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits before each new try while the store is in trouble; the last one stays."""

_NEVER: Final = LONGEST_SPAN + 1
"""A touch interval that no clock of a living session can reach: a claim then judges and moves nothing."""


class Push:
    """Keeps the streams of this process told. Belongs to one event loop.

    Args:
        store: where the sessions are. One that cannot be watched is asked when a warning or a deadline is due, and not before.
        policy: the rules.
        clock: tells the milliseconds since 1970.
        on_lapsed: called with each session whose end is recorded here.
        on_expiring: called with each session whose warning falls due, once for each warning.

    Attributes:
        streams: the streams.
        stop_when: tells whether the server stops, so that streams are to be closed. Asked a few times a second while there are any.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        clock: Callable[[], int],
        *,
        on_lapsed: Callable[[Session], None],
        on_expiring: Callable[[Session], None],
    ) -> None:
        """Watch nothing yet."""
        self._store = store
        self._policy = policy
        self._clock = clock
        self._on_lapsed = on_lapsed
        self.streams = Streams(policy, clock, on_expiring=on_expiring)
        self.stop_when: Callable[[], bool] = lambda: False
        self._told = 0  # how often the store told of something
        self._quiet_at = 0
        self._begun: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._judging: set[asyncio.Task[Session]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._is_stopped = False

    async def ready(self) -> int:
        """Begin to watch, if nobody did. What is read of a session after that can be followed without a gap.

        Returns:
            A number for `follow`.

        Raises:
            StoreError: if the store cannot be reached, or no stream is taken any more.
        """
        if self._is_stopped:
            raise _stopped()
        self._quiet_at = self._clock() + LINGER_MS
        if self._begun is None:
            begun = self._begun = asyncio.get_running_loop().create_future()
            begun.add_done_callback(lambda begun: begun.exception())  # also if nobody waits for it any more
            self._start(self._tick_for_ever())
            if isinstance(self._store, Watchable):
                self._start(self._watch_for_ever(self._store, begun))
            else:
                logger.warning("%s cannot be watched: open streams learn of ends elsewhere when they are due", type(self._store).__name__)
                begun.set_result(None)
        await asyncio.shield(self._begun)
        return self._told

    def follow(self, session: Session, wake: Callable[[], None], *, since: int) -> Stream:
        """Follow a living session that was looked at just now.

        Args:
            session: the session.
            wake: called whenever there is something to `take` from the stream; it must not wait.
            since: what `ready` returned before the session was looked at.

        Raises:
            StoreError: if no stream is taken any more.
        """
        if self._is_stopped:
            raise _stopped()
        stream = self.streams.add(session, wake)
        if since != self._told:  # its end may have been told while it was looked at
            self.streams.suspect((session.handle,))
            self._look()
        return stream

    def tick(self) -> None:
        """Tell and look at whatever is due."""
        if self.stop_when():
            self.stop()
        if self.streams.count:
            self._quiet_at = self._clock() + LINGER_MS
        self.streams.tick()
        self._look()

    def _look(self) -> None:
        if self.streams.unsure and self._looking is None and not self._is_stopped:
            self._looking = self._start(self._look_at_all())

    async def _look_at_all(self) -> None:
        unsure, failures = self.streams.unsure, 0
        try:
            while unsure:
                handles = list(islice(unsure, LOOKS_AT_ONCE))
                for handle in handles:
                    del unsure[handle]
                found = await asyncio.gather(*map(self._look_at, handles), return_exceptions=True)
                troubles: dict[str, StoreError] = {}
                for handle, error in zip(handles, found, strict=True):
                    if isinstance(error, StoreError):
                        troubles[handle] = error
                    elif error is not None:
                        logger.error("streams of session %s were not told how it stands", handle, exc_info=error)
                if troubles:
                    if not failures:
                        logger.warning("open streams wait for the store: %s", *set(map(str, troubles.values())))
                    await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                    self.streams.suspect(troubles)
                failures = failures + 1 if troubles else 0
        finally:
            self._looking = None

    async def _look_at(self, handle: str) -> None:
        session = await self._store.get(handle)
        if session is not None and session.ended_at is None:
            session = await self._judged(session)
        followed = self.streams.followed.get(handle)
        if followed is None:
            return
        if session is None:
            self.streams.let_go(followed)  # nothing is known of it any more; whoever asks anew is told so
            return
        self.streams.learn(session)
        if session.ended_at is None:
            self.streams.plan(followed)

    async def _judged(self, session: Session) -> Session:
        """Have the store record the end of a session that has lapsed; the living are left alone."""
        now = self._clock()
        if ending(session, now=now) is None or now < deadline(session) + GRACE_MS:
            return session
        # Nobody else announces the end that is recorded here, so this is not cancelled with the look that wants it.
        judging = asyncio.get_running_loop().create_task(self._judge(session, now))
        self._judging.add(judging)
        judging.add_done_callback(self._judging.discard)
        return await asyncio.shield(judging)

    async def _judge(self, session: Session, now: int) -> Session:
        claim = Claim(handle=session.handle, id_hash=session.id_hash)
        (outcome,) = await self._store.beat([claim], visit_gap=self._policy.visit_gap, touch_interval=_NEVER, now=now)
        if outcome.session is None:
            raise StoreError("a session was given another id while it was looked at")
        if outcome.ended_now:
            self._on_lapsed(outcome.session)
        return outcome.session

    async def _watch_for_ever(self, store: Watchable, begun: asyncio.Future[None]) -> None:
        failures = 0
        while True:
            try:
                async with aclosing(cast("AsyncGenerator[str | None]", store.watch())) as watching:
                    async for handle in watching:
                        failures = 0
                        self._told += 1
                        self.streams.suspect(tuple(self.streams.followed) if handle is None else (handle,))
                        self._look()
                        if not begun.done():
                            begun.set_result(None)
                raise StoreError("it stopped telling")  # noqa: TRY301  # as if it had said why
            except StoreError as error:
                trouble = error
            except Exception as error:
                logger.exception("the store cannot be watched for ends")
                trouble = StoreError(f"the session store cannot be watched: {error}")
            if not begun.done():
                self._stop_tasks(trouble)
                return
            logger.warning("the store is not watched for ends at the moment: %s", trouble)
            await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
            failures += 1

    async def _tick_for_ever(self) -> None:
        while not self._is_stopped and self._clock() < self._quiet_at:
            await asyncio.sleep(TICK_S)
            try:
                self.tick()
            except Exception:
                logger.exception("streams were not told what is due, and will be")
        self._stop_tasks(StoreError("the session store did not answer in time"))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _stop_tasks(self, why: StoreError) -> None:
        begun, self._begun = self._begun, None
        if begun is not None and not begun.done():
            begun.set_exception(why)
        here = asyncio.current_task()
        for task in self._tasks:
            if task is not here:
                task.cancel()

    def stop(self) -> None:
        """Close every stream and take no more: this process is stopping, and its pages go elsewhere."""
        self._is_stopped = True
        for followed in list(self.streams.followed.values()):
            self.streams.let_go(followed)
        self._stop_tasks(_stopped())

    async def close(self) -> None:
        """Stop, and wait until nothing is under way."""
        self.stop()
        while under_way := [*self._tasks, *self._judging]:
            await asyncio.wait(under_way)


def _stopped() -> StoreError:
    return StoreError("no more streams are taken: this process is stopping", retry_after=1)
