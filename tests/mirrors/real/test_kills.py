"""A process that drains is killed, at every step of its work: whoever comes next goes on, and every visit is there once."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from stillhere.mirrors.drain import LEASE_MS
from tests.forked import Forked
from tests.mirrors.stand import MINUTE
from tests.services.weather import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mirrors.real.conftest import Noco
    from tests.mirrors.stand import Stand

STEPS = 18
"""More than the work takes; a process that gets through it just ends."""

VISITS = 3


def _start(noco: Noco, folder: Path, killed_before: int) -> Forked:
    table = {"url": noco.weather.url, "token": noco.table.token, "table": noco.table.table}
    told: dict[str, Any] = {"store": noco.stand.url, "now": noco.stand.clock(), "killed_before": killed_before, "table": table}
    told["columns"] = msgspec.structs.asdict(noco.columns)
    out, err = folder / "out", folder / "err"
    return Forked("tests.mirrors.real.worker", [json.dumps(told)], out=out, err=err, environment=os.environ)


async def _is_once(noco: Noco) -> None:
    told = await noco.stand.visits()
    expected = Counter((visit.id, visit.visible_ms // 1000, visit.ended_by) for visit in told)
    assert Counter((row["visitId"], row["visible"], row["endedBy"]) for row in noco.table.rows()) == expected


@pytest.mark.parametrize("killed_before", range(STEPS))
async def test_killed_before_any_step_every_visit_is_there_once(noco: Noco, stand: Stand, tmp_path: Path, killed_before: int) -> None:
    """SIGKILL before each read, write and call, while rows are made and while they are changed: once each, with the final end."""
    changed = await stand.arrive("changed@fund.example")
    await stand.drain(noco.mirror(), holder="first").run()
    await changed.leave(20_000)
    for number in range(VISITS - 1):
        await (await stand.arrive(f"made{number}@fund.example")).leave(10_000)
    stand.clock.advance(LEASE_MS)
    worker = _start(noco, tmp_path, killed_before)
    worker.wait(60)
    output = (tmp_path / "out").read_bytes()
    assert worker.returncode == (0 if output else -signal.SIGKILL)
    assert bool(output) == (killed_before >= len(json.loads(output or b"[]")) > 0)
    stand.clock.advance(LEASE_MS)
    await stand.until_quiet(stand.drain(noco.mirror(), holder="next"))
    await _is_once(noco)
    assert noco.weather.refused == 0


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.LATE])
async def test_killed_while_a_call_is_under_way_every_visit_is_there_once(noco: Noco, stand: Stand, tmp_path: Path, fault: Fault) -> None:
    """SIGKILL while the server thinks about a creation, which it makes at once, or later: the rows are found, and not made again."""
    for number in range(VISITS):
        await (await stand.arrive(f"made{number}@fund.example")).leave(10_000)
    noco.weather.only = "POST"
    noco.weather.faults.append(fault)
    worker = _start(noco, tmp_path, -1)
    noco.weather.wait_until_called("POST", 1)
    if fault is Fault.SLOW:
        noco.weather.wait_until_passed("POST", 1)
    worker.kill()
    worker.wait(20)
    noco.weather.clear()
    noco.weather.wait_until_passed("POST", 1)
    stand.clock.advance(LEASE_MS)
    await stand.until_quiet(stand.drain(noco.mirror(), holder="next"))
    await _is_once(noco)
    assert noco.weather.counts["POST"] == 1


async def test_one_that_was_held_still_takes_its_hands_off(noco: Noco, stand: Stand, tmp_path: Path) -> None:
    """A process that was stopped (SIGSTOP) past its lease and goes on writes nothing more: the next one's rows stay as they are."""
    await (await stand.arrive()).leave(10_000)
    noco.weather.only = "POST"
    noco.weather.faults.append(Fault.SLOW)
    worker = _start(noco, tmp_path, -1)
    noco.weather.wait_until_passed("POST", 1)
    worker.send_signal(signal.SIGSTOP)
    stand.clock.advance(LEASE_MS + MINUTE)
    await stand.until_quiet(stand.drain(noco.mirror(), holder="next"))
    before = await stand.outbox.mark("nocodb")
    noco.weather.clear()
    worker.send_signal(signal.SIGCONT)
    worker.wait(30)
    assert await stand.outbox.mark("nocodb") == before
    await _is_once(noco)
