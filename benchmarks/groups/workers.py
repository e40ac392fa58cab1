"""One worker and two. Here both workers, the load and the databases share all cores, so on two cores two workers win little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import verify
from benchmarks.measure import Side, alternate
from benchmarks.rows import throughput
from benchmarks.services import DURABLE

if TYPE_CHECKING:
    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from benchmarks.sides import Stage


def workers(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    """Measure the durable stores with one process and with two, on one store each."""
    rows = []
    for kind in DURABLE:
        url, databases = services.store(kind)
        cookies = stage.cookies(f"workers {kind}")
        stage.fill(url, scale.people, cookies=cookies)
        sides = []
        for count in (1, 2):
            server = stage.uvicorn(f"{count} on {kind}", "benchmarks.apps.embedded:app", {"BENCH_STORE": url}, workers=count)
            sides.append(Side(name=str(count), server=server, cookies=cookies, databases=databases))
            verify.touches(sides[-1])
        found = alternate(sides, rounds=scale.rounds, seconds=1)
        rows.append(throughput(f"2 workers, {kind}", found["2"], group="workers", peer=("1 worker", found["1"])))
    return rows
