"""Sample data: plausible, the same each time, made by the rules, and never mixed with real visits."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import httpx2
import msgspec
import pytest

from stillhere.archive.archive import Archive
from stillhere.archive.memory import MemorySource
from stillhere.archive.records import VisitFilter
from stillhere.core.endings import visit_ended_by
from stillhere.core.heat import PARTS, read_bands, read_heat
from stillhere.core.policy import Policy, days, hours, minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.core.rules import ending
from stillhere.core.wire import Kind, read_beats
from stillhere.errors import SettingsError, StoreError
from stillhere.manager import SessionManager
from stillhere.server.sample.filling import PAST, POLICY, fill, lived
from stillhere.server.sample.lively import FEWEST, MOST, TICK_MS, Lively
from stillhere.server.sample.scripts import MOST_RUNS, Act, Parting, Writing
from stillhere.server.sample.world import DAYS, PAGES, visitors_of
from stillhere.stores.memory import MemoryStore
from tests.manager.doubles import UntouchableStore
from tests.stores.every import fresh_url
from tests.support import FakeClock, serving, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from stillhere.core.records import Visit
    from stillhere.stores.protocol import Changed

NOW: Final = 1_795_687_200_000
"""A Thursday morning, five weeks after the clocks of Berlin went back."""

BERLIN: Final = ZoneInfo("Europe/Berlin")


PLACES: Final = (("memory", None), ("sqlite", None), ("postgresql", None), ("redis", "sqlite"))
"""Stores, and where their archive is if that is elsewhere."""

EVERYTHING: Final = VisitFilter()


def open_manager(store: str, archive: str | None, folder: Path, clock: FakeClock) -> SessionManager:
    """Open a manager on a fresh store."""
    elsewhere = None if archive is None else fresh_url(archive, folder)
    return SessionManager(fresh_url(store, folder), archive=elsewhere, clock=clock)


def draws(seed: int) -> Random:
    """Give a random source that always draws the same."""
    return Random(seed)  # noqa: S311  # that is what it is for


@pytest.fixture
def past() -> list[Changed]:
    """Give the sample's past to tests that run in an event loop."""
    return five_weeks()


@cache
def five_weeks(seed: int = 20) -> list[Changed]:
    """Live the sample's past, once for all tests."""
    return asyncio.run(lived(draws(seed), now=NOW, zone=BERLIN))


@pytest.mark.parametrize("parting", Parting)
@pytest.mark.parametrize("seed", range(8))
def test_a_script_claims_no_more_than_passed(parting: Parting, seed: int) -> None:
    """Beats come in order; no view was visible longer than it was open, or active longer than visible; totals only grow."""
    acts = list(Writing(draws(seed), PAST, patience=1, name="").visit(parting))
    assert [act.after_ms for act in acts] == sorted(act.after_ms for act in acts)
    opened: dict[str, Act] = {}
    latest: dict[str, tuple[int, int, float, int]] = {}
    for act in acts:
        if act.beat is None:
            assert act is acts[-1]
            continue
        beat = act.beat
        assert beat.view is not None
        first = opened.setdefault(beat.view, act)
        told = (beat.visible_ms or 0, beat.active_ms or 0, beat.scroll_pct or 0.0, beat.seq or 0)
        assert 0 <= told[1] <= told[0] <= act.after_ms - first.after_ms
        assert all(now >= before for now, before in zip(told, latest.get(beat.view, (0, 0, 0.0, 0)), strict=True))
        latest[beat.view] = told
        assert beat.page in {page.path for page in PAGES}


def test_a_script_says_what_a_browser_may_say() -> None:
    """Every beat of a script passes the wire as it would from a page."""
    for act in Writing(draws(1), PAST, patience=1, name="").visit(Parting.LEAVE):
        assert act.beat is not None
        (heard,) = read_beats(msgspec.json.encode(act.beat))
        assert {**msgspec.to_builtins(heard), "beats": None} == {**msgspec.to_builtins(act.beat), "beats": None}


def test_a_script_ends_as_it_parts() -> None:
    """Whoever leaves says so in every tab; whoever vanishes does not; a sign-out and a revocation end the session."""
    told = {parting: list(Writing(draws(3), PAST, patience=1, name="").visit(parting)) for parting in Parting}
    last = told[Parting.LEAVE][-1].beat
    assert last is not None
    assert last.kind is Kind.LEAVE
    assert told[Parting.SIGN_OUT][-1].ends is EndedBy.SIGNED_OUT
    assert told[Parting.REVOKED][-1].ends is EndedBy.REVOKED
    assert told[Parting.REPLACED][-1].ends is EndedBy.REPLACED
    for parting in (Parting.VANISH, Parting.STAY, Parting.WORK_ON):
        last = told[parting][-1].beat
        assert last is not None
        assert last.kind is Kind.BEAT
    assert told[Parting.WORK_ON][-1].after_ms > hours(2)


async def test_the_past_is_the_same_each_time() -> None:
    """One seed gives one sample, to the last millisecond; another gives another."""
    first, again, other = [await lived(draws(seed), now=NOW, zone=BERLIN) for seed in (20, 20, 21)]
    assert first == again != other


def test_the_past_adds_up() -> None:
    """Active within visible within open, views together at least as long as their union, and everything is over by now."""
    for changed in five_weeks():
        assert ending(changed.session, now=NOW) is not None
        assert changed.session.ended_at is not None
        for visit in changed.visits:
            views = [view for view in changed.views if view.visit == visit.number]
            assert views
            assert 0 <= visit.active_ms <= visit.visible_ms <= visit.last_seen_at - visit.started_at
            assert visit.visible_ms <= sum(view.visible_ms for view in views)
            assert NOW - days(DAYS + 1) <= visit.started_at <= visit.last_seen_at <= changed.session.ended_at < NOW
        for view in changed.views:
            assert 0 <= view.active_ms <= view.visible_ms <= view.last_seen_at - view.opened_at
            assert 0 < view.scroll_pct <= 100


def test_the_past_was_read_somewhere() -> None:
    """What pages measured agrees with their totals: heat within the visible time, bands as long as what they tell, most at hot parts."""
    views = [view for changed in five_weeks() for view in changed.views]
    hottest = Counter[bool]()
    for view in views:
        heat, bands = read_heat(view.heat, view.visible_ms), read_bands(view.bands, view.opened_at, view.last_seen_at)
        assert view.visible_ms - PARTS * 1_000 <= sum(heat) <= view.visible_ms
        assert bands[0].from_at == view.opened_at
        told = {state: sum(band.until_at - band.from_at for band in bands if band.state == state) for state in ("active", "idle", "hidden")}
        if len(bands) < MOST_RUNS / 2:
            assert told["active"] == view.active_ms
            assert told["active"] + told["idle"] == view.visible_ms
        page = next(page for page in PAGES if page.path == view.page)
        hottest[heat.index(max(heat)) == page.hot_part] += view.visible_ms > minutes(2)
    assert hottest[True] > hottest[False]


def ended_by(changed: Changed, visit: Visit) -> str | None:
    """Tell how a visit ended."""
    is_last = visit.number == len(changed.visits)
    return visit_ended_by(visit, session=changed.session, is_last=is_last, beat_interval=POLICY.beat_interval, now=NOW)


def test_the_past_is_lively() -> None:
    """Some 40 visitors and 600 visits, of all lengths, that ended in all ways but by tokens, most by leaving."""
    changes = five_weeks()
    visits = [visit for changed in changes for visit in changed.visits]
    assert 550 <= len(visits) <= 750
    assert 35 <= len({visit.subject for visit in visits}) <= 40
    assert {view.page for changed in changes for view in changed.views} == {page.path for page in PAGES}
    ways = Counter(ended_by(changed, visit) for changed in changes for visit in changed.visits)
    assert set(ways) == {"leave", "idle", "signed_out", "lost", "away", "revoked", "replaced", "absolute"}
    assert ways["leave"] > len(visits) / 2
    visible = sorted(visit.visible_ms for visit in visits)
    assert visible[len(visible) // 20] < seconds(30) < minutes(1) < visible[len(visible) // 2] < minutes(10) < visible[-1]


def test_people_come_in_working_hours() -> None:
    """Most come from 8 to 18 on weekdays, by the clocks of their zone, whichever day those were changed."""
    hours_of = Counter[tuple[bool, bool]]()
    for changed in five_weeks():
        local = datetime.fromtimestamp(changed.session.created_at / 1000, BERLIN)
        hours_of[local.weekday() < 5, 8 <= local.hour < 18] += 1
    total = hours_of.total()
    assert hours_of[True, True] > total * 0.7
    assert 0 < hours_of[False, True] + hours_of[False, False] < total * 0.15


def test_nobody_real_is_named() -> None:
    """All addresses are at domains that can belong to nobody; a few are the site's own, some are verified and some are not."""
    visitors = visitors_of(draws(20))
    assert len({visitor.address for visitor in visitors}) == 40
    assert all(visitor.address.endswith(".example") for visitor in visitors)
    assert sum(visitor.address.endswith("@inhouse.example") for visitor in visitors) == 3
    assert {visitor.attributes["verified"] for visitor in visitors} == {True, False}


@pytest.mark.parametrize(("store", "archive"), PLACES)
async def test_a_fresh_store_is_filled_once(store: str, archive: str | None, past: list[Changed], tmp_path: Path) -> None:
    """The store holds what was lived, as often as it is filled; visits of people who came since are no hindrance."""
    clock = FakeClock(NOW)
    async with open_manager(store, archive, tmp_path, clock) as manager:
        count = await fill(manager, zone=BERLIN)
        assert manager.archive is not None
        reports = [one async for one in manager.archive.all_visits(EVERYTHING, beat_interval=seconds(20), now=NOW)]
        assert count == len(reports) == sum(len(changed.visits) for changed in past)
        assert await manager.count() == 0
        secret = (await manager.start("reader@firm.example")).secret
        await manager.beat(secret, read_beats(b""))
        await manager.archive.catch_up()
        clock.advance(minutes(5))
        assert await fill(manager, zone=BERLIN) == 0
        again = [one async for one in manager.archive.all_visits(EVERYTHING, beat_interval=seconds(20), now=clock())]
        assert len(again) == count + 1


@pytest.mark.parametrize(("store", "archive"), PLACES)
async def test_some_are_here_from_the_start(store: str, archive: str | None, tmp_path: Path) -> None:
    """At the first turn there are people here whose sessions are real: they live, and their cookies open them."""
    async with open_manager(store, archive, tmp_path, FakeClock(NOW)) as manager:
        lively = Lively(manager, draws(5), zone=BERLIN)
        await lively()
        assert FEWEST <= len(lively.here) == await manager.count() <= MOST
        for one in lively.here:
            verdict = await manager.authenticate(one.secret)
            assert verdict.session is not None
            assert verdict.is_alive
            assert verdict.session.subject == one.visitor.address


async def test_redis_alone_is_refused(tmp_path: Path) -> None:
    """Redis keeps the living only for a while, and takes no whole sessions: with an archive it works, and the sentence says so."""
    async with open_manager("redis", None, tmp_path, FakeClock(NOW)) as manager:
        with pytest.raises(SettingsError, match="or into the archive of a Redis store: set archive"):
            await fill(manager, zone=BERLIN)


async def test_a_store_with_visits_is_left_alone(clock: FakeClock) -> None:
    """Where real visits are no sample is mixed in, and the sentence says what to do."""
    manager = SessionManager("memory://", clock=clock)
    await manager.beat((await manager.start("reader@firm.example")).secret, read_beats(b""))
    with pytest.raises(SettingsError, match="give a fresh one: --store"):
        await fill(manager, zone=BERLIN)
    assert await manager.count() == 1


async def test_a_store_that_takes_no_whole_sessions_is_refused(clock: FakeClock) -> None:
    """One that cannot be filled at once says so before anything is done."""
    with pytest.raises(SettingsError, match="or into the archive of a Redis store"):
        await fill(SessionManager(UntouchableStore(), clock=clock), zone=BERLIN)


async def test_somebody_is_always_here() -> None:
    """For half an hour people come and go, turn pages and look away, a few at a time, all through the manager."""
    clock, store = FakeClock(NOW), MemoryStore()
    policy = Policy(idle_timeout=minutes(1), warning_timeout=seconds(20), beat_interval=seconds(20), activity_window=seconds(20))
    manager = SessionManager(store, archive=Archive(MemorySource(store)), policy=policy, clock=clock)
    lively = Lively(manager, draws(5), zone=BERLIN)
    await lively()
    before, present, addresses = manager.metrics.started, list[int](), set[str]()
    assert len(lively.here) >= FEWEST
    for tick in range(1800):
        clock.advance(TICK_MS)
        await lively()
        assert FEWEST - 1 <= len(lively.here) <= MOST
        assert len({one.visitor.address for one in lively.here}) == len(lively.here)
        addresses |= {one.visitor.address for one in lively.here}
        if tick % 60 == 0:
            await manager.sweep()
            present.append(await manager.count())
    assert min(present) >= 1
    assert len(addresses) > MOST
    assert manager.metrics.started > before + 10
    assert manager.metrics.ended[EndedBy.IDLE] > 0
    pages = {view.page for one in lively.here for view in store.views.get(one.session.handle, {}).values()}
    assert len(pages) > 1


async def test_trouble_at_the_start_is_tried_again(clock: FakeClock) -> None:
    """If the store is away when the sample begins, the next turn fills it."""
    manager = SessionManager("memory://", clock=clock)
    noted = manager.store.noted  # type: ignore[attr-defined]  # a memory store keeps notes

    async def away(name: str, *, now: int) -> list[str]:
        raise StoreError(f"{name} cannot be asked for at {now}")

    lively = Lively(manager, draws(5), zone=BERLIN)
    manager.store.noted = away  # type: ignore[attr-defined]  # as above
    with pytest.raises(StoreError):
        await lively()
    manager.store.noted = noted  # type: ignore[attr-defined]  # as above
    await lively()
    assert len(lively.here) >= FEWEST


def test_the_demo_shows_it(tmp_path: Path) -> None:
    """`stillhere demo --sample` fills a fresh file, has people here at once, and a second start doubles nothing."""
    token = "planted token of an operator 4d"
    store, log = f"sqlite:///{tmp_path / 'sample.db'}", tmp_path / "log"

    def ask(url: str, what: str) -> Any:
        return httpx2.get(f"{url}/admin/api/{what}", headers={"authorization": f"Bearer {token}"}, timeout=20).json()

    def totals() -> int:
        with serving(store, "--sample", verb="demo", log=log, environment={"STILLHERE_ADMIN_TOKEN": token}) as program:
            wait_until(lambda: bool(ask(program.url, "now")["totals"]["here"] >= FEWEST), what="somebody to be here")
            visits = [int(row["visits"]) for row in ask(program.url, "visitors")["visitors"]]
            program.stop()
        return sum(visits)

    first = totals()
    assert first >= 550
    assert first <= totals() <= first + 2 * MOST
    assert "Traceback" not in log.read_text("utf-8")
