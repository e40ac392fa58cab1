"""How the kit gets at a store: fresh ones, and others on the same data."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

from stillhere.core.records import View, Visit
from stillhere.stores.protocol import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

StoreT = TypeVar("StoreT", bound=Store)

Value = TypeVar("Value")


class World(msgspec.Struct, frozen=True):
    """All views and visits that a store keeps, sorted, so that two of them can be compared.

    Attributes:
        views: by handle and name.
        visits: by handle and number.
    """

    views: list[View]
    visits: list[Visit]

    @classmethod
    def of(cls, views: Iterable[View], visits: Iterable[Visit]) -> World:
        """Sort what comes in any order."""
        return cls(
            sorted(views, key=lambda view: (view.handle, view.view)),
            sorted(visits, key=lambda visit: (visit.handle, visit.number)),
        )

    def of_session(self, handle: str) -> World:
        """Keep what belongs to one session."""
        return World([view for view in self.views if view.handle == handle], [visit for visit in self.visits if visit.handle == handle])


class Opener(Generic[StoreT]):
    """Says how to open a store, for `check_store` and `StoreContract`. Each callable may be plain or async.

    Args:
        open_store: opens a fresh store that is empty, whatever was opened before.
        reopen: opens another store on the data of one that was opened, which may still be in use, or was left without `close`.
        durable: the data outlives the store. Say False for a store that keeps it in memory only and cannot be reopened.
        world: shows all views and visits that a store keeps. Without it, promises of what is remembered of them are left out.

    Raises:
        ValueError: if a durable store comes without `reopen`.
    """

    def __init__(
        self,
        open_store: Callable[[], StoreT | Awaitable[StoreT]],
        *,
        reopen: Callable[[StoreT], StoreT | Awaitable[StoreT]] | None = None,
        durable: bool = True,
        world: Callable[[StoreT], World | Awaitable[World]] | None = None,
    ) -> None:
        """Keep the callables; open nothing yet."""
        if durable and reopen is None:
            raise ValueError("a durable store is checked by opening its data again: give `reopen`, or say durable=False")
        self._open = open_store
        self._reopen = reopen
        self._world = world

    @property
    def can_reopen(self) -> bool:
        """Its data can be opened again."""
        return self._reopen is not None

    @property
    def can_show(self) -> bool:
        """Its views and visits can be seen."""
        return self._world is not None

    async def fresh(self) -> StoreT:
        """Open a store that is empty."""
        return await _awaited(self._open())

    async def again(self, store: Store) -> StoreT:
        """Open another store on the same data; where that cannot be, give the very same one."""
        opened = cast("StoreT", store)
        return opened if self._reopen is None else await _awaited(self._reopen(opened))

    async def world(self, store: Store) -> World:
        """Show all views and visits of a store; none if it cannot show them."""
        return World([], []) if self._world is None else await _awaited(self._world(cast("StoreT", store)))


async def _awaited(value: Value | Awaitable[Value]) -> Value:
    return await value if inspect.isawaitable(value) else value
