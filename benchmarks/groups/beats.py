"""Beats a second over HTTP, and how long one takes: every store beside Express, the bare server and our own memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks import rivals, verify
from benchmarks.groups.latency import latency
from benchmarks.measure import Load, alternate
from benchmarks.rows import Goal, throughput
from benchmarks.services import CLUSTER, STORES

if TYPE_CHECKING:
    from benchmarks.measure import Side
    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from benchmarks.sides import Stage

BESIDE_EXPRESS: Final = Goal(5)
BESIDE_FLOOR: Final = Goal(0.8)


def beats(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    """Measure beats that say that somebody is active, as Express's touch does."""
    redis = services.redis()
    express = rivals.express(stage, redis)
    verify.extends(express, redis, "POST", "/session/beat")
    ours = {kind: _embedded(stage, services, kind) for kind in (*STORES, CLUSTER)}
    programs = [_program(stage, services, "redis")]
    bare = stage.bare(like=ours["memory"])
    verify.answers_alike(bare, ours["memory"])
    found = alternate([express, bare, *ours.values(), *programs], rounds=scale.rounds, seconds=scale.seconds)
    rows = [
        throughput(name, found[name], group="beats beside Express", peer=("Express", found["Express"]), goal=BESIDE_EXPRESS)
        for name in (*ours, *(side.name for side in programs))
    ]
    rows += [
        throughput(kind, found[kind], group="beats beside the floor", peer=(peer, found[peer]), goal=BESIDE_FLOOR)
        for kind, peer in [("memory", "bare ASGI"), *((kind, "memory") for kind in ours if kind != "memory")]
    ]
    return [*rows, *_views(list(ours.values()), scale), *latency([express, *(ours[kind] for kind in STORES)], found, scale)]


def _views(sides: list[Side], scale: Scale) -> list[Row]:
    viewing = [msgspec.structs.replace(side, load=Load(kind="view")) for side in sides]
    for side in viewing:
        verify.counts(side)
    found = alternate(viewing, rounds=scale.rounds, seconds=1, warm=True)
    peer = ("memory", found["memory"])
    return [throughput(side.name, found[side.name], group="beats of a page, with its view", peer=peer) for side in viewing]


def _embedded(stage: Stage, services: Services, kind: str) -> Side:
    url, databases = services.store(kind)
    side = stage.embedded(kind, url, databases=databases)
    verify.touches(side)
    return side


def _program(stage: Stage, services: Services, kind: str) -> Side:
    url, databases = services.store(kind)
    side = stage.program(f"the program on {kind}", url, databases=databases)
    verify.touches(side)
    return side
