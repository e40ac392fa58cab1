"""The application's hooks: each call in a task of its own, so that a slow one holds up nobody."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stillhere.core.records import Session

logger = logging.getLogger("stillhere")


class Hooks:
    """Calls hooks, and waits for them at the end."""

    def __init__(self) -> None:
        """Call nobody yet."""
        self._running: set[asyncio.Task[None]] = set()

    def call(self, hook: Callable[[Session], Awaitable[None]] | None, session: Session) -> None:
        """Call a hook, if there is one."""
        if hook is not None:
            task = asyncio.get_running_loop().create_task(_called(hook, session))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Let those that run finish, and those that they bring about."""
        while self._running:
            await asyncio.wait(self._running)


async def _called(hook: Callable[[Session], Awaitable[None]], session: Session) -> None:
    try:
        await hook(session)
    except Exception:
        # A hook is the application's; its trouble must not keep a session from ending.
        logger.exception("a hook failed for session %s", session.handle)
