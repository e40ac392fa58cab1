"""Batches in waves, for stores that take a whole batch in one statement."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.core.records import Claim


def waves(claims: Sequence[Claim]) -> list[list[int]]:
    """Split a batch so that no session is in one wave twice; the order of each session's claims is kept.

    Returns:
        For each wave the positions of its claims.
    """
    turns: defaultdict[str, int] = defaultdict(int)
    split: list[list[int]] = []
    for position, claim in enumerate(claims):
        turn = turns[claim.handle]
        turns[claim.handle] += 1
        if turn == len(split):
            split.append([])
        split[turn].append(position)
    return split
