"""What the command line shows: visits, totals, living sessions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from rich.console import Console
from rich.table import Table

from stillhere.archive.export import csv_lines, exported
from stillhere.archive.records import VisitFilter, VisitorTotals, VisitReport
from stillhere.core.rules import deadline
from stillhere.errors import StillhereError, StoreError
from stillhere.manager import SessionManager
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from stillhere.archive.archive import Archive
    from stillhere.core.records import Session
    from stillhere.server.settings import Settings


EVERYBODY: Final = 1_000_000
"""The command line shows all there are; this only keeps a mistake from filling the memory."""

Form = Literal["table", "json", "csv"]


async def list_visits(settings: Settings, *, visitor: str | None, limit: int, form: Form) -> None:
    """Write visits to standard output, newest first; as a table with totals of each visitor.

    Args:
        settings: say where the visits are.
        visitor: only this one's, or None for everybody's.
        limit: at most so many.
        form: how.
    """
    async with _open(settings) as manager:
        archive = _archive(manager)
        found = await archive.visits(
            VisitFilter(visitor=visitor, limit=limit),
            beat_interval=manager.policy.beat_interval,
            now=manager.clock(),
        )
        totals = await archive.visitors(visitor=visitor, limit=EVERYBODY)
    if form == "csv":
        async for line in csv_lines(_each(found)):
            sys.stdout.write(line)
    elif form == "json":
        body = {"visits": [exported(visit) for visit in found], "visitors": [_exported_totals(row) for row in totals]}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(body)).decode() + "\n")
    else:
        _show_visits(found, totals)


async def list_sessions(settings: Settings, *, subject: str | None, as_json: bool) -> None:
    """Write living sessions to standard output, the most recently seen first."""
    async with _open(settings) as manager:
        found = await manager.list(subject, limit=EVERYBODY)
    if as_json:
        body = [_exported_session(session) for session in found]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(body)).decode() + "\n")
        return
    table = Table("handle", "subject", "began", "last seen", "last active", "ends unless active", box=None, pad_edge=False)
    for session in found:
        instants = (session.created_at, session.last_seen_at, session.last_active_at, deadline(session))
        table.add_row(session.handle, session.subject, *(_short(at) for at in instants))
    _show(table, empty="Nobody is signed in.", rows=len(found))


async def end_sessions(settings: Settings, *, handle: str | None, subject: str | None) -> None:
    """End one session by its handle, or all of one subject's, and say what happened.

    Raises:
        StillhereError: if there is no such session.
    """
    async with _open(settings) as manager:
        if handle is None:
            count = await manager.end_all(subject or "")
            _console().print(f"Ended {count} {'session' if count == 1 else 'sessions'} of {subject}.")
            return
        verdict = await manager.end_by_handle(handle)
    if verdict.session is None or verdict.ending is None:
        raise StillhereError(f"there is no session {handle!r}; `stillhere sessions list` shows those that live")
    _console().print(f"{handle} of {verdict.session.subject} ended at {instant(verdict.ending.at)}: {verdict.ending.by}.")


def _open(settings: Settings) -> SessionManager:
    for flag, url in (("store", settings.store), ("archive", settings.archive or "")):
        path = url.removeprefix("sqlite:///")
        if path != url and not Path(path).is_file():
            raise StoreError(
                f"there is no file {path}; say where it is with --{flag} sqlite:///path/to/file.db or STILLHERE_{flag.upper()}"
            )
    return SessionManager(settings.store, policy=settings.policy(), archive=settings.archive)


def _archive(manager: SessionManager) -> Archive:
    assert manager.archive is not None  # noqa: S101  # a manager made from a URL has one; this tells the type checker
    return manager.archive


async def _each(visits: Sequence[VisitReport]) -> AsyncIterator[VisitReport]:
    for visit in visits:
        yield visit


def _exported_totals(row: VisitorTotals) -> dict[str, str | int]:
    return {
        "visitor": row.visitor,
        "visits": row.visits,
        "open_ms": row.open_ms,
        "visible_ms": row.visible_ms,
        "active_ms": row.active_ms,
        "first_at": instant(row.first_at),
        "last_at": instant(row.last_at),
    }


def _exported_session(session: Session) -> dict[str, str]:
    return {
        "handle": session.handle,
        "subject": session.subject,
        "created_at": instant(session.created_at),
        "last_seen_at": instant(session.last_seen_at),
        "last_active_at": instant(session.last_active_at),
        "deadline_at": instant(deadline(session)),
    }


def _show_visits(found: Sequence[VisitReport], totals: Sequence[VisitorTotals]) -> None:
    table = Table("visitor", "started (UTC)", "ended", box=None, pad_edge=False)
    for name in ("open", "visible", "active"):
        table.add_column(name, justify="right")
    table.add_column("ended by")
    for visit in found:
        spans = (_span(visit.open_ms), _span(visit.visible_ms), _span(visit.active_ms))
        ended = "still here" if visit.ended_by is None else _short(visit.ended_at)
        table.add_row(visit.visitor, _short(visit.started_at), ended, *spans, visit.ended_by or "")
    _show(table, empty="No visits yet.", rows=len(found))
    if not found:
        return
    table = Table("visitor", box=None, pad_edge=False, title="Totals", title_justify="left")
    for name in ("visits", "open", "visible", "active"):
        table.add_column(name, justify="right")
    for row in totals:
        table.add_row(row.visitor, str(row.visits), _span(row.open_ms), _span(row.visible_ms), _span(row.active_ms))
    _console().print()
    _console().print(table)


def _console() -> Console:
    # What people typed is data: square brackets in it are no markup.
    return Console(markup=False, highlight=False)


def _show(table: Table, *, empty: str, rows: int) -> None:
    _console().print(table if rows else empty)


def _short(at: int) -> str:
    return instant(at)[:19].replace("T", " ")


def _span(ms: int) -> str:
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} m"
    return f"{minutes} m {seconds:02} s" if minutes else f"{seconds} s"
