"""How often another system may be called, and when to come again."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FIRST_WAIT_MS: Final = 1_000
LONGEST_WAIT_MS: Final = 300_000
"""How long after a failure another try is made: the first, and the longest after many."""


class Pace:
    """Lets so many calls pass in a while, one after the other, and none while it is blocked.

    Args:
        calls: how many.
        per_ms: in how many milliseconds.
        clock: tells the milliseconds since 1970.
        sleep: waits for so many seconds.
    """

    def __init__(
        self, calls: int, per_ms: int, *, clock: Callable[[], int], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """Nothing was called yet."""
        self._calls = calls
        self._per_ms = per_ms
        self.clock = clock
        self._sleep = sleep
        self._passed = deque[int](maxlen=calls)
        self._blocked_until = 0
        self._line = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for a turn."""
        async with self._line:
            while (wait_ms := self._wait_ms()) > 0:
                await self._sleep(wait_ms / 1000)
            self._passed.append(self.clock())

    def block(self, for_ms: int) -> None:
        """Let nothing pass for a while."""
        self._blocked_until = max(self._blocked_until, self.clock() + for_ms)

    def _wait_ms(self) -> int:
        now = self.clock()
        # One millisecond more, for the other side's window may begin at the end of one of ours.
        free_at = self._passed[0] + self._per_ms + 1 if len(self._passed) == self._calls else now
        return max(free_at, self._blocked_until) - now


def backoff_ms(failures: int, chance: float, *, longest_ms: int = LONGEST_WAIT_MS) -> int:
    """Tell how long to wait after so many failures in a row: twice as long each time, less up to half by chance.

    Args:
        failures: how many, from 1.
        chance: between 0 and 1; spreads those who failed together.
        longest_ms: never longer.
    """
    full: int = min(longest_ms, FIRST_WAIT_MS * 2 ** min(failures - 1, 30))
    return round(full * (1 - chance / 2))
