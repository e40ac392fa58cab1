"""Instants and spans, written for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_UNITS: Final = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))


def instant(at: int) -> str:
    """Write an instant, milliseconds since 1970, in ISO 8601 and UTC, to the millisecond."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_words(span_ms: int) -> str:
    """Write a span in its largest whole unit: `20 minutes`, `90 seconds`."""
    for unit, size in _UNITS:
        if span_ms >= size and (span_ms % size == 0 or unit == "second"):
            count = span_ms // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{span_ms} milliseconds"
