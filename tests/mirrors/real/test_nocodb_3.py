"""Version 3 of NocoDB's record API, on the stand-in: ten rows a call, other shapes, the same promises."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from stillhere.mirrors.nocodb import Columns
from tests.services.nocodb import DoubleTable
from tests.services.weather import Fault

if TYPE_CHECKING:
    from tests.mirrors.real.conftest import Noco
    from tests.mirrors.stand import Stand


@pytest.fixture(scope="module")
def make_table() -> type[DoubleTable]:
    """Give the stand-in, always: the server that can be installed from npm has version 2 only."""
    return DoubleTable


async def test_ten_rows_share_a_call(noco: Noco, stand: Stand) -> None:
    """25 visits are made in three calls and changed in three."""
    drain = stand.drain(noco.mirror(version=3))
    visitors = [await stand.arrive(f"visitor{number}@fund.example") for number in range(25)]
    await drain.run()
    for visitor in visitors:
        await visitor.leave(1_000)
    await drain.run()
    assert noco.weather.counts == {"GET": 1, "POST": 3, "PATCH": 3}
    assert {row["visible"] for row in noco.table.rows()} == {1}
    assert noco.weather.refused == 0


@pytest.mark.parametrize("has_id", [True, False])
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.HALF, Fault.BROKEN])
async def test_a_creation_whose_answer_is_lost_is_not_repeated(noco: Noco, stand: Stand, fault: Fault, *, has_id: bool) -> None:
    """By the visit's id, or by visitor and start: what is there is found, and taken on."""
    noco.columns = noco.columns if has_id else Columns()
    drain = stand.drain(noco.mirror(version=3))
    visitors = [await stand.arrive(f"visitor{number}@fund.example") for number in range(4)]
    noco.weather.only = "POST"
    noco.weather.faults.append(fault)
    await drain.run()
    for visitor in visitors:
        await visitor.leave(30_000)
    await stand.until_quiet(drain)
    rows = noco.table.rows()
    assert sorted(row["emailOfAccessor"] for row in rows) == [visitor.name for visitor in visitors]
    assert len({row["sessionEndTime"] for row in rows}) == 4


@pytest.mark.parametrize("fault", [Fault.GATEWAY, Fault.BROKEN, Fault.DROPPED])
async def test_half_a_day_of_trouble_loses_nothing(noco: Noco, stand: Stand, fault: Fault) -> None:
    """However long a gateway answers for a server that is away, or a server breaks: no visit is given up, and all are there afterwards."""
    drain = stand.drain(noco.mirror(version=3))
    await stand.outlast(drain, noco.weather, fault, visits=6)
    assert Counter(row["visitId"] for row in noco.table.rows()) == Counter(visit.id for visit in await stand.visits())
    assert {row["visible"] for row in noco.table.rows()} == {60}


async def test_a_second_row_is_deleted(noco: Noco, stand: Stand) -> None:
    """A request that hung on the way makes a second row: it is found, and deleted."""
    mirror = noco.mirror(version=3)
    drain = stand.drain(mirror)
    await (await stand.arrive()).leave(30_000)
    noco.weather.only = "POST"
    noco.weather.faults.append(Fault.LATE)
    while not noco.table.rows():
        await drain.run()
        stand.clock.advance(100)
    noco.weather.clear()
    noco.weather.wait_until_passed("POST", 2)
    assert len(noco.table.rows()) == 2
    await stand.pass_time(drain, 3 * mirror.grace_ms, step_ms=500)
    assert len(noco.table.rows()) == 1
