"""Spans, written for people."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))


def in_words(span_ms: int) -> str:
    """Write a span in its largest whole unit: `20 minutes`, `90 seconds`."""
    for unit, size in _UNITS:
        if span_ms >= size and (span_ms % size == 0 or unit == "second"):
            count = span_ms // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{span_ms} milliseconds"


def roughly(span_ms: int) -> str:
    """Write a span in its largest unit, what is over left out: `23 hours` for one that is a second short of a day."""
    for _, size in _UNITS:
        if span_ms >= size:
            return in_words(span_ms - span_ms % size)
    return in_words(span_ms)
