"""Many tasks and several processes on one store, for every store that they can share: nothing is lost, done twice, or revived."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, cast

import pytest

from stillhere.core.records import EndedBy
from stillhere.core.wire import Beat, Kind
from stillhere.manager import SessionManager, Started, Verdict
from stillhere.stores import open_store
from tests.faults.processes import at_once, beat_own_view, create_same, end_same, open_and_create, rotate_same, sweep_all
from tests.stores.every import GAP, IDLE, STORES, FullStore, claim_of, fresh_url, id_of, session_of
from tests.support import START, FakeClock

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES = 4

SHARED = [name for name in STORES if name != "memory"]

NIGHTLY = os.environ.get("TESTS_PROFILE") == "nightly"


@pytest.fixture(params=SHARED)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty store, of each kind in turn."""
    return fresh_url(request.param, tmp_path)


async def opened(url: str) -> FullStore:
    """Open a store as one process does."""
    return cast("FullStore", open_store(url)[0])


async def test_eight_processes_open_a_new_store_at_once(url: str) -> None:
    """Whoever comes first makes the tables, the others wait for them; all eight work at once."""
    names = [str(n) for n in range(8)]
    assert at_once(open_and_create, [(url, name) for name in names]) == [True] * 8
    store = await opened(url)
    assert len(await store.living(subject=None, limit=100, now=START)) == 8
    await store.close()


async def test_processes_share_a_session_and_lose_nothing(url: str) -> None:
    """Eight processes beat one session 5,000 times each, every one for its own view: all totals are exact, and so are the visit's."""
    beats, step_ms, processes = 5_000, 4, 8
    store, archive = open_store(url)
    await store.create(session_of("a"))
    views = [f"v{n}" for n in range(processes)]
    seen = at_once(beat_own_view, [(url, view, beats, step_ms) for view in views])
    found = await archive.visit("handle-a.1", beat_interval=GAP, now=START)
    assert found is not None
    report, kept = found
    total = beats * step_ms
    assert sorted((view.view, view.visible_ms, view.active_ms, view.scroll_pct, view.seq) for view in kept) == [
        (view, total, total // 8, 100.0, beats) for view in views
    ]
    # They were on screen side by side: the visit is as long as one of them, whoever was ahead when.
    assert (report.started_at, report.open_ms, report.visible_ms) == (START, total, total)
    assert report.active_ms == total, "the sum of all, but never more than the visible time"
    session = await store.get("handle-a")
    assert session is not None
    assert session.last_seen_at == session.last_active_at == START + total
    assert all(told == sorted(told) for told in seen)
    await store.close()


async def test_tasks_share_a_session_and_its_sums_are_exact(url: str) -> None:
    """Views one after the other, beaten by 64 tasks through two stores: the visit is exactly as long as they are together."""
    stores = [await opened(url), await opened(url)]
    reading, archive = open_store(url)
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
    found = await archive.visit("handle-a.1", beat_interval=GAP, now=START)
    assert found is not None
    assert [(view.visible_ms, view.active_ms, view.seq) for view in found[1]] == [(64 * step_ms, 64, 64)] * views
    assert found[0].visible_ms == found[0].open_ms == views * 64 * step_ms
    assert found[0].active_ms == views * 64
    for store in (*stores, reading):
        await store.close()


async def test_an_end_that_races_with_beats_and_rotations_is_for_ever(url: str) -> None:
    """A sign-out among 60 beats of every kind and 4 rotations, from two connections, again and again: never alive again."""
    rounds = 10_000 if NIGHTLY else 195  # each place three times
    clock = FakeClock()
    told: list[str] = []

    async def tell(session: object) -> None:
        told.append(str(session))

    beating, ending = [SessionManager(await opened(url), clock=clock, on_ended=tell) for _ in range(2)]
    alive_before = 0
    for n in range(rounds):
        started = await beating.start("first@fund.example")
        clock.advance(1_000)
        handle = started.session.handle
        moves = [move(beating, started.secret, m) for m in range(64)]
        # Where among them the end falls is different in each round.
        under_way = [asyncio.ensure_future(one) for one in moves[: n % 65]]
        if n % 3:
            await asyncio.sleep(0)
        end = asyncio.ensure_future(ending.end_by_handle(handle, EndedBy.SIGNED_OUT))
        results = await asyncio.gather(*under_way, *moves[n % 65 :])
        ended = await end
        assert ended.ending is not None
        alive_before += sum(isinstance(result, Verdict) and result.is_alive for result in results)
        secrets = [result.secret for result in results if isinstance(result, Started)]
        assert len(secrets) <= 1, f"round {n}: an id was swapped twice"
        for secret in (started.secret, *secrets):
            assert not (await beating.extend(secret)).is_alive, f"round {n}"
        assert await ending.store.get(handle) == (await ending.end_by_handle(handle)).session, f"round {n}"
        assert (await ending.end_by_handle(handle)).ending == ended.ending, f"round {n}"
    assert len(told) == rounds
    assert 0 < alive_before < rounds * 64, "no round was a race"
    assert await ending.list() == []
    await beating.close()
    await ending.close()


async def move(manager: SessionManager, secret: str, number: int) -> Verdict | Started | None:
    """Beat in one of four ways, or now and then rotate."""
    if number % 16 == 9:
        return await manager.rotate(secret)
    kind = (Kind.BEAT, Kind.EXTEND, Kind.CHECK, Kind.LEAVE)[number % 4]
    return await manager.beat(secret, [Beat(kind=kind, view=f"v{number % 3}", visible_ms=number, idle_ms=0, seq=number)])


async def test_one_process_wins_an_id(url: str) -> None:
    """Of four processes that create the same 200 ids each id is won once, and holds the winner's session."""
    won = at_once(create_same, [(url, process, 200) for process in range(PROCESSES)])
    assert sorted(n for wins in won for n in wins) == list(range(200))
    store = await opened(url)
    for process, wins in enumerate(won):
        for n in wins:
            session = await store.get(f"handle-{n}")
            assert session is not None
            assert session.attributes == {"by": process}
    await store.close()


async def test_one_process_wins_a_rotation(url: str) -> None:
    """Of four processes that present the same 200 ids each id is swapped once, and only the winner's new one opens the session."""
    store = await opened(url)
    for n in range(200):
        await store.create(session_of(str(n)))
    won = at_once(rotate_same, [(url, process, 200) for process in range(PROCESSES)])
    assert sorted(n for wins in won for n in wins) == list(range(200))
    for process, wins in enumerate(won):
        for n in wins:
            session = await store.get(f"handle-{n}")
            assert session is not None
            assert session.id_hash == id_of(f"{n}, by {process}")
    await store.close()


async def test_one_process_records_an_end(url: str) -> None:
    """Of four processes that end the same 200 sessions for four reasons one is told that it did, and its reason stays."""
    reasons = ["signed_out", "revoked", "replaced", "provider"]
    store = await opened(url)
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
    store = await opened(url)
    for n in range(600):
        await store.create(session_of(str(n), now=START + n % 2))
    swept = at_once(sweep_all, [(url, START + IDLE) for _ in range(PROCESSES)])
    assert sorted(handle for handles in swept for handle in handles) == sorted(f"handle-{n}" for n in range(0, 600, 2))
    assert len(await store.living(subject=None, limit=1_000, now=START + IDLE)) == 300
    await store.close()
