"""How often a session and an address may speak. Counted in this process; several workers allow that much each."""

from __future__ import annotations

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter


class RateLimit:
    """So many messages a minute for each key.

    Args:
        per_minute: how many.
        name: keeps the keys of several limits apart.
    """

    def __init__(self, per_minute: int, *, name: str) -> None:
        """Start with an empty count."""
        self._item = RateLimitItemPerMinute(per_minute, namespace=name)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def wait_s(self, key: str) -> int | None:
        """Count one message; None if it may pass, otherwise the whole seconds to wait."""
        if self._limiter.hit(self._item, key):
            return None
        reset_at = self._limiter.get_window_stats(self._item, key).reset_time
        return max(1, min(60, round(reset_at - time.time())))  # noqa: TID251  # the library counts by this clock
