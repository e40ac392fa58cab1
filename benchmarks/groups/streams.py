"""What idle streams cost, and how soon many are told that their sessions have ended."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import uvloop

from benchmarks.listeners import PATIENCE_S, Kind, Listener, listen
from benchmarks.measure import BenchmarkError, cpu_s
from benchmarks.rows import Goal, row
from benchmarks.services import DURABLE
from benchmarks.sides import Stage
from stillhere.core.ids import read_id
from stillhere.core.records import EndedBy
from stillhere.manager import SessionManager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Side
    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from tests.services.process import Server

IDLE_S: Final = 25
"""In so long every stream shows once that it is alive."""

TICK_S: Final = 0.01
"""CPU time is accounted in steps of this."""

ENDING: Final = 1_000
"""Sessions that are ended at once, each with a stream."""

ENDS_AT_ONCE: Final = 32
"""Ends that are recorded at the same time."""


class Idle(NamedTuple):
    """What idle streams of one server cost.

    Attributes:
        bytes_each: memory of the process for each.
        cpu_us: CPU time for each and minute.
    """

    bytes_each: float
    cpu_us: float


def streams(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    """Measure idle streams of one worker beside a bare server's, then ends recorded by another process."""
    rows = _idle(stage, services, scale)
    count, rounds = min(ENDING, scale.streams), min(scale.rounds, 3)
    for kind in DURABLE:
        url, databases = services.store(kind)
        with Stage(stage.folder, people=count * rounds) as crowd:
            side = crowd.program(f"ends {kind}", url, databases=databases)
            spans = uvloop.run(_ends(side, url, count=count, rounds=rounds))
        rows.append(row(f"the last of {count:,} told of their ends, {kind}", spans, "ms", group="streams", goal=Goal(1_000, "at most")))
    return rows


def _idle(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    url, databases = services.store("redis")
    with Stage(stage.folder, people=scale.streams) as crowd:
        ours = crowd.program("streams", url, databases=databases)
        sockets = crowd.program("sockets", services.store("redis")[0], databases=databases)
        bare = crowd.uvicorn("bare streams", "benchmarks.apps.bare:app")
        asked: dict[str, tuple[Server, Kind, Path]] = {
            "events": (ours.server, "events", ours.cookies),
            "WebSocket": (sockets.server, "socket", sockets.cookies),
            "bare ASGI": (bare, "events", ours.cookies),
        }
        found = uvloop.run(_measure_idle(asked, seconds=IDLE_S if scale.rounds > 2 else 1))
    peer = found.pop("bare ASGI")
    rows = []
    for name, idle in found.items():
        for what, unit, value, theirs in (
            ("memory of", "bytes", idle.bytes_each, peer.bytes_each),
            ("a minute of", "CPU µs", idle.cpu_us, peer.cpu_us),
        ):
            rows.append(
                row(f"{what} an idle stream, {name}, {scale.streams:,} open", [value], unit, group="streams", peer=("bare ASGI", [theirs]))
            )
    return rows


async def _measure_idle(asked: dict[str, tuple[Server, Kind, Path]], *, seconds: float) -> dict[str, Idle]:
    crowds: dict[str, Sequence[Listener]] = {}
    before: dict[str, int] = {}
    for name, (server, kind, file) in asked.items():
        cookies = file.read_text("ascii").splitlines()
        for one in await listen(server, cookies[:50], kind):  # what the first ones load and allocate is not a stream's
            one.close()
        await asyncio.sleep(0.5)
        before[name] = _resident_bytes(server)
        crowds[name] = await listen(server, cookies, kind)
    spent = {name: cpu_s([server]) for name, (server, _, _) in asked.items()}
    signs = {name: sum(one.signs for one in crowd) for name, crowd in crowds.items()}
    await asyncio.sleep(seconds)
    found = {}
    for name, (server, _, _) in asked.items():
        crowd = crowds[name]
        if any(one.ended_at.done() for one in crowd):
            raise BenchmarkError(f"{name}: a stream did not stay open")
        if seconds >= IDLE_S and sum(one.signs for one in crowd) - signs[name] < len(crowd) / 2:
            raise BenchmarkError(f"{name}: {len(crowd)} streams gave too few signs of life")
        found[name] = Idle(
            bytes_each=max(1, _resident_bytes(server) - before[name]) / len(crowd),
            cpu_us=max(TICK_S, cpu_s([server]) - spent[name]) / len(crowd) / seconds * 60 * 1e6,
        )
    for crowd in crowds.values():
        for one in crowd:
            one.close()
    return found


async def _ends(side: Side, url: str, *, count: int, rounds: int) -> list[float]:
    """End sessions from this process; tell for each round how long the slowest end took from its record to its page, milliseconds."""
    cookies = side.cookies.read_text("ascii").splitlines()
    slowest = []
    async with SessionManager(url) as manager:
        turns = asyncio.Semaphore(ENDS_AT_ONCE)

        async def end(cookie: str, listener: Listener) -> float:
            named = read_id(cookie.partition("=")[2])
            assert named is not None
            async with turns:
                await manager.store.end(named[0], EndedBy.REVOKED, now=manager.clock())
                recorded_at = time.monotonic()
            async with asyncio.timeout(PATIENCE_S):
                return await listener.ended_at - recorded_at

        for number in range(rounds):
            some = cookies[number * count : (number + 1) * count]
            listeners = await listen(side.server, some)
            spans = await asyncio.gather(*(end(cookie, listener) for cookie, listener in zip(some, listeners, strict=True)))
            slowest.append(max(spans) * 1_000)
    return slowest


def _resident_bytes(server: Server) -> int:
    """Tell how much memory a server's processes have."""
    kilobytes = 0
    for pid in server.pids:
        found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text("utf-8"), re.MULTILINE)
        kilobytes += int(found[1]) if found is not None else 0
    return kilobytes * 1024
