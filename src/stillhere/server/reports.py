"""What the command line shows of living sessions, and what all of its lists have in common."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console
from rich.table import Table

from stillhere.core.lists import read_list
from stillhere.core.rules import deadline
from stillhere.errors import StillhereError, StoreError
from stillhere.manager import SessionManager
from stillhere.words import instant

if TYPE_CHECKING:
    from stillhere.core.records import Session
    from stillhere.server.settings import Settings


EVERYBODY: Final = 1_000_000
"""The command line shows all there are; this only keeps a mistake from filling the memory."""


async def list_sessions(settings: Settings, *, subject: str | None, as_json: bool) -> None:
    """Write living sessions to standard output, the most recently seen first."""
    async with open_manager(settings) as manager:
        found = await manager.list(subject, limit=EVERYBODY)
    if as_json:
        body = [_exported_session(session) for session in found]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(body)).decode() + "\n")
        return
    table = Table("handle", "subject", "began", "last seen", "last active", "ends unless active", box=None, pad_edge=False)
    for session in found:
        instants = (session.created_at, session.last_seen_at, session.last_active_at, deadline(session))
        table.add_row(session.handle, session.subject, *(short(at) for at in instants))
    show(table, empty="Nobody is signed in.", rows=len(found))


async def end_sessions(settings: Settings, *, handle: str | None, subject: str | None) -> None:
    """End one session by its handle, or all of one subject's, and say what happened.

    Raises:
        StillhereError: if there is no such session.
    """
    async with open_manager(settings) as manager:
        if handle is None:
            count = await manager.end_all(subject or "")
            console().print(f"Ended {count} {'session' if count == 1 else 'sessions'} of {subject}.")
            return
        verdict = await manager.end_by_handle(handle)
    if verdict.session is None or verdict.ending is None:
        raise StillhereError(f"there is no session {handle!r}; `stillhere sessions list` shows those that live")
    console().print(f"{handle} of {verdict.session.subject} ended at {instant(verdict.ending.at)}: {verdict.ending.by}.")


def open_manager(settings: Settings) -> SessionManager:
    """Open what is there already; a file that is not there is a mistake of whoever asks.

    Raises:
        SettingsError: if the settings cannot work.
        StoreError: if the store is not there, or cannot be opened.
    """
    for flag, url in (("store", settings.store), ("archive", settings.archive or "")):
        path = url.removeprefix("sqlite:///")
        if path != url and not Path(path).is_file():
            raise StoreError(
                f"there is no file {path}; say where it is with --{flag} sqlite:///path/to/file.db or STILLHERE_{flag.upper()}"
            )
    manager = SessionManager(settings.store, policy=settings.policy(), archive=settings.archive)
    if manager.archive is not None:
        manager.archive.internal = read_list(settings.internal_visitors).patterns
    return manager


def _exported_session(session: Session) -> dict[str, str]:
    return {
        "handle": session.handle,
        "subject": session.subject,
        "created_at": instant(session.created_at),
        "last_seen_at": instant(session.last_seen_at),
        "last_active_at": instant(session.last_active_at),
        "deadline_at": instant(deadline(session)),
    }


def console() -> Console:
    """Give what is written to: standard output."""
    # What people typed is data: square brackets in it are no markup.
    return Console(markup=False, highlight=False)


def show(table: Table, *, empty: str, rows: int) -> None:
    """Write a table, or a sentence if it is empty."""
    console().print(table if rows else empty)


def short(at: int) -> str:
    """Write an instant to the second, in UTC."""
    return instant(at)[:19].replace("T", " ")
