"""Group commit: one batch in flight, all others in the next, and each caller's trouble its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.batcher import BATCH_LIMIT, WAITING_LIMIT, Batcher, Batching
from stillhere.core.records import Claim, Outcome
from stillhere.errors import StoreError
from tests.manager.doubles import settle

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sender:
    """Stands for the store: remembers batches, answers when the gate is open, fails when told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.answered: list[str] = []
        self.gate = asyncio.Event()
        self.fails: dict[int, BaseException] = {}
        self.short = False
        self.poison = ""
        self.in_flight = self.most_in_flight = 0

    async def __call__(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        number = len(self.batches)
        self.batches.append([claim.id_hash for claim in claims])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.gate.wait()
        finally:
            self.in_flight -= 1
        if number in self.fails:
            raise self.fails[number]
        if self.poison in self.batches[number]:
            raise KeyError(self.poison)
        self.answered += self.batches[number]
        outcomes = [Outcome(session=None, ended_now=claim.id_hash == "odd") for claim in claims]
        return outcomes[1:] if self.short else outcomes


@pytest.fixture
def sender() -> Sender:
    """Give a sender whose gate is shut."""
    return Sender()


@pytest.fixture
def batcher(sender: Sender) -> Batcher:
    """Give a batcher that sends through it."""
    return Batcher(sender)


def submit(batcher: Batcher, *names: str) -> asyncio.Task[Outcome]:
    """Submit claims of these names together, in a task of their own."""
    return asyncio.get_running_loop().create_task(batcher.submit([Claim(handle=name, id_hash=name) for name in names]))


async def test_a_lone_claim_leaves_at_once(batcher: Batcher, sender: Sender) -> None:
    """An idle server adds no delay: no timer stands between a claim and the store."""
    waiting = submit(batcher, "a")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sender.batches == [["a"]]
    sender.gate.set()
    assert await waiting == Outcome(session=None)


async def test_whatever_arrives_while_a_batch_is_in_flight_rides_in_the_next(batcher: Batcher, sender: Sender) -> None:
    """At most one batch is on its way, and all arrivals share the one after it, sessions in turn."""
    first = submit(batcher, "a")
    await settle()
    others = [submit(batcher, "b"), submit(batcher, "c", "d"), submit(batcher, "e")]
    await settle()
    assert sender.batches == [["a"]]
    sender.gate.set()
    await asyncio.gather(first, *others)
    assert sender.batches == [["a"], ["b", "c", "e", "d"]]
    assert sender.most_in_flight == 1


async def test_a_batch_holds_no_more_than_its_limit(batcher: Batcher, sender: Sender) -> None:
    """The first must not wait for the last of a crowd."""
    names = [str(number) for number in range(2 * BATCH_LIMIT + 1)]
    waiting = submit(batcher, *names)
    sender.gate.set()
    await waiting
    assert [len(batch) for batch in sender.batches] == [BATCH_LIMIT, BATCH_LIMIT, 1]
    assert sender.answered == names


async def test_everybody_gets_their_own_answer(batcher: Batcher, sender: Sender) -> None:
    """Outcomes go back to those who asked; who sent several has the last."""
    waiting = [submit(batcher, "even"), submit(batcher, "odd"), submit(batcher, "odd", "even"), submit(batcher, "even", "odd")]
    sender.gate.set()
    assert [outcome.ended_now for outcome in await asyncio.gather(*waiting)] == [False, True, False, True]


async def test_a_failure_is_everyones_in_its_batch_and_nobody_elses(batcher: Batcher, sender: Sender) -> None:
    """Those who rode in the broken batch hear of it; the one before and the one after do not."""
    sender.fails[1] = StoreError("cannot be reached")
    before = submit(batcher, "a")
    await settle()
    during = [submit(batcher, "b"), submit(batcher, "c", "d")]
    await settle()
    sender.gate.set()
    assert await before == Outcome(session=None)
    for result in await asyncio.gather(*during, return_exceptions=True):
        assert result is sender.fails[1]
    assert await submit(batcher, "e") == Outcome(session=None)
    assert sender.answered == ["a", "e"]


async def test_a_store_that_does_not_answer_is_waited_for_once(batcher: Batcher, sender: Sender) -> None:
    """Whoever waits behind a batch that fails hears of it at once: time-outs do not add up along the queue."""
    sender.fails[0] = StoreError("timed out")
    first = submit(batcher, "first")
    await settle()
    behind = [submit(batcher, str(n)) for n in range(2 * BATCH_LIMIT)]
    await settle()
    sender.gate.set()
    results = await asyncio.gather(first, *behind, return_exceptions=True)
    assert {type(result) for result in results} == {StoreError}
    assert len(sender.batches) == 1
    assert await submit(batcher, "later") == Outcome(session=None)


async def test_claims_that_travel_in_two_batches_fail_if_one_does(batcher: Batcher, sender: Sender) -> None:
    """A queue that was only half taken in is not answered as if it had been; sending it again is safe."""
    sender.fails[0] = StoreError("cannot be reached")
    sender.gate.set()
    with pytest.raises(StoreError):
        await submit(batcher, *map(str, range(BATCH_LIMIT + 1)))


async def test_a_caller_who_goes_away_harms_nobody(batcher: Batcher, sender: Sender) -> None:
    """The claim of a request that was cancelled counts all the same, and its neighbours are answered."""
    gone, gone_with_many, stays = submit(batcher, "a"), submit(batcher, "b", "c"), submit(batcher, "d")
    await settle()
    gone.cancel()
    gone_with_many.cancel()
    await settle()
    sender.gate.set()
    assert await stays == Outcome(session=None)
    assert sender.answered == ["a", "b", "d", "c"]
    assert gone.cancelled()
    assert gone_with_many.cancelled()


async def test_a_failure_that_nobody_waits_for_any_more_is_quiet(batcher: Batcher, sender: Sender) -> None:
    """Who went away hears nothing, and nothing is complained about later."""
    sender.fails[0] = StoreError("cannot be reached")
    gone, stays = submit(batcher, "a"), submit(batcher, "b")
    await settle()
    gone.cancel()
    await settle()
    sender.gate.set()
    with pytest.raises(StoreError):
        await stays
    await batcher.drain()


async def test_a_queue_without_end_is_refused(batcher: Batcher, sender: Sender) -> None:
    """Past the limit a caller is told to come again in 5 s, and those who wait already are served."""
    first = submit(batcher, "first")
    await settle()
    crowd = submit(batcher, *["x"] * WAITING_LIMIT)
    await settle()
    with pytest.raises(StoreError, match="too many beats") as refused:
        await batcher.submit([Claim(handle="one too many", id_hash="one too many")])
    assert refused.value.retry_after == 5
    assert batcher.metrics.refused == 1
    sender.gate.set()
    await asyncio.gather(first, crowd)
    assert len(sender.answered) == WAITING_LIMIT + 1
    assert "one too many" not in sender.answered


async def test_a_store_that_answers_too_few_is_found_out(batcher: Batcher, sender: Sender) -> None:
    """Nobody gets another's outcome and nobody waits for ever; the next batch goes its way."""
    sender.short = True
    sender.gate.set()
    waiting = [submit(batcher, "a"), submit(batcher, "b")]
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, ValueError)
    sender.short = False
    assert await submit(batcher, "c") == Outcome(session=None)


async def test_a_store_that_is_interrupted_leaves_nobody_waiting(batcher: Batcher, sender: Sender) -> None:
    """If the sending is cancelled from outside, all who wait are told to try again, and trying again works."""
    sender.fails[0] = asyncio.CancelledError()
    in_flight = submit(batcher, "a")
    await settle()
    behind = submit(batcher, "b")
    await settle()
    sender.gate.set()
    for result in await asyncio.gather(in_flight, behind, return_exceptions=True):
        assert isinstance(result, StoreError)
    assert await submit(batcher, "c") == Outcome(session=None)
    await batcher.drain()


async def test_a_claim_that_breaks_its_batch_fails_alone(batcher: Batcher, sender: Sender) -> None:
    """What is wrong with one claim is its caller's trouble: the other nine of its batch are answered, each once."""
    first = submit(batcher, "first")
    await settle()
    sender.poison = "3"
    waiting = [submit(batcher, str(n)) for n in range(10)]
    await settle()
    sender.gate.set()
    results = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert [n for n, result in enumerate(results[1:]) if isinstance(result, KeyError)] == [3]
    assert sorted(sender.answered) == sorted(["first", *(str(n) for n in range(10) if n != 3)])
    assert batcher.metrics.failed == 1


async def test_a_batch_that_is_interrupted_while_its_breaker_is_sought_leaves_nobody_waiting(batcher: Batcher, sender: Sender) -> None:
    """Halves that were not sent yet hear of the interruption too."""
    sender.poison = "7"
    sender.fails[2] = asyncio.CancelledError()
    waiting = [submit(batcher, str(n)) for n in range(8)]
    await settle()
    sender.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Outcome] * 4 + [StoreError] * 4


async def test_sessions_take_turns(batcher: Batcher, sender: Sender) -> None:
    """One that sends a long queue does not push others back: each has its first claim in the next batch, in its own order."""
    first = submit(batcher, "first")
    await settle()
    greedy = submit(batcher, *["greedy"] * (2 * BATCH_LIMIT))
    await settle()
    modest = [submit(batcher, f"modest{n}") for n in range(3)]
    await settle()
    sender.gate.set()
    await asyncio.gather(first, greedy, *modest)
    assert {"modest0", "modest1", "modest2"} <= set(sender.batches[1])
    assert [len(batch) for batch in sender.batches] == [1, BATCH_LIMIT, BATCH_LIMIT, 3]


async def test_it_tells_how_it_is_doing(batcher: Batcher, sender: Sender) -> None:
    """Batches, claims, the queue and how long it waited can be read at any time, and reading changes nothing."""
    assert batcher.metrics == Batching()
    first = submit(batcher, "a")
    await settle()
    others = [submit(batcher, "b"), submit(batcher, "c")]
    await settle()
    assert batcher.metrics.is_sending
    assert (batcher.metrics.batches, batcher.metrics.claims, batcher.metrics.waiting) == (1, 1, 2)
    sender.gate.set()
    await asyncio.gather(first, *others)
    await batcher.drain()
    done = batcher.metrics
    assert (done.batches, done.claims, done.largest_batch, done.waiting, done.failed, done.refused) == (2, 3, 2, 0, 0, 0)
    assert not done.is_sending
    assert done.waited_ms > 0


async def test_draining_waits_for_the_last_answer(batcher: Batcher, sender: Sender) -> None:
    """What was submitted before is answered when draining ends; an idle batcher has nothing to wait for."""
    await batcher.drain()
    waiting = [submit(batcher, "a"), submit(batcher, "b")]
    await settle()
    late = submit(batcher, "c")
    draining = asyncio.get_running_loop().create_task(batcher.drain())
    await settle()
    assert not draining.done()
    sender.gate.set()
    await draining
    assert sender.answered == ["a", "b", "c"]
    await asyncio.gather(*waiting, late)
