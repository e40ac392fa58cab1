"""What a promise is, and the bench on which a store is held to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import msgspec

from stillhere.stores.protocol import Granting, Listable, Noting, Store, Sweepable, Watchable
from stillhere.testing.clock import START
from stillhere.testing.expect import PromiseBroken
from stillhere.testing.scene import GAP, session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from stillhere.core.records import Claim, Outcome, Session
    from stillhere.testing.opener import Opener, World

TIME_LIMIT_S: Final = 60
"""A promise that is not kept by then is broken: the store hangs."""

ROUNDS: Final = 10
"""How many races are run and random timelines drawn, unless told otherwise."""


class Need(Enum):
    """What a promise takes for granted; its value says what is amiss where it is not there."""

    LISTABLE = "the store has no `living` and `count`"
    SWEEPABLE = "the store has no `sweep` and `forget`"
    WATCHABLE = "the store has no `watch`"
    GRANTING = "the store has no `held`, `swap`, `due_grants` and `drop`"
    NOTING = "the store has no `first`, `note`, `noted`, `generation` and `advance`"
    REOPENABLE = "its data cannot be opened again: there is no `reopen`"
    SHOWN = "its views and visits cannot be seen: there is no `world`"


class LeftOut(Exception):
    """A promise cannot be asked of this store; the text says why."""


class ListableStore(Store, Listable, Protocol):
    """A store that lists."""


class SweepableStore(Store, Sweepable, Protocol):
    """A store that sweeps and forgets."""


class WatchableStore(Store, Watchable, Protocol):
    """A store that tells of ends."""


class GrantingStore(Store, Granting, Protocol):
    """A store that keeps grants."""


class NotingStore(Store, Noting, Protocol):
    """A store that keeps notes."""


def listable(store: Store) -> ListableStore:
    """Take a store for one that lists; the promise needs it."""
    return cast("ListableStore", store)


def sweepable(store: Store) -> SweepableStore:
    """Take a store for one that sweeps; the promise needs it."""
    return cast("SweepableStore", store)


def watchable(store: Store) -> WatchableStore:
    """Take a store for one that tells of ends; the promise needs it."""
    return cast("WatchableStore", store)


def granting(store: Store) -> GrantingStore:
    """Take a store for one that keeps grants; the promise needs it."""
    return cast("GrantingStore", store)


def noting(store: Store) -> NotingStore:
    """Take a store for one that keeps notes; the promise needs it."""
    return cast("NotingStore", store)


class Trial:
    """A fresh store, and what it takes to hold it to a promise.

    Args:
        opener: opens stores.
        store: the fresh one.
        closing: closes what is opened later.
        chance: draws random numbers, the same ones every time.
        rounds: how many races and random timelines there are to be.

    Attributes:
        store: the store on trial, empty at first.
        chance: as above.
        rounds: as above.
    """

    def __init__(self, opener: Opener[Any], store: Store, closing: AsyncExitStack, chance: random.Random, rounds: int) -> None:
        """Keep them."""
        self._opener = opener
        self._closing = closing
        self.store = store
        self.chance = chance
        self.rounds = rounds

    async def begin(
        self, name: str, attributes: Mapping[str, object] | None = None, *, subject: str = "first@fund.example", now: int = START
    ) -> Session:
        """Create the session of a name."""
        session = session_of(name, attributes, subject=subject, now=now)
        await self.store.create(session)
        return session

    async def beat(self, *claims: Claim, now: int = START, touch_interval: int = 0) -> list[Outcome]:
        """Send a batch."""
        return await self.store.beat(claims, visit_gap=GAP, touch_interval=touch_interval, now=now)

    async def another(self) -> Store:
        """Open another store on the same data, the first still being open; the very same one if the data cannot be opened twice."""
        store = await self._opener.again(self.store)
        if store is not self.store:
            self._closing.push_async_callback(store.close)
        return cast("Store", store)

    async def several(self) -> list[Store]:
        """Give four stores on the same data."""
        return [self.store, *[await self.another() for _ in range(3)]]

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Store]:
        """Open one more store that is empty, and close it at the end of the block."""
        store = await self._opener.fresh()
        try:
            yield store
        finally:
            await store.close()

    @asynccontextmanager
    async def reopened(self, store: Store) -> AsyncIterator[Store]:
        """Open a store's data again, as after a crash: nothing was closed; for the time of the block."""
        again = await self._opener.again(store)
        try:
            yield again
        finally:
            if again is not store:
                await again.close()

    async def world(self, store: Store) -> World:
        """Show all views and visits of a store; none if they cannot be seen."""
        return await self._opener.world(store)

    @property
    def is_shown(self) -> bool:
        """The store's views and visits can be seen."""
        return self._opener.can_show


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that every store promises.

    Attributes:
        name: its group and what it says, such as `create.never_overwrites`.
        sentence: the promise.
        needs: what it takes for granted.
        work: finds out whether a store keeps it.
    """

    name: str
    sentence: str
    needs: frozenset[Need]
    work: Callable[[Trial], Awaitable[None]]

    async def check(self, opener: Opener[Any], *, rounds: int = ROUNDS) -> None:
        """Hold a fresh store to it.

        Args:
            opener: opens the store.
            rounds: how many races are run and random timelines drawn.

        Raises:
            PromiseBroken: if the store does not keep it, hangs, or raises what it should not.
            LeftOut: if it cannot be asked of this store.
        """
        __tracebackhide__ = True  # pytest shows the promise, not how it was asked
        try:
            async with asyncio.timeout(TIME_LIMIT_S + rounds), AsyncExitStack() as closing:
                store = await opener.fresh()
                closing.push_async_callback(store.close)
                self._refuse_if_missing(_given(opener, store))
                chance = random.Random(self.name)  # noqa: S311  # a test is to be the same every time
                await self.work(Trial(opener, store, closing, chance, rounds))
        except LeftOut:
            raise
        except PromiseBroken as broken:
            broken.promise = f"{self.name}: {self.sentence}"
            raise
        except Exception as error:
            trouble = PromiseBroken(f"  raised   {type(error).__name__}: {str(error) or 'it took too long'}")
            trouble.promise = f"{self.name}: {self.sentence}"
            raise trouble from error

    def _refuse_if_missing(self, given: set[Need]) -> None:
        missing = self.needs - given
        if missing:
            raise LeftOut("; ".join(sorted(need.value for need in missing)))


def _given(opener: Opener[Any], store: Store) -> set[Need]:
    given = {
        Need.LISTABLE: isinstance(store, Listable),
        Need.SWEEPABLE: isinstance(store, Sweepable),
        Need.WATCHABLE: isinstance(store, Watchable),
        Need.GRANTING: isinstance(store, Granting),
        Need.NOTING: isinstance(store, Noting),
        Need.REOPENABLE: opener.can_reopen,
        Need.SHOWN: opener.can_show,
    }
    return {need for need, is_there in given.items() if is_there}


def promise(*needs: Need) -> Callable[[Callable[[Trial], Awaitable[None]]], Promise]:
    """Make a promise of a function: its group is its module, its sentence its docstring."""

    def make(work: Callable[[Trial], Awaitable[None]]) -> Promise:
        name = f"{work.__module__.rpartition('.')[2]}.{work.__name__}"
        return Promise(name=name, sentence=" ".join((work.__doc__ or name).split()), needs=frozenset(needs), work=work)

    return make
