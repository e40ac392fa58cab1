"""Hands claims straight to a store, in batches of several sizes in turn, and prints what each cost.

Arguments: the store's URL, how many people, rounds, seconds of each round, sizes divided by commas.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from benchmarks.apps.people import sign_in
from stillhere.core.ids import read_id
from stillhere.core.records import Claim
from stillhere.manager import SessionManager

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cost(msgspec.Struct, frozen=True):
    """What one round found.

    Attributes:
        per_s: claims a second.
        cpu_us: CPU time of this process for each claim.
    """

    per_s: float
    cpu_us: float


async def _round(manager: SessionManager, claims: Sequence[Claim], size: int, seconds: float) -> Cost:
    policy, count = manager.policy, 0
    cpu, began = time.process_time(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        batch = [claims[(count + n) % len(claims)] for n in range(size)]
        outcomes = await manager.store.beat(batch, visit_gap=policy.visit_gap, touch_interval=policy.touch_interval, now=manager.clock())
        assert all(outcome.session is not None for outcome in outcomes), "a claim found no session"
        count += size
    return Cost(count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1e6)


async def _main(url: str, people: str, rounds: str, seconds: str, sizes: str) -> None:
    async with SessionManager(url) as manager:
        claims = await _claims(manager, int(people))
        found: dict[str, list[Cost]] = {size: [] for size in sizes.split(",")}
        for _ in range(int(rounds)):
            for size, costs in found.items():
                costs.append(await _round(manager, claims, int(size), float(seconds)))
    os.write(1, msgspec.json.encode(found))


async def _claims(manager: SessionManager, people: int) -> list[Claim]:
    """Sign people in, and let each claim that he is active."""
    with tempfile.NamedTemporaryFile() as file:
        await sign_in(manager, people, people=people, cookies=Path(file.name))
        ids = [read_id(line.rstrip(b"\n").partition(b"=")[2].decode()) for line in file]
    return [Claim(handle=found[0], id_hash=found[1], active_ago_ms=0) for found in ids if found is not None]


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
