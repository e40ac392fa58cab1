"""What a batch wins: claims handed straight to a store, without HTTP."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from benchmarks.apps.batches import Cost
from benchmarks.measure import SERVER_CORE, BenchmarkError
from benchmarks.rows import row
from benchmarks.services import STORES
from benchmarks.sides import ROOT

if TYPE_CHECKING:
    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from benchmarks.sides import Stage


def batches(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    """Measure every store with batches of several sizes, beside a batch of one."""
    rows = []
    for kind in STORES:
        url, _ = services.store(kind)
        words = [url, str(stage.people), str(scale.rounds), str(scale.seconds / 4), ",".join(map(str, scale.batches))]
        command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "benchmarks.apps.batches", *words]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        if ran.returncode:
            raise BenchmarkError(f"batches on {kind}: {ran.stderr.decode()}")
        found = msgspec.json.decode(ran.stdout, type=dict[str, list[Cost]])
        single = [cost.per_s for cost in found[str(scale.batches[0])]]
        for size, costs in found.items():
            made = row(f"batch of {size}, {kind}", [cost.per_s for cost in costs], "claims/s", group="batches", peer=("batch of 1", single))
            rows.append(msgspec.structs.replace(made, cpu_us=round(median(cost.cpu_us for cost in costs), 2)))
    return rows
