"""A table that somebody changes while the program runs, on the stand-in: what is a person's to mend costs no visit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import pytest

from tests.mirrors.stand import HOUR, MINUTE
from tests.services.nocodb import FULL, DoubleTable

if TYPE_CHECKING:
    from tests.mirrors.real.conftest import Noco
    from tests.mirrors.stand import Stand


@pytest.fixture(scope="module")
def make_table() -> type[DoubleTable]:
    """Give the stand-in, always: its table can be taken away and given back."""
    return DoubleTable


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("what", ["table", "column"])
async def test_what_is_taken_away_is_waited_for(noco: Noco, stand: Stand, version: Literal[2, 3], what: str) -> None:
    """Without its table, or a column, a mirror that had written there makes no dead letters: it waits and says why."""
    assert isinstance(noco.table, DoubleTable)
    double = noco.table.double
    drain = stand.drain(noco.mirror(version=version))
    visitors = [await stand.arrive(f"before{number}@fund.example") for number in range(12)]
    await drain.run()
    if what == "table":
        double.is_gone = True
    else:
        del double.columns["visible"]
    for visitor in visitors:
        await visitor.leave(MINUTE)
    await (await stand.arrive("during@fund.example")).leave(MINUTE)
    calls = noco.weather.counts.total()
    await stand.pass_time(drain, HOUR, step_ms=MINUTE)
    state = await drain.state()
    assert (state.state, state.dead, state.pending) == ("away", 0, 13)
    assert "not found" in (state.last_error or "") or "visible" in (state.last_error or "")
    assert noco.weather.counts.total() - calls <= 2 * 13
    double.is_gone = False
    double.columns.update(FULL)
    await stand.until_quiet(drain)
    rows = noco.table.rows()
    assert Counter(row["visitId"] for row in rows) == Counter(visit.id for visit in await stand.visits())
    assert {row["visible"] for row in rows} == {60}
    assert (await drain.state()).dead == 0


async def test_a_refusal_costs_one_look(noco: Noco, stand: Stand) -> None:
    """One row that is refused for itself is still a dead letter at once, and one look at the table tells that it is about the row."""
    drain = stand.drain(noco.mirror())
    visitor = await stand.arrive()
    await drain.run()
    noco.table.delete(1)
    await visitor.stay(MINUTE)
    before = noco.weather.counts["GET"]
    await drain.run()
    assert (await drain.state()).dead == 1
    assert noco.weather.counts["GET"] == before + 1
