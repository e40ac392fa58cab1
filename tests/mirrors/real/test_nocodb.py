"""Visits in NocoDB: every one once, with its final end, whatever the weather. On the stand-in, or on the real server."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.mirrors.stand import HOUR, MINUTE
from tests.services.weather import Fault

if TYPE_CHECKING:
    from stillhere.archive.records import VisitReport
    from tests.mirrors.real.conftest import Noco
    from tests.mirrors.stand import Stand


def _at(cell: str) -> int:
    return round(datetime.fromisoformat(cell).timestamp())


async def _agrees(noco: Noco, *, visits: int) -> None:
    """See that the table has every visit once, as the archive tells it."""
    told = await noco.stand.visits()
    rows = noco.table.rows()
    assert len(told) == len(rows) == visits
    if noco.columns.visit is not None:
        assert Counter(row["visitId"] for row in rows) == Counter(visit.id for visit in told)
        expected = {visit.id: _row(visit) for visit in told}
        for row in rows:
            assert {name: row[name] for name in ("visible", "active", "open", "views", "endedBy")} == expected[row["visitId"]]
    spans = Counter((visit.visitor, visit.started_at // 1000, visit.ended_at // 1000) for visit in told)
    assert Counter((row["emailOfAccessor"], _at(row["sessionStartTime"]), _at(row["sessionEndTime"])) for row in rows) == spans


def _row(visit: VisitReport) -> dict[str, object]:
    return {
        "visible": visit.visible_ms // 1000,
        "active": visit.active_ms // 1000,
        "open": visit.open_ms // 1000,
        "views": visit.views,
        "endedBy": visit.ended_by,
    }


async def test_a_visit_is_a_row_whose_end_moves(noco: Noco, stand: Stand) -> None:
    """The row is there from the first look, grows while somebody reads, and has the final end in the end: as seed 000 has it by hand."""
    drain = stand.drain(noco.mirror())
    visitor = await stand.arrive()
    await drain.run()
    (row,) = noco.table.rows()
    assert row["sessionStartTime"] == row["sessionEndTime"] == "2023-11-14 22:13:20+00:00"
    await visitor.stay(47 * MINUTE // 3)
    await drain.run()
    (row,) = noco.table.rows()
    assert (row["emailOfAccessor"], row["endedBy"], row["visible"]) == (visitor.name, None, 47 * 20)
    await visitor.leave(10_000)
    await stand.pass_time(drain, HOUR)
    (row,) = noco.table.rows()
    assert (row["endedBy"], row["visible"], row["sessionEndTime"]) == ("leave", 950, "2023-11-14 22:29:10+00:00")
    await _agrees(noco, visits=1)
    await drain.close()


async def test_the_three_columns_that_people_have_are_enough(plain: Noco, stand: Stand) -> None:
    """Without any other column every visit has its row and its end, also of one visitor who came twice."""
    drain = stand.drain(plain.mirror())
    for name in ("investor@fund.example", "partner@vc.example", "investor@fund.example"):
        visitor = await stand.arrive(name)
        await drain.run()
        await visitor.leave(8 * MINUTE)
    await stand.until_quiet(drain)
    await _agrees(plain, visits=3)


async def test_what_changes_meanwhile_is_sent_once(noco: Noco, stand: Stand) -> None:
    """Twenty beats between two turns cost one call, and a turn without news costs none."""
    drain = stand.drain(noco.mirror())
    visitor = await stand.arrive()
    await drain.run()
    for _ in range(20):
        await visitor.stay(5_000)
    before = noco.weather.counts.total()
    await drain.run()
    assert noco.weather.counts.total() == before + 1
    await drain.run()
    assert noco.weather.counts.total() == before + 1


async def test_many_rows_share_a_call(noco: Noco, stand: Stand) -> None:
    """250 visits are made in three calls and changed in three, five calls a second at most."""
    drain = stand.drain(noco.mirror())
    visitors = [await stand.arrive(f"visitor{number}@fund.example") for number in range(250)]
    await drain.run()
    assert noco.weather.counts == {"GET": 1, "POST": 3}
    for visitor in visitors:
        await visitor.stay(10)
    await drain.run()
    assert noco.weather.counts == {"GET": 1, "POST": 3, "PATCH": 3}
    assert noco.weather.refused == 0
    await _agrees(noco, visits=250)


async def test_an_hour_without_the_server_loses_nothing(noco: Noco, stand: Stand) -> None:
    """Down for an hour: visits that began before, in and after it are all there with their ends, and it was not stormed meanwhile."""
    drain = stand.drain(noco.mirror())
    before = await stand.arrive("before@fund.example")
    await drain.run()
    noco.weather.down()
    during = await stand.arrive("during@fund.example")
    await before.leave(MINUTE)
    await during.leave(2 * MINUTE)
    await stand.pass_time(drain, HOUR)
    state = await drain.state()
    assert (state.state, state.pending, state.dead) == ("away", 2, 0)
    assert state.lag_ms > HOUR * 0.9
    assert state.last_error == "it cannot be reached"
    calls = noco.weather.counts.total()
    noco.weather.up()
    await (await stand.arrive("after@fund.example")).leave(MINUTE)
    await stand.until_quiet(drain)
    await _agrees(noco, visits=3)
    assert noco.weather.counts.total() <= calls + 5
    assert noco.weather.refused == 0


@pytest.mark.parametrize("fault", [Fault.GATEWAY, Fault.BROKEN, Fault.DROPPED])
async def test_half_a_day_of_trouble_loses_nothing(noco: Noco, stand: Stand, fault: Fault) -> None:
    """However long a gateway answers for a server that is away, or a server breaks: no visit is given up, and all are there afterwards."""
    drain = stand.drain(noco.mirror())
    before = await stand.arrive("before@fund.example")
    await drain.run()
    await before.leave(MINUTE)
    await stand.outlast(drain, noco.weather, fault, visits=6)
    await _agrees(noco, visits=7)
    assert noco.weather.refused == 0


@pytest.mark.parametrize("fault", [Fault.GATEWAY, Fault.BROKEN])
async def test_a_row_that_breaks_every_call_it_is_in_is_found(noco: Noco, stand: Stand, fault: Fault) -> None:
    """One row over which the server, or its gateway, always breaks is sent by itself after a while, and holds up none of the others."""
    drain = stand.drain(noco.mirror())
    visitors = [await stand.arrive(f"visitor{number}@fund.example") for number in range(8)]
    await drain.run()
    noco.weather.poison = fault, b'"Id":3,'
    for visitor in visitors:
        await visitor.leave(MINUTE)
    await stand.pass_time(drain, HOUR)
    assert [row["visible"] for row in noco.table.rows()].count(0) == 1
    later = await stand.arrive("later@fund.example")
    await later.leave(MINUTE)
    await stand.pass_time(drain, HOUR)
    (visit,) = [row for row in noco.table.rows() if row["emailOfAccessor"] == later.name]
    assert visit["endedBy"] == "leave"
    noco.weather.poison = None
    await stand.until_quiet(drain)
    await _agrees(noco, visits=9)


async def test_a_storm_of_429_is_waited_out(noco: Noco, stand: Stand) -> None:
    """Whoever is told to come later leaves the server alone for the half minute that it blocks, each time, and then brings everything."""
    drain = stand.drain(noco.mirror())
    noco.weather.faults.extend([Fault.BUSY] * 6)
    for number in range(30):
        await (await stand.arrive(f"visitor{number}@fund.example")).leave(1_000)
    began_at = stand.clock()
    await stand.until_quiet(drain, step_ms=1_000)
    assert stand.clock() - began_at >= 6 * 30_000
    await _agrees(noco, visits=30)
    assert noco.weather.refused == 0


async def test_a_limit_that_others_use_up_is_kept_too(noco: Noco, stand: Stand) -> None:
    """Where another program makes five calls in the same second the mirror is refused, waits, and never calls during the block."""
    drain = stand.drain(noco.mirror())
    await stand.arrive()
    for _ in range(5):
        noco.weather._is_too_much()
    await drain.run()
    assert noco.weather.refused == 1
    await stand.until_quiet(drain, step_ms=1_000)
    assert noco.weather.refused == 1
    await _agrees(noco, visits=1)


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.GATEWAY, Fault.DROPPED, Fault.HALF])
async def test_a_server_that_breaks_now_and_then_gets_every_visit_once(noco: Noco, stand: Stand, fault: Fault) -> None:
    """Three calls of four break, for as long as it takes: every visit is there once, with its end, and none is given up."""
    drain = stand.drain(noco.mirror())
    for number in range(12):
        visitor = await stand.arrive(f"visitor{number}@fund.example")
        noco.weather.faults.extend([fault, fault, fault, None])
        await drain.run()
        await visitor.leave(20_000)
    await stand.until_quiet(drain)
    await _agrees(noco, visits=12)
    assert (await drain.state()).dead == 0
    assert noco.weather.refused == 0


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.SLOW, Fault.HALF])
@pytest.mark.parametrize("table", ["noco", "plain"])
async def test_a_creation_whose_answer_is_lost_is_not_repeated(
    request: pytest.FixtureRequest, stand: Stand, table: str, fault: Fault
) -> None:
    """The rows were made and nobody heard of it: they are looked for, found and taken on, and none is made twice."""
    noco: Noco = request.getfixturevalue(table)
    drain = stand.drain(noco.mirror())
    visitors = [await stand.arrive(f"visitor{number}@fund.example") for number in range(7)]
    noco.weather.only = "POST"
    noco.weather.faults.append(fault)
    await drain.run()
    assert len(noco.table.rows()) == 7
    for visitor in visitors:
        await visitor.leave(30_000)
    await stand.until_quiet(drain)
    assert noco.weather.counts["POST"] == 1
    await _agrees(noco, visits=7)


async def test_an_answer_that_does_not_come_is_given_up(noco: Noco, stand: Stand) -> None:
    """A call takes no longer than its time-out; the server is then away."""
    noco.weather.always = Fault.SLOW
    drain = stand.drain(noco.mirror(timeout=500))
    await stand.arrive()
    await drain.run()
    state = await drain.state()
    assert (state.state, state.last_error) == ("away", "it does not answer in time")
    assert noco.table.rows() == []
    await drain.close()


async def test_a_creation_that_arrives_after_all_is_found_and_taken_back(noco: Noco, stand: Stand) -> None:
    """A request that hung on the way for longer than anybody waits makes a second row: it is found, and deleted."""
    mirror = noco.mirror()
    drain = stand.drain(mirror)
    await (await stand.arrive()).leave(30_000)
    noco.weather.only = "POST"
    noco.weather.faults.append(Fault.LATE)
    await drain.run()
    assert noco.table.rows() == []
    while not noco.table.rows():
        stand.clock.advance(100)
        await drain.run()
    noco.weather.clear()
    noco.weather.wait_until_passed("POST", 2)
    assert len(noco.table.rows()) == 2
    await stand.pass_time(drain, 2 * mirror.grace_ms, step_ms=1_000)
    await _agrees(noco, visits=1)


@pytest.mark.parametrize(
    "name",
    [
        "a,b@fund.example",
        "(x,eq,y)~or(z)@fund.example",
        "o'neil@fund.example",
        'q"q@fund.example',
        "ü@fund.example",
        "a b",
        "%_@fund.example",
    ],
)
async def test_a_hostile_address_finds_its_own_row_only(plain: Noco, stand: Stand, name: str) -> None:
    """Whatever an address is made of, no condition is written with it that could mean another row."""
    drain = stand.drain(plain.mirror())
    others = [await stand.arrive(f"other{number}@fund.example") for number in range(3)]
    await drain.run()
    visitor = await stand.arrive(name)
    plain.weather.only = "POST"
    plain.weather.faults.append(Fault.LOST)
    await drain.run()
    for one in (*others, visitor):
        await one.leave(40_000)
    await stand.until_quiet(drain)
    await _agrees(plain, visits=4)


async def test_rows_of_others_are_left_alone(plain: Noco, stand: Stand) -> None:
    """Rows that somebody else made in the same table, of the same visitor, at the same second, or without times, stay as they are."""
    theirs = [
        {"emailOfAccessor": "investor@fund.example", "sessionStartTime": "2020-01-01T00:00:00+00:00"},
        {"emailOfAccessor": "somebody@else.example", "sessionStartTime": "2023-11-14T22:13:20+00:00"},
        {"emailOfAccessor": "investor@fund.example"},
    ]
    for row in theirs:
        plain.table.add(row)
    before = plain.table.rows()
    drain = stand.drain(plain.mirror())
    plain.weather.only = "POST"
    plain.weather.faults.append(Fault.DROPPED)
    visitor = await stand.arrive()
    await drain.run()
    await visitor.leave(1_000)
    await stand.until_quiet(drain)
    rows = plain.table.rows()
    assert rows[:3] == before
    assert len(rows) == 4


async def test_two_visits_of_one_second_stay_two_rows(plain: Noco, stand: Stand) -> None:
    """One visitor on two devices in the same second, and both answers lost: each visit takes on a row of its own."""
    drain = stand.drain(plain.mirror())
    plain.weather.only = "POST"
    plain.weather.faults.append(Fault.LOST)
    first, second = await stand.arrive(), await stand.arrive()
    await drain.run()
    await first.leave(10_000)
    await second.leave(10_000)
    await stand.until_quiet(drain)
    await _agrees(plain, visits=2)


async def test_a_row_that_somebody_deleted_is_a_dead_letter(noco: Noco, stand: Stand) -> None:
    """It is not made again behind their back; an operator who tries it again gets a new one, and others went on meanwhile."""
    drain = stand.drain(noco.mirror())
    visitor, other = await stand.arrive(), await stand.arrive("other@fund.example")
    await drain.run()
    noco.table.delete(noco.table.rows()[0]["Id"])
    await visitor.stay(10_000)
    await other.stay(5_000)
    await stand.until_quiet(drain)
    state = await drain.state()
    assert (state.state, state.dead) == ("refused", 1)
    (letter,) = await stand.outbox.dead("nocodb", limit=10)
    assert "not found" in letter.error
    assert len(noco.table.rows()) == 1
    assert await stand.outbox.revive("nocodb", letter.id, drop=False, now=stand.clock())
    await stand.until_quiet(drain)
    await _agrees(noco, visits=2)
    assert (await drain.state()).state == "well"


async def test_a_wrong_token_gives_nothing_up(noco: Noco, stand: Stand) -> None:
    """A token that is refused makes no dead letters: the mirror waits for somebody to mend it, says why, and calls once in five minutes."""
    drain = stand.drain(noco.mirror(token="xc-of-somebody-else"))
    await (await stand.arrive()).leave(1_000)
    await stand.pass_time(drain, HOUR)
    state = await drain.state()
    assert (state.state, state.pending, state.dead) == ("away", 1, 0)
    assert state.last_error is not None
    assert state.last_error.startswith("it answers 403")
    assert "xc-of-somebody-else" not in state.last_error
    assert noco.weather.counts.total() <= 13
    mended = stand.drain(noco.mirror(), holder="this")
    await stand.until_quiet(mended)
    await _agrees(noco, visits=1)


async def test_a_column_that_is_not_there_is_found_out_first(plain: Noco, stand: Stand) -> None:
    """Some servers take cells of unknown columns and drop them; so nothing is sent until the columns are seen to be there."""
    plain.columns = type(plain.columns)(visit="visitId")
    drain = stand.drain(plain.mirror())
    await stand.arrive()
    await drain.run()
    state = await drain.state()
    assert state.state == "away"
    assert "visitId" in (state.last_error or "")
    assert plain.table.rows() == []
