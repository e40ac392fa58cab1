"""Who leads among the visitors of many days: only they have to be named and put in order. Pure. Instants are ms since 1970, spans ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stillhere.archive.cursor import read_named_cursor
from stillhere.archive.packing import Numbers, merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.archive.days import People
    from stillhere.archive.records import VisitFilter


def leading(parts: Sequence[People], sort: str, wanted: VisitFilter) -> list[tuple[int, str]]:
    """Tell of all visitors that may be on the page that is asked for by which number they are sorted, and who they are, in any order.

    Args:
        parts: the visitors of each day.
        sort: `last`, `visible` or `visits`.
        wanted: how many, and where the page begins: the highest number is first, then names are in order.
    """
    everybody, places = merged([people.numbers for people in parts])
    values, visits = np.zeros(len(everybody), np.int64), np.zeros(len(everybody), np.int64)
    for at, people in zip(places, parts, strict=True):
        column = getattr(people, sort)
        values[at] = np.maximum(values[at], column) if sort == "last" else values[at] + column
        visits[at] += people.visits
    is_asked = np.zeros(len(everybody), np.bool_)
    is_asked[_first(values, np.flatnonzero(visits), wanted, sort)] = True  # a summary names those, too, who do not count
    rows = list[tuple[int, str]]()
    for at, people in zip(places, parts, strict=True):
        new = np.flatnonzero(is_asked[at])
        is_asked[at[new]] = False
        rows += [(value, people.names[n]) for value, n in zip(values[at[new]].tolist(), new.tolist(), strict=True)]
    return rows


def _first(values: Numbers, those: Numbers, wanted: VisitFilter, sort: str) -> Numbers:
    """Choose those with the highest values; of some that are equal all, for only their names tell which is first."""
    many = max(1, wanted.limit)  # who asks for none is told none of them later
    if wanted.before is not None:
        last, _ = read_named_cursor(wanted.before, sort)
        those = those[values[those] <= last]
        many += int(np.count_nonzero(values[those] == last))
    if many >= len(those):
        return those
    lowest = np.partition(values[those], len(those) - many)[len(those) - many]
    found: Numbers = those[values[those] >= lowest]
    return found
