"""How long a beat takes, as more connections send at once. wrk waits for each answer before it sends the next request on a connection."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from msgspec.structs import replace

from benchmarks import rivals, verify
from benchmarks.measure import alternate
from benchmarks.rows import row
from benchmarks.services import STORES

if TYPE_CHECKING:
    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from benchmarks.sides import Stage


def latency(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    """Measure the median and the slowest hundredth at so many connections."""
    sides = [rivals.express(stage, services.redis())]
    for kind in STORES:
        url, databases = services.store(kind)
        sides.append(stage.embedded(kind, url, databases=databases))
        verify.touches(sides[-1])
    rows = []
    for connections in scale.connections:
        warm = connections == scale.connections[0]
        found = alternate([replace(side, connections=connections) for side in sides], rounds=scale.fewer, seconds=1, warm=warm)
        for side in sides[1:]:
            for name, quantile in (("p50", "p50_us"), ("p99", "p99_us")):
                values, theirs = ([getattr(round_, quantile) / 1000 for round_ in found[who]] for who in (side.name, "Express"))
                made = row(
                    f"{name}, {connections} {'connection' if connections == 1 else 'connections'}, {side.name}",
                    values,
                    "ms",
                    group="latency",
                    peer=("Express", theirs),
                )
                rows.append(replace(made, cpu_us=round(median(round_.cpu_us for round_ in found[side.name]), 2)))
    return rows
