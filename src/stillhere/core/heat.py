"""Reads what a page measured of its reading. It is the browser's word: believed as far as the view's own totals go, and no further.

Both texts are written by `client/src/heat.js`; `spec/protocol.md` has their form, and `core.wire` lets no other in. What a damaged row
holds is read as far as it makes sense, and is never an error.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

PARTS: Final = 20
"""Into so many parts of equal height a page is divided."""

DIGITS: Final = 5
"""So many digits a part's seconds have at most."""

State = Literal["active", "idle", "hidden"]

_STATES: Final[dict[str, State]] = {"a": "active", "i": "idle", "h": "hidden"}
_HEAT: Final = re.compile(r"[0-9a-z]{1,5}(?:\.[0-9a-z]{1,5}){19}")
_BAND: Final = re.compile(r"([aih])([0-9a-z]{1,7})(?:\.|\Z)")


class Band(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a view in one state.

    Attributes:
        state: `active`; `idle`: on screen, but nobody was active; or `hidden`.
        from_at: when it began.
        until_at: when it ended.
    """

    state: State
    from_at: int
    until_at: int


def read_heat(text: str | None, visible_ms: int) -> tuple[int, ...]:
    """Tell how long each twentieth of a page was on screen, from the top, in milliseconds.

    Args:
        text: `View.heat`.
        visible_ms: the view's visible time. A sum that is larger is scaled down to it: parts share it, and cannot have more.

    Returns:
        Twenty spans, or none where nothing was measured.
    """
    spans = [seconds * 1_000 for seconds in read_seconds(text)]
    total = sum(spans)
    if total > visible_ms:
        spans = [span * visible_ms // total for span in spans]
    return tuple(spans)


def read_seconds(text: str | None) -> tuple[int, ...]:
    """Read twenty numbers as the browser told them, in seconds; none where nothing was measured."""
    return tuple(int(number, 36) for number in text.split(".")) if text is not None and is_heat(text) else ()


def is_heat(text: str) -> bool:
    """Tell whether a text is twenty numbers to the base of 36, of up to `DIGITS` digits each, with points between."""
    return _HEAT.fullmatch(text) is not None


def read_bands(text: str | None, opened_at: int, last_seen_at: int) -> tuple[Band, ...]:
    """Tell what a view did when: bands in order, one beginning where the one before it ends.

    Args:
        text: `View.bands`.
        opened_at: when the view began, and so the first band.
        last_seen_at: up to when the view was heard of; what is said of later is left out.
    """
    bands: list[Band] = []
    at = opened_at
    for letter, span in _BAND.findall(text or ""):
        until_at = min(at + int(span, 36), last_seen_at)
        if until_at > at:
            before = bands[-1] if bands else None
            if before is not None and before.state == _STATES[letter]:
                bands[-1] = Band(before.state, before.from_at, until_at)
            else:
                bands.append(Band(_STATES[letter], at, until_at))
            at = until_at
    return tuple(bands)
