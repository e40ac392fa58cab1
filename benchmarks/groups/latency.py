"""How long a beat takes, as more connections send at once. wrk waits for each answer before it sends the next request on a connection."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from msgspec.structs import replace

from benchmarks.measure import alternate
from benchmarks.rows import row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.measure import Round, Side
    from benchmarks.rows import Row, Scale


def latency(sides: Sequence[Side], found: Mapping[str, Sequence[Round]], scale: Scale) -> list[Row]:
    """Measure the median and the slowest hundredth at so many connections.

    Args:
        sides: Express, and those beside it.
        found: how they did with as many connections as they have.
        scale: how much is measured.
    """
    rows = []
    for connections in scale.connections:
        rounds = found
        if connections != sides[0].connections:
            rounds = alternate([replace(side, connections=connections) for side in sides], rounds=scale.rounds, seconds=1, warm=True)
        for side in sides[1:]:
            for name, quantile in (("p50", "p50_us"), ("p99", "p99_us")):
                values, theirs = ([getattr(round_, quantile) / 1000 for round_ in rounds[who]] for who in (side.name, "Express"))
                made = row(
                    f"{name}, {connections} {'connection' if connections == 1 else 'connections'}, {side.name}",
                    values,
                    "ms",
                    group="latency",
                    peer=("Express", theirs),
                )
                rows.append(replace(made, cpu_us=round(median(round_.cpu_us for round_ in rounds[side.name]), 2)))
    return rows
