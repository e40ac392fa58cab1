"""A clock for tests."""

from __future__ import annotations

from typing import Final

START: Final = 1_700_000_000_000
"""An instant long ago, in milliseconds: 14 November 2023."""


class FakeClock:
    """A clock for `SessionManager(clock=...)` that moves only when told.

    Args:
        now: what it shows at first, milliseconds since 1970.

    Attributes:
        now: what it shows.
    """

    def __init__(self, now: int = START) -> None:
        """Set it."""
        self.now = now

    def __call__(self) -> int:
        """Tell the time."""
        return self.now

    def advance(self, span_ms: int) -> None:
        """Let time pass; a negative span steps back."""
        self.now += span_ms
