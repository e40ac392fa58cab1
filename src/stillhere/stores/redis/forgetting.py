"""Forgetting in Redis: of those who ended long ago, and of one subject; and the mark that leaves a visit out of every count."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from stillhere.stores.redis import scripts
from stillhere.stores.redis.layout import ENDED, EXCLUDED, INDEXES, place_of, read_sessions
from stillhere.stores.redis.servers import Command, script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stillhere.core.records import Session
    from stillhere.stores.redis.layout import Layout

LOOKS: Final = 25
"""Sessions that one call of a script looks at while it forgets, so that beats never wait long behind it."""

_AT_ONCE: Final = 500


class Forgetting(ABC):
    """Those verbs of the store.

    Attributes:
        layout: names the keys.
    """

    layout: Layout
    _archives: int

    @abstractmethod
    async def run(self, commands: Sequence[Command], *, writes: bool = False) -> list[Any]:
        """Send commands to wherever their keys are."""

    @abstractmethod
    async def _portions(self, most: int = INDEXES) -> list[list[tuple[int, list[bytes]]]]:
        """Name sessions and indexes, part by part, wherever there are any."""

    @abstractmethod
    async def of_subject(self, subject: str) -> list[Session]:
        """Look at all sessions of a subject, also those that have ended."""

    @abstractmethod
    async def sessions(self, handles: Iterable[str]) -> list[Session]:
        """Look at the sessions of these handles, those that there are."""

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Forgetful.forget`. What still waits for the archive stays."""
        forgotten, deleted, highest = 0, 1, f"({ended_before - ENDED}"
        while deleted and forgotten < limit:
            deleted, room = 0, limit - forgotten
            for portion in await self._portions():
                calls = [script(tag, scripts.FIND, keys, "-inf", highest, min(room, LOOKS)) for tag, keys in portion]
                for (tag, _), answer in zip(portion, await self.run(calls), strict=True):
                    deleted += await self.forget_these(tag, read_sessions(answer)[: room - deleted])
            forgotten += deleted
        return forgotten

    async def forget_these(self, tag: int, ended: Sequence[Session]) -> int:
        """Delete sessions of one part that have ended; see `forget`."""
        if not ended:
            return 0
        layout, notes, words = self.layout, list[Command](), list[bytes | int]()
        keys = [layout.sessions[tag], layout.marks[tag], layout.counters[tag], layout.filled[tag]]
        for session in ended:
            place = place_of(session.handle)
            part, key, _ = layout.subject(session.subject)
            notes.append(Command(part, (b"ZREM", key, place.handle)))
            keys += (layout.indexes[place.number], layout.views(place))
            words += (place.handle, place.bit)
        # The note goes first: nobody needs it for one who has ended, and a crash here leaves the rest to the next call.
        kinds, *_ = await self.run([Command(tag, (b"SMEMBERS", layout.kinds[tag])), *notes], writes=True)
        keys += [key for kind in kinds for key in layout.grants(tag, kind.decode())]
        (deleted,) = await self.run([script(tag, scripts.FORGET, keys, self._archives, *words)], writes=True)
        return int(deleted)

    async def erase_subject(self, subject: str) -> bool:
        """See `Archivable.erase_subject`."""
        return not await self.erase(await self.of_subject(subject))

    async def erase(self, sessions: Sequence[Session]) -> set[str]:
        """Delete those of these sessions that have ended, and that no archive waits for; tell the handles of those that are left."""
        parts: dict[int, list[Session]] = {}
        for session in sessions:
            if session.ended_at is not None:  # of one who lives nothing may go, not even the note that finds them
                parts.setdefault(place_of(session.handle).tag, []).append(session)
        for tag, theirs in parts.items():
            for begin in range(0, len(theirs), LOOKS):
                await self.forget_these(tag, theirs[begin : begin + LOOKS])
        return {session.handle for session in await self.sessions(session.handle for session in sessions)}

    async def exclude(self, handle: str, number: int, *, excluded: bool) -> None:
        """Mark a visit that is there as left out of every count, or not. It is a field beside the visit, and goes with it."""
        place, field = place_of(handle), EXCLUDED + b"%d" % number
        key = self.layout.views(place)
        await self.run([Command(place.tag, (b"HSET", key, field, b"1") if excluded else (b"HDEL", key, field))], writes=True)

    async def excluded(self, handles: Sequence[str]) -> dict[str, set[int]]:
        """Tell by session the numbers of the visits that are left out."""
        marks: dict[str, set[int]] = {}
        for begin in range(0, len(handles), _AT_ONCE):
            few = handles[begin : begin + _AT_ONCE]
            places = [place_of(handle) for handle in few]
            answers = await self.run([Command(place.tag, (b"HKEYS", self.layout.views(place))) for place in places])
            for handle, names in zip(few, answers, strict=True):
                marks[handle] = {int(name.removeprefix(EXCLUDED)) for name in names if name.startswith(EXCLUDED)}
        return marks
