"""Files of millions of rows: written while their rows are read, so that a browser has the first ones at once and memory does not grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stillhere import SessionManager
from stillhere.archive.archive import PAGE, Archive
from stillhere.archive.export import FORMS
from stillhere.archive.memory import MemorySource
from stillhere.core.records import Lifecycle
from stillhere.core.wire import Beat
from stillhere.errors import StoreError
from stillhere.server.querying.asking import Asking
from stillhere.stores.memory import MemoryStore
from tests.support import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stillhere.archive.records import Asked, FoundVisit

PEOPLE = 3 * PAGE


class CountingSource(MemorySource):
    """Counts how often it is asked for visits."""

    asked = 0

    async def visits(self, asked: Asked) -> list[FoundVisit]:
        """See `ArchiveSource.visits`."""
        self.asked += 1
        return await super().visits(asked)


async def asked_for(name: str) -> tuple[CountingSource, Asking, AsyncIterator[Any], int]:
    """Let many people see a page each, and ask for a table."""
    clock, store = FakeClock(), MemoryStore()
    manager = SessionManager(store, clock=clock)
    for number in range(PEOPLE):
        started = await manager.start(f"visitor{number}@fund.example")
        await manager.beat(started.secret, [Beat(view="v", page="/", lifecycle=Lifecycle.ACTIVE)])
        clock.advance(1_000)
    source = CountingSource(store)
    asking = Asking(manager, Archive(source))
    rows, count = await asking.counted(name, asking.read(name, {}))
    assert count is not None
    return source, asking, rows, count


@pytest.mark.parametrize("name", ["visits", "views"])
async def test_rows_are_read_as_they_are_written(name: str) -> None:
    """The first piece is there when the first page of visits was read, and the last one when all that were counted are."""
    source, asking, rows, count = await asked_for(name)
    assert (count, source.asked) == (PEOPLE, 0)
    body = asking.written(name, "csv", rows)
    first = await anext(body)
    assert source.asked == 1
    rest = b"".join([piece async for piece in body])
    assert (first + rest).count(b"\r\n") == 1 + PEOPLE


@pytest.mark.parametrize("form", FORMS)
async def test_a_file_is_never_whole_in_memory(form: str) -> None:
    """Of rows that never end there is a first piece, and another one: nothing waits for the last row."""
    _, asking, rows, _ = await asked_for("visits")
    some = [row async for row in rows]

    async def endless() -> AsyncIterator[Any]:
        while True:
            for row in some:
                yield row

    body = asking.written("visits", form, endless())
    pieces = [await anext(body) for _ in range(3)]
    assert all(pieces)
    assert max(map(len, pieces)) < 4_000_000


async def test_a_count_that_takes_too_long_costs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that gives up counting still gives the rows: how many there are is then not told."""
    source, asking, _, _ = await asked_for("views")

    async def too_slow(_: Asked) -> int:
        raise StoreError("no answer within 30 seconds")

    monkeypatch.setattr(source, "count_views", too_slow)
    rows, count = await asking.counted("views", asking.read("views", {}))
    assert (count, len([row async for row in rows])) == (None, PEOPLE)
