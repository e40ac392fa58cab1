"""How often a session and an address may speak. Counted in this process; several workers allow that much each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S: Final = 60


class RateLimit:
    """So many messages a minute for each key, in windows of a minute that begin for all keys at once.

    Forgetting every key at the end of a window keeps the table as small as a minute's traffic, without a thread or a sweep.

    Args:
        per_minute: how many.
        elapsed: tells seconds that pass evenly, whatever anybody does to the system clock.
    """

    def __init__(self, per_minute: int, *, elapsed: Callable[[], float] = time.monotonic) -> None:  # noqa: TID251  # here it enters
        """Start with an empty count."""
        self._per_minute = per_minute
        self._elapsed = elapsed
        self._ends_at = 0.0
        self._counts: dict[str, int] = {}

    def wait_s(self, key: str, *, cost: int = 1) -> int | None:
        """Count some messages; None if they may pass, otherwise the whole seconds to wait. What is refused is not counted."""
        now, counts = self._elapsed(), self._counts
        if now >= self._ends_at:
            counts.clear()
            self._ends_at = now + WINDOW_S
        count = counts.get(key, 0) + cost
        if count > self._per_minute and key in counts:
            return max(1, round(self._ends_at - now))
        counts[key] = count
        return None

    def left_s(self, key: str) -> int | None:
        """Tell whether a key has used up its messages: the whole seconds to wait, or None if one more may pass. Counts nothing."""
        now = self._elapsed()
        is_used_up = now < self._ends_at and self._counts.get(key, 0) >= self._per_minute
        return max(1, round(self._ends_at - now)) if is_used_up else None
