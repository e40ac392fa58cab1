"""Visits, visitors, pages and who is here, as the command line writes them: tables for people, files for programs."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stillhere.archive.export import PAGES, VISITORS, VISITS
from stillhere.core.spans import in_words
from stillhere.errors import SettingsError
from stillhere.server.admin.now import Glance
from stillhere.server.querying.asking import TABLES, Asking
from stillhere.server.querying.rows import kept_row
from stillhere.server.reports import console, open_manager, short, show
from stillhere.words import even_span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from stillhere.archive.filters import Chosen
    from stillhere.archive.records import VisitorTotals, VisitReport
    from stillhere.archive.statistics import PageTotals
    from stillhere.server.settings import Settings

Form = Literal["table", "json", "csv", "jsonl", "parquet"]

SHOWN: Final = 100
"""Rows of a table on the screen, unless it is said."""

MOST: Final = 1_000_000


@asynccontextmanager
async def asking_of(settings: Settings) -> AsyncIterator[Asking]:
    """Open the archive for questions."""
    async with open_manager(settings) as manager:
        assert manager.archive is not None  # noqa: S101  # a manager made from a URL has one; this tells the type checker
        yield Asking(manager, manager.archive, zone=settings.zone)


async def list_table(settings: Settings, name: str, words: Mapping[str, str], *, form: Form, output: Path | None) -> None:
    """Write visits, visitors or pages.

    Args:
        settings: say where the visits are.
        name: `visits`, `visitors` or `pages`.
        words: the filter, as in a URL.
        form: how.
        output: file to write to; None is standard output.

    Raises:
        BadFilter: if a word cannot be read.
        MissingExtra: if the form needs a library that is not installed.
    """
    if form == "parquet" and output is None:
        raise SettingsError("a Parquet file is not for a screen; say where it goes with --output FILE")
    async with asking_of(settings) as asking:
        chosen = asking.read(words, longest=MOST, limit=SHOWN)
        if form in {"table", "json"}:
            found = await _found(asking, name, chosen)
            text = _json(name, found) if form == "json" else ""
            with _writing(output) as file:
                file.write(text.encode())
            if form == "table":
                _SHOWS[name](found)
                if any(visit.ended_by is None for visit in found.get(VISITS.name, ())):
                    _say_by_what(settings)
            return
        rows = _counted(asking.rows(name, chosen), None if "limit" not in words else chosen.wanted.limit)
        with _progress(output, await asking.count(name, chosen)) as step:
            body = asking.written(name, form, _stepping(rows, step))
            with _writing(output) as file:
                async for piece in body:
                    file.write(piece)


async def list_here(settings: Settings, *, as_json: bool) -> None:
    """Write who is here now, or left a moment ago."""
    async with asking_of(settings) as asking:
        seen = await Glance(asking.manager, asking.archive).look()
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode({"here": seen.here})).decode() + "\n")
        return
    table = Table("visitor", "device", "page", "since (UTC)", box=None, pad_edge=False)
    for name in ("visible", "active", "last seen"):
        table.add_column(name, justify="right")
    for row in seen.here:
        spans = (
            even_span(row["visibleMs"]),
            even_span(row["activeMs"]),
            "just left" if row["left"] else f"{even_span(row['lastSeenMs'])} ago",
        )
        table.add_row(row["visitor"], row["device"] or "", row["page"] or "", row["startedAt"][:19].replace("T", " "), *spans)
    show(table, empty="Nobody is here.", rows=len(seen.here))
    if seen.here:
        _say_by_what(settings)


def _say_by_what(settings: Settings) -> None:
    """Say on standard error by what somebody is said to be here, if nobody chose it."""
    if "beat_interval" not in settings.model_fields_set:
        words = f"Who is still here is judged by beats every {in_words(settings.beat_interval)}; if the program has another beat_interval"
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"{words}, give its settings with --config.", style="dim")


async def export_subject(settings: Settings, subject: str, output: Path | None) -> None:
    """Write all that is kept of a person, as JSON."""
    async with asking_of(settings) as asking:
        body = kept_row(subject, await asking.archive.of_subject(subject), asking.manager.clock())
    with _writing(output) as file:
        file.write(msgspec.json.format(msgspec.json.encode(body)) + b"\n")


async def erase_subject(settings: Settings, subject: str) -> None:
    """End a person's sessions, delete all that is kept of them, and say how much that was."""
    async with asking_of(settings) as asking:
        erased = await asking.erase(subject)
    console().print(f"Erased {erased.sessions} sessions, {erased.visits} visits and {erased.views} views of {subject}.")


async def _found(asking: Asking, name: str, chosen: Chosen) -> dict[str, Sequence[Any]]:
    """Read what a table shows; of visits also each visitor's totals."""
    when = asking.when
    if name == PAGES.name:
        return {name: await asking.archive.pages(chosen.wanted, **when)}
    found: dict[str, Sequence[Any]] = {}
    everybody = chosen.wanted
    if name == VISITS.name:
        found[name] = await asking.archive.visits(chosen.wanted, **when)
        everybody = replace(everybody, limit=MOST)
    found[VISITORS.name] = await asking.archive.visitors(everybody, beat_interval=when["beat_interval"], now=when["now"])
    return found


def _json(name: str, found: Mapping[str, Sequence[Any]]) -> str:
    body = {table: [TABLES[table].written(row) for row in rows] for table, rows in found.items()}
    return msgspec.json.format(msgspec.json.encode(body if name == VISITS.name else {name: body[name]})).decode() + "\n"


def _show_visits(found: Mapping[str, Sequence[Any]]) -> None:
    visits: Sequence[VisitReport] = found[VISITS.name]
    table = Table("visitor", "started (UTC)", "ended", box=None, pad_edge=False)
    for name in ("open", "visible", "active"):
        table.add_column(name, justify="right")
    table.add_column("ended by")
    for visit in visits:
        spans = (even_span(visit.open_ms), even_span(visit.visible_ms), even_span(visit.active_ms))
        ended = "still here" if visit.ended_by is None else short(visit.ended_at)
        table.add_row(visit.visitor, short(visit.started_at), ended, *spans, visit.ended_by or "")
    show(table, empty="No visits yet.", rows=len(visits))
    if visits:
        console().print()
        _show_visitors(found, title="Totals")


def _show_visitors(found: Mapping[str, Sequence[Any]], *, title: str | None = None) -> None:
    visitors: Sequence[VisitorTotals] = found[VISITORS.name]
    table = Table("visitor", box=None, pad_edge=False, title=title, title_justify="left")
    for name in ("visits", "open", "visible", "active", "median", "minutes"):
        table.add_column(name, justify="right")
    table.add_column("last (UTC)")
    for row in visitors:
        spans = (even_span(span) for span in (row.open_ms, row.visible_ms, row.active_ms, row.median_visible_ms))
        table.add_row(row.visitor, str(row.visits), *spans, str(row.total_minutes), short(row.last_at))
    show(table, empty="No visitors yet.", rows=len(visitors))


def _show_pages(found: Mapping[str, Sequence[Any]]) -> None:
    pages: Sequence[PageTotals] = found[PAGES.name]
    table = Table("page", box=None, pad_edge=False)
    for name in ("views", "visitors", "visible", "a quarter", "median", "three quarters", "scrolled"):
        table.add_column(name, justify="right")
    for row in pages:
        spans = (even_span(int(span)) for span in (row.visible.sum, row.visible.q1, row.visible.median, row.visible.q3))
        table.add_row(row.page, str(row.views), str(row.visitors), *spans, f"{row.scroll.median:.0f} %")
    show(table, empty="No pages yet.", rows=len(pages))


_SHOWS: Final[dict[str, Callable[[Mapping[str, Sequence[Any]]], None]]] = {
    VISITS.name: _show_visits,
    VISITORS.name: _show_visitors,
    PAGES.name: _show_pages,
}


@contextmanager
def _writing(output: Path | None) -> Iterator[BinaryIO]:
    """Open where to write: a file is complete once it has its name."""
    if output is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise SettingsError(f"cannot write {output}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress(output: Path | None, count: int | None) -> Iterator[Callable[[], None]]:
    """Show on standard error how far it is, if a person watches and the rows do not go to the same screen."""
    err = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=output is None or not err.is_terminal, transient=True) as progress:
        task = progress.add_task("rows", total=count)
        yield lambda: progress.advance(task)


async def _stepping(rows: AsyncIterator[Any], step: Callable[[], None]) -> AsyncIterator[Any]:
    async for row in rows:
        yield row
        step()


async def _counted(rows: AsyncIterator[Any], limit: int | None) -> AsyncIterator[Any]:
    left = limit
    async for row in rows:
        if left is not None and left <= 0:
            return
        yield row
        left = None if left is None else left - 1
