"""Every promise, by what it is about."""

from __future__ import annotations

from typing import Final

from stillhere.testing.promise import Promise
from stillhere.testing.promises import (
    beat,
    contention,
    crash_points,
    create,
    end,
    forget,
    grants,
    listing,
    looking,
    notes,
    proof,
    rotate,
    sweep,
    text,
    time_travel,
    touch_interval,
    watch,
)

GROUPS: Final = (
    create,
    looking,
    beat,
    proof,
    touch_interval,
    rotate,
    end,
    sweep,
    forget,
    listing,
    watch,
    grants,
    notes,
    text,
    time_travel,
    crash_points,
    contention,
)

PROMISES: Final = tuple(value for group in GROUPS for value in vars(group).values() if isinstance(value, Promise))
"""All of them, in this order."""
