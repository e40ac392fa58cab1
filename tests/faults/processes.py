"""Work for several processes on one store, all let go at the same moment."""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from stillhere.core.policy import Policy
from stillhere.core.records import EndedBy
from stillhere.errors import EndedEverywhere, SessionExists, StoreError, TooManySessions
from stillhere.manager import SessionManager, Started
from stillhere.stores import open_store
from tests.forked import FORKS
from tests.stores.every import GAP, FullStore, claim_of, id_of, session_of
from tests.support import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.synchronize import Barrier

    from stillhere.core.policy import SessionLimitBy
    from stillhere.core.records import Claim, Outcome

Result = TypeVar("Result")

BATCH = 25
"""Beats of one process that ride together."""

WHO = "first@fund.example"

_together: list[Barrier] = []


def at_once(work: Callable[..., Result], arguments: Sequence[tuple[Any, ...]]) -> list[Result]:
    """Call `work` with each tuple of arguments in a process of its own; all begin when the last of them is ready."""
    barrier = FORKS.Barrier(len(arguments))
    with ProcessPoolExecutor(len(arguments), mp_context=FORKS, initializer=_meet, initargs=(barrier,)) as pool:
        return [future.result() for future in [pool.submit(_wait_and_work, work, args) for args in arguments]]


def _meet(barrier: Barrier) -> None:
    _together.append(barrier)


def _wait_and_work(work: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    # Nobody gets two tasks: whoever has one waits until as many as there are processes wait.
    _together[0].wait(timeout=60)
    return work(*arguments)


def opened(url: str) -> FullStore:
    """Open a store as one process does."""
    return cast("FullStore", open_store(url)[0])


def open_and_create(url: str, name: str) -> bool:
    """Open a store, perhaps as the first, and create a session of one's own in it."""

    async def work() -> bool:
        store = opened(url)
        await store.create(session_of(name))
        found = await store.get(f"handle-{name}")
        await store.close()
        return found == session_of(name)

    return asyncio.run(work())


def beat_own_view(url: str, view: str, beats: int, step_ms: int) -> list[int]:
    """Report a view of the session `a` so many times, in batches; tell when the server thought it was seen."""

    async def work() -> list[int]:
        store = opened(url)
        seen = []
        for begin in range(1, beats + 1, BATCH):
            numbers = range(begin, begin + BATCH)
            now = START + numbers[-1] * step_ms
            claims = [
                claim_of(
                    "a",
                    age_ms=(numbers[-1] - n) * step_ms,
                    view=view,
                    opens=True,
                    on_screen=True,
                    visible_ms=n * step_ms,
                    active_ms=n * step_ms // 8,
                    scroll_pct=n * 100 / beats,
                    active_ago_ms=(numbers[-1] - n) * step_ms,
                    seq=n,
                )
                for n in numbers
            ]
            for outcome in await _answered(store, claims, now):
                assert outcome.session is not None
                seen.append(outcome.session.last_seen_at)
        await store.close()
        return seen

    return asyncio.run(work())


async def _answered(store: FullStore, claims: list[Claim], now: int) -> list[Outcome]:
    """Beat until it is answered, as clients do: of eight at one file somebody may be told after five seconds that it is busy."""
    for _ in range(20):
        with suppress(StoreError):
            return await store.beat(claims, visit_gap=GAP, touch_interval=0, now=now)
    raise AssertionError("nobody answers")


def create_same(url: str, process: int, tries: int) -> list[int]:
    """Create sessions of handles that others create too; tell which were won."""

    async def work() -> list[int]:
        store = opened(url)
        won = []
        for n in range(tries):
            try:
                await store.create(session_of(str(n), {"by": process}))
                won.append(n)
            except SessionExists:
                pass
        await store.close()
        return won

    return asyncio.run(work())


def rotate_same(url: str, process: int, sessions: int) -> list[int]:
    """Rotate sessions that others rotate too, by the ids they all know; tell which were won."""

    async def work() -> list[int]:
        store = opened(url)
        rotated = [await store.rotate(f"handle-{n}", id_of(str(n)), id_of(f"{n}, by {process}"), now=START) for n in range(sessions)]
        await store.close()
        return [n for n, session in enumerate(rotated) if session is not None]

    return asyncio.run(work())


def end_same(url: str, by: str, sessions: int) -> list[int]:
    """End sessions that others end too; tell which ends were recorded here."""

    async def work() -> list[int]:
        store = opened(url)
        ended = [n for n in range(sessions) if (await store.end(f"handle-{n}", EndedBy(by), now=START + 1)).ended_now]
        await store.close()
        return ended

    return asyncio.run(work())


def sweep_all(url: str, now: int) -> list[str]:
    """Sweep, a few at a time, until nothing is left; tell the handles of those whose end was recorded here."""

    async def work() -> list[str]:
        store = opened(url)
        swept: list[str] = []
        while ended := await store.sweep(limit=7, now=now):
            swept += [session.handle for session in ended]
        await store.close()
        return swept

    return asyncio.run(work())


def sign_in_with_limit(url: str, by: SessionLimitBy, limit: int, times: int) -> list[str]:
    """Sign the same person in so many times at once, under a limit; tell the handles of those who were let in."""

    async def work() -> list[str]:
        manager = SessionManager(url, policy=Policy(session_limit=limit, session_limit_by=by), clock=FakeClock())
        results = await asyncio.gather(*(manager.start(WHO) for _ in range(times)), return_exceptions=True)
        await manager.close()
        assert all(isinstance(result, Started | TooManySessions) for result in results), results
        return [result.session.handle for result in results if isinstance(result, Started)]

    return asyncio.run(work())


def sign_in_and_end_everywhere(url: str, ends: bool) -> dict[str, int]:  # noqa: FBT001  # one of the arguments of `at_once`
    """End everything twenty times, or sign in 80 times meanwhile; tell those who were let in, and their fences."""

    async def work() -> dict[str, int]:
        manager, let_in = SessionManager(url, clock=FakeClock()), dict[str, int]()
        for _ in range(20 if ends else 80):
            if ends:
                await manager.end_all(WHO)
                continue
            fence = await manager.people.generation(WHO)
            with suppress(EndedEverywhere):
                let_in[(await manager.start(WHO, fence=fence)).session.handle] = fence
        await manager.close()
        return let_in

    return asyncio.run(work())


def prove_again(url: str, secrets: list[str], step_up_ms: int) -> list[str]:
    """Re-authenticate sessions that others re-authenticate too; tell the new secrets that were won."""

    async def work() -> list[str]:
        manager = SessionManager(url, clock=FakeClock())
        proved = [await manager.reauthenticated(secret, step_up_ms=step_up_ms) for secret in secrets]
        await manager.close()
        return [one.secret for one in proved if one is not None]

    return asyncio.run(work())
