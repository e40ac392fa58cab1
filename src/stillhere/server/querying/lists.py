"""Visits, all that they add up to, and who is here, as the command line writes them: tables for people, files for programs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stillhere.archive.export import VISITORS, VISITS, json_of, together
from stillhere.core.spans import in_words
from stillhere.server.admin.now import Glance
from stillhere.server.querying.asking import TABLES, Asking
from stillhere.server.querying.screen import look_of
from stillhere.server.reports import open_manager, show
from stillhere.server.writing import put, writing
from stillhere.words import even_span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from stillhere.archive.filters import Chosen
    from stillhere.server.settings import Settings

Form = Literal["table", "json", "csv", "jsonl", "parquet"]

SHOWN: Final = 100
"""Rows of a table on the screen, unless it is said."""


@asynccontextmanager
async def asking_of(settings: Settings) -> AsyncIterator[Asking]:
    """Open the archive for questions."""
    async with open_manager(settings) as manager:
        assert manager.archive is not None  # noqa: S101  # a manager made from a URL has one; this tells the type checker
        yield Asking(manager, manager.archive, zone=settings.zone)


async def list_table(
    settings: Settings, name: str, words: Mapping[str, str], *, form: Form, output: Path | None = None, limit: int | None = None
) -> None:
    """Write a table: visits, visitors, pages and all the others that there are.

    Args:
        settings: say where the visits are.
        name: of the table, as in `asking.TABLES`.
        words: the filter, as in a URL.
        form: how.
        output: file to write to; None is standard output, and a table for people always goes there.
        limit: at most so many rows; None is as many as fit on a screen, and all of a file.

    Raises:
        BadFilter: if a word cannot be read.
        MissingExtra: if the form needs a library that is not installed.
        SettingsError: if it cannot be written.
    """
    async with asking_of(settings) as asking:
        chosen = asking.read(name, words)
        if form == "table":
            shown = await _show(asking, name, chosen, limit or SHOWN)
            if name == VISITS.name and shown:
                put("\n")
                await _show(asking, VISITORS.name, chosen, limit or SHOWN, title="Totals", all_by="stillhere visitors")
                if any(visit.ended_by is None for visit in shown):
                    _say_by_what(settings)
            return
        asking.prepare(form)
        with _Bar(output) as bar, writing(output) as file:
            rows, count = await (asking.counted if bar.is_shown else asking.rows)(name, chosen)
            if limit is not None:
                rows, count = _first(rows, limit), None if count is None else min(count, limit)
            rows = bar.along(rows, count)
            async for piece in _json(asking, name, chosen, rows) if form == "json" else asking.written(name, form, rows):
                file.write(piece)


async def _show(
    asking: Asking, name: str, chosen: Chosen, limit: int, *, title: str | None = None, all_by: str = "--limit, or --csv for all"
) -> Sequence[Any]:
    """Show the first rows of a table, and say on standard error, which everybody sees, if there are more."""
    rows, count = await asking.rows(name, chosen)
    found = [row async for row in _first(rows, limit + 1)]
    look = look_of(name, chosen.zone)
    show(look.columns, [look.cells(row) for row in found[:limit]], empty=look.empty, title=title)
    if len(found) > limit:
        if name == VISITS.name:
            count = await asking.count(name, chosen)
        _say(f"{'There are' if count is None else f'{count - limit:,}'} more: {all_by}")
    return found[:limit]


def _json(asking: Asking, name: str, chosen: Chosen, rows: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """Write rows as JSON; after visits also what each visitor's add up to."""
    tables = [(TABLES[name], rows)]
    if name == VISITS.name:
        tables.append((VISITORS, _totals(asking, chosen)))
    return together(json_of(tables))


async def _totals(asking: Asking, chosen: Chosen) -> AsyncIterator[Any]:
    rows, _ = await asking.rows(VISITORS.name, chosen)
    async for row in rows:
        yield row


async def list_here(settings: Settings, *, as_json: bool) -> None:
    """Write who is here now, or left a moment ago."""
    async with asking_of(settings) as asking:
        seen = await Glance(asking.manager, asking.archive).look()
    if as_json:
        put(msgspec.json.format(msgspec.json.encode({"here": seen.here})).decode() + "\n")
        return
    rows = [
        (
            row["visitor"],
            row["device"] or "",
            row["page"] or "",
            row["startedAt"][:19].replace("T", " "),
            even_span(row["visibleMs"]),
            even_span(row["activeMs"]),
            "just left" if row["left"] else f"{even_span(row['lastSeenMs'])} ago",
        )
        for row in seen.here
    ]
    show(("visitor", "device", "page", "since (UTC)", ">visible", ">active", ">last seen"), rows, empty="Nobody is here.")
    if rows:
        _say_by_what(settings)


def _say_by_what(settings: Settings) -> None:
    """Say by what somebody is said to be here, if nobody chose it."""
    if "beat_interval" not in settings.model_fields_set:
        words = f"Who is still here is judged by beats every {in_words(settings.beat_interval)}; if the program has another beat_interval"
        _say(f"{words}, give its settings with --config.")


def _say(words: str) -> None:
    """Say something about a table on standard error."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(words, style="dim")


async def export_subject(settings: Settings, subject: str, output: Path | None) -> None:
    """Write all that is kept of a person, as JSON; a file is for nobody else to read.

    Raises:
        BadFilter: if nobody is named.
        SettingsError: if it cannot be written.
    """
    async with asking_of(settings) as asking:
        body = await asking.of_subject(subject)
    with writing(output, private=True) as file:
        file.write(msgspec.json.format(msgspec.json.encode(body)) + b"\n")


async def erase_subject(settings: Settings, subject: str) -> None:
    """End a person's sessions, delete all that is kept of them, and say how much that was."""
    async with asking_of(settings) as asking:
        erased = await asking.erase(subject)
    put(f"Erased {erased.sessions} sessions, {erased.visits} visits and {erased.views} views of {subject}.\n")


class _Bar:
    """Shows on standard error how far it is, if a person watches and the rows do not go to the same screen."""

    def __init__(self, output: Path | None) -> None:
        err = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.is_shown = output is not None and err.is_terminal
        self._progress = Progress(*columns, console=err, disable=not self.is_shown, transient=True)
        self._task = self._progress.add_task("rows", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    async def along(self, rows: AsyncIterator[Any], count: int | None) -> AsyncIterator[Any]:
        self._progress.update(self._task, total=count)
        async for row in rows:
            yield row
            self._progress.advance(self._task)


async def _first(rows: AsyncIterator[Any], limit: int) -> AsyncIterator[Any]:
    left = limit
    async for row in rows:
        yield row
        left -= 1
        if not left:
            return
