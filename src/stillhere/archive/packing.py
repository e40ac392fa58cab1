"""Numbers side by side, as they are kept for a summarised day, and what is done with many of them at once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Numbers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

Body = bytes | memoryview
"""A part of a summary, in memory of its own or where a database's answer lies."""

Bodies = dict[str, Body]
"""The parts of a summary."""

_read_texts: Final = msgspec.msgpack.Decoder(tuple[memoryview, memoryview]).decode

_WIDTHS: Final = (1, 2, 4, 8)

NOTHING: Final = b"\1"
"""No numbers, packed."""

_ROOMY: Final = 16
"""With at most so much room for each key there is some for every key that could be, which spares a sort."""

_NEAR: Final = 1 << 20
"""More counters than that lie so far from each other that sorting is faster."""


def number_of(subject: str) -> int:
    """Tell the number that stands for a subject: 64 bits of its hash.

    Nobody meets another's by chance. Who makes up two names with the same, which takes 2^32 tries, may be listed as one.
    """
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


def unpack(body: Body) -> Numbers:
    """Read what `pack` wrote."""
    return _read(body).astype(np.int64)


def unpack_hashes(body: Body) -> Hashes:
    """Read hashes that `pack` wrote."""
    return _read(body).astype(np.uint64, copy=False)


def unpack_narrow(body: Body) -> npt.NDArray[Any]:
    """Read very many numbers that `pack` wrote, where they lie if each takes less than eight bytes: what is made of them needs more."""
    found = _read(body)
    return found.astype(np.int64) if found.itemsize == _WIDTHS[-1] else found


def _read(body: Body) -> npt.NDArray[Any]:
    return np.frombuffer(body, f"<u{body[-1]}", (len(body) - 1) // body[-1])


class Texts:
    """Texts that `pack_texts` wrote; each is read when it is asked for, for of very many only few are.

    Args:
        body: what it wrote.
    """

    def __init__(self, body: Body) -> None:
        """Read where each text ends."""
        ends, self._bytes = _read_texts(body)
        self._ends = unpack(ends)

    def __len__(self) -> int:
        """Tell how many there are."""
        return len(self._ends)

    def __getitem__(self, n: int) -> str:
        """Read the text at a place, counted from 0."""
        return str(self._bytes[self._ends[n - 1] if n else 0 : self._ends[n]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        """Read all of them."""
        ends = self._ends.tolist()
        return (str(self._bytes[begin:end], "utf-8") for begin, end in pairwise([0, *ends]))


def pack_texts(texts: Iterable[str]) -> bytes:
    """Write texts one after the other, and where each ends."""
    encoded = [text.encode() for text in texts]
    return msgspec.msgpack.encode((pack(np.cumsum([len(one) for one in encoded], dtype=np.int64)), b"".join(encoded)))


def merged(parts: Sequence[Hashes]) -> tuple[Hashes, list[Numbers]]:
    """Put hashes together, each once and sorted, and tell of each part the places of its own among them.

    Args:
        parts: sorted each.
    """
    ordered = np.sort(np.concatenate(parts), kind="stable")  # which is fast where much is in order already
    together = ordered[_is_first(ordered)]
    return together, [np.searchsorted(together, part) for part in parts]


class Members(msgspec.Struct, frozen=True):
    """Members of groups, each once or more often.

    Attributes:
        pieces: makes some at a time, for to hold all takes longer: groups, how many members of each follow, and the members, all from 0.
        count: at most so many members there are.
    """

    pieces: Callable[[], Iterable[tuple[Numbers, Numbers, npt.NDArray[Any]]]]
    count: int


def distinct_by_group(members: Members, count: int, most: int) -> tuple[Numbers, Numbers]:
    """Leave out the members that a group has already, and put the rest in order of the groups, and of themselves.

    Args:
        members: see there.
        count: how many groups there are.
        most: how many members there could be.
    """
    in_order: tuple[Numbers, Numbers] = np.divmod(_distinct(members, count, most), max(1, most))
    return in_order


def count_by_group(members: Members, count: int, most: int) -> Numbers:
    """Count the distinct members of each group; see `distinct_by_group`."""
    found = _distinct(members, count, most)
    return np.diff(np.searchsorted(found, np.arange(count + 1) * most))


def _distinct(members: Members, count: int, most: int) -> Numbers:
    """Tell each group and member once, as one number, in order."""
    keys = (np.repeat(groups * most, counts) + numbers for groups, counts, numbers in members.pieces())
    if count * most > _ROOMY * members.count:
        return np.unique(np.concatenate(list(keys)))
    is_there = np.zeros(count * most, np.bool_)
    for some in keys:
        is_there[some] = True
    return np.flatnonzero(is_there)


def count_keys(keys: npt.NDArray[Any], times: npt.NDArray[Any]) -> tuple[Numbers, Numbers]:
    """Tell the distinct keys, in order, and how often each is there.

    Args:
        keys: numbers, from 0.
        times: how often each of them counts. They are far too few for a float to be off.
    """
    if keys.max(initial=0) > min(_ROOMY * len(keys), max(_NEAR, len(keys))):
        groups = Groups(keys)
        distinct, counts = groups.keys.astype(np.int64), groups.sum(times.astype(np.int64))
    else:
        counts = np.bincount(keys, times).astype(np.int64, copy=False)
        distinct = np.arange(len(counts))
    found = np.flatnonzero(counts)
    return distinct[found], counts[found]


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
