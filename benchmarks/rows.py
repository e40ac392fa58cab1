"""What is told of what was measured: rows with a value, a peer's value, their ratio, and whether a goal was met."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from benchmarks.measure import Round


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured.

    Attributes:
        rounds: of each side.
        fewer: how often a slow question is asked at least.
        seconds: of each round.
        people: signed in, and sending in turn.
        stored: sessions in the store, the smallest first.
        sampled: of those stored, how many send in turn.
        lapsed: sessions whose ends are recorded under load.
        connections: for latency.
        batches: claims handed to a store at once.
        streams: idle streams that a server holds open.
    """

    rounds: int = 5
    fewer: int = 3
    seconds: int = 1
    people: int = 2_000
    stored: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    sampled: int = 50_000
    lapsed: int = 100_000
    connections: tuple[int, ...] = (1, 8, 64, 512)
    batches: tuple[int, ...] = (1, 4, 16, 64, 256)
    streams: int = 5_000


QUICK = Scale(
    rounds=2,
    fewer=2,
    seconds=1,
    people=50,
    stored=(50, 100, 1_000),
    sampled=100,
    lapsed=200,
    connections=(1, 8),
    batches=(1, 16),
    streams=50,
)


class Goal(msgspec.Struct, frozen=True):
    """What a ratio, or a value without a peer, should be.

    Attributes:
        number: the border.
        side: on which side of it.
    """

    number: float
    side: Literal["at least", "at most"] = "at least"

    def __str__(self) -> str:
        """Write it as a person would."""
        return f"{self.side} {self.number:g}"

    def is_met(self, number: float) -> bool:
        """Tell whether a number is on the right side."""
        return number >= self.number if self.side == "at least" else number <= self.number


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    Attributes:
        name: what was measured.
        value: median over the rounds.
        unit: of the values.
        peer: beside whom.
        peer_value: the peer's median.
        ratio: median over the rounds of value to peer's value.
        cpu_us: CPU time of the server's processes for each request, median.
        goal: what the ratio should be, or the value if there is no peer.
        met: whether it is.
        group: which rows belong together.
        peer_cpu_us: the peer's CPU time.
        database_us: CPU time of the database's processes for each request.
        cpu_ratio: median over the rounds of the peer's CPU time to ours: what the ratio would be on a machine that does nothing else.
        others: share of the server's core that went to anybody else, median.
        rounds: the values, round by round.
        peer_rounds: the peer's.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    cpu_us: float | None = None
    goal: str | None = None
    met: bool | None = None
    group: str = ""
    peer_cpu_us: float | None = None
    database_us: float | None = None
    cpu_ratio: float | None = None
    others: float | None = None
    rounds: Sequence[float] = ()
    peer_rounds: Sequence[float] = ()


def row(
    name: str, values: Sequence[float], unit: str, *, group: str, peer: tuple[str, Sequence[float]] | None = None, goal: Goal | None = None
) -> Row:
    """Make a row of the values of all rounds.

    Args:
        name: what was measured.
        values: one for each round.
        unit: theirs.
        group: which rows belong together.
        peer: name and values of whom it is measured beside, round for round.
        goal: what the ratio should be, or the value if there is no peer.
    """
    made = Row(name=name, value=_short(median(values)), unit=unit, group=group, rounds=[_short(value) for value in values])
    judged = made.value
    if peer is not None:
        judged = median(value / theirs for value, theirs in zip(values, peer[1], strict=True))
        made = msgspec.structs.replace(
            made, peer=peer[0], peer_value=_short(median(peer[1])), peer_rounds=[_short(value) for value in peer[1]], ratio=round(judged, 3)
        )
    return made if goal is None else msgspec.structs.replace(made, goal=str(goal), met=goal.is_met(judged))


def throughput(
    name: str, ours: Sequence[Round], *, group: str, peer: tuple[str, Sequence[Round]] | None = None, goal: Goal | None = None
) -> Row:
    """Make a row of requests a second, with the CPU time of both beside it."""
    beside = None if peer is None else (peer[0], [round_.per_s for round_ in peer[1]])
    made = row(name, [round_.per_s for round_ in ours], "requests/s", group=group, peer=beside, goal=goal)
    made = msgspec.structs.replace(
        made,
        cpu_us=_short(median(round_.cpu_us for round_ in ours)),
        database_us=_short(median(round_.database_us for round_ in ours)) or None,
        others=round(median(round_.others for round_ in ours), 3),
    )
    if peer is None:
        return made
    pairs = zip(ours, peer[1], strict=True)
    return msgspec.structs.replace(
        made,
        peer_cpu_us=_short(median(round_.cpu_us for round_ in peer[1])),
        cpu_ratio=_short(median(theirs.cpu_us / our.cpu_us for our, theirs in pairs)),
    )


def _short(number: float) -> float:
    """Drop digits that mean nothing."""
    return round(number) if abs(number) >= 1_000 else round(number, 2)
