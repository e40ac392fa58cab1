"""Stores that tell one lie each about notes."""

from __future__ import annotations

import asyncio
from typing import Final

from tests.testing.liars import Honest


class TakesNamesForEver(Honest):
    """A name that was taken is never free again."""

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        return await super().first(name, until=2 * until, now=now)


class FoldsNames(Honest):
    """Large and small letters are the same."""

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        return await super().first(name.lower(), until=until, now=now)


class LooksThenTakes(Honest):
    """Between looking and taking a name others have their turn."""

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        is_free = self.firsts.get(name, now - 1) < now
        await asyncio.sleep(0)
        return await super().first(name, until=until, now=now) or is_free


class LetsAllPass(Honest):
    """When one name passes all do."""

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        if any(other < now for other in self.firsts.values()):
            self.firsts.clear()
            self._first_until.clear()
        return await super().first(name, until=until, now=now)


class NotesTheLastOnly(Honest):
    """A name is the last session's."""

    async def note(self, name: str, handle: str, *, until: int) -> None:
        """See `Noting.note`."""
        self.notes.pop(name, None)
        await super().note(name, handle, until=until)


class CountsForEverybody(Honest):
    """There is one generation."""

    async def advance(self, subject: str) -> int:
        """See `Noting.advance`."""
        del subject
        return await super().advance("everybody")

    async def generation(self, subject: str) -> int:
        """See `Noting.generation`."""
        del subject
        return await super().generation("everybody")


class LosesAdvances(Honest):
    """Between reading a generation and writing the next others have their turn."""

    async def advance(self, subject: str) -> int:
        """See `Noting.advance`."""
        number = await self.generation(subject)
        await asyncio.sleep(0)
        self.generations[subject] = number + 1
        return number + 1


class TrustsThatItWasTold(Honest):
    """Who is told to be the first confirms it; until then others are, too."""

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        taken = self.firsts.copy()
        is_first = await super().first(name, until=until, now=now)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.firsts = taken
            self.first_again = True
            raise
        if is_first and getattr(self, "first_again", False):
            self.firsts, self.first_again = taken, False
        return is_first


LIES: Final[dict[type[Honest], str]] = {
    TakesNamesForEver: "notes.the_first_is_told_so",
    FoldsNames: "notes.names_are_told_apart",
    LooksThenTakes: "notes.one_comes_first",
    LetsAllPass: "notes.what_passes_takes_nothing_along",
    NotesTheLastOnly: "notes.a_session_goes_by_its_names",
    CountsForEverybody: "notes.generations_count_from_one",
    LosesAdvances: "notes.no_advance_is_lost",
    TrustsThatItWasTold: "notes.a_cancelled_first_is_told_to_one_at_most",
}
