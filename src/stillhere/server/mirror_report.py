"""Mirrors on the command line: how they stand, what was refused, and what is tried again."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import msgspec
from rich.table import Table
from rich.text import Text

from stillhere.errors import SettingsError, StillhereError
from stillhere.server.mirror_routes import MOST_LETTERS, shown, shown_letter
from stillhere.server.mirroring import Mirroring
from stillhere.server.reports import console, open_manager
from stillhere.server.sweeper import for_ever
from stillhere.server.writing import put
from stillhere.words import even_span, instant

if TYPE_CHECKING:
    from stillhere.mirrors.records import DeadLetter, MirrorState
    from stillhere.server.settings import Settings


async def list_mirrors(settings: Settings, *, as_json: bool) -> None:
    """Write how the mirrors stand, and their dead letters, to standard output."""
    async with open_manager(settings) as manager:
        mirroring = Mirroring(manager, settings)
        states = await mirroring.states()
        letters = {drain.mirror.name: await drain.outbox.dead(drain.mirror.name, limit=MOST_LETTERS) for drain in mirroring.drains}
    if as_json:
        body = [{**shown(state), "letters": [shown_letter(one) for one in letters.get(state.name, [])]} for state in states]
        put(msgspec.json.format(msgspec.json.encode(body)).decode() + "\n")
        return
    _show(states, letters)


async def revive(settings: Settings, name: str, letter: str | None, *, drop: bool) -> None:
    """Try one dead letter of a mirror again, or drop it; without one try the mirror and all its dead letters again.

    Raises:
        StillhereError: if there is no such mirror, or no such letter.
    """
    async with open_manager(settings) as manager:
        mirroring = Mirroring(manager, settings)
        count = await _revive(mirroring, name, letter, drop=drop)
    put(f"{count} {'dropped' if drop else 'to be tried again'}\n")


async def run_mirrors(settings: Settings) -> None:
    """Tell other systems until SIGTERM or Ctrl-C: beside an application that keeps its sessions by itself.

    Raises:
        SettingsError: if no mirror is set, or a setting cannot work.
    """
    async with open_manager(settings) as manager:
        mirroring = Mirroring(manager, settings)
        upkeep = mirroring.upkeep()
        if not upkeep:
            raise SettingsError("no mirror is set; see docs/mirrors.md")
        work = [asyncio.ensure_future(for_ever(one.work, what=one.what, interval_ms=one.interval_ms)) for one in upkeep]
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, lambda: [one.cancel() for one in work])
        put(f"telling {', '.join(one.mirror.name for one in mirroring.drains) or 'of each day'}\n")
        await asyncio.gather(*work, return_exceptions=True)
        await mirroring.close()


async def _revive(mirroring: Mirroring, name: str, letter: str | None, *, drop: bool) -> int:
    if letter is None:
        retried = await mirroring.retry(name)
        if retried is None:
            raise _unknown(mirroring, name)
        return retried
    drain = mirroring.named(name)
    if drain is None:
        raise _unknown(mirroring, name)
    if not await drain.outbox.revive(name, letter, drop=drop, now=drain.clock()):
        raise StillhereError(f"{name} has no dead letter {letter!r}; stillhere mirrors list shows them")
    if not drop:
        await mirroring.wake(name)
    return 1


def _unknown(mirroring: Mirroring, name: str) -> StillhereError:
    known = ", ".join(mirroring.names()) or "none is set"
    return StillhereError(f"there is no mirror {name!r}; there is: {known}")


def _show(states: list[MirrorState], letters: dict[str, list[DeadLetter]]) -> None:
    if not states:
        put("No mirror is set; see docs/mirrors.md.\n")
        return
    table = Table("mirror", "state", "waiting", "for", "sent", "dead", "last error", box=None, pad_edge=False)
    for one in states:
        cells = (one.name, one.state, str(one.pending), even_span(one.lag_ms), str(one.sent), str(one.dead), one.last_error or "")
        table.add_row(*(Text(cell) for cell in cells))
    with console(soft_wrap=True) as out:
        out.print(table)
        for name, dead in letters.items():
            for letter in dead:
                out.print(f"{name}: {letter.id} after {letter.attempts} attempts at {instant(letter.at)}: {letter.error}")
