"""What may be missing of a visit: nothing that was said, and never more than a beat that came would have said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.certainty import Watched, uncertain_ms, watched
from stillhere.core.policy import Policy, hours, minutes, seconds
from stillhere.core.records import EndedBy, Lifecycle, Session, View, Visit
from stillhere.core.rules import apply_claim, claim_of, end_session, next_beat_in, open_session
from stillhere.core.wire import Beat, Kind
from tests.support import START

POLICY = Policy(idle_timeout=hours(1))


class Stay:
    """One page that is read, and what the server makes of its beats."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.session: Session = open_session("hash", "handle", "reader@fund.example", {}, policy=policy, now=START)
        self.view: View | None = None
        self.visit: Visit | None = None

    def says(
        self, at_ms: int, visible_ms: int, *, kind: Kind = Kind.BEAT, lifecycle: Lifecycle = Lifecycle.ACTIVE, name: str = "v"
    ) -> None:
        """Say how long the page was visible, so long after the sign-in."""
        beat = Beat(kind=kind, view=name, tab="t", visible_ms=visible_ms, lifecycle=lifecycle, idle_ms=0)
        claim = claim_of(beat, handle="handle", id_hash="hash", policy=self.policy)
        self.session, self.view, self.visit = apply_claim(
            self.session, self.view, self.visit, claim, visit_gap=self.policy.visit_gap, touch_interval=0, now=START + at_ms
        )

    def turns_to(self, name: str, *, at_ms: int) -> View | None:
        """Open another page in the same tab, so long after the sign-in; gives back the one before."""
        left, self.view = self.view, None
        self.says(at_ms, 0, name=name)
        return left

    def leaves(self, left: View | None, *, at_ms: int, visible_ms: int) -> View:
        """Let the words of a page arrive that was left, so long after the sign-in; gives it back as it is known then."""
        assert left is not None
        here, self.view = self.view, left
        self.says(at_ms, visible_ms, kind=Kind.LEAVE, lifecycle=Lifecycle.HIDDEN, name=left.view)
        left, self.view = self.view, here
        return left

    def missing(self, at_ms: int) -> int:
        """Tell what may be missing, so long after the sign-in."""
        assert self.visit is not None
        assert self.view is not None
        seen = watched([self.view]).get(("handle", self.visit.number))
        return uncertain_ms(
            self.visit,
            session=self.session,
            seen=seen,
            beat_interval=self.policy.beat_interval,
            ramp=self.policy.ramp,
            now=START + at_ms,
        )

    def reads(self, real_ms: int) -> None:
        """Read for so long, with a beat whenever one is due."""
        at_ms = 0
        while at_ms <= real_ms:
            self.says(at_ms, at_ms)
            at_ms += next_beat_in(self.policy, at_ms)


def test_250_s_closed_normally_are_exact() -> None:
    """The last words say the totals: nothing is missing."""
    stay = Stay()
    stay.reads(seconds(250))
    stay.says(seconds(250), seconds(250), kind=Kind.LEAVE, lifecycle=Lifecycle.TERMINATED)
    assert stay.missing(seconds(250)) == stay.missing(hours(9)) == 0


def test_250_s_killed_may_miss_one_step() -> None:
    """The last beat came at 240 s and the next was due three minutes later: the 10 s that are missing are within the bound."""
    stay = Stay()
    stay.reads(seconds(250))
    assert stay.visit is not None
    assert seconds(250) - stay.visit.visible_ms == seconds(10) <= stay.missing(hours(9)) == minutes(3)


def test_8_s_killed_may_miss_one_step_of_the_ramp() -> None:
    """The last beat came at 5 s and the next was due at 15 s."""
    stay = Stay()
    stay.reads(seconds(8))
    assert stay.missing(hours(9)) == seconds(10)


def test_hidden_for_20_minutes_nothing_is_missing() -> None:
    """Words of hiding say the totals, though nobody has left; back on screen one step is open again."""
    stay = Stay()
    stay.says(0, 0)
    stay.says(seconds(90), seconds(90), kind=Kind.LEAVE, lifecycle=Lifecycle.HIDDEN)
    assert stay.missing(minutes(20)) == 0
    stay.says(minutes(20), seconds(90))
    assert stay.missing(minutes(21)) == stay.missing(minutes(25)) == minutes(3)


def test_a_hidden_page_that_says_more_has_nothing_to_miss() -> None:
    """No page is on screen, so no visible time can be missing, whether or not last words came."""
    stay = Stay()
    stay.says(seconds(90), seconds(90))
    stay.says(seconds(95), seconds(90), lifecycle=Lifecycle.HIDDEN)
    assert stay.missing(hours(9)) == 0


def test_45_minutes_visible_and_idle_until_the_end_miss_no_more_than_the_rest_of_the_session() -> None:
    """The session ended 40 s after the last beat: nobody was there for longer."""
    policy = Policy(idle_timeout=minutes(45) + seconds(40), beat_interval=minutes(3))
    stay = Stay(policy)
    stay.says(0, 0)
    stay.says(minutes(45), minutes(45))
    stay.session = replace(stay.session, last_active_at=START)
    assert stay.missing(hours(9)) == seconds(40)
    stay.session = end_session(stay.session, EndedBy.REVOKED, now=START + minutes(45) + seconds(7))
    assert stay.missing(hours(9)) == seconds(7)


@given(
    real_ms=st.integers(0, minutes(30)),
    ramp=st.lists(st.integers(1, minutes(5)), max_size=5, unique=True).map(lambda marks: tuple(sorted(marks))),
    interval=st.integers(seconds(10), minutes(10)),
)
def test_whoever_is_killed_at_any_time_misses_no_more(real_ms: int, ramp: tuple[int, ...], interval: int) -> None:
    """With any ramp and interval: what was really read is between what is told and what is told and may be missing."""
    stay = Stay(Policy(idle_timeout=hours(1), ramp=ramp, beat_interval=interval))
    stay.reads(real_ms)
    assert stay.visit is not None
    assert stay.visit.visible_ms <= real_ms <= stay.visit.visible_ms + stay.missing(real_ms)
    assert stay.missing(hours(9)) <= interval


@given(late=st.lists(st.integers(0, seconds(5)), min_size=2, max_size=30))
def test_however_late_messages_come_a_page_that_says_its_total_misses_nothing(late: list[int]) -> None:
    """What a late message held back of a page is made up for by the next one that grows: the last words leave nothing to miss."""
    stay = Stay()
    stay.says(0, 0)
    for n, latency in enumerate(late, 1):
        stay.says(seconds(10) * n + latency, seconds(10) * n)
    real_ms = seconds(10) * (len(late) + 1)
    stay.says(real_ms, real_ms, kind=Kind.LEAVE, lifecycle=Lifecycle.TERMINATED)
    assert stay.visit is not None
    assert stay.visit.visible_ms == real_ms
    assert stay.missing(real_ms) == 0


@given(late=st.lists(st.integers(0, seconds(5)), min_size=2, max_size=30))
def test_however_late_the_pages_of_a_tab_tell_what_was_read_is_within_the_bound(late: list[int]) -> None:
    """Page after page is read in one tab, and each tells late: the bound has what that held back, but for less than a second."""
    stay = Stay()
    stay.says(0, 0, name="0")
    views: list[View] = []
    for n, latency in enumerate(late, 1):
        left = stay.turns_to(f"{n}", at_ms=seconds(10) * n)
        views.append(stay.leaves(left, at_ms=seconds(10) * n + latency, visible_ms=seconds(10)))
    assert stay.visit is not None
    seen = watched(views)["handle", 1]
    over = uncertain_ms(stay.visit, session=stay.session, seen=seen, beat_interval=1, ramp=(), now=START + hours(1))
    told_ms = sum(view.visible_ms for view in views)
    assert stay.visit.visible_ms <= told_ms
    assert told_ms - stay.visit.visible_ms - over < seconds(1)
    assert over == 0 or over >= seconds(1)


def test_only_views_on_screen_are_uncertain() -> None:
    """Of each visit the smallest and the largest visible time of those on screen; hidden ones and those that never said count nothing."""
    told = [(1, 5, Lifecycle.ACTIVE), (1, 9, Lifecycle.PASSIVE), (1, 1, Lifecycle.HIDDEN), (2, 7, Lifecycle.ACTIVE), (3, 7, None)]
    views = [
        View(
            handle="h",
            view=f"{n}",
            visit=visit,
            tab=None,
            page=None,
            title=None,
            opened_at=0,
            last_seen_at=0,
            visible_ms=ms,
            lifecycle=state,
        )
        for n, (visit, ms, state) in enumerate(told)
    ]
    assert watched(views) == {("h", 1): Watched(5, 9, 9), ("h", 2): Watched(7, 7, 7), ("h", 3): Watched(None, None, 7)}


@given(views=st.lists(st.integers(0, minutes(3)), min_size=2, max_size=4))
def test_of_several_pages_on_screen_the_least_certain_counts(views: list[int]) -> None:
    """The bound is no less than that of any of them, whichever is told as the smallest and the largest."""
    stay = Stay()
    stay.says(0, 0)
    visit = stay.visit
    assert visit is not None

    def bound(least_ms: int, most_ms: int) -> int:
        return uncertain_ms(
            visit,
            session=stay.session,
            seen=Watched(least_ms, most_ms, 0),
            beat_interval=POLICY.beat_interval,
            ramp=POLICY.ramp,
            now=START + hours(9),
        )

    assert bound(min(views), max(views)) >= max(bound(view, view) for view in views)
    assert all(bound(view, view) == next_beat_in(POLICY, view) for view in views)
