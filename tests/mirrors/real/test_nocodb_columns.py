"""The table's own names for its columns and its key, and what goes over the wire: on the stand-in, or on the real server."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stillhere.mirrors.nocodb import Columns
from tests.mirrors.real.conftest import Noco
from tests.mirrors.stand import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mirrors.stand import Stand
    from tests.services.nocodb import NocoTable
    from tests.support import FakeClock

OWN = {"Investor": "text", "Opened the deck": "datetime", "Closed it": "datetime", "Seconds read": "number"}

NAMES = Columns(key="Row", visitor="Investor", started="Opened the deck", ended="Closed it", visible="Seconds read")


@pytest.mark.parametrize("with_id", [False, True])
async def test_columns_are_called_as_the_table_calls_them(
    make_table: Callable[..., NocoTable], clock: FakeClock, stand: Stand, *, with_id: bool
) -> None:
    """Visitor, start, end and the primary key under other names than seed 000's: rows are made, grow and end there all the same."""
    own = {**OWN, "Visit no.": "text"} if with_id else OWN
    columns = replace(NAMES, visit="Visit no.")
    with closing(Noco(make_table(own, "Row"), clock, stand, columns if with_id else NAMES)) as noco:
        drain = stand.drain(noco.mirror())
        visitor = await stand.arrive()
        await drain.run()
        await visitor.stay(5 * MINUTE)
        await drain.run()
        await visitor.leave(10_000)
        await stand.pass_time(drain, HOUR)
        (row,) = noco.table.rows()
        assert (row["Row"], row["Investor"], row["Seconds read"]) == (1, visitor.name, 310)
        assert (row["Opened the deck"], row["Closed it"]) == ("2023-11-14 22:13:20+00:00", "2023-11-14 22:18:30+00:00")
        assert row.get("Visit no.") == (f"{visitor.handle}.1" if with_id else None)
        await drain.close()


async def test_one_row_goes_as_an_array_with_its_key(noco: Noco, stand: Stand) -> None:
    """Also a single change is an array of objects, each with the primary key; releases differ in what they make of a bare object."""
    drain = stand.drain(noco.mirror())
    visitor = await stand.arrive()
    await drain.run()
    await visitor.stay(MINUTE)
    await drain.run()
    (patch,) = (json.loads(asked.body) for asked in noco.weather.asked if asked.method == "PATCH")
    assert [row["Id"] for row in patch] == [1]
    (made,) = (json.loads(asked.body) for asked in noco.weather.asked if asked.method == "POST")
    assert [row["emailOfAccessor"] for row in made] == [visitor.name]
    await drain.close()
