"""The clock of a running process: milliseconds since 1970, told by nobody who can turn it back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# CLOCK_BOOTTIME goes on while a machine is suspended, CLOCK_MONOTONIC does not; only Linux has it.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", None)


def system_clock() -> Callable[[], int]:
    """Start a clock that takes the system's time once and from then on counts what passes.

    A system clock that is set while the process runs, by hand or by a time server, neither ends nor revives a session; the new
    time is taken up at the next start. Slewing, the ordinary correction, is followed.

    Returns:
        A callable that tells the milliseconds since 1970. It never goes back.
    """
    started_at = time.time_ns() - _elapsed_ns()
    return lambda: (started_at + _elapsed_ns()) // 1_000_000


def _elapsed_ns() -> int:
    return time.monotonic_ns() if _ELAPSED is None else time.clock_gettime_ns(_ELAPSED)
