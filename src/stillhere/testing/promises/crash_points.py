"""What stores promise of calls that break off, and of stores that are never closed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from stillhere.core.records import EndedBy, Session
from stillhere.errors import SessionExists, StoreError
from stillhere.stores.protocol import Granting, Listable, Noting, Sweepable, Watchable
from stillhere.testing.clock import START
from stillhere.testing.expect import expect, expect_error, expect_one_of
from stillhere.testing.promise import Need, Trial, promise, sweepable
from stillhere.testing.scene import GAP, IDLE, claim_of, grant_of, id_of, session_of
from stillhere.testing.timelines import PEOPLE, RulesStore, Step, begin, drive, handle_of, note_rotation, random_timeline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from stillhere.stores.protocol import Store
    from stillhere.testing.opener import World

    State = tuple[Session | None, World]
    Call = Callable[[Store, str], Coroutine[Any, Any, object]]

AWAITS: Final = (*range(1, 17), 20, 25, 31, 39, 49, 61, 76, 95)
"""A call is cancelled where it waits for the first time, the second, ...; of one that waits very often not every wait is tried."""

STEPS: Final = 30
"""Steps after which a store is opened anew."""


async def cut_short(call: Coroutine[Any, Any, object], at: int) -> bool:
    """Run a call in a task of its own, and cancel it where it waits for the `at`-th time; tell whether it came so far."""

    async def run() -> bool:
        return await _cancelled(call, at)

    return await asyncio.create_task(run())


@coroutine
def _cancelled(call: Coroutine[Any, Any, object], at: int) -> Generator[Any, Any, bool]:
    """Pass on what a call waits for, as `await` would, and count."""
    task, waits = asyncio.current_task(), 0
    error: BaseException | None = None
    while True:
        try:
            waits_for = call.send(None) if error is None else call.throw(error)
        except StopIteration:
            return waits >= at
        except asyncio.CancelledError:
            return True
        waits += 1
        if task is not None and waits == at:
            task.cancel()
        try:
            yield waits_for
            error = None
        except BaseException as thrown:  # noqa: BLE001  # whatever it is, it is the call's
            error = thrown


async def _state(trial: Trial, store: Store, handle: str) -> State:
    """Read what is kept of a session, once it rests: the work of a cancelled call may go on in a thread or a server."""

    async def read() -> State:
        return await store.get(handle), (await trial.world(store)).of_session(handle)

    states = [await read(), await read()]
    while states[-1] != states[-2]:
        states.append(await read())
    return states[-1]


async def _hold_when_cancelled(trial: Trial, prepare: Callable[[str], Awaitable[object]], call: Call) -> None:
    """Cancel a call at each of its awaits, each time for a new session: all of it is kept or nothing, and repeating it is safe."""
    await prepare("whole")
    await call(trial.store, "whole")
    for at in AWAITS:
        name = f"cut-{at}"
        await prepare(name)
        before = await _state(trial, trial.store, f"handle-{name}")
        broke_off = await cut_short(call(trial.store, name), at)
        async with trial.reopened(trial.store) as again:
            between = await _state(trial, again, f"handle-{name}")
            with suppress(SessionExists):
                await call(trial.store, name)
            after = await _state(trial, again, f"handle-{name}")
        expect(await _state(trial, trial.store, f"handle-{name}"), after, "what the store itself keeps in the end")
        expect(_renamed(after, name, "whole"), _renamed(await _state(trial, trial.store, "handle-whole"), "whole", "whole"))
        expect_one_of(between, (before, after), f"after the call was cancelled at its await {at}")
        if not broke_off:
            return


def _renamed(state: State, name: str, to: str) -> object:
    """Show a state as if it were another name's."""
    session, world = state
    ids = {id_of(name): id_of(to), id_of(f"new {name}"): id_of(f"new {to}")}
    if session is not None:
        session = replace(session, handle=f"handle-{to}", id_hash=ids.get(session.id_hash, "somebody else's"))
    views = [replace(view, handle=f"handle-{to}") for view in world.views]
    return session, views, [replace(visit, handle=f"handle-{to}") for visit in world.visits]


async def _nothing(_name: str) -> None:
    """Prepare nothing."""


@promise()
async def a_cancelled_create_is_whole_or_nothing(trial: Trial) -> None:
    """Wherever `create` is cancelled, the session is there as it was given or not at all, and creating it again is safe."""
    await _hold_when_cancelled(trial, _nothing, lambda store, name: store.create(session_of(name, {"n": 1})))


@promise()
async def a_cancelled_beat_is_whole_or_nothing(trial: Trial) -> None:
    """Wherever `beat` is cancelled, a session, its view and its visit have taken in all of its claims or none."""

    def beat(store: Store, name: str) -> Coroutine[Any, Any, object]:
        claims = [
            claim_of(name, active_ago_ms=ago, opens=True, on_screen=True, view=view, visible_ms=500, seq=1)
            for ago, view in ((900, "v1"), (100, "v2"), (300, "v1"))
        ]
        return store.beat(claims, visit_gap=GAP, touch_interval=0, now=START + 1_000)

    await _hold_when_cancelled(trial, trial.begin, beat)


@promise()
async def a_cancelled_rotation_is_whole_or_nothing(trial: Trial) -> None:
    """Wherever `rotate` is cancelled, the session has its old id or its new one."""
    await _hold_when_cancelled(
        trial, trial.begin, lambda store, name: store.rotate(f"handle-{name}", id_of(name), id_of(f"new {name}"), now=START)
    )


@promise()
async def a_cancelled_end_is_whole_or_nothing(trial: Trial) -> None:
    """Wherever `end` is cancelled, the session lives on as it was or has ended with its reason."""
    await _hold_when_cancelled(trial, trial.begin, lambda store, name: store.end(f"handle-{name}", EndedBy.REVOKED, now=START + 9))


@promise(Need.SWEEPABLE)
async def a_cancelled_sweep_is_whole_or_nothing(trial: Trial) -> None:
    """Wherever `sweep` is cancelled, a lapsed session has no end or ended at its deadline."""
    await _hold_when_cancelled(trial, trial.begin, lambda store, _: sweepable(store).sweep(limit=9, now=START + IDLE))


@promise(Need.SWEEPABLE)
async def a_cancelled_forgetting_is_whole_or_nothing(trial: Trial) -> None:
    """Wherever `forget` is cancelled, a session is there with all its views, or gone with all of them."""

    async def prepare(name: str) -> None:
        await trial.begin(name)
        await trial.beat(claim_of(name, opens=True, on_screen=True, view="v1"), claim_of(name, opens=True, view="v2"))
        await trial.store.end(f"handle-{name}", EndedBy.REVOKED, now=START)

    await _hold_when_cancelled(trial, prepare, lambda store, _: sweepable(store).forget(ended_before=START + 1, limit=9))


@promise(Need.REOPENABLE)
async def what_was_answered_is_kept(trial: Trial) -> None:
    """After every answer a store that is opened anew on the same data has all of it, though the first was never closed."""
    rules, now, rotations = RulesStore(0), START, dict[int, int]()
    await begin(rules, [trial.store])
    certain = Step(1, ends=(0, EndedBy.SIGNED_OUT))  # chance may end nobody who lives
    for step in (certain, *random_timeline(trial.chance, STEPS, sweeps=isinstance(trial.store, Sweepable))):
        now += step.advance_ms
        answers = rules.step(step, now, rotations)
        expect(await drive(trial.store, step, now, rotations, 0), answers)
        note_rotation(step, answers, rotations)
        async with trial.reopened(trial.store) as again:
            handles = [handle_of(person) for person in range(PEOPLE + 1)]
            expect([await again.get(handle) for handle in handles], [rules.sessions.get(handle) for handle in handles])
            if trial.is_shown:
                expect(await trial.world(again), rules.world(), "the views and visits")


@promise(Need.REOPENABLE)
async def what_was_kept_outlives_a_close(trial: Trial) -> None:
    """A store that is closed and opened anew has everything, and goes on."""
    session = await trial.begin("a")
    await trial.beat(claim_of("a", opens=True, on_screen=True, view="v"))
    world = await trial.world(trial.store)
    await trial.store.close()
    async with trial.reopened(trial.store) as again:
        expect(await again.get(session.handle), session)
        expect(await trial.world(again), world, "the views and visits")
        (outcome,) = await again.beat([claim_of("a", active_ago_ms=0)], visit_gap=GAP, touch_interval=0, now=START + 7)
        expect(outcome.session, replace(session, last_active_at=START + 7, last_seen_at=START + 7))


@promise()
async def a_closed_store_says_so(trial: Trial) -> None:
    """After `close` every verb is `StoreError`, never absence: nobody may take a closed store for an empty one."""
    store = trial.store
    await trial.begin("a")
    await store.close()
    await store.close()
    uses: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: store.create(session_of("b")),
        "beat": lambda: trial.beat(claim_of("a")),
        "get": lambda: store.get("handle-a"),
        "rotate": lambda: store.rotate("handle-a", id_of("a"), id_of("b"), now=START),
        "end": lambda: store.end("handle-a", EndedBy.REVOKED, now=START),
        "ping": store.ping,
    }
    if isinstance(store, Listable):
        uses["living"] = lambda: store.living(subject=None, limit=1, now=START)
        uses["count"] = lambda: store.count(now=START)
    if isinstance(store, Sweepable):
        uses["sweep"] = lambda: store.sweep(limit=1, now=START)
        uses["forget"] = lambda: store.forget(ended_before=START, limit=1)
    if isinstance(store, Watchable):
        uses["watch"] = lambda: anext(store.watch())
    if isinstance(store, Granting):
        uses["held"] = lambda: store.held("handle-a", "provider")
        uses["swap"] = lambda: store.swap(grant_of("a"), now=START)
        uses["due_grants"] = lambda: store.due_grants("provider", limit=1, now=START, until=START)
        uses["drop"] = lambda: store.drop("handle-a", "provider", version=1)
    if isinstance(store, Noting):
        uses["first"] = lambda: store.first("name", until=START, now=START)
        uses["note"] = lambda: store.note("name", "handle-a", until=START)
        uses["noted"] = lambda: store.noted("name", now=START)
        uses["generation"] = lambda: store.generation("subject")
        uses["advance"] = lambda: store.advance("subject")
    for verb, use in uses.items():
        with expect_error(StoreError, f"`{verb}` of a closed store"):
            await use()
