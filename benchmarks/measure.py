"""Measures a server from outside: load by wrk from another core, CPU time by the kernel's account of the server's own processes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.services.process import Server

HERE: Final = Path(__file__).parent

_CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE: Final = _CORES[-1]
LOAD_CORE: Final = _CORES[0]
"""The load and the databases share a core; with one core everything does."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class BenchmarkError(Exception):
    """A server did not answer as it should, so that a number would mean nothing."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent.

    Attributes:
        kind: `get`, or a beat that says nothing (`empty`), that somebody is active (`touch`), or what a page says (`view`).
        path: where to.
    """

    kind: str = "touch"
    path: str = "/session/beat"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of those that are measured in turn.

    Attributes:
        name: as in the rows.
        server: answers.
        cookies: file with a Cookie header a line.
        databases: servers whose CPU time is told beside the server's own.
        load: what is sent.
        connections: kept open and used by the load.
        signed_in_at: when its people signed in, seconds of the monotonic clock.
    """

    name: str
    server: Server
    cookies: Path
    databases: Sequence[Server] = ()
    load: Load = Load()
    connections: int = 64
    signed_in_at: float = msgspec.field(default_factory=time.monotonic)


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one round found.

    Attributes:
        per_s: requests answered in a second.
        cpu_us: CPU time of the server's processes for each.
        database_us: CPU time of the databases' processes for each.
        p50_us: time within which half were answered.
        p99_us: time within which 99 of 100 were answered.
        others: share of the server's core that went to anybody else; on a quiet machine next to nothing.
    """

    per_s: float
    cpu_us: float
    database_us: float
    p50_us: int
    p99_us: int
    others: float


class _Result(msgspec.Struct, frozen=True):
    requests: int
    seconds: float
    p50_us: int
    p99_us: int
    refused: int
    broken: int


def cpu_s(servers: Sequence[Server]) -> float:
    """Tell the CPU time that servers have taken so far, with all their threads and children, in seconds."""
    ticks = 0
    for pid in [pid for server in servers for pid in server.pids]:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended: its parent has its time
        ticks += sum(map(int, fields[11:15]))  # its own and its ended children's, in user and in kernel mode
    return ticks / _TICKS_PER_S


def _core_s() -> float:
    """Tell how long the server's core has been busy so far, with anything, in seconds."""
    line = next(line for line in Path("/proc/stat").read_text("utf-8").splitlines() if line.startswith(f"cpu{SERVER_CORE} "))
    user, nice, system, _idle, _waiting, *interrupts_and_stolen = map(int, line.split()[1:9])
    return (user + nice + system + sum(interrupts_and_stolen)) / _TICKS_PER_S


def measure(side: Side, *, seconds: int) -> Round:
    """Load a server for so many seconds.

    Raises:
        BenchmarkError: if any request was refused or lost.
    """
    before, beside, core = cpu_s([side.server]), cpu_s(side.databases), _core_s()
    since_ms = int((time.monotonic() - side.signed_in_at) * 1000)
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{side.connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(HERE / "load.lua"), f"http://127.0.0.1:{side.server.port}"]
    command += ["--", str(side.cookies), side.load.kind, side.load.path, str(since_ms)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in ran.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise BenchmarkError(f"{side.name}: wrk failed: {ran.stderr or ran.stdout}")
    result = msgspec.json.decode(line.removeprefix("RESULT "), type=_Result)
    if result.refused or result.broken or not result.requests:
        raise BenchmarkError(f"{side.name}: of {result.requests} requests {result.refused} were refused and {result.broken} lost")
    spent = cpu_s([side.server]) - before
    return Round(
        per_s=result.requests / result.seconds,
        cpu_us=spent / result.requests * 1e6,
        database_us=(cpu_s(side.databases) - beside) / result.requests * 1e6,
        p50_us=result.p50_us,
        p99_us=result.p99_us,
        others=max(0.0, _core_s() - core - spent) / result.seconds,
    )


def alternate(sides: Sequence[Side], *, rounds: int, seconds: int, warm: bool = False) -> dict[str, list[Round]]:
    """Measure sides in turn (A B C, A B C, ...), so that a noisy moment hits them alike.

    Args:
        sides: those that are compared.
        rounds: of each side. With no more than two, for show, nobody is warmed up.
        seconds: of each round.
        warm: they have been under load before.
    """
    if not warm and rounds > 2:
        for side in sides:
            measure(side, seconds=1)
    found: dict[str, list[Round]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            found[side.name].append(measure(side, seconds=seconds))
    return found
