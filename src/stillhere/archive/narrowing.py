"""Which visits of a summarised day or block are wanted: by flags, ending, visible time and page. Pure; spans are milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from stillhere.archive.packing import Bodies, Body, Numbers, pack, unpack, unpack_narrow
from stillhere.archive.records import VisitFilter
from stillhere.archive.view_rows import who_viewed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stillhere.archive.records import Asked, DayVisit

INTERNAL: Final = 1
EXCLUDED: Final = 2
VERIFIED: Final = 4

_LOST: Final = "lost"


class Endings(msgspec.Struct, frozen=True, array_like=True):
    """How visits ended: names, and of each visit the place of its ending and `DayVisit.silent_ms`."""

    names: list[str]
    places: bytes
    silent: bytes


read_endings: Final = msgspec.msgpack.Decoder(Endings).decode


def flags_of(visits: Sequence[DayVisit]) -> Numbers:
    """Put flags side by side."""
    return np.array([INTERNAL * one.internal | EXCLUDED * one.excluded | VERIFIED * one.verified for one in visits], np.int64)


def does_count(flags: Numbers) -> npt.NDArray[np.bool_]:
    """Tell of which visits a summary adds up what it adds up."""
    counts: npt.NDArray[np.bool_] = flags & (INTERNAL | EXCLUDED) == 0
    return counts


def endings_of(visits: Sequence[DayVisit]) -> bytes | None:
    """Write how visits ended; None if that of one is not settled."""
    ended = [visit.ended_by for visit in visits if visit.ended_by is not None]
    if len(ended) < len(visits):
        return None
    return _written(ended, np.array([max(0, visit.silent_ms) for visit in visits], np.int64))


def joined_endings(bodies: Sequence[Body]) -> bytes:
    """Put the endings of days that follow each other one after the other."""
    found = [read_endings(body) for body in bodies]
    ended = [one.names[place] for one in found for place in unpack(one.places).tolist()]
    return _written(ended, np.concatenate([unpack(one.silent) for one in found]))


def _written(ended: Sequence[str], silent: Numbers) -> bytes:
    names: dict[str, int] = {}
    places = np.array([names.setdefault(name, len(names)) for name in ended], np.int64)
    return msgspec.msgpack.encode(Endings(list(names), pack(places), pack(silent)))


def is_narrow(asked: Asked) -> bool:
    """Tell whether a filter leaves out visits of a period that count, or lets in some that do not."""
    wanted = asked.wanted
    plain = VisitFilter(
        since_at=wanted.since_at, until_at=wanted.until_at, before=wanted.before, limit=wanted.limit,
        internal=wanted.internal and not asked.internal,
    )  # fmt: skip
    return wanted != plain


def needed(wanted: VisitFilter) -> list[str]:
    """Tell which parts of a summary `kept` reads for a filter."""
    by_time = wanted.min_visible_ms is not None or wanted.max_visible_ms is not None
    asked = {"flags": True, "visible": by_time, "viewed": wanted.page is not None, "endings": bool(wanted.ended_by)}
    return [part for part, is_asked in asked.items() if is_asked]


def kept(asked: Asked, bodies: Bodies) -> npt.NDArray[np.bool_]:
    """Tell of each visit of a summary whether it is wanted.

    Args:
        asked: the filter. Its period is not looked at: a summary lies within.
        bodies: the parts that are `needed`.
    """
    wanted, flags = asked.wanted, unpack_narrow(bodies["flags"])
    hidden = (0 if wanted.internal else INTERNAL) | (0 if wanted.excluded else EXCLUDED)
    found: npt.NDArray[np.bool_] = flags & hidden == 0
    if wanted.verified is not None:
        found &= (flags & VERIFIED > 0) == wanted.verified
    if wanted.min_visible_ms is not None:
        found &= unpack_narrow(bodies["visible"]) >= wanted.min_visible_ms
    if wanted.max_visible_ms is not None:
        found &= unpack_narrow(bodies["visible"]) <= wanted.max_visible_ms
    if wanted.ended_by:
        found &= _ended_by(asked, read_endings(bodies["endings"]))
    if wanted.page is not None:
        viewed = np.zeros(len(flags), np.bool_)
        viewed[who_viewed(wanted.page, bodies)] = True
        found &= viewed
    return found


def _ended_by(asked: Asked, endings: Endings) -> npt.NDArray[np.bool_]:
    """As `core.endings.visit_ended_by`: whose session ended long after anything was heard was lost."""
    wanted = asked.wanted.ended_by
    is_wanted = np.array([name in wanted for name in endings.names], np.bool_)
    is_lost = unpack_narrow(endings.silent) > 2 * asked.beat_interval
    return np.where(is_lost, _LOST in wanted, is_wanted[unpack_narrow(endings.places)])
