"""How often something may happen, counted by the store, so that all processes count together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.stores.protocol import Noting


class Limit(msgspec.Struct, frozen=True):
    """So many times in any span of that length.

    Attributes:
        times: how many.
        span: milliseconds.
    """

    times: int
    span: int

    @property
    def span_s(self) -> int:
        """The span in seconds: the longest that one may have to wait."""
        return self.span // 1000


MAIL_OF_ASKER: Final = (Limit(1, 30_000), Limit(5, 3_600_000))
"""Codes mailed to one address for one network: so that who asks in somebody's name keeps them out nowhere else."""

MAIL_OF_ADDRESS: Final = Limit(30, 3_600_000)
"""Codes mailed to one address, whoever asks: so that nobody's mailbox is filled from many networks."""

MAIL_OF_NETWORK: Final = Limit(10, 60_000)
"""Times that one network may ask for codes, for whomever."""

ACCESS_OF_NETWORK: Final = Limit(30, 60_000)
"""Tries at the access code that one network may make."""


class Throttles:
    """Takes places of limits. A place is free again when its span has passed.

    Args:
        store: keeps who came first.
        clock: tells the milliseconds since 1970.
    """

    def __init__(self, store: Noting, clock: Callable[[], int]) -> None:
        """Take nothing yet."""
        self._store = store
        self._clock = clock

    async def takes(self, name: str, limit: Limit) -> bool:
        """Take a place; tell whether one was free.

        Args:
            name: what is counted, and of whom.
            limit: how often it may happen.

        Raises:
            StoreError: if the store cannot be reached.
        """
        now = self._clock()
        for place in range(limit.times):
            if await self._store.first(f"gate:{name}:{limit.span}:{place}", until=now + limit.span - 1, now=now):
                return True
        return False

    async def is_news(self, name: str, limit: Limit) -> bool:
        """Tell whether nobody has told in this span that a limit has no place left, so that a log says it once and not with every try.

        Args:
            name: as it was given to `takes`.
            limit: the same.

        Raises:
            StoreError: if the store cannot be reached.
        """
        now = self._clock()
        return await self._store.first(f"gate:{name}:{limit.span}:told", until=now + limit.span - 1, now=now)
