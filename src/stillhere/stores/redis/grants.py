"""Grants and notes in Redis: one script for each verb that judges and writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from stillhere.core.grants import Swapped
from stillhere.core.policy import LONGEST_SPAN
from stillhere.stores.redis import scripts
from stillhere.stores.redis.layout import TAGS, place_of, read_held, write_grant
from stillhere.stores.redis.servers import Command, script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.core.grants import Grant, Held
    from stillhere.stores.redis.layout import Layout


class GrantsAndNotes(ABC):
    """Those verbs of the store.

    Attributes:
        layout: names the keys.
    """

    layout: Layout
    _due_from = 0  # the part that is asked first

    @abstractmethod
    async def run(self, commands: Sequence[Command], *, writes: bool = False) -> list[Any]:
        """Send commands to wherever their keys are."""

    async def held(self, handle: str, kind: str) -> Held:
        """See `Granting.held`."""
        place, layout = place_of(handle), self.layout
        grants, _ = layout.grants(place.tag, kind)
        ((session, grant),) = await self.run([script(place.tag, scripts.HELD, [layout.sessions[place.tag], grants], place.handle)])
        return read_held(handle, kind, session, grant)

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        place, layout = place_of(grant.handle), self.layout
        keys = [layout.sessions[place.tag], *layout.grants(place.tag, grant.kind), layout.kinds[place.tag]]
        words = (place.handle, grant.kind, write_grant(grant), grant.version, grant.check_at, now)
        ((done, session, held),) = await self.run([script(place.tag, scripts.SWAP, keys, *words)], writes=True)
        return Swapped(done=done == 1, held=read_held(grant.handle, grant.kind, session, held))

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`. Of each part the earliest; and a part that was passed over is the first to be asked next time."""
        layout = self.layout
        asked = [Command(tag, (b"ZCOUNT", layout.grants(tag, kind)[1], b"-inf", now)) for tag in range(TAGS)]
        counts = await self.run(asked)
        calls, room = list[Command](), limit
        for tag in [*range(self._due_from, TAGS), *range(self._due_from)]:
            if room and counts[tag]:
                few = min(room, counts[tag])
                keys = [layout.sessions[tag], *layout.grants(tag, kind)]
                calls.append(script(tag, scripts.DUE, keys, now, until, few))
                room -= few
                self._due_from = tag
        found = []
        for answer in await self.run(calls, writes=True) if calls else ():
            trios = zip(answer[::3], answer[1::3], answer[2::3], strict=True)
            found += [read_held(handle.decode(), kind, session, grant) for handle, session, grant in trios]
        return found

    async def drop(self, handle: str, kind: str, *, version: int) -> bool:
        """See `Granting.drop`."""
        place = place_of(handle)
        call = script(place.tag, scripts.DROP, self.layout.grants(place.tag, kind), place.handle, version)
        (dropped,) = await self.run([call], writes=True)
        return bool(dropped)

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`. If the answer is lost, the second try finds the name taken: nobody can tell by whom."""
        part, key = self.layout.first(name)
        (is_first,) = await self.run([script(part, scripts.FIRST, [key], until, now)], writes=True)
        return bool(is_first)

    async def note(self, name: str, handle: str, *, until: int) -> None:
        """See `Noting.note`."""
        part, key = self.layout.handles(name)
        await self.run([script(part, scripts.NOTE, [key], handle, until)], writes=True)

    async def noted(self, name: str, *, now: int) -> list[str]:
        """See `Noting.noted`."""
        part, key = self.layout.handles(name)
        (handles,) = await self.run([Command(part, (b"ZRANGEBYSCORE", key, now, b"+inf"))])
        return [handle.decode() for handle in handles]

    async def generation(self, subject: str) -> int:
        """See `Noting.generation`."""
        part, key, field = self.layout.generation(subject)
        (number,) = await self.run([Command(part, (b"HGET", key, field))])
        return int(number or 0)

    async def advance(self, subject: str) -> int:
        """See `Noting.advance`."""
        part, key, field = self.layout.generation(subject)
        (number,) = await self.run([script(part, scripts.ADVANCE, [key], field, LONGEST_SPAN)], writes=True)
        return int(number)
