"""What sessions add to an ordinary request: CPU time with them minus without, ours and the peers', each in its own framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from benchmarks import rivals, verify
from benchmarks.measure import Side, alternate
from benchmarks.rows import Goal, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Round
    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from benchmarks.sides import Stage

THIRD = Goal(0.333, "at most")


def pages(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    """Measure a page that greets whoever is signed in, sessions in Redis, extended with every request."""
    peers = []
    for start in (rivals.starsessions, rivals.flask_session, rivals.django_sessions):
        redis = services.redis()
        peers.append(start(stage, redis))
        verify.extends(peers[-1], redis, "GET", "/hello")
    url, databases = services.store("redis")
    cookies = stage.cookies("stillhere")
    stage.fill(url, scale.people, cookies=cookies)
    server = stage.uvicorn("stillhere", "benchmarks.apps.web:sessions", {"BENCH_STORE": url}, factory=True)
    ours = Side(name="stillhere", server=server, cookies=cookies, databases=databases, load=rivals.HELLO)
    verify.greets(ours)
    floors = [rivals.bare_starlette(stage, ours), rivals.bare_flask(stage, peers[1]), rivals.bare_django(stage, peers[2])]
    found = alternate([ours, *peers, *floors], rounds=scale.rounds, seconds=scale.seconds)
    mine = _added(found["stillhere"], found["bare Starlette"])
    rows = []
    for peer, floor in zip(peers, floors, strict=True):
        theirs = _added(found[peer.name], found[floor.name])
        made = row(f"CPU added, beside {peer.name}", mine, "µs/request", group="ordinary requests", peer=(peer.name, theirs), goal=THIRD)
        rows.append(msgspec.structs.replace(made, cpu_us=made.value, peer_cpu_us=made.peer_value))
    return rows


def _added(sessions: Sequence[Round], bare: Sequence[Round]) -> list[float]:
    # Less than a tenth of a microsecond is less than can be told.
    return [max(0.1, with_.cpu_us - without.cpu_us) for with_, without in zip(sessions, bare, strict=True)]
