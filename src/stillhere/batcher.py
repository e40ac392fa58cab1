"""Group commit: at most one batch is on its way to the store; whatever arrives meanwhile rides in the next.

An idle server adds no delay: a lone claim leaves at once. A busy one fills batches by itself, so that one transaction and one
sync to disk serve many beats.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from stillhere.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stillhere.core.records import Claim, Outcome

BATCH_LIMIT: Final = 256
"""Claims in one batch. More would win little and make the first wait for the last."""

WAITING_LIMIT: Final = 20_000
"""Claims that may wait. Past that the store is not keeping up, and saying so is kinder than a queue without end."""


class Batcher:
    """Collects claims and sends them on in batches.

    Args:
        send: takes a batch to the store; answers one outcome for each claim, in order.
    """

    def __init__(self, send: Callable[[Sequence[Claim]], Awaitable[Sequence[Outcome]]]) -> None:
        """Start empty; nothing runs until a claim arrives."""
        self._send = send
        self._waiting: list[tuple[Claim, asyncio.Future[Outcome]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def submit(self, claims: Sequence[Claim]) -> Outcome:
        """Send claims on, in order, and wait until the last is answered.

        Args:
            claims: at least one; several when a client sends what it kept back.

        Returns:
            The outcome of the last.

        Raises:
            StoreError: if the store cannot be reached, or too many claims wait already. Submitting again is safe.
        """
        if len(self._waiting) + len(claims) > WAITING_LIMIT:
            raise StoreError("too many beats are waiting for the session store", retry_after=5)
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in claims]
        self._waiting.extend(zip(claims, futures, strict=True))
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._run())
        if len(futures) > 1:
            # One that failed failed them all; without `return_exceptions` the others' errors would be lost noisily.
            for result in await asyncio.gather(*futures, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result
        return await futures[-1]

    async def drain(self) -> None:
        """Wait until everything submitted so far is answered."""
        while self._sending is not None and not self._sending.done():
            await asyncio.wait([self._sending])

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH_LIMIT], self._waiting[BATCH_LIMIT:]
                await self._send_batch(batch)
        except asyncio.CancelledError:
            # The loop is being torn down, or a store gave up: nobody may be left waiting for ever.
            _fail(self._waiting, StoreError("the session store was interrupted"))
            self._waiting = []
            raise
        finally:
            self._sending = None

    async def _send_batch(self, batch: Sequence[tuple[Claim, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._send([claim for claim, _ in batch])
            answered = list(zip(batch, outcomes, strict=True))
        except asyncio.CancelledError:
            _fail(batch, StoreError("the session store was interrupted"))
            raise
        except Exception as error:  # noqa: BLE001  # whatever went wrong is handed to everyone who waits for this batch
            _fail(batch, error)
            return
        for (_, future), outcome in answered:
            if not future.done():  # its caller went away; the claim counts all the same
                future.set_result(outcome)


def _fail(batch: Sequence[tuple[Claim, asyncio.Future[Outcome]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
