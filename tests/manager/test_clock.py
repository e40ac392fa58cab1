"""The clock: the system's time once, then what passes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stillhere import clock as clock_module
from stillhere.clock import system_clock

if TYPE_CHECKING:
    import pytest


def test_the_clock_tells_the_systems_time_in_milliseconds() -> None:
    """A fresh clock agrees with the system's."""
    before = time.time_ns() // 1_000_000
    told = system_clock()()
    assert before - 1 <= told <= time.time_ns() // 1_000_000 + 1


def test_a_system_clock_that_is_set_does_not_move_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever sets the machine's time neither ends nor revives a session; the log says within a minute that it was set."""
    elapsed, wall = [5_000_000_000], [1_700_000_000_000_000_000]
    monkeypatch.setattr(clock_module, "_elapsed_ns", lambda: elapsed[0])
    told = system_clock(lambda: wall[0])
    assert told() == 1_700_000_000_000
    wall[0] = 0
    elapsed[0] += 1_500_000_000
    assert told() == 1_700_000_001_500
    assert caplog.text == ""
    elapsed[0] += 60_000_000_000
    assert told() == 1_700_000_061_500
    assert "the system clock was set and is -1700000061.5 s away" in caplog.text


def test_time_spent_suspended_counts_where_the_system_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slept past a deadline wakes past it; elsewhere the monotonic clock has to do."""
    asked: list[int] = []

    def tell(which: int) -> int:
        asked.append(which)
        return 7

    monkeypatch.setattr(clock_module, "_ELAPSED", 42)
    monkeypatch.setattr(time, "clock_gettime_ns", tell)
    assert clock_module._elapsed_ns() == 7
    assert asked == [42]
    monkeypatch.setattr(clock_module, "_ELAPSED", None)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 8)
    assert clock_module._elapsed_ns() == 8


def test_the_clock_never_goes_back() -> None:
    """Told a thousand times, it rises or stands."""
    told = system_clock()
    times = [told() for _ in range(1_000)]
    assert times == sorted(times)
