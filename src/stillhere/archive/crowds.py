"""How many visitors were there at once, counted over very many visits. Pure. Instants are milliseconds since 1970.

Somebody is there from the start of a visit to its end, both included: ends are the first instants at which they are not. Who has two
visits open at once is one visitor.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from stillhere.archive.statistics import MOST_POINTS, Crowd, Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stillhere.archive.packing import Hashes, Numbers


class Presences:
    """Who was there when: visits in order of their starts, some at a time.

    Those that nothing overlaps are counted as they are. Only the others have to be looked at together, and they are few.
    """

    def __init__(self) -> None:
        """Begin with nobody."""
        self._who: list[Hashes] = []
        self._starts: list[Numbers] = []
        self._ends: list[Numbers] = []
        self._shared: list[Numbers] = []
        self._count = 0
        self._open = np.zeros(0, np.int64)  # places of visits that may overlap those to come
        self._open_who = np.zeros(0, np.uint64)
        self._open_ends = np.zeros(0, np.int64)

    def add(self, who: Hashes, starts: Numbers, ends: Numbers, shared: Numbers) -> None:
        """Add visits that begin after all others so far.

        Args:
            who: their visitors, hashed.
            starts: when they began, sorted.
            ends: see above.
            shared: places of those that others of them overlap, as `overlapping` finds them.
        """
        if not len(starts):
            return
        near = int(np.searchsorted(starts, self._open_ends.max(initial=0), side="right"))
        again = np.flatnonzero(np.isin(who[:near], self._open_who))
        self._shared += [shared + self._count, again + self._count, self._open[np.isin(self._open_who, who[again])]]
        lasting = np.flatnonzero(ends >= starts[-1])
        still = self._open_ends >= starts[-1]
        self._open = np.concatenate([self._open[still], lasting + self._count])
        self._open_who = np.concatenate([self._open_who[still], who[lasting]])
        self._open_ends = np.concatenate([self._open_ends[still], ends[lasting]])
        self._who.append(who)
        self._starts.append(starts)
        self._ends.append(ends)
        self._count += len(starts)

    def crowd(self, most: int = MOST_POINTS) -> Crowd:
        """Tell how many were there at once, over time, as `statistics.simultaneous`."""
        if not self._count:
            return Crowd(points=[], peak=None)
        who, starts, ends = np.concatenate(self._who), np.concatenate(self._starts), np.concatenate(self._ends)
        shared = np.zeros(self._count, np.bool_)
        shared[np.concatenate(self._shared)] = True
        begins, until = _union(who[shared], starts[shared], ends[shared])
        return _counted(np.concatenate([starts[~shared], begins]), np.concatenate([ends[~shared], until]), most)


def overlapping(who: Numbers, starts: Numbers, ends: Numbers) -> Numbers:
    """Tell the places of the visits of everybody who had two open at once."""
    if not len(who):
        return starts
    order, person, is_apart, _ = _by_person(who, starts, ends)
    return np.sort(order[np.isin(person, person[~is_apart])])


def _union(who: Hashes, starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
    """Put visits of one visitor that overlap together."""
    if not len(who):
        return starts, ends
    order, _, is_apart, latest = _by_person(who, starts, ends)
    return starts[order][is_apart], latest[np.append(np.flatnonzero(is_apart)[1:] - 1, -1)]


def _by_person(who: npt.NDArray[Any], starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_], Numbers]:
    """Put visits in order by visitor and start.

    Returns:
        The order. And in that order: a number of the visitor; whether all earlier visits were over when this one began; and the latest end
        so far.
    """
    order = np.lexsort((starts, who))
    people = who[order]
    is_new = np.append(True, people[1:] != people[:-1])  # the first one is
    person = np.cumsum(is_new)
    # A later visitor's ends are all moved behind those of the earlier ones, so that one pass finds the highest of each.
    moved = person * (int(ends.max()) - int(starts.min()) + 1)
    latest = np.maximum.accumulate(ends[order] + moved) - moved
    return order, person, is_new | np.append(True, starts[order][1:] > latest[:-1]), latest  # as above


def _counted(starts: Numbers, ends: Numbers, most: int) -> Crowd:
    """Count along the instants at which somebody comes or goes; at one instant all who go are first."""
    edges = np.concatenate([2 * np.sort(ends), 2 * np.sort(starts, kind="stable") + 1])  # starts are in order almost
    edges.sort(kind="stable")  # which only merges the two
    at, counts = edges >> 1, np.cumsum(2 * (edges & 1).astype(np.int8) - 1, dtype=np.int32)
    is_step = np.append(at[1:] != at[:-1], True)  # the last one is
    at, counts = at[is_step], counts[is_step]
    peak = int(counts.argmax())
    return Crowd(
        points=[Point(at=int(at[n]), visitors=int(counts[n])) for n in _kept(at, counts, most)],
        peak=Point(at=int(at[peak]), visitors=int(counts[peak])),
    )


def _kept(at: Numbers, counts: Numbers, most: int) -> Sequence[int]:
    """Keep the highest step of each stretch, and its last, which holds until there is another."""
    if len(at) <= most:
        return [0, *(np.flatnonzero(np.diff(counts)) + 1).tolist()]
    each = int(at[-1] - at[0]) // (most // 2) + 1
    stretches = np.searchsorted(at, at[0] + each * np.arange(most // 2 + 1)).tolist()
    kept = [(begin + int(counts[begin:end].argmax()), end - 1) for begin, end in pairwise(stretches) if begin < end]
    return [n for pair in kept for n in dict.fromkeys(pair)]
