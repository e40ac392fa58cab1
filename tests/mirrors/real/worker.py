"""A process that drains once, and kills itself with SIGKILL before a given step."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from stillhere.mirrors.nocodb import Columns, NocoDb, Table
from stillhere.mirrors.pace import Pace
from stillhere.tokens.provider.transport import HttpxTransport
from tests.mirrors.stand import Stand
from tests.support import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


class Steps:
    """Passes calls on to an object, and counts them.

    Args:
        inner: the object.
        count: is told of every call before it is made.
    """

    def __init__(self, inner: object, count: Callable[[str], None]) -> None:
        self._inner = inner
        self._count = count

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._inner, name)

        async def counted(*args: Any, **named: Any) -> Any:
            self._count(name)
            return await verb(*args, **named)

        return counted


async def work(told: dict[str, Any]) -> None:
    """Drain once."""
    stand = Stand(told["store"], FakeClock(told["now"]))
    done: list[str] = []

    def count(name: str) -> None:
        if len(done) == told["killed_before"]:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(name)

    outbox: Any = Steps(stand.outbox, count)
    transport: Any = Steps(HttpxTransport(), count)
    stand.outbox = outbox
    mirror = NocoDb(
        Table(**told["table"], columns=Columns(**told["columns"])),
        transport=transport,
        pace=Pace(5, 1_000, clock=stand.clock, sleep=stand.sleep),
        is_taken=lambda record_id: outbox.has("nocodb", record_id),
        timeout=10_000,
    )
    await stand.drain(mirror, holder=f"process {os.getpid()}").run()
    sys.stdout.write(json.dumps(done))


def main() -> None:
    """Read what to do, and do it."""
    asyncio.run(work(json.loads(sys.argv[1])))
