"""Numbers side by side, as they are kept for a summarised day, and what is done with many of them at once. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Numbers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

Bodies = dict[str, bytes]
"""The parts of a summary."""

_WIDTHS: Final = (1, 2, 4, 8)

NOTHING: Final = b"\1"
"""No numbers, packed."""

_MOST_BITS: Final = 14
"""What `count_by_group` may take from a hash: with 50 bits left, a million visitors are one too few once in two thousand times."""


def number_of(subject: str) -> int:
    """Tell the number that stands for a subject: 64 bits of its hash."""
    return int.from_bytes(blake2b(subject.encode(), digest_size=8).digest(), "little")


def numbers_of(subjects: Sequence[str]) -> Hashes:
    """Tell the numbers that stand for subjects."""
    known = {one: number_of(one) for one in set(subjects)}
    return np.array([known[one] for one in subjects], np.uint64)


def pack(numbers: npt.NDArray[Any]) -> bytes:
    """Write numbers side by side, the lowest byte first, each in as few bytes as the largest needs: the last byte tells how many.

    Raises:
        OverflowError: if one is negative.
    """
    if numbers.size and numbers.min() < 0:
        raise OverflowError(f"{numbers.min()} is negative, and cannot be kept in a summary")
    largest = int(numbers.max()) if numbers.size else 0
    width = next(width for width in _WIDTHS if largest < 1 << 8 * width)
    return numbers.astype(f"<u{width}").tobytes() + bytes([width])


def unpack(body: bytes) -> Numbers:
    """Read what `pack` wrote."""
    return _read(body).astype(np.int64)


def unpack_hashes(body: bytes) -> Hashes:
    """Read hashes that `pack` wrote."""
    return _read(body).astype(np.uint64, copy=False)


def _read(body: bytes) -> npt.NDArray[Any]:
    return np.frombuffer(body, f"<u{body[-1]}", (len(body) - 1) // body[-1])


def count_distinct(hashes: Hashes) -> int:
    """Count the distinct ones."""
    return int(_is_first(np.sort(hashes)).sum())


def distinct_by_group(groups: Numbers, hashes: Hashes) -> tuple[Numbers, Hashes]:
    """Leave out the hashes that a group has already, and put the rest in order of the groups."""
    order = np.lexsort((hashes, groups))
    groups, hashes = groups[order], hashes[order]
    kept = _is_first(groups) | _is_first(hashes)
    return groups[kept], hashes[kept]


def count_by_group(groups: Numbers, hashes: Hashes, count: int) -> Numbers:
    """Count the distinct hashes of each group.

    If groups are few, one and a hash go side by side into 64 bits, which one sort puts in order; the hash has the bits that groups do
    not need.

    Args:
        groups: for each hash its group, from 0.
        hashes: see above.
        count: of groups.
    """
    bits = max(1, count.bit_length())
    if bits > _MOST_BITS:
        return np.bincount(distinct_by_group(groups, hashes)[0], minlength=count)
    keys = np.sort(groups.astype(np.uint64) << np.uint64(64 - bits) | hashes >> np.uint64(bits))
    return np.bincount((keys[_is_first(keys)] >> np.uint64(64 - bits)).astype(np.int64), minlength=count)


class Groups:
    """Rows by a key, so that what belongs together can be added up.

    Args:
        keys: of the rows.

    Attributes:
        keys: the distinct ones, sorted.
        first: for each of them a row that has it.
    """

    def __init__(self, keys: npt.NDArray[Any]) -> None:
        """Put the rows in order."""
        self._order = np.argsort(keys)
        ordered = keys[self._order]
        self._begins = np.flatnonzero(_is_first(ordered))
        self.keys = ordered[self._begins]
        self.first = self._order[self._begins]

    def sum(self, values: Numbers) -> Numbers:
        """Add the values of the rows of each key up."""
        return np.add.reduceat(values[self._order], self._begins) if len(values) else values

    def highest(self, values: Numbers) -> Numbers:
        """Tell the highest value of the rows of each key."""
        return np.maximum.reduceat(values[self._order], self._begins) if len(values) else values


def _is_first(ordered: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    is_first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return is_first
