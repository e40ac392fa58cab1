"""Stores for tests of a person's sessions: one in which something happens in between, and one that can do little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stillhere.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from stillhere.core.grants import Grant, Swapped
    from stillhere.core.records import Session
    from stillhere.manager import SessionManager, Started


WHO = "first@fund.example"


class Scripted(MemoryStore):
    """A memory store in which something happens before or after a verb, once.

    Attributes:
        before: by verb.
        after: by verb.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {}
        self.after: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {}

    async def _happen(self, events: dict[str, Callable[[], Coroutine[Any, Any, object]]], verb: str) -> None:
        event = events.pop(verb, None)
        if event is not None:
            await event()

    async def create(self, session: Session) -> None:
        """See `Store.create`."""
        await self._happen(self.before, "create")
        await super().create(session)
        await self._happen(self.after, "create")

    async def generation(self, subject: str) -> int:
        """See `Noting.generation`."""
        found = await super().generation(subject)
        await self._happen(self.after, "generation")
        return found

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        await self._happen(self.before, "rotate")
        rotated = await super().rotate(handle, id_hash, new_id_hash, now=now)
        await self._happen(self.after, "rotate")
        return rotated

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        await self._happen(self.before, "swap")
        return await super().swap(grant, now=now)


class Plain:
    """A store with the seven verbs and listing, and nothing else."""

    def __init__(self, *, lists: bool = True) -> None:
        self.memory = MemoryStore()
        for verb in ("create", "beat", "get", "rotate", "end", "ping", "close", *(("living", "count") if lists else ())):
            setattr(self, verb, getattr(self.memory, verb))


async def lives(manager: SessionManager, started: Started) -> bool:
    """Tell whether a session lives under the id it was given."""
    return (await manager.look(started.secret)).is_alive
