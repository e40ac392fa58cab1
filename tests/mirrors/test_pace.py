"""How often another system is called: never more than it allows, whatever comes at once."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.mirrors.pace import LONGEST_WAIT_MS, Pace, backoff_ms
from tests.support import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def _sleeping(clock: FakeClock) -> Callable[[float], Coroutine[None, None, None]]:
    async def sleep(span_s: float) -> None:
        clock.advance(math.ceil(span_s * 1000))

    return sleep


@given(st.lists(st.integers(0, 1_500), max_size=40), st.integers(1, 5))
def test_in_no_window_are_there_more_calls_than_are_allowed(pauses: list[int], calls: int) -> None:
    """However calls come, no second has more of them than so many, wherever it begins."""
    clock = FakeClock()
    passed: list[int] = []

    async def work() -> None:
        pace = Pace(calls, 1_000, clock=clock, sleep=_sleeping(clock))
        for pause in pauses:
            clock.advance(pause)
            await pace.turn()
            passed.append(clock())

    asyncio.run(work())
    for begin in passed:
        assert sum(begin <= at < begin + 1_000 for at in passed) <= calls


async def test_calls_that_come_at_once_take_turns(clock: FakeClock) -> None:
    """Fifty at once take ten seconds at five a second, and not one is let through early."""
    pace = Pace(5, 1_000, clock=clock, sleep=_sleeping(clock))
    began_at = clock()
    await asyncio.gather(*(pace.turn() for _ in range(50)))
    assert clock() - began_at >= 9_000


async def test_nothing_passes_while_it_is_blocked(clock: FakeClock) -> None:
    """After a block for half a minute the next call is half a minute later; a shorter block does not shorten it."""
    pace = Pace(5, 1_000, clock=clock, sleep=_sleeping(clock))
    began_at = clock()
    pace.block(30_000)
    pace.block(10)
    await pace.turn()
    assert clock() - began_at == 30_000


@pytest.mark.parametrize(("failures", "chance", "wait_ms"), [(1, 0, 1_000), (2, 0, 2_000), (3, 1, 2_000), (9, 0, 256_000)])
def test_waits_double_and_differ(failures: int, chance: float, wait_ms: int) -> None:
    """After each failure twice as long, less up to half by chance."""
    assert backoff_ms(failures, chance) == wait_ms


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_stay_within_reason(failures: int, chance: float) -> None:
    """However often something failed, the wait is between half a second and five minutes."""
    assert 500 <= backoff_ms(failures, chance) <= LONGEST_WAIT_MS
