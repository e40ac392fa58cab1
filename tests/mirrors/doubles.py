"""A mirror that keeps what it is told in memory, and fails as it is told to."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stillhere.mirrors.records import Fate, Result, Step, Told, delivered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stillhere.mirrors.records import Delivery


class MemoryMirror:
    """A mirror.

    Attributes:
        told_of: what was delivered, `(id, words)` each, in order.
        fates: what becomes of the next deliveries; then all are delivered.
        before: called before each batch.
        closed: how often it was closed.
        breaks_over: id of what it always breaks over.
    """

    kind = "memory"

    def __init__(self, name: str = "memory", *, batch: int = 10, creates: bool = False, events: bool = False) -> None:
        self.name = name
        self.batch = batch
        self.creates = creates
        self.events = events
        self.sessions = events
        self.grace_ms = 1_000
        self.told_of: list[tuple[str, str]] = []
        self.returns: list[bool] = []
        self.fates = deque[Result]()
        self.before: Callable[[], object] = int
        self.closed = 0
        self.breaks_over = ""

    def told(self, about: Told) -> str | None:
        """Say how much was seen of a visit, or how a session stands."""
        if about.visit is None:
            return "over" if about.is_over else "here"
        return f"{about.visit.visible_ms} {about.visit.ended_by or 'here'}{' over' if about.is_over else ''}"

    async def deliver(self, batch: Sequence[Delivery]) -> list[Result]:
        """Take note."""
        self.before()
        results = []
        for one in batch:
            result = self.fates.popleft() if self.fates else delivered(f"record of {one.row.id}")
            result = broke("it broke") if one.row.id == self.breaks_over else result
            if result.fate is Fate.DELIVERED:
                self.told_of.append((one.row.id, one.told))
                self.returns.append(one.about.returns)
            results.append(result)
        return results

    async def close(self) -> None:
        """Take note."""
        self.closed += 1


def away(why: str = "away", *, pause_ms: int = 0) -> Result:
    """Say that nobody is there."""
    return Result(fate=Fate.AWAY, why=why, pause_ms=pause_ms)


def again(why: str = "once more") -> Result:
    """Say that it has to come again."""
    return Result(fate=Fate.AGAIN, why=why, step=Step.NONE)


def broke(why: str = "it broke") -> Result:
    """Say that it broke, or the other side did."""
    return Result(fate=Fate.BROKE, why=why)


def dead(why: str = "never") -> Result:
    """Say that it is refused."""
    return Result(fate=Fate.DEAD, why=why)
