"""Visits of a block by kind, each kind's views added up: a filter wants most kinds whole or not at all. Pure; spans are milliseconds.

Visits of a kind have the same flags, the same ending, and about the same visible time. What a filter wants some of only is added up
view by view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from stillhere.archive import page_days, view_rows
from stillhere.archive.narrowing import does_count, kept, read_endings
from stillhere.archive.packing import Bodies, Numbers, pack, unpack
from stillhere.archive.statistics import EDGES
from stillhere.archive.view_sums import views_in
from stillhere.core.policy import Policy

if TYPE_CHECKING:
    import numpy.typing as npt

    from stillhere.archive.days import Visits
    from stillhere.archive.packing import Body
    from stillhere.archive.records import Asked

_SILENT_MS: Final = 2 * Policy().beat_interval
"""So long a silence makes a visit lost, unless somebody beats at another pace: then some kinds are wanted in part."""


class Kinds(msgspec.Struct, frozen=True, array_like=True):
    """Names of kinds; of each visit the place of its own; and the same of each place in `kind_pages`."""

    names: list[str]
    visits: bytes
    pages: bytes


_read_kinds: Final = msgspec.msgpack.Decoder(Kinds).decode


def by_kind(begin: int, flags: Numbers, endings: Body | None, rows: view_rows.ViewRows, visits: Visits) -> Bodies:
    """Add the views of each kind up.

    Args:
        begin: the block's first instant.
        flags: of each visit.
        endings: the part; None if one is not settled.
        rows: all views, with their details.
        visits: all visits.

    Returns:
        The part `kinds`; `kind_pages` and `kind_seen`, added up for each kind and page; and of each kind its views one by one, `viewed`
        and `views` with its name.
    """
    names, of = _kinds(flags, endings, visits.visible)
    viewed = of[rows.visits]
    by_page, pages = view_rows.grouped(rows, viewed)
    added = page_days.write(views_in(begin, by_page, np.ones(len(of), np.bool_), visits))
    kinds = Kinds(names=names, visits=pack(of), pages=pack(pages))
    bodies: Bodies = {"kinds": msgspec.msgpack.encode(kinds), **{f"kind_{part}": body for part, body in added.items()}}
    for n, name in enumerate(names):
        theirs = view_rows.some(rows, np.flatnonzero(viewed == n))
        bodies |= {f"viewed {name}": view_rows.write_viewed(theirs), f"views {name}": view_rows.write_details(theirs)}
    return bodies


def _kinds(flags: Numbers, endings: Body | None, visible: Numbers) -> tuple[list[str], Numbers]:
    """Name the kinds that there are, and tell of each visit the place of its own."""
    lengths = np.searchsorted(EDGES, visible, side="right") - 1
    ended, silent, names = np.zeros_like(flags), np.zeros_like(flags), ["unsettled"]
    if endings is not None:
        found = read_endings(endings)
        names, ended, silent = found.names, unpack(found.places), unpack(found.silent)
    columns = np.stack([flags, ended, silent > _SILENT_MS, lengths])
    kinds, places = np.unique(columns, axis=1, return_inverse=True)
    return [f"{names[by]} {flag} {lost} {length}" for flag, by, lost, length in kinds.T.tolist()], places.reshape(-1)


def parts_besides(asked: Asked, bodies: Bodies) -> set[str]:
    """Tell which parts of a block answer for the pages of some of its visits, besides those that tell which these are."""
    whole, mixed = _wanted(asked, bodies)
    if not mixed and np.array_equal(whole, _counted(bodies)):
        return {"pages", "seen"}
    parts = {"kind_pages", "kind_seen"} if whole.any() else set[str]()
    one_by_one = {f"{part} {name}" for part in ("viewed", "views") for name in mixed}
    return parts | one_by_one | {"who"} if mixed else parts


def views_of_kinds(begin: int, asked: Asked, bodies: Bodies, visits: Visits) -> list[page_days.Views]:
    """Add the views of the visits of a block up that are wanted.

    Args:
        begin: the block's first instant.
        asked: which visits.
        bodies: its parts.
        visits: its visits; only who they are is looked at.
    """
    whole, mixed = _wanted(asked, bodies)
    found = list[page_days.Views]()
    if whole.any():
        pages = unpack(_read_kinds(bodies["kinds"]).pages)
        added = page_days.read({part: bodies[f"kind_{part}"] for part in ("pages", "seen")}, visits.people)
        found.append(added if whole.all() else page_days.chosen(added, whole[pages]))
    mine = kept(asked, bodies)
    for name in mixed:
        rows = view_rows.read(bodies[f"viewed {name}"], bodies[f"views {name}"])
        found.append(views_in(begin, rows, mine, visits))
    return found


def _counted(bodies: Bodies) -> npt.NDArray[np.bool_]:
    """Tell of each kind whether it is in what a summary has added up anyway: many a filter leaves out nobody."""
    kinds = _read_kinds(bodies["kinds"])
    of_kind = np.zeros(len(kinds.names), np.int64)
    of_kind[unpack(kinds.visits)] = unpack(bodies["flags"])
    return does_count(of_kind)


def _wanted(asked: Asked, bodies: Bodies) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Tell of each kind whether it is wanted as a whole, and which are wanted in part."""
    kinds = _read_kinds(bodies["kinds"])
    places, count = unpack(kinds.visits), len(kinds.names)
    both = np.bincount(2 * places + kept(asked, bodies), minlength=2 * count).reshape(count, 2)
    wanted, there = both[:, 1], both.sum(axis=1)
    is_mixed = (wanted > 0) & (wanted < there)
    return wanted == there, [kinds.names[n] for n in np.flatnonzero(is_mixed).tolist()]
