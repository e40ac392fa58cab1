"""Upkeep, now and then: the ends of sessions that lapsed while nobody asked, and visits on their way to the archive."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from stillhere.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger("stillhere")


async def for_ever(work: Callable[[], Awaitable[object]], *, what: str, interval_ms: int) -> None:
    """Do some work, wait, and again, until cancelled. A store in trouble is tried again at the next turn.

    Args:
        work: the work.
        what: its name, for the log.
        interval_ms: time between two turns, milliseconds; up to a tenth more, so that several processes spread out.
    """
    while True:
        try:
            await work()
        except StoreError as error:
            logger.warning("the %s will try again: %s", what, error)
        except Exception:
            logger.exception("the %s met something it does not know, and will try again", what)
        await asyncio.sleep(interval_ms / 1000 * random.uniform(1, 1.1))  # noqa: S311  # spreads work, keeps no secret
