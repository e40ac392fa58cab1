"""How sure a visit is, told alike by every archive, in a list, alone and among those who are present."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.archive.records import VisitFilter
from stillhere.core.policy import Policy, seconds
from stillhere.core.records import EndedBy, Lifecycle
from stillhere.manager import SessionManager
from stillhere.stores.memory import MemoryStore
from stillhere.words import told
from tests.archive.test_questions import BEATS, Kept, leave, one, say
from tests.stores.every import GAP, IDLE, session_of
from tests.support import START

if TYPE_CHECKING:
    from stillhere.archive.archive import Archive
    from tests.stores.every import FullStore


async def missing(archive: Archive, at: int) -> dict[str, int]:
    """Tell what may be missing of each visit, as the list has it; finding each alone must say the same."""
    listed = await archive.visits(VisitFilter(), beat_interval=BEATS, now=START + at)
    assert listed == [await one(archive, visit.id, at) for visit in listed]
    assert all(visit.told == told(visit.visible_ms, visit.uncertain_ms, visit.ended_by) for visit in listed)
    return {visit.id: visit.uncertain_ms for visit in listed}


async def test_only_who_did_not_say_goodbye_is_uncertain(kept: Kept) -> None:
    """Last words leave nothing open; without them it is the step to the next beat of the page that was on screen, not of hidden ones."""
    store, archive = kept
    for name in "abc":
        await store.create(session_of(name))
    await say(store, "a", 7_000, visible=7_000)
    await leave(store, "a", 8_000, visible=8_000)
    await say(store, "b", 5_000, visible=5_000)
    await say(store, "c", 16_000, visible=16_000, lifecycle=Lifecycle.HIDDEN)
    await say(store, "c", 16_000, view="v2", visible=1_000)
    assert await missing(archive, IDLE // 2) == {"handle-a.1": 0, "handle-b.1": 10_000, "handle-c.1": 4_000}
    (report,) = [visit for visit in await archive.visits(VisitFilter(), beat_interval=BEATS, now=START) if visit.id == "handle-b.1"]
    assert report.told == "5 s, at most 10 s missing, still here"
    present = await archive.present(seen_since=START, beat_interval=BEATS, now=START)
    assert {person.visit.id: person.visit.uncertain_ms for person in present} == await missing(archive, 0)


async def turn_page(store: FullStore, *, heard_at: int) -> None:
    """Read a page for five seconds and go on to the next in the same tab; the last words of the first are heard later."""
    await store.create(session_of("a"))
    await say(store, "a", 0, tab="t")
    await say(store, "a", 5_000, view="next", tab="t")
    await say(store, "a", heard_at, visible=5_000, tab="t", on_screen=False, leaves=True, lifecycle=Lifecycle.HIDDEN)


async def test_what_a_late_message_held_back_is_told(kept: Kept) -> None:
    """A message that was on its way for long takes time from the next; the tab's own totals show how much."""
    store, archive = kept
    await turn_page(store, heard_at=7_000)
    await say(store, "a", 10_000, view="next", visible=5_000, tab="t")
    assert (await one(archive, "handle-a.1", 10_000)).visible_ms == 8_000
    assert await missing(archive, 10_000) == {"handle-a.1": 2_000 + 10_000}
    await say(store, "a", 11_000, view="next", visible=6_000, tab="t", on_screen=False, leaves=True, lifecycle=Lifecycle.HIDDEN)
    assert await missing(archive, 11_000) == {"handle-a.1": 11_000 - 9_000}


async def test_what_held_back_less_than_a_second_is_not_told(kept: Kept) -> None:
    """Visible time is exact to a second: what messages take on their way is no uncertainty worth a word."""
    store, archive = kept
    await turn_page(store, heard_at=5_999)
    await say(store, "a", 10_000, view="next", visible=5_000, tab="t", on_screen=False, leaves=True, lifecycle=Lifecycle.HIDDEN)
    assert (await one(archive, "handle-a.1", 10_000)).visible_ms == 10_000 - 999
    assert await missing(archive, 10_000) == {"handle-a.1": 0}


async def test_tabs_side_by_side_hold_nothing_back(kept: Kept) -> None:
    """Of two tabs that were on screen together a visit has the time of one; each is one, also where no tab has a name."""
    store, archive = kept
    await store.create(session_of("a"))
    for view, tab in (("v1", "t1"), ("v2", "t2"), ("v3", None), ("v4", None)):
        await say(store, "a", 9_000, view=view, visible=9_000, tab=tab, lifecycle=Lifecycle.HIDDEN)
    assert await missing(archive, 9_000) == {"handle-a.1": 0}


async def test_nobody_stays_longer_than_their_session(kept: Kept) -> None:
    """A session that ended a second after the last beat leaves a second open."""
    store, archive = kept
    await store.create(session_of("a"))
    await say(store, "a", 5_000, visible=5_000)
    await store.end("handle-a", EndedBy.REVOKED, now=START + 6_000)
    assert await missing(archive, GAP) == {"handle-a.1": 1_000}


async def test_the_ramp_is_the_policys() -> None:
    """A manager with a ramp of its own tells bounds by it."""
    async with SessionManager("memory://", policy=Policy(ramp=(seconds(5), seconds(7)))) as manager:
        store, archive = manager.store, manager.archive
        assert isinstance(store, MemoryStore)
        assert archive is not None
        await store.create(session_of("a"))
        await say(store, "a", 5_000, visible=5_000)
        (report,) = await archive.visits(VisitFilter(), beat_interval=manager.policy.beat_interval, now=START + 5_000)
        assert report.uncertain_ms == 2_000


async def test_the_device_is_told_where_it_is_remembered(kept: Kept) -> None:
    """What the sign-in remembered, and nothing where nothing was."""
    store, archive = kept
    await store.create(session_of("a", {"stillhere": {"device": "Firefox on Windows"}}))
    await store.create(session_of("b"))
    for name in "ab":
        await say(store, name, 1_000)
    assert [(await one(archive, f"handle-{name}.1", 1_000)).device for name in "ab"] == ["Firefox on Windows", None]
