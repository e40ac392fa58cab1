"""Long answers: none outlives the session that asked for it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stillhere.core.rules import ending
from stillhere.errors import StoreError
from stillhere.manager import SETTLING_MS

if TYPE_CHECKING:
    from stillhere.adapters.asgi import RequestSession

LOOK_INTERVAL_S: Final = 5
"""How often it is looked whether the session of a long answer still lives."""


class SessionOver(Exception):
    """The session of a long answer is over. The answer breaks off, so that nobody takes a part for the whole."""


async def is_over(mine: RequestSession) -> bool:
    """Tell whether the session of a request is over for certain. Who has none needs none, and a store in trouble ends nothing."""
    manager, session = mine.endpoints.manager, mine.session
    if session is None:
        return False
    with suppress(StoreError):
        found = await manager.store.get(session.handle)
        end = None if found is None else ending(found, now=manager.clock())
        # A beat that came in time may still be on its way; it has been heard of by the next look but one.
        return found is None or found.ended_at is not None or (end is not None and manager.clock() - end.at > SETTLING_MS)
    return False


class Watch:
    """Looks now and then, while an answer goes on, whether its session lives: one look in five seconds, however many pieces there are.

    Args:
        mine: the request's session.
    """

    def __init__(self, mine: RequestSession) -> None:
        """It lived a moment ago."""
        self._mine = mine
        self._clock = mine.endpoints.manager.clock
        self._looked_at = self._clock()

    async def look(self) -> None:
        """Look, if that was not done a moment ago.

        Raises:
            SessionOver: if the session is over.
        """
        if self._clock() - self._looked_at < LOOK_INTERVAL_S * 1_000:
            return
        self._looked_at = self._clock()
        if await is_over(self._mine):
            raise SessionOver
