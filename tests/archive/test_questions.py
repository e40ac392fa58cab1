"""What people ask of visits, worked out by hand: pages, presence, totals, and how each visit ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stillhere.archive import archive as module
from stillhere.archive.records import VisitFilter, VisitReport
from stillhere.core.endings import PARTING_MS
from stillhere.core.records import EndedBy, Lifecycle
from stillhere.errors import BadCursor
from tests.stores.every import ABSOLUTE, GAP, IDLE, POLICY, FullStore, claim_of, session_of
from tests.support import START

if TYPE_CHECKING:
    from stillhere.archive.archive import Archive

Kept = tuple[FullStore, "Archive"]

BEATS = POLICY.beat_interval


async def say(store: FullStore, name: str, at: int, *, view: str = "v1", visible: int = 0, active: int = 0, **more: object) -> None:
    """Send one message of a page on screen, so many milliseconds after the start."""
    seen = claim_of(name, view=view, visible_ms=visible, active_ms=active, on_screen=True, opens=True, lifecycle=Lifecycle.ACTIVE)
    await store.beat([replace(seen, **more)], visit_gap=GAP, touch_interval=0, now=START + at)


async def leave(store: FullStore, name: str, at: int, *, visible: int = 0) -> None:
    """Send a tab's last words."""
    await say(store, name, at, visible=visible, on_screen=False, opens=False, leaves=True, lifecycle=Lifecycle.HIDDEN)


async def one(archive: Archive, visit_id: str, at: int) -> VisitReport:
    """Find one visit, as it looks so many milliseconds after the start."""
    found = await archive.visit(visit_id, beat_interval=BEATS, now=START + at)
    assert found is not None
    return found[0]


class TestSimultaneous:
    """How many were there at once, up to now."""

    async def test_who_is_here_is_here_until_now(self, kept: Kept) -> None:
        """Between two beats the curve does not fall, and those who came one after the other were here together."""
        store, archive = kept
        for name, at in (("a", 1_000), ("b", BEATS)):
            await store.create(session_of(name, subject=name))
            await say(store, name, at)
        crowd = await archive.simultaneous(VisitFilter(), beat_interval=BEATS, now=START + BEATS + 5_000)
        assert crowd.peak is not None
        assert (crowd.peak.at, crowd.peak.visitors) == (START + BEATS, 2)
        assert [(point.at - START, point.visitors) for point in crowd.points][1:] == [(BEATS, 2), (BEATS + 5_000, 2)]

    async def test_who_is_gone_is_gone_since_the_last_beat(self, kept: Kept) -> None:
        """Nothing heard for two intervals, last words, or an end: the curve fell when they were seen last."""
        store, archive = kept
        for name in "abc":
            await store.create(session_of(name, subject=name))
            await say(store, name, 1_000)
        await leave(store, "b", 2_000, visible=1_000)
        await store.end("handle-c", EndedBy.REVOKED, now=START + 3_000)
        crowd = await archive.simultaneous(VisitFilter(), beat_interval=BEATS, now=START + 1_000 + 2 * BEATS)
        assert crowd.points[-1].visitors == 1
        crowd = await archive.simultaneous(VisitFilter(), beat_interval=BEATS, now=START + 1_001 + 2 * BEATS)
        assert (crowd.points[-1].at - START, crowd.points[-1].visitors) == (2_001, 0)


class TestEndings:
    """How a visit ended, through the archive: one line of the glossary each."""

    async def test_still_here(self, kept: Kept) -> None:
        """While beats come, and for two intervals after the last, somebody is there."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 5_000, active_ago_ms=0)
        assert (await one(archive, "handle-a.1", 5_000 + 2 * BEATS)).ended_by is None

    async def test_lost(self, kept: Kept) -> None:
        """Nothing heard for more than two intervals, and no last words: lost, also after the session has ended."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 5_000)
        for at in (5_000 + 2 * BEATS + 1, IDLE, ABSOLUTE * 9):
            assert (await one(archive, "handle-a.1", at)).ended_by == "lost"

    async def test_leave(self, kept: Kept) -> None:
        """Last words and nothing after them: the visit was left, and stays so when the session lapses."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 5_000)
        await leave(store, "a", 9_000, visible=4_000)
        for at in (9_000, IDLE - 1, IDLE, ABSOLUTE * 9):
            report = await one(archive, "handle-a.1", at)
            assert (report.ended_by, report.ended_at, report.visible_ms) == ("leave", START + 9_000, 4_000)

    async def test_a_return_takes_the_leave_back(self, kept: Kept) -> None:
        """Who comes back to the page is here again, in the same visit."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 5_000)
        await leave(store, "a", 9_000, visible=4_000)
        await say(store, "a", 20_000, visible=4_000)
        assert (await one(archive, "handle-a.1", 20_001)).ended_by is None

    async def test_away(self, kept: Kept) -> None:
        """After a gap the next view begins a new visit, and the one before ended by being away, unless it was left."""
        store, archive = kept
        for name in ("a", "b"):
            await store.create(session_of(name))
            await say(store, name, 0)
        await leave(store, "b", 0)
        for name in ("a", "b"):
            await say(store, name, GAP + 1, view="v2")
        reports = await archive.visits(VisitFilter(), beat_interval=BEATS, now=START + GAP + 2)
        assert {report.id: report.ended_by for report in reports} == {
            "handle-a.1": "away",
            "handle-a.2": None,
            "handle-b.1": "leave",
            "handle-b.2": None,
        }

    @pytest.mark.parametrize("recorded", [False, True])
    async def test_idle(self, kept: Kept, *, recorded: bool) -> None:
        """Beats without input until the idle timeout: the session's end is the visit's, whether it was recorded yet or not."""
        store, archive = kept
        await store.create(session_of("a"))
        for at in range(0, IDLE, BEATS):
            await say(store, "a", at)
        if recorded:
            await store.sweep(limit=1, now=START + IDLE)
        assert (await one(archive, "handle-a.1", IDLE - 1)).ended_by == ("idle" if recorded else None)
        assert (await one(archive, "handle-a.1", IDLE)).ended_by == "idle"

    async def test_absolute(self, kept: Kept) -> None:
        """Busy to the absolute end: that ended the visit."""
        store, archive = kept
        await store.create(session_of("a"))
        for at in range(0, ABSOLUTE, BEATS):
            await say(store, "a", at, active_ago_ms=0)
        assert (await one(archive, "handle-a.1", ABSOLUTE)).ended_by == "absolute"

    @pytest.mark.parametrize("by", [by for by in EndedBy if by not in {EndedBy.IDLE, EndedBy.ABSOLUTE}])
    async def test_by_somebody(self, kept: Kept, by: EndedBy) -> None:
        """A sign-out, or whatever ended the session, ended the visit; words that come after it change nothing of that."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 5_000)
        await store.end("handle-a", by, now=START + 10_000)
        assert (await one(archive, "handle-a.1", 99_000)).ended_by == by
        await leave(store, "a", 10_001)
        assert (await one(archive, "handle-a.1", 99_000)).ended_by == by

    @pytest.mark.parametrize(("parting", "ended_by"), [(0, "signed_out"), (PARTING_MS, "signed_out"), (PARTING_MS + 1, "leave")])
    async def test_words_in_parting(self, kept: Kept, parting: int, ended_by: str) -> None:
        """A page that is closed by a sign-out says its last words just before: the sign-out ended the visit. Earlier ones are a leave."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 1_000)
        await leave(store, "a", 10_000 - parting)
        await store.end("handle-a", EndedBy.SIGNED_OUT, now=START + 10_000)
        assert (await one(archive, "handle-a.1", 99_000)).ended_by == ended_by


class TestPages:
    async def test_reach_each_visit_once_while_others_arrive(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        """Visits that begin, and grow, while a list is read neither repeat a visit of it nor hide one; equal starts are no trouble."""
        monkeypatch.setattr(module, "PAGE", 3)
        store, archive = kept
        for n in range(20):
            await store.create(session_of(str(n), now=START + n // 4))
            await say(store, str(n), n // 4)
        before = {f"handle-{n}.1" for n in range(20)}
        reached: list[str] = []
        async for report in archive.all_visits(VisitFilter(limit=1), beat_interval=BEATS, now=START):
            reached.append(report.id)
            new = f"new{len(reached)}"
            await store.create(session_of(new, now=START + 10))
            await say(store, new, 10)
            await say(store, str(len(reached) % 20), 15, visible=5)
        assert len(reached) == len(set(reached))
        assert before <= set(reached)

    @pytest.mark.parametrize(
        "cursor", ["", "x", "1", "1.h", "1.h.x", "-1.h.1", "1.h.1\n", "1.h\u00fc.1", "\u0661.h.1", f"{10**18}.h.1", f"1.h.{10**9}"]
    )
    async def test_refuse_what_is_no_cursor(self, kept: Kept, cursor: str) -> None:
        """A cursor that was not given out is refused, with what to use instead, and never reaches the database."""
        _, archive = kept
        with pytest.raises(BadCursor, match="is not a cursor of this list; use the `next` of its last answer") as refused:
            await archive.visits(VisitFilter(before=cursor), beat_interval=BEATS, now=START)
        assert refused.value.cursor == cursor

    async def test_take_the_largest_cursor(self, kept: Kept) -> None:
        """Numbers as long as a cursor allows are fine for every database."""
        _, archive = kept
        wanted = VisitFilter(before=f"{'9' * 18}.{'h' * 64}.{'9' * 9}")
        assert await archive.visits(wanted, beat_interval=BEATS, now=START) == []


class TestPresence:
    async def test_tells_who_is_here_and_where(self, kept: Kept) -> None:
        """The latest arrival first; the view heard of last; tabs on screen that were heard of within two intervals."""
        store, archive = kept
        for name in "abc":
            await store.create(session_of(name))
        await say(store, "a", 1_000, view="v1", tab="t1", page="/old")
        await say(store, "a", 2_000, view="v2", tab="t1", page="/same-tab")
        await say(store, "a", 3_000, view="v3", tab="t2", page="/other-tab")
        await say(store, "a", 4_000, view="v4", page="/no-tab")
        await say(store, "a", 5_000, view="v5", tab="t3", page="/hidden", visible=1, on_screen=False, lifecycle=Lifecycle.HIDDEN)
        await say(store, "b", 9_000, view="v1", tab="t1", page="/b")
        present = await archive.present(seen_since=START + 4_000, beat_interval=BEATS, now=START + 10_000)
        assert [presence.session.handle for presence in present] == ["handle-b", "handle-a"]
        assert [(presence.view.page if presence.view else None, presence.tabs) for presence in present] == [("/b", 1), ("/hidden", 3)]
        late = await archive.present(seen_since=START, beat_interval=BEATS, now=START + 3_000 + 2 * BEATS)
        assert [presence.tabs for presence in late] == [1, 2]
        assert len(await archive.present(seen_since=START + 9_000, beat_interval=BEATS, now=START + 10_000)) == 1
        assert await archive.present(seen_since=START + 9_001, beat_interval=BEATS, now=START + 10_000) == []

    async def test_is_of_the_latest_visit(self, kept: Kept) -> None:
        """Of a session that came back after a gap only the visit of today is shown, with the views of that visit."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 0, tab="t1")
        await say(store, "a", GAP + 1, view="v2", tab="t2", page="/again")
        (presence,) = await archive.present(seen_since=0, beat_interval=BEATS, now=START + GAP + 2)
        assert (presence.visit.id, presence.visit.views, presence.tabs) == ("handle-a.2", 1, 1)
        assert presence.view is not None
        assert presence.view.page == "/again"

    async def test_ends_with_the_session_by_any_clock(self, kept: Kept) -> None:
        """Where the clock went back before the sign-out, the session's end decides who has just left, and not the later last sight."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 9_000)
        await store.end("handle-a", EndedBy.SIGNED_OUT, now=START + 4_000)
        for since, handles in ((4_000, ["handle-a"]), (4_001, [])):
            present = await archive.present(seen_since=START + since, beat_interval=BEATS, now=START + 4_001)
            assert [presence.session.handle for presence in present] == handles
            listed = await archive.visits(VisitFilter(seen_since=START + since), beat_interval=BEATS, now=START + 4_001)
            assert [visit.session for visit in listed] == handles

    async def test_may_have_no_view(self, kept: Kept) -> None:
        """Who is here by beats without a view, as simple clients send them, is shown all the same."""
        store, archive = kept
        await store.create(session_of("a"))
        await store.beat([claim_of("a", on_screen=True, opens=True)], visit_gap=GAP, touch_interval=0, now=START + 7)
        (presence,) = await archive.present(seen_since=0, beat_interval=BEATS, now=START + 8)
        assert (presence.view, presence.tabs, presence.visit.views) == (None, 0, 0)


class TestTotals:
    async def test_add_up_by_hand(self, kept: Kept) -> None:
        """Three visits of two people, added up by visitor, in total, and since an instant."""
        store, archive = kept
        for n, subject in enumerate(["first", "second", "first"]):
            await store.create(session_of(str(n), subject=subject, now=START + n * 1_000))
            await say(store, str(n), n * 1_000)
            await say(store, str(n), n * 1_000 + 4_000, visible=(n + 1) * 1_000, active=500)
        when = {"beat_interval": BEATS, "now": START + 6_000}
        first, second = await archive.visitors(VisitFilter(), sort="last", **when)
        assert (first.visitor, first.visits, first.open_ms, first.visible_ms, first.active_ms) == ("first", 2, 8_000, 4_000, 1_000)
        assert (first.first_at, first.last_at) == (START, START + 6_000)
        assert (second.visitor, second.visits, second.open_ms, second.visible_ms, second.active_ms) == ("second", 1, 4_000, 2_000, 500)
        assert await archive.visitors(VisitFilter(limit=1), sort="last", **when) == [first]
        assert await archive.visitors(VisitFilter(visitor="second"), sort="last", **when) == [second]
        totals = await archive.totals(VisitFilter(), since=START, **when)
        assert (totals.visits, totals.visible_ms, totals.median_visible_ms) == (3, 6_000, 2_000)
        totals = await archive.totals(VisitFilter(), since=START + 1_000, **when)
        assert (totals.visits, totals.visible_ms, totals.median_visible_ms) == (2, 5_000, 2_500)


class TestFilters:
    async def test_a_page_chooses_visits_and_of_views_only_its_own(self, kept: Kept) -> None:
        """Who never viewed the page is not listed, nor what else was viewed in the same visit; a later visit elsewhere is none of it."""
        store, archive = kept
        for name in "ab":
            await store.create(session_of(name))
        await say(store, "a", 0, view="v1", page="/a")
        await say(store, "a", 1_000, view="v2", page="/b")
        await say(store, "b", 0, view="v1", page="/b")
        await say(store, "a", GAP + 1_001, view="v3", page="/b")
        when = {"beat_interval": BEATS, "now": START + GAP + 2_000}
        wanted = VisitFilter(page="/a")
        assert [visit.id async for visit in archive.all_visits(wanted, **when)] == ["handle-a.1"]
        assert [(visit.id, view.view) async for visit, view in archive.all_views(wanted, **when)] == [("handle-a.1", "v1")]
        assert [(page.page, page.views) for page in await archive.pages(wanted, **when)] == [("/a", 1)]
        assert await archive.count_views(wanted, **when) == 1
        assert await archive.count_views(VisitFilter(page="/b"), **when) == 3
        assert await archive.count(VisitFilter(page="/b"), **when) == 3
        assert await archive.count(VisitFilter(page="/nowhere"), **when) == 0

    async def test_an_ending_chooses_visits(self, kept: Kept) -> None:
        """One way of ending, several, or `here` for who has not gone; sums are of the same visits as the list."""
        store, archive = kept
        for name in "abc":
            await store.create(session_of(name))
            await say(store, name, 0)
        await leave(store, "a", 1_000)
        await say(store, "b", 2 * BEATS)
        when = {"beat_interval": BEATS, "now": START + 2 * BEATS + 1}
        expected = {("leave",): ["a"], ("here",): ["b"], ("lost",): ["c"], ("leave", "here"): ["b", "a"], ("idle",): []}
        for ended_by, found in expected.items():
            visits = await archive.visits(VisitFilter(ended_by=ended_by), **when)
            assert [visit.id for visit in visits] == [f"handle-{name}.1" for name in found]
            assert (await archive.totals(VisitFilter(ended_by=ended_by), **when)).visits == len(found)

    async def test_who_is_here_is_not_asked_without_the_time(self, kept: Kept) -> None:
        """Nobody can forget to say what time it is: who left hours ago would be told of as here."""
        _, archive = kept
        wanted = VisitFilter(ended_by=("here",))
        for ask in (archive.totals, archive.visitors, archive.pages):
            with pytest.raises(TypeError, match="'beat_interval' and 'now'"):
                await ask(wanted)  # type: ignore[call-arg]  # that is what is tested

    async def test_bounds_of_visible_time_belong_to_it(self, kept: Kept) -> None:
        """At least and at most so much: a visit with exactly as much is listed, one with a millisecond less or more is not."""
        store, archive = kept
        for name, visible in {"a": 999, "b": 1_000, "c": 2_000, "d": 2_001}.items():
            await store.create(session_of(name))
            await say(store, name, 0)
            await say(store, name, 9_000, visible=visible)
        wanted = VisitFilter(min_visible_ms=1_000, max_visible_ms=2_000)
        visits = await archive.visits(wanted, beat_interval=BEATS, now=START + 9_000)
        assert [visit.id for visit in visits] == ["handle-c.1", "handle-b.1"]

    async def test_no_visit_is_found_by_another_name(self, kept: Kept) -> None:
        """A number that the session has no visit of, a session that nobody had, or no name of a visit at all: none, and no error."""
        store, archive = kept
        await store.create(session_of("a"))
        await say(store, "a", 0)
        for name in ("handle-a.0", "handle-a.2", "handle-z.1", "handle-a", "handle-a.", "handle-a.x", ""):
            assert await archive.visit(name, beat_interval=BEATS, now=START) is None
        assert await archive.visit("handle-a.1", beat_interval=BEATS, now=START) is not None

    async def test_a_list_of_visitors_goes_on_after_its_cursor(self, kept: Kept) -> None:
        """Page by page every visitor comes once, also where several are equal in what they are sorted by."""
        store, archive = kept
        for n, name in enumerate("abcde"):
            await store.create(session_of(name, subject=name))
            await say(store, name, 0)
            await say(store, name, 9_000, visible=1_000 * (n // 2))
        listed, before = list[str](), None
        while rows := await archive.visitors(VisitFilter(limit=2, before=before), sort="visible", beat_interval=BEATS, now=START + 9_000):
            listed += [row.visitor for row in rows]
            before = module.visitor_cursor(rows[-1], "visible")
        assert listed == ["e", "c", "d", "a", "b"]
