"""Random timelines as Hypothesis draws them, so that it can make the shortest one that goes wrong."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from stillhere.core.records import EndedBy, Lifecycle
from stillhere.testing.timelines import PEOPLE, SPANS, RulesStore, Step, begin, claim_by, drive, handle_of, note_rotation, random_timeline
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.stores.every import FullStore

__all__ = ["PEOPLE", "RulesStore", "Step", "begin", "drive", "empty", "handle_of", "note_rotation", "steps", "timelines", "touch_intervals"]

LONG_AFTER = 2 * START

spans = st.one_of(st.sampled_from(SPANS), st.integers(0, 200_000))

claims = st.builds(
    claim_by,
    st.integers(0, PEOPLE),
    st.sampled_from([0, 0, 0, 1]),
    st.one_of(*[st.none()] * 7, st.integers(0, PEOPLE)),
    age_ms=st.one_of(st.just(0), spans),
    active_ago_ms=st.one_of(st.none(), spans),
    on_screen=st.booleans(),
    chosen=st.booleans(),
    opens=st.booleans(),
    leaves=st.booleans(),
    view=st.sampled_from([None, "v1", "v2", "v3"]),
    tab=st.sampled_from([None, "t1", "t2"]),
    page=st.sampled_from([None, "/", "/a", "/ü\N{SNOWMAN}"]),
    title=st.sampled_from([None, "One", "Two"]),
    visible_ms=spans,
    active_ms=spans,
    scroll_pct=st.floats(0, 100),
    lifecycle=st.one_of(st.none(), st.sampled_from(Lifecycle)),
    seq=st.one_of(st.none(), st.integers(0, 5)),
)

# Mostly small: on a clock that leaps most sessions are over before anything has happened to them.
advances = st.one_of(st.sampled_from([0, 1]), st.integers(0, 10_000), st.integers(-10_000, 10_000), st.integers(-20_000, 50_000))

beats = st.builds(Step, advance_ms=advances, claims=st.lists(claims, min_size=1, max_size=4))

steps = st.one_of(
    *[beats] * 6,
    st.builds(Step, advance_ms=advances, ends=st.tuples(st.integers(0, PEOPLE), st.sampled_from([EndedBy.SIGNED_OUT, EndedBy.REVOKED]))),
    st.builds(Step, advance_ms=advances, rotates=st.integers(0, PEOPLE)),
    st.builds(Step, advance_ms=advances, sweeps=st.just(True)),  # a strategy, not a flag
    st.builds(Step, advance_ms=st.one_of(advances, st.integers(0, 200_000)), forgets=st.just(True)),  # as above
)


def _some_of(seed: int, kept: Sequence[bool]) -> list[Step]:
    timeline = random_timeline(random.Random(seed), len(kept), sweeps=True)  # noqa: S311  # a test is to be the same every time
    return [step for step, is_kept in zip(timeline, kept, strict=True) if is_kept]


# What Hypothesis draws by itself is odd, but short: hardly a view is ever opened. What the kit draws goes deep, and is made shorter by
# leaving out steps.
timelines = st.one_of(
    st.lists(steps, min_size=1, max_size=40),
    *[st.builds(_some_of, st.integers(0, 2**32), st.lists(st.sampled_from([False] + [True] * 15), min_size=40, max_size=40))] * 2,
)

touch_intervals = st.sampled_from([0, 0, 1, 5_000, 20_000])


async def empty(store: FullStore) -> None:
    """Forget everybody of the timelines, long after all is over."""
    await store.sweep(limit=2 * PEOPLE, now=LONG_AFTER)
    await store.forget(ended_before=LONG_AFTER, limit=2 * PEOPLE)
    for person in range(PEOPLE):
        assert await store.get(handle_of(person)) is None
