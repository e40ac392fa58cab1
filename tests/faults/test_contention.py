"""Many tasks and several processes on one SQLite file: nothing is lost, nothing is done twice, nobody is revived."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from stillhere.archive.archive import Archive
from stillhere.archive.sql import SqlSource
from stillhere.core.records import EndedBy
from stillhere.core.wire import Beat, Kind
from stillhere.manager import SessionManager
from stillhere.stores.sqlite.store import SqliteStore
from tests.faults.processes import at_once, beat_own_view, create_same, end_same, open_and_create, rotate_same, sweep_all
from tests.stores.every import GAP, IDLE, claim_of, session_of
from tests.support import START, FakeClock

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES = 4

NIGHTLY = os.environ.get("TESTS_PROFILE") == "nightly"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a file that is not there yet."""
    return f"sqlite:///{tmp_path / 'sessions.db'}"


@pytest.mark.parametrize("again", range(2))
async def test_eight_processes_open_a_new_file_at_once(url: str, again: int) -> None:
    """Whoever comes first makes the tables, the others wait for them; all eight work at once."""
    names = [f"{again}-{n}" for n in range(8)]
    assert at_once(open_and_create, [(url, name) for name in names]) == [True] * 8
    store = SqliteStore(url)
    assert len(await store.living(subject=None, limit=100, now=START)) == 8
    await store.close()


async def test_processes_share_a_session_and_lose_nothing(url: str) -> None:
    """Four processes beat one session 500 times each, every one for its own view: all totals are exact, and so are the visit's."""
    beats, step_ms = 500, 40
    store = SqliteStore(url)
    await store.create(session_of("a"))
    views = [f"v{n}" for n in range(PROCESSES)]
    seen = at_once(beat_own_view, [(url, view, beats, step_ms) for view in views])
    found = await Archive(SqlSource(store.readers)).visit("handle-a.1", beat_interval=GAP, now=START)
    assert found is not None
    report, kept = found
    total = beats * step_ms
    assert sorted((view.view, view.visible_ms, view.active_ms, view.scroll_pct, view.seq) for view in kept) == [
        (view, total, total // 8, 100.0, beats) for view in views
    ]
    # They were on screen side by side: the visit is as long as one of them, whoever was ahead when.
    assert (report.started_at, report.open_ms, report.visible_ms) == (START, total, total)
    assert report.active_ms == PROCESSES * (total // 8)
    session = await store.get("handle-a")
    assert session is not None
    assert session.last_seen_at == session.last_active_at == START + total
    assert all(told == sorted(told) for told in seen)
    await store.close()


async def test_tasks_share_a_session_and_its_sums_are_exact(url: str) -> None:
    """Views one after the other, beaten by 64 tasks through two stores: the visit is exactly as long as they are together."""
    stores = [SqliteStore(url), SqliteStore(url)]
    await stores[0].create(session_of("a"))
    step_ms, views = 50, 15
    for view in range(views):
        claims = [
            claim_of(
                "a",
                age_ms=(64 - n) * step_ms,
                view=f"v{view}",
                opens=True,
                on_screen=True,
                visible_ms=n * step_ms,
                active_ms=n,
                seq=n,
            )
            for n in range(65)
        ]
        now = START + (view + 1) * 64 * step_ms
        await asyncio.gather(*(stores[n % 2].beat([claim], visit_gap=GAP, touch_interval=0, now=now) for n, claim in enumerate(claims)))
    found = await Archive(SqlSource(stores[1].readers)).visit("handle-a.1", beat_interval=GAP, now=START)
    assert found is not None
    assert [(view.visible_ms, view.active_ms, view.seq) for view in found[1]] == [(64 * step_ms, 64, 64)] * views
    assert found[0].visible_ms == found[0].open_ms == views * 64 * step_ms
    assert found[0].active_ms == views * 64
    for store in stores:
        await store.close()


async def test_an_end_that_races_with_beats_is_for_ever(url: str) -> None:
    """A sign-out among 64 beats of every kind, from two stores on one file, thousands of times: never alive again."""
    rounds = 20_000 if NIGHTLY else 2_000
    clock = FakeClock()
    told: list[str] = []

    async def tell(session: object) -> None:
        told.append(str(session))

    beating, ending = (SessionManager(SqliteStore(url), clock=clock, on_ended=tell) for _ in range(2))
    kinds = [Kind.BEAT, Kind.EXTEND, Kind.CHECK, Kind.LEAVE]
    alive_before = 0
    for n in range(rounds):
        started = await beating.start("first@fund.example")
        clock.advance(1_000)
        beats = [
            beating.beat(started.secret, [Beat(kind=kinds[m % 4], view=f"v{m % 3}", visible_ms=m, idle_ms=0, seq=m)]) for m in range(64)
        ]
        # Where in the queue of beats the end falls is different in each round.
        under_way = [asyncio.ensure_future(beat) for beat in beats[: n % 65]]
        if n % 3:
            await asyncio.sleep(0)
        end = asyncio.ensure_future(ending.end_by_handle(started.session.handle, EndedBy.SIGNED_OUT))
        verdicts = await asyncio.gather(*under_way, *beats[n % 65 :])
        ended = await end
        assert ended.ending is not None
        alive_before += sum(verdict.is_alive for verdict in verdicts)
        for late in (await beating.extend(started.secret), await ending.look(started.secret)):
            assert late.session == ended.session, f"round {n}"
    assert len(told) == rounds
    assert 0 < alive_before < rounds * 64, "no round was a race"
    assert await ending.list() == []
    await beating.close()
    await ending.close()


async def test_one_process_wins_an_id(url: str) -> None:
    """Of four processes that create the same 200 ids each id is won once, and holds the winner's session."""
    won = at_once(create_same, [(url, process, 200) for process in range(PROCESSES)])
    assert sorted(n for wins in won for n in wins) == list(range(200))
    store = SqliteStore(url)
    for process, wins in enumerate(won):
        for n in wins:
            session = await store.get(f"handle-{n}")
            assert session is not None
            assert (session.handle, session.attributes) == (f"{n}-by-{process}", {"by": process})
    await store.close()


async def test_one_process_wins_a_rotation(url: str) -> None:
    """Of four processes that present the same 200 ids each id is swapped once, and only the winner's new one opens the session."""
    store = SqliteStore(url)
    for n in range(200):
        await store.create(session_of(str(n)))
    won = at_once(rotate_same, [(url, process, 200) for process in range(PROCESSES)])
    assert sorted(n for wins in won for n in wins) == list(range(200))
    for process, wins in enumerate(won):
        for n in range(200):
            session = await store.get(f"handle-{n}, by {process}")
            assert (session is not None) == (n in wins)
    await store.close()


async def test_one_process_records_an_end(url: str) -> None:
    """Of four processes that end the same 200 sessions for four reasons one is told that it did, and its reason stays."""
    reasons = ["signed_out", "revoked", "replaced", "provider"]
    store = SqliteStore(url)
    for n in range(200):
        await store.create(session_of(str(n)))
    ended = at_once(end_same, [(url, by, 200) for by in reasons])
    assert sorted(n for ends in ended for n in ends) == list(range(200))
    for by, ends in zip(reasons, ended, strict=True):
        for n in ends:
            session = await store.get(f"handle-{n}")
            assert session is not None
            assert session.ended_by == by
    await store.close()


async def test_processes_that_sweep_report_each_end_once(url: str) -> None:
    """Four processes sweep 600 sessions, half of them lapsed: each lapse is reported by one of them, nobody who lives is ended."""
    store = SqliteStore(url)
    for n in range(600):
        await store.create(session_of(str(n), now=START + n % 2))
    swept = at_once(sweep_all, [(url, START + IDLE) for _ in range(PROCESSES)])
    assert sorted(handle for handles in swept for handle in handles) == sorted(f"handle-{n}" for n in range(0, 600, 2))
    assert len(await store.living(subject=None, limit=1_000, now=START + IDLE)) == 300
    await store.close()
