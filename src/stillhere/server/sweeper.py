"""The sweeper: records, now and then, the ends of sessions that lapsed while nobody asked."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from stillhere.errors import StoreError

if TYPE_CHECKING:
    from stillhere.manager import SessionManager

logger = logging.getLogger("stillhere")


async def sweep_for_ever(manager: SessionManager, *, interval_ms: int) -> None:
    """Sweep, wait, and again, until cancelled. A store in trouble is tried again at the next turn.

    Args:
        manager: the sessions.
        interval_ms: time between two sweeps, milliseconds; up to a tenth more, so that several processes spread out.
    """
    while True:
        try:
            await manager.sweep()
        except StoreError as error:
            logger.warning("the sweep will try again: %s", error)
        except Exception:
            logger.exception("the sweep met something it does not know, and will try again")
        await asyncio.sleep(interval_ms / 1000 * random.uniform(1, 1.1))  # noqa: S311  # spreads work, keeps no secret
