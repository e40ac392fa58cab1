"""A table of NocoDB behind its weather, and visitors to mirror there."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Literal

import pytest

from stillhere.mirrors.calls import TOTAL_TIMEOUT
from stillhere.mirrors.nocodb import CALLS_A_SECOND, Columns, NocoDb, Table
from stillhere.mirrors.pace import Pace
from stillhere.tokens.provider.transport import HttpxTransport
from tests.mirrors.stand import Stand
from tests.services.nocodb import FULL, IS_REAL, SEED, DoubleTable, NocoTable, RealNocoDb
from tests.services.process import running
from tests.services.weather import Forecast, Weather

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.support import FakeClock

ALL_COLUMNS = Columns(visit="visitId", open="open", visible="visible", active="active", views="views", ended_by="endedBy")


class Noco:
    """A table, its weather, and mirrors into it.

    Args:
        table: the table.
        clock: tells the time by which calls are limited.
        stand: the visitors.
        columns: which columns the mirror writes.
    """

    def __init__(self, table: NocoTable, clock: FakeClock, stand: Stand, columns: Columns) -> None:
        self.table = table
        self.stand = stand
        self.weather = Weather(table.url, clock)
        self.columns = columns

    def mirror(self, *, version: Literal[2, 3] = 2, token: str | None = None, name: str = "nocodb", timeout: int | None = None) -> NocoDb:
        """Make a mirror as one process does. With a time-out it is that which ends a call, in real milliseconds."""
        place = Table(
            url=self.weather.url,
            token=token or self.table.token,
            table=self.table.table,
            base=self.table.base,
            version=version,
            columns=self.columns,
        )
        return NocoDb(
            place,
            transport=Forecast(self.weather) if timeout is None else HttpxTransport(),
            pace=Pace(CALLS_A_SECOND, 1_000, clock=self.stand.clock, sleep=self.stand.sleep),
            is_taken=lambda record_id: self.stand.outbox.has(name, record_id),
            name=name,
            timeout=timeout or TOTAL_TIMEOUT,
        )

    def close(self) -> None:
        """Stop it all."""
        self.weather.close()
        self.table.close()


@pytest.fixture(scope="session")
def make_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., NocoTable]]:
    """Give what makes a table: of the stand-in, or of the real server, which is started once."""
    if not IS_REAL:
        yield DoubleTable
        return
    server = RealNocoDb(tmp_path_factory.mktemp("nocodb"))
    with running(server), closing(server.client):
        server.set_up()
        yield server.table


@pytest.fixture
async def stand(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Stand]:
    """Give visitors on SQLite."""
    stand = Stand.in_folder(tmp_path, clock)
    yield stand
    await stand.close()


@pytest.fixture
def noco(make_table: Callable[..., NocoTable], clock: FakeClock, stand: Stand) -> Iterator[Noco]:
    """Give a table with every column."""
    noco = Noco(make_table(FULL), clock, stand, ALL_COLUMNS)
    yield noco
    noco.close()


@pytest.fixture
def plain(make_table: Callable[..., NocoTable], clock: FakeClock, stand: Stand) -> Iterator[Noco]:
    """Give a table with the three columns that people have."""
    noco = Noco(make_table(SEED), clock, stand, Columns())
    yield noco
    noco.close()
