"""What `forget` promises."""

from __future__ import annotations

from stillhere.core.records import EndedBy
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Need, Trial, promise, sweepable
from stillhere.testing.scene import ABSOLUTE, UNKNOWN, claim_of, session_of


@promise(Need.SWEEPABLE)
async def deletes_what_ended_long_ago(trial: Trial) -> None:
    """Who ended before the instant is gone; who ended later, or lives, is untouched."""
    store = sweepable(trial.store)
    for name in "abc":
        await trial.begin(name)
    await store.end("handle-a", EndedBy.REVOKED, now=START + 10)
    ended = await store.end("handle-b", EndedBy.REVOKED, now=START + 20)
    expect(await store.forget(ended_before=START + 20, limit=10), 1, "how many were forgotten")
    expect(await store.forget(ended_before=START + 20, limit=10), 0, "how many were forgotten the second time")
    expect([await store.get(f"handle-{name}") for name in "abc"], [None, ended.session, session_of("c")])
    expect(await trial.beat(claim_of("a")), [UNKNOWN])


@promise(Need.SWEEPABLE, Need.SHOWN)
async def takes_views_and_visits_along(trial: Trial) -> None:
    """Of a session that is forgotten no view and no visit is left, and those of others stay."""
    for name in "ab":
        await trial.begin(name)
    await trial.beat(*(claim_of(name, opens=True, on_screen=True, view="v") for name in "ab"))
    before = await trial.world(trial.store)
    await trial.store.end("handle-a", EndedBy.REVOKED, now=START + 10)
    await sweepable(trial.store).forget(ended_before=START + 11, limit=10)
    expect([len(before.views), len(before.visits)], [2, 2], "how many views and visits there were")
    expect(await trial.world(trial.store), before.of_session("handle-b"))


@promise(Need.SWEEPABLE)
async def is_bounded(trial: Trial) -> None:
    """No more are deleted at once than was asked for, and going on deletes all of them."""
    store = sweepable(trial.store)
    for n in range(7):
        await trial.begin(str(n))
        await store.end(f"handle-{n}", EndedBy.REVOKED, now=START)
    expect([await store.forget(ended_before=START + 1, limit=3) for _ in range(4)], [3, 3, 1, 0])


@promise(Need.SWEEPABLE)
async def spares_whose_end_nobody_told(trial: Trial) -> None:
    """A session that lapsed but whose end nobody recorded is not forgotten: its end is told first."""
    store = sweepable(trial.store)
    await trial.begin("a")
    expect(await store.forget(ended_before=START + ABSOLUTE, limit=10), 0)
    expect(len(await store.sweep(limit=10, now=START + ABSOLUTE)), 1, "how many the sweep ended")
    expect(await store.forget(ended_before=START + ABSOLUTE, limit=10), 1)
