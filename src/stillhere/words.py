"""Instants, spans and visits, written for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_SECOND: Final = 1_000
_HOUR: Final = 3_600_000
_UNITS: Final = (("d", 24 * _HOUR), ("h", _HOUR), ("m", 60 * _SECOND), ("s", _SECOND))

ENDED: Final = {
    "leave": "ended by leave",
    "away": "ended by a long absence",
    "lost": "ended in silence",
    "idle": "ended by the idle timeout",
    "absolute": "ended by the absolute timeout",
    "signed_out": "ended by sign-out",
    "revoked": "ended from elsewhere",
    "replaced": "ended by another sign-in",
    "token_reuse": "ended by a refresh token used twice",
    "provider": "ended by the provider",
}
"""How a visit ended, by its `ended_by`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at: int) -> str:
    """Write an instant, milliseconds since 1970, in ISO 8601 and UTC, to the millisecond."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_span(span_ms: int) -> str:
    """Write a span, milliseconds, in whole seconds and its two largest units: `12 m 40 s`, `2 h`, `0 s`. What is over is left out."""
    return " ".join(f"{count} {unit}" for count, unit in _largest(span_ms) if count) or "0 s"


def even_span(span_ms: int) -> str:
    """Write a span as `clock_span` does, for a column: `12 m 40 s`, `2 h 00 m`, `0 s`. The dashboard writes them so, too."""
    (count, unit), *rest = _largest(span_ms)
    return " ".join([f"{count} {unit}", *(f"{count:02} {unit}" for count, unit in rest)])


def left_span(span_ms: int) -> str:
    """Write what is left of a span as `even_span` does, rounded up: 0 only when nothing is."""
    return even_span(-(-span_ms // _SECOND) * _SECOND)


def _largest(span_ms: int) -> list[tuple[int, str]]:
    """Split a span into its two largest units; seconds stand alone."""
    counts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, span_ms = divmod(span_ms, size)
        counts.append((count, unit))
    largest = next((n for n, (count, _) in enumerate(counts) if count), len(counts) - 1)
    return counts[largest : largest + 2]


def told(visible_ms: int, uncertain_ms: int, ended_by: str | None) -> str:
    """Tell how long somebody stayed in a sentence: `12 m 40 s, at most 15 s missing, ended by leave`.

    Args:
        visible_ms: the visit's visible time.
        uncertain_ms: how much of it may be missing at most, milliseconds; less than a second is not worth a word.
        ended_by: how it ended, or None while somebody is there.
    """
    # A bound is never told smaller than it is.
    unit_ms = _SECOND if uncertain_ms < _HOUR else _HOUR // 60
    bound = clock_span(-(-uncertain_ms // unit_ms) * unit_ms)
    missing = [f"at most {bound} missing"] if uncertain_ms >= _SECOND else []
    return ", ".join([clock_span(visible_ms), *missing, "still here" if ended_by is None else ENDED.get(ended_by, f"ended by {ended_by}")])
