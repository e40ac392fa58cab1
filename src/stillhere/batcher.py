"""Group commit: at most one batch is on its way to the store; whatever arrives meanwhile rides in the next.

An idle server adds no delay: a lone claim leaves at once. A busy one fills batches by itself, so that one transaction and one
sync to disk serve many beats. Sessions take turns: one that sends a long queue waits for itself, not others for it.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from stillhere.errors import StoreError
from stillhere.metrics import BATCH_SIZES, WAITS_S, Histogram

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stillhere.core.records import Claim, Outcome

BATCH_LIMIT: Final = 256
"""Claims in one batch. More would win little and make the first wait for the last."""

WAITING_LIMIT: Final = 20_000
"""Claims that may wait. Past that the store is not keeping up, and saying so is kinder than a queue without end."""


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """How the batcher is doing: counts since the start, and how things stand.

    Attributes:
        batches: batches sent.
        claims: claims in them.
        largest_batch: most claims in one batch.
        waited_ms: sum of the time that claims waited for their batch to leave.
        refused: claims turned away because too many waited.
        failed: claims that the store did not answer.
        waiting: claims that wait now.
        is_sending: a batch is on its way now.
    """

    batches: int = 0
    claims: int = 0
    largest_batch: int = 0
    waited_ms: float = 0.0
    refused: int = 0
    failed: int = 0
    waiting: int = 0
    is_sending: bool = False


class _Waiting(NamedTuple):
    """A claim, who waits for its outcome, and since when by the event loop's clock (which decides nothing)."""

    claim: Claim
    future: asyncio.Future[Outcome]
    since_s: float


class Batcher:
    """Collects claims and sends them on in batches.

    Args:
        send: takes a batch to the store; answers one outcome for each claim, in order.

    Attributes:
        sizes: how many claims travelled in each batch.
        waits: how long each claim waited for its batch to leave, seconds.
    """

    def __init__(self, send: Callable[[Sequence[Claim]], Awaitable[Sequence[Outcome]]]) -> None:
        """Start empty; nothing runs until a claim arrives."""
        self._send = send
        self._queues: dict[str, list[_Waiting]] = {}  # by handle; whoever is first is next, and nearly all wait with one claim
        self._waiting = 0
        self._sending: asyncio.Task[None] | None = None
        self._batches = self._claims = self._largest = self._refused = self._failed = 0
        self.sizes = Histogram(BATCH_SIZES)
        self.waits = Histogram(WAITS_S)

    @property
    def metrics(self) -> Batching:
        """How it is doing."""
        return Batching(
            batches=self._batches,
            claims=self._claims,
            largest_batch=self._largest,
            waited_ms=self.waits.total * 1000,
            refused=self._refused,
            failed=self._failed,
            waiting=self._waiting,
            is_sending=self._sending is not None and not self._sending.done(),
        )

    async def submit(self, claims: Sequence[Claim]) -> Outcome:
        """Send claims on, in order, and wait until the last is answered.

        Args:
            claims: at least one, all of one session; several when a client sends what it kept back.

        Returns:
            The outcome of the last.

        Raises:
            StoreError: if the store cannot be reached, or too many claims wait already. Submitting again is safe.
        """
        if self._waiting + len(claims) > WAITING_LIMIT:
            self._refused += len(claims)
            raise StoreError("too many beats are waiting for the session store", retry_after=5)
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        waiting = [_Waiting(claim, loop.create_future(), since_s) for claim in claims]
        handle = claims[0].handle
        if handle in self._queues:
            self._queues[handle] += waiting
        else:
            self._queues[handle] = waiting.copy()
        self._waiting += len(waiting)
        if self._sending is None or self._sending.done():  # done: it was cancelled before it began
            self._sending = loop.create_task(self._run())
        if len(waiting) > 1:
            # One that failed failed them all; without `return_exceptions` the others' errors would be lost noisily.
            for result in await asyncio.gather(*(one.future for one in waiting), return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result
        return await waiting[-1].future

    async def drain(self) -> None:
        """Wait until everything submitted so far is answered."""
        while self._sending is not None and not self._sending.done():
            await asyncio.wait([self._sending])

    async def _run(self) -> None:
        try:
            while self._queues:
                await self._send_batch(self._take())
        except asyncio.CancelledError:
            # The loop is being torn down, or a store gave up: nobody may be left waiting for ever.
            self._fail_all((), StoreError("the session store was interrupted"))
            raise
        finally:
            self._sending = None

    def _take(self) -> list[_Waiting]:
        """Take the next batch: one claim of each session in turn, until it is full or nobody waits."""
        batch: list[_Waiting] = []
        while self._queues and len(batch) < BATCH_LIMIT:
            for handle in list(islice(self._queues, BATCH_LIMIT - len(batch))):
                queue = self._queues.pop(handle)
                batch.append(queue.pop(0))
                if queue:
                    self._queues[handle] = queue
        left_s = asyncio.get_running_loop().time()
        for one in batch:
            self.waits.observe(left_s - one.since_s)
        self.sizes.observe(len(batch))
        self._waiting -= len(batch)
        self._claims += len(batch)
        self._largest = max(self._largest, len(batch))
        return batch

    async def _send_batch(self, batch: Sequence[_Waiting]) -> None:
        parts = [batch]
        try:
            while parts:
                part = parts.pop()
                if not await self._answer(part):
                    # Some claim broke the batch. All are idempotent: halve it until that one is alone, so that it fails nobody else.
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
        except asyncio.CancelledError:
            self._fail(batch, StoreError("the session store was interrupted"))
            raise
        except StoreError as error:
            # Whoever waits hears of it now: if each batch found out by itself, the last would wait for the sum of all time-outs.
            self._fail_all(batch, error)

    async def _answer(self, part: Sequence[_Waiting]) -> bool:
        """Send claims and answer everyone who waits for them; False if one of them broke the others and is to be found."""
        self._batches += 1
        try:
            outcomes = await self._send([one.claim for one in part])
            answered = list(zip(part, outcomes, strict=True))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever went wrong is handed to whoever caused it
            if len(part) > 1:
                return False
            self._fail(part, error)
        else:
            for one, outcome in answered:
                if not one.future.done():  # its caller went away; the claim counts all the same
                    one.future.set_result(outcome)
        return True

    def _fail_all(self, batch: Sequence[_Waiting], error: StoreError) -> None:
        queues, self._queues, self._waiting = self._queues, {}, 0
        self._fail([*batch, *(one for queue in queues.values() for one in queue)], error)

    def _fail(self, part: Sequence[_Waiting], error: Exception) -> None:
        for one in part:
            if not one.future.done():
                self._failed += 1
                one.future.set_exception(error)
