"""Sessions in Redis, visits in SQL: the program is killed under load between the two, and the archive has all that was answered."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from stillhere import SessionManager
from stillhere.archive.records import VisitFilter
from tests.faults.clients import UNLIMITED, busy, clients
from tests.services import postgresql, redis_server
from tests.support import serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CROWD = 8
KILLS = 3


@pytest.fixture(params=["sqlite", "postgresql"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty archive of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/archive.db"
        return
    with postgresql(tmp_path / "postgresql") as server:
        yield server.url


async def archived(store: str, archive: str) -> dict[str, tuple[int, int]]:
    """Bring over what is left, as the next process does when it starts, and tell visible time and number of each view."""
    async with SessionManager(store, archive=archive) as manager:
        assert manager.archive is not None
        await manager.archive.catch_up()
        views: dict[str, tuple[int, int]] = {}
        for visit in await manager.archive.visits(VisitFilter(limit=1_000), beat_interval=1, now=manager.clock()):
            found = await manager.archive.visit(visit.id, beat_interval=1, now=manager.clock())
            assert found is not None
            views |= {view.view: (view.seq, view.visible_ms) for view in found[1]}
        return views


def test_the_archive_has_all_that_was_answered(archive: str, tmp_path: Path) -> None:
    """However often the program dies between Redis and SQL, every answered beat is in the archive once the next one has started."""
    with redis_server(tmp_path / "redis", durable=True) as live, clients(CROWD) as crowd:
        for kill in range(KILLS):
            log = tmp_path / f"log{kill}"
            with serving(live.url, "--archive", archive, "--archive-interval", "1s", *UNLIMITED, log=log) as program:
                busy(crowd, program, beats=10 + kill)
                assert program.stop(signal.SIGKILL) == -signal.SIGKILL
                wait_until(lambda: all(client.rests for client in crowd), what="every client to notice")
        views = asyncio.run(archived(live.url, archive))
        assert [client.wrong for client in crowd] == [[]] * CROWD
        for client in crowd:
            assert len(client.answered) == KILLS
            for view, (seq, visible_ms) in client.answered.items():
                assert views[view][0] >= seq, f"{view} was answered up to {seq}, the archive has {views[view]}"
                assert views[view][1] >= visible_ms
