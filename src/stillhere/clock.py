"""The clock of a running process: milliseconds since 1970, told by nobody who can turn it back."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("stillhere")

# CLOCK_BOOTTIME goes on while a machine is suspended, CLOCK_MONOTONIC does not; only Linux has it.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", None)

LOOK_EVERY_MS: Final = 60_000
APART_MS: Final = 5_000
"""Two processes that disagree by more than this judge sessions differently enough to be worth a word."""


def system_clock(wall_ns: Callable[[], int] = time.time_ns) -> Callable[[], int]:
    """Start a clock that takes the system's time once and from then on counts what passes.

    A system clock that is set while the process runs, by hand or by a time server, neither ends nor revives a session; the new
    time is taken up at the next start, and the log says so, for a process started since then has another time. Slewing, the
    ordinary correction, is followed.

    Args:
        wall_ns: tells the system's time, in nanoseconds since 1970.

    Returns:
        A callable that tells the milliseconds since 1970. It never goes back.
    """
    started_at = wall_ns() - _elapsed_ns()
    look_at = 0

    def now() -> int:
        nonlocal look_at
        at = (started_at + _elapsed_ns()) // 1_000_000
        if at >= look_at:
            look_at = at + LOOK_EVERY_MS
            _compare(at, wall_ns() // 1_000_000)
        return at

    return now


def _compare(at: int, wall_at: int) -> None:
    if abs(wall_at - at) > APART_MS:
        logger.warning(
            "the system clock was set and is %.1f s away from this process's; restart every process on this store together",
            (wall_at - at) / 1000,
        )


def _elapsed_ns() -> int:
    return time.monotonic_ns() if _ELAPSED is None else time.clock_gettime_ns(_ELAPSED)
