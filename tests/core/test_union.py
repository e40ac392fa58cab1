"""A visit's visible time is the union over its windows, in whatever order they tell of it."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.policy import Policy
from stillhere.core.records import EndedBy, Lifecycle
from stillhere.core.rules import end_session
from stillhere.core.wire import Beat, Kind
from tests.core.worlds import World
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Collection

Span = tuple[int, int]
"""When a window came on screen and when it went, seconds after the sign-in."""


def covered_ms(windows: list[list[Span]]) -> int:
    """Tell for how long any was on screen."""
    moments = {second for spans in windows for start, end in spans for second in range(start, end)}
    return 1_000 * len(moments)


def visible_ms(spans: list[Span], second: int) -> int:
    """Tell for how long a window was on screen by then."""
    return 1_000 * sum(min(end, second) - start for start, end in spans if start < second)


def tell(world: World, name: str, spans: list[Span], second: int) -> None:
    """Let a window say how long it was on screen."""
    gone = second in {end for _, end in spans}
    kind, lifecycle = (Kind.LEAVE, Lifecycle.HIDDEN) if gone else (Kind.BEAT, Lifecycle.ACTIVE)
    world.beat(Beat(kind=kind, view=name, visible_ms=visible_ms(spans, second), lifecycle=lifecycle, idle_ms=0))


def watch(windows: list[list[Span]], also: Collection[tuple[int, int]] = ()) -> World:
    """Let windows come and go; each tells whenever it does, the first first, and at other seconds, too, as they are given by number."""
    told = {(second, number) for number, spans in enumerate(windows) for span in spans for second in span}
    world = World()
    for second, number in sorted(told.union(also)):
        world.advance(START + 1_000 * second - world.now)
        tell(world, f"window {number}", windows[number], second)
    return world


def test_a_window_that_comes_and_goes_takes_nothing_from_the_one_beside_it() -> None:
    """Somebody reads on and on, and looks at something else beside it for two seconds in between: all of it counts."""
    world = watch([[(0, 50)], [(20, 22)]])
    assert [visit.visible_ms for visit in world.visits] == [50_000]
    assert world.visits[0].uncounted_from_at == world.visits[0].uncounted_until_at


@pytest.mark.parametrize("order", list(permutations([0, 8, 15])))
def test_windows_that_tell_of_the_same_span_may_tell_in_any_order(order: tuple[int, ...]) -> None:
    """Three windows came one after the other and could say nothing until now: whoever speaks first, all of it counts."""
    world = World()
    for start in sorted(order):
        world.advance(START + 1_000 * start - world.now)
        world.beat(Beat(view=f"from {start}", lifecycle=Lifecycle.ACTIVE))
    world.advance(START + 25_000 - world.now)
    for start in order:
        world.beat(Beat(view=f"from {start}", visible_ms=25_000 - 1_000 * start, lifecycle=Lifecycle.ACTIVE))
    assert [visit.visible_ms for visit in world.visits] == [25_000]


def test_words_of_another_time_fill_what_was_passed_over() -> None:
    """The next page is read when the words of one that was closed without network arrive: they count, what nobody saw does not."""
    world = World()
    world.beat(Beat(view="first", lifecycle=Lifecycle.ACTIVE))
    world.advance(20_000)
    world.beat(Beat(view="next", lifecycle=Lifecycle.ACTIVE))
    world.advance(10_000)
    world.beat(Beat(view="next", visible_ms=10_000, lifecycle=Lifecycle.ACTIVE))
    world.beat(Beat(kind=Kind.LEAVE, view="first", visible_ms=8_000, age_ms=22_000, lifecycle=Lifecycle.HIDDEN))
    [visit] = world.visits
    assert visit.visible_ms == 18_000
    assert (visit.uncounted_from_at, visit.uncounted_until_at) == (START + 8_000, START + 20_000)
    world.beat(Beat(kind=Kind.LEAVE, view="first", visible_ms=8_000, age_ms=22_000, lifecycle=Lifecycle.HIDDEN))
    assert world.visits == [visit]


def test_a_visit_is_no_shorter_than_any_of_its_pages() -> None:
    """A message comes five seconds late: the next one makes up for what that held back, and nobody else fills it again."""
    world = World()
    world.beat(Beat(view="v", lifecycle=Lifecycle.ACTIVE))
    world.beat(Beat(view="beside", lifecycle=Lifecycle.ACTIVE))
    world.advance(15_000)
    world.beat(Beat(view="v", visible_ms=10_000, lifecycle=Lifecycle.ACTIVE))
    world.advance(5_000)
    world.beat(Beat(view="v", visible_ms=20_000, lifecycle=Lifecycle.ACTIVE))
    assert [visit.visible_ms for visit in world.visits] == [20_000]
    world.beat(Beat(view="beside", visible_ms=20_000, lifecycle=Lifecycle.ACTIVE))
    assert [visit.visible_ms for visit in world.visits] == [20_000]


@pytest.mark.parametrize("late_ms", [0, 20, 999])
def test_messages_that_travel_for_a_moment_make_nothing_forgotten(late_ms: int) -> None:
    """The window that came last speaks first, each time a moment later than before: the one beside it still has all of its time."""
    world = World()
    world.beat(Beat(view="first", lifecycle=Lifecycle.ACTIVE))
    world.advance(8_000)
    world.beat(Beat(view="second", lifecycle=Lifecycle.ACTIVE))
    for n in range(1, 4):
        world.advance(2_000 + late_ms)
        world.beat(Beat(view="second", visible_ms=2_000 * n, lifecycle=Lifecycle.ACTIVE))
    passed_ms = world.now - START
    world.beat(Beat(view="first", visible_ms=passed_ms, lifecycle=Lifecycle.ACTIVE))
    assert [visit.visible_ms for visit in world.visits] == [passed_ms]


@pytest.mark.parametrize("held_back_ms", [20, 1_500])
def test_what_is_made_up_for_is_not_filled_again(held_back_ms: int) -> None:
    """A page was away for a while and then heard late: what its next message makes up for is taken from what others may still fill."""
    world = World()
    world.beat(Beat(view="v", lifecycle=Lifecycle.ACTIVE))
    world.beat(Beat(view="beside", lifecycle=Lifecycle.ACTIVE))
    world.beat(Beat(kind=Kind.LEAVE, view="v", lifecycle=Lifecycle.HIDDEN))
    world.advance(20_000)
    world.beat(Beat(view="v", lifecycle=Lifecycle.ACTIVE))
    world.advance(5_000 + held_back_ms)
    world.beat(Beat(view="v", visible_ms=5_000, lifecycle=Lifecycle.ACTIVE))
    world.advance(5_000 - held_back_ms)
    world.beat(Beat(view="v", visible_ms=10_000, lifecycle=Lifecycle.ACTIVE))
    assert [visit.visible_ms for visit in world.visits] == [10_000]
    world.beat(Beat(view="beside", visible_ms=30_000, lifecycle=Lifecycle.ACTIVE))
    assert [visit.visible_ms for visit in world.visits] == [30_000]


def test_nothing_is_filled_from_before_a_window_last_told() -> None:
    """Words after the end count up to the end; what of them is later is not taken for time that the window did not see."""
    world = World()
    world.beat(Beat(view="beside", lifecycle=Lifecycle.ACTIVE))
    world.beat(Beat(kind=Kind.LEAVE, view="beside", lifecycle=Lifecycle.HIDDEN))
    world.advance(20_000)
    world.beat(Beat(view="beside", lifecycle=Lifecycle.ACTIVE))
    world.beat(Beat(view="here", visible_ms=10_000, lifecycle=Lifecycle.ACTIVE))
    world.session = end_session(world.session, EndedBy.SIGNED_OUT, now=world.now)
    world.advance(60_000)
    world.beat(Beat(kind=Kind.LEAVE, view="beside", visible_ms=60_000, lifecycle=Lifecycle.HIDDEN))
    assert [visit.visible_ms for visit in world.visits] == [10_000]


def spans_of(edges: set[int]) -> list[Span]:
    """Take seconds two by two."""
    ordered = sorted(edges)
    return [span for n, span in enumerate(pairwise(ordered)) if n % 2 == 0]


some_spans = st.sets(st.integers(0, 30), min_size=2, max_size=8).map(spans_of)
other_tellings = st.sets(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=12)


@given(windows=st.lists(some_spans, min_size=1, max_size=4), also=other_tellings)
def test_no_moment_counts_twice(windows: list[list[Span]], also: set[tuple[int, int]]) -> None:
    """However many windows come and go, and whenever they tell of it: never more than the union."""
    heard = {(second, number) for second, number in also if number < len(windows) and visible_ms(windows[number], second)}
    world = watch(windows, heard)
    assert sum(visit.visible_ms for visit in world.visits) <= covered_ms(windows)


@given(first=st.sets(st.integers(0, 30), min_size=2, max_size=2).map(spans_of), second=some_spans.map(lambda spans: spans[:1]))
def test_two_windows_are_counted_exactly(first: list[Span], second: list[Span]) -> None:
    """Two windows that each come and go once are counted to the millisecond, whether they overlap, hold one another or are apart."""
    world = watch([first, second])
    assert sum(visit.visible_ms for visit in world.visits) == covered_ms([first, second])


@pytest.mark.parametrize("slower_ms", [1_000, -1_000])
def test_a_smeared_leap_second_costs_a_second_at_most(slower_ms: int) -> None:
    """While the server's clock is slowed down or sped up for 24 h by a second in all, nobody is signed out, and no more than it is lost.

    Clocks of browsers go on as before: https://developers.google.com/time/smear.
    """
    day_ms, steps = 86_400_000, 4_320
    world = World(Policy(absolute_timeout=2 * day_ms))
    for step in range(1, steps + 1):
        world.advance(START + (day_ms - slower_ms) * step // steps - world.now)
        world.beat(Beat(kind=Kind.BEAT, view="v", visible_ms=day_ms * step // steps, lifecycle=Lifecycle.ACTIVE, idle_ms=0))
    (visit,) = world.visits
    assert world.session.ended_at is None
    assert visit.last_seen_at - visit.started_at == day_ms - slower_ms
    assert visit.visible_ms == min(day_ms, day_ms - slower_ms)  # never longer than the visit was open


def test_a_second_that_comes_twice_takes_nothing_and_adds_nothing() -> None:
    """A clock that is not smeared shows a leap second as a step back: the reading goes on, and what the clock told of it counts."""
    world = World()
    for ms in range(0, 60_000, 500):
        world.advance(START + (ms if ms < 30_000 else ms - 1_000) - world.now)
        world.beat(Beat(kind=Kind.BEAT, view="v", visible_ms=ms, lifecycle=Lifecycle.ACTIVE, idle_ms=0))
    (visit,) = world.visits
    assert world.session.ended_at is None
    assert visit.visible_ms == 58_500  # the clock told the second that came twice once
