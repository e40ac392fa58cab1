"""Visits on their way from a live store to an archive elsewhere: nothing is lost, whatever breaks between the two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stillhere import upkeep
from stillhere.archive.archive import Archive
from stillhere.archive.archiver import BATCH, Archiver
from stillhere.archive.records import VisitFilter
from stillhere.archive.sql import SqlSource
from stillhere.core.policy import Policy, days, hours
from stillhere.core.records import EndedBy, Lifecycle, Visit
from stillhere.core.wire import Beat, Kind
from stillhere.errors import SettingsError, StoreError, StoreRefused
from stillhere.manager import SessionManager
from stillhere.stores import open_store
from stillhere.stores.memory import MemoryStore
from stillhere.stores.protocol import Changed
from stillhere.stores.sqlite.store import SqliteStore
from tests.archive.live import LiveStore
from tests.stores.every import GAP, claim_of, session_of
from tests.support import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from stillhere.archive.records import VisitReport
    from stillhere.core.records import View

VISIT = Visit(handle="handle-a", number=1, subject="", started_at=START, last_seen_at=START, covered_until_at=START)
READING = Beat(view="v", page="/a", visible_ms=5_000, active_ms=1_000, scroll_pct=40, lifecycle=Lifecycle.ACTIVE, seq=1, idle_ms=0)


class World:
    """A manager on a live store, with its archive in a SQLite file."""

    def __init__(self, url: str) -> None:
        self.clock = FakeClock()
        self.live = LiveStore()
        self.sink = SqliteStore(url)
        archive = Archive(SqlSource(self.sink.readers), Archiver(self.live, self.sink))
        self.archive = archive
        self.manager = SessionManager(self.live, archive=archive, clock=self.clock, policy=Policy(), retention=days(30))

    async def visits(self) -> list[VisitReport]:
        """Read the archive."""
        return await self.archive.visits(VisitFilter(), beat_interval=self.manager.policy.beat_interval, now=self.clock())

    async def views(self, visit: VisitReport) -> list[View]:
        """Read the views of a visit."""
        found = await self.archive.visit(visit.id, beat_interval=1, now=self.clock())
        assert found is not None
        return found[1]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give a world that is empty."""
    world = World(f"sqlite:///{tmp_path / 'archive.db'}")
    yield world
    await world.manager.close()


async def test_a_visit_reaches_the_archive_whole(world: World) -> None:
    """Session, visit and views come over as they are, once; and again when they change."""
    started = await world.manager.start("reader@fund.example")
    world.clock.advance(5_000)
    await world.manager.beat(started.secret, [READING])
    assert await world.visits() == []
    assert await world.archive.catch_up() == 1
    assert await world.archive.catch_up() == 0
    (visit,) = await world.visits()
    assert (visit.visitor, visit.visible_ms, visit.active_ms, visit.open_ms) == ("reader@fund.example", 5_000, 1_000, 5_000)
    world.clock.advance(2_000)
    await world.manager.beat(started.secret, [replace(READING, kind=Kind.LEAVE, visible_ms=7_000, seq=2)])
    await world.manager.end(started.secret)
    assert await world.archive.catch_up() == 1
    (visit,) = await world.visits()
    assert (visit.visible_ms, visit.ended_by) == (7_000, "signed_out")
    assert [(view.page, view.visible_ms, view.seq) for view in await world.views(visit)] == [("/a", 7_000, 2)]


async def test_however_often_it_changed_it_is_written_once(world: World) -> None:
    """Beats between two runs are one row each of session, visit and view: the archive is written coalesced."""
    started = await world.manager.start("reader@fund.example")
    for n in range(1, 21):
        world.clock.advance(1_000)
        await world.manager.beat(started.secret, [replace(READING, visible_ms=n * 1_000, seq=n)])
    assert await world.archive.catch_up() == 1
    assert [visit.visible_ms for visit in await world.visits()] == [20_000]


async def test_a_crash_after_the_write_brings_it_again(world: World) -> None:
    """If the live store does not hear that the archive has it, the same change comes once more, and changes nothing."""
    started = await world.manager.start("reader@fund.example")
    world.clock.advance(5_000)
    await world.manager.beat(started.secret, [READING])
    world.live.is_down = True
    with pytest.raises(StoreError):
        await world.archive.catch_up()
    before = await world.visits()
    world.live.is_down = False
    assert await world.archive.catch_up() == 1
    assert await world.visits() == before
    assert world.live.marks == {}


async def test_what_changes_meanwhile_comes_next_time(world: World) -> None:
    """A session that changes while it is brought over keeps its mark; and one that never rests does not keep a run from ending."""
    for n in range(BATCH + 3):
        await world.live.create(session_of(str(n)))
        await world.live.beat([claim_of(str(n), view="v", opens=True, on_screen=True)], visit_gap=GAP, touch_interval=0, now=START)
    world.live.busy = {f"handle-{n}" for n in range(BATCH)}
    assert await world.archive.catch_up() == BATCH + 3
    assert set(world.live.marks) == world.live.busy


async def test_a_live_store_that_lost_its_last_seconds_takes_nothing_back(world: World) -> None:
    """After a failover an older record may come: totals, instants, the latest words and the first end stay as they were."""
    session = replace(session_of("a"), last_seen_at=START + 9, last_active_at=START + 8)
    await world.live.create(session)
    claim = claim_of("a", view="v", opens=True, on_screen=True, visible_ms=9, title="new", seq=5)
    await world.live.beat([claim], visit_gap=GAP, touch_interval=0, now=START + 9)
    await world.live.end("handle-a", EndedBy.SIGNED_OUT, now=START + 9)
    await world.archive.catch_up()
    before = (await world.visits(), await world.views((await world.visits())[0]), await world.sink.get("handle-a"))
    (visit,), view = world.live.visits["handle-a"], world.live.views["handle-a"]["v"]
    older = Changed(
        "handle-a",
        1,
        session_of("a"),
        [replace(visit, last_seen_at=START, visible_ms=0, covered_until_at=START)],
        [replace(view, visible_ms=0, last_seen_at=START, title="old", seq=1)],
    )
    await world.sink.keep([older])
    after = (await world.visits(), await world.views((await world.visits())[0]), await world.sink.get("handle-a"))
    assert after == before


async def test_nothing_to_tell_writes_nothing(world: World) -> None:
    """A session without visits comes over alone."""
    await world.sink.keep([Changed("handle-a", 1, session_of("a"), [], [])])
    assert await world.sink.get("handle-a") == session_of("a")
    assert await world.visits() == []


async def test_closing_brings_over_the_rest(tmp_path: Path) -> None:
    """A manager that stops in an orderly way leaves the archive complete."""
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    world = World(url)
    started = await world.manager.start("reader@fund.example")
    world.clock.advance(5_000)
    await world.manager.beat(started.secret, [READING])
    await world.manager.close()
    store, archive = open_store(url)
    assert len(await archive.visits(VisitFilter(), beat_interval=1, now=START)) == 1
    await store.close()


async def test_the_live_store_forgets_who_is_in_the_archive(world: World) -> None:
    """A day after its end a session is in the archive only; after the retention it is nowhere."""
    started = await world.manager.start("reader@fund.example")
    world.clock.advance(5_000)
    await world.manager.beat(started.secret, [READING])
    world.clock.advance(hours(1))
    assert await world.manager.sweep() == 1
    world.clock.advance(days(1) + hours(1))
    await world.manager.sweep()
    assert await world.live.get(started.session.handle) is None
    assert len(await world.visits()) == 1
    world.clock.advance(days(30))
    await world.manager.sweep()
    assert await world.visits() == []


async def test_without_an_archive_elsewhere_retention_is_the_stores(tmp_path: Path) -> None:
    """A store that keeps its visits itself forgets sessions and visits after the retention, and not before."""
    clock = FakeClock()
    async with SessionManager(f"sqlite:///{tmp_path / 'sessions.db'}", clock=clock, retention=days(7)) as manager:
        started = await manager.start("reader@fund.example")
        assert manager.archive is not None
        assert await manager.archive.catch_up() == 0
        await manager.end(started.secret)
        clock.advance(days(7))
        await manager.sweep()
        assert await manager.store.get(started.session.handle) is not None
        clock.advance(1)
        await manager.sweep()
        assert await manager.store.get(started.session.handle) is None


async def test_forgetting_goes_on_until_all_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are long over, small transactions follow one another until none is left."""
    monkeypatch.setattr(upkeep, "LIMIT", 2)
    store, clock = MemoryStore(), FakeClock()
    manager = SessionManager(store, clock=clock, retention=days(1))
    for n in range(5):
        await manager.start(f"reader{n}@fund.example")
    clock.advance(days(1))
    assert await manager.sweep() == 5
    clock.advance(days(1))
    await manager.sweep()
    assert store.sessions == {}


@pytest.mark.parametrize(
    ("store", "archive"),
    [
        ("sqlite:///a.db", "sqlite:///b.db"),
        ("memory://", "sqlite:///b.db"),
        ("redis://127.0.0.1:1", "redis://127.0.0.1:1"),
        ("redis://127.0.0.1:1", "memory://"),
    ],
)
def test_only_a_redis_store_has_an_archive_elsewhere_and_only_in_sql(store: str, archive: str) -> None:
    """What does not go together is refused with a sentence that says what does."""
    with pytest.raises(SettingsError, match="an archive goes with a Redis store, and is SQLite or PostgreSQL"):
        SessionManager(store, archive=archive)


def test_a_url_and_an_object_do_not_mix() -> None:
    """A store by URL opens its own archive; a store of one's own comes with an archive of one's own."""
    with pytest.raises(SettingsError, match="both URLs, or both objects"):
        SessionManager(LiveStore(), archive="sqlite:///b.db")


class PickySink(SqliteStore):
    """An archive that refuses one session for what it says."""

    refuses = "handle-3"

    async def keep(self, changes: Sequence[Changed]) -> None:
        """Refuse a batch with that one in it."""
        if any(change.handle == self.refuses for change in changes):
            raise StoreRefused("the session store refused a record: no room for it")
        await super().keep(changes)


async def test_a_session_that_the_archive_refuses_holds_up_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Everybody else's visits are archived, the log names the one at fault, and it does not come back for ever."""
    live, sink = LiveStore(), PickySink(f"sqlite:///{tmp_path}/archive.db")
    archive = Archive(SqlSource(sink.readers), Archiver(live, sink))
    for n in range(7):
        await live.create(session_of(str(n)))
        await live.beat([claim_of(str(n), view="v", opens=True, on_screen=True)], visit_gap=GAP, touch_interval=0, now=START)
    assert await archive.catch_up() == 7
    assert len(await archive.visits(VisitFilter(), beat_interval=1, now=START)) == 6
    assert "the visits of session handle-3 cannot be archived" in caplog.text
    assert live.marks == {}
    await archive.close()


async def test_an_older_report_does_not_bring_back_who_has_left(world: World) -> None:
    """Two that archive at once may write in the wrong order: the last word of a tab, and what a page last said of itself, stay."""
    await world.live.create(session_of("a"))
    seen = claim_of("a", view="v", opens=True, on_screen=True, visible_ms=5, title="old")
    await world.live.beat([seen], visit_gap=GAP, touch_interval=0, now=START + 5)
    (older,) = await world.live.changed(1)
    left = claim_of("a", view="v", leaves=True, visible_ms=9, title="new")
    await world.live.beat([left], visit_gap=GAP, touch_interval=0, now=START + 9)
    await world.archive.catch_up()
    before = (await world.visits(), await world.views((await world.visits())[0]))
    assert [visit.ended_by for visit in before[0]] == ["leave"]
    await world.sink.keep([older])
    assert (await world.visits(), await world.views((await world.visits())[0])) == before


async def test_a_short_retention_holds_in_the_live_store_too(tmp_path: Path) -> None:
    """What is to be forgotten after an hour is nowhere after an hour."""
    live, sink, clock = LiveStore(), SqliteStore(f"sqlite:///{tmp_path}/archive.db"), FakeClock()
    archive = Archive(SqlSource(sink.readers), Archiver(live, sink))
    async with SessionManager(live, archive=archive, clock=clock, retention=hours(1)) as manager:
        started = await manager.start("reader@fund.example")
        await manager.end(started.secret)
        clock.advance(hours(1) + 1)
        await manager.sweep()
        assert await live.get(started.session.handle) is None
        assert await sink.get(started.session.handle) is None


async def test_the_archive_forgets_whose_end_never_came(world: World) -> None:
    """A live store may lose a session before its end is told: past its absolute end it is over, whatever happened."""
    await world.sink.keep([Changed("handle-a", 1, session_of("a"), [], [])])
    world.clock.advance(days(40))
    await world.manager.sweep()
    assert await world.sink.get("handle-a") is None


async def test_a_record_that_sql_refuses_is_no_trouble_of_the_store(world: World) -> None:
    """What a database refuses for what it says is told apart from a database that cannot be reached."""
    orphan = Changed("handle-a", 1, session_of("a"), [replace(VISIT, handle="nobody")], [])
    with pytest.raises(StoreRefused, match="refused a record"):
        await world.sink.keep([orphan])
