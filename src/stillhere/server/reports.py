"""What the command line shows of living sessions, and what all of its lists have in common."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from stillhere.core.lists import read_list
from stillhere.core.rules import deadline
from stillhere.errors import StillhereError, StoreError
from stillhere.manager import SessionManager
from stillhere.server.writing import put
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stillhere.core.records import Session
    from stillhere.server.settings import Settings


EVERYBODY: Final = 1_000_000
"""The command line shows all there are; this only keeps a mistake from filling the memory."""

_GAP: Final = 2
"""Blanks between columns."""

_NARROW: Final = 20
"""The first column becomes no narrower. Where even that is too much, the terminal breaks lines."""


async def list_sessions(settings: Settings, *, subject: str | None, as_json: bool) -> None:
    """Write living sessions to standard output, the most recently seen first."""
    async with open_manager(settings) as manager:
        found = await manager.list(subject, limit=EVERYBODY)
    if as_json:
        body = [_exported_session(session) for session in found]
        put(msgspec.json.format(msgspec.json.encode(body)).decode() + "\n")
        return
    instants = [(one.created_at, one.last_seen_at, one.last_active_at, deadline(one)) for one in found]
    rows = [(one.handle, one.subject, *map(short, at)) for one, at in zip(found, instants, strict=True)]
    show(("handle", "subject", "began", "last seen", "last active", "ends unless active"), rows, empty="Nobody is signed in.")


async def end_sessions(settings: Settings, *, handle: str | None, subject: str | None) -> None:
    """End one session by its handle, or all of one subject's, and say what happened.

    Raises:
        StillhereError: if there is no such session.
    """
    async with open_manager(settings) as manager:
        if handle is None:
            count = await manager.end_all(subject or "")
            put(f"Ended {count} {'session' if count == 1 else 'sessions'} of {subject}.\n")
            return
        verdict = await manager.end_by_handle(handle)
    if verdict.session is None or verdict.ending is None:
        raise StillhereError(f"there is no session {handle!r}; `stillhere sessions list` shows those that live")
    put(f"{handle} of {verdict.session.subject} ended at {instant(verdict.ending.at)}: {verdict.ending.by}.\n")


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


@contextmanager
def console(*, soft_wrap: bool = False) -> Iterator[Console]:
    """Give something to print on; what was printed goes to standard output at the end of the block.

    Args:
        soft_wrap: leave it to the terminal where lines go on.

    Raises:
        SettingsError: if it cannot be written.
    """
    text, screen = io.StringIO(), Console()
    # What people typed is data: square brackets in it are no markup.
    yield Console(file=text, force_terminal=screen.is_terminal, width=screen.width, soft_wrap=soft_wrap, markup=False, highlight=False)
    put(text.getvalue())


def show(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str, title: str | None = None) -> None:
    """Write a table, or a sentence if it is empty. No character is left out: in a narrow window cells go on in a line below.

    Args:
        columns: what they are called; those whose name begins with `>` hold numbers. The first is the last to become narrower.
        rows: their cells.
        empty: the sentence.
        title: stands above.
    """
    if not rows:
        put(f"{empty}\n")
        return
    screen = Console()
    names = [column.lstrip(">") for column in columns]
    cells = [[name, *column] for name, column in zip(names, zip(*rows, strict=True), strict=True)]
    # Where nobody watches, a program reads, and wants a row in a line.
    widths = _widths(cells, screen.width if sys.stdout.isatty() else None)
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for column, name, width in zip(columns, names, widths, strict=True):
        table.add_column(name, justify="right" if column.startswith(">") else "left", width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    wide = sum(widths) + _GAP * len(widths)
    Console(file=text, force_terminal=screen.is_terminal, width=wide, markup=False, highlight=False).print(table)
    put(text.getvalue())


def _widths(cells: list[list[str]], most: int | None) -> list[int]:
    """Tell how wide columns are: as their widest cells, or so that all fit. The first gives way last, others as far as words do."""
    widths = [max(cell_len(cell) for cell in column) for column in cells]
    excess = 0 if most is None else sum(widths) + _GAP * (len(widths) - 1) - most
    for n in (*range(1, len(widths)), 0):
        least = max((cell_len(word) for cell in cells[n] for word in cell.split()), default=0) if n else _NARROW
        less = max(0, min(excess, widths[n] - least))
        widths[n] -= less
        excess -= less
    return widths


def short(at: int) -> str:
    """Write an instant to the second, in UTC."""
    return instant(at)[:19].replace("T", " ")
