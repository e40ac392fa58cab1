"""One visit as every way out of the program tells it: archive, API, files, command line, and what the dashboard shows."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
import sys
import urllib.request
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from stillhere import Policy, SessionManager, seconds
from stillhere.archive.records import VisitFilter
from stillhere.words import instant
from tests.e2e.board import OPERATOR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.e2e.board import Board


class Visit(NamedTuple):
    """A visit, whoever told it: instants in ISO 8601, spans in milliseconds."""

    id: str
    visitor: str
    started_at: str
    ended_at: str
    open_ms: int
    visible_ms: int
    active_ms: int
    views: int
    ended_by: str
    uncertain_ms: int


class Line(NamedTuple):
    """A visit as a line of the dashboard shows it."""

    visit: str
    visitor: str
    started_at: str
    ended_at: str
    ended: str
    open: str
    visible: str
    active: str
    views: str


def in_order(visits: list[Visit]) -> list[Visit]:
    """Sort by visitor."""
    return sorted(visits, key=attrgetter("visitor", "id"))


def from_archive(file: Path) -> list[Visit]:
    """Ask the Python API in this process."""

    async def read() -> list[Visit]:
        async with SessionManager(f"sqlite:///{file}", policy=Policy(beat_interval=seconds(5), activity_window=seconds(3))) as manager:
            assert manager.archive is not None
            found = [visit async for visit in manager.archive.all_visits(VisitFilter(), beat_interval=seconds(5), now=manager.clock())]
        return [
            Visit(
                visit.id,
                visit.visitor,
                instant(visit.started_at),
                instant(visit.ended_at),
                visit.open_ms,
                visit.visible_ms,
                visit.active_ms,
                visit.views,
                visit.ended_by or "",
                visit.uncertain_ms,
            )
            for visit in found
        ]

    return in_order(asyncio.run(read()))


def get(url: str, path: str) -> Any:  # whatever the API answers
    """Ask the API over HTTP, with a token as a program would."""
    return json.loads(fetch(url, path))


def fetch(url: str, path: str) -> bytes:
    """Fetch from the API over HTTP."""
    request = urllib.request.Request(f"{url}/admin/api/{path}", headers={"Authorization": f"Bearer {OPERATOR}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


def from_api(url: str) -> list[Visit]:
    """Ask for the list, two visits at a time, until it ends."""
    found: list[dict[str, Any]] = []
    before = ""
    while True:
        answer = get(url, f"visits?limit=2{before}")
        found += answer["visits"]
        if answer["next"] is None:
            return in_order([_named(row) for row in found])
        before = f"&before={answer['next']}"


def _named(row: Mapping[str, Any]) -> Visit:
    return Visit(
        row["id"],
        row["visitor"],
        row["startedAt"],
        row["endedAt"],
        row["openMs"],
        row["visibleMs"],
        row["activeMs"],
        row["views"],
        row["endedBy"] or "",
        row["uncertainMs"],
    )


def _column(row: Mapping[str, Any]) -> Visit:
    spans = (int(row["open_ms"]), int(row["visible_ms"]), int(row["active_ms"]))
    ended = (row["ended_by"] or "", int(row["uncertain_ms"]))
    return Visit(row["id"], row["visitor"], row["started_at"], row["ended_at"], *spans, int(row["views"]), *ended)


def from_csv(url: str) -> list[Visit]:
    """Export a file for a spreadsheet."""
    return in_order([_column(row) for row in csv.DictReader(fetch(url, "export/visits.csv").decode().splitlines())])


def from_json_lines(url: str) -> list[Visit]:
    """Export a file for a program."""
    return in_order([_column(json.loads(line)) for line in fetch(url, "export/visits.jsonl").splitlines()])


def from_command_line(settings: Path, file: Path, *arguments: str) -> str:
    """Run `stillhere visits` beside the program."""
    command = [
        sys.executable,
        "-m",
        "stillhere.server.cli",
        "visits",
        "--config",
        str(settings),
        "--store",
        f"sqlite:///{file}",
        *arguments,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "COLUMNS": "300"}, timeout=60)
    return done.stdout


def from_json(text: str) -> list[Visit]:
    """Read what it writes with `--json`."""
    return in_order([_column(row) for row in json.loads(text)["visits"]])


_LINES = """return [...document.querySelectorAll('.visits-table tbody tr')].map(row => {
    const cell = label => row.querySelector(`[data-label="${label}"]`)
    const [started, ended] = [cell('Started'), cell('Ended')]
    const id = new URL(started.querySelector('a').href).pathname.split('/').pop()
    return [decodeURIComponent(id), row.querySelector('.person a').textContent,
        started.querySelector('time').dateTime, ended.querySelector('time')?.dateTime ?? '', ended.querySelector('.sub')?.textContent ?? '',
        ...['Open', 'Visible', 'Active', 'Views'].map(label => cell(label).textContent)]
})"""


def from_dashboard(board: Board) -> list[Line]:
    """Read the cells of the list of visits, as they are on the screen."""
    board.open("/admin/visits")
    board.browser.wait(lambda: board.browser.js(_LINES), "the lines of the dashboard")
    lines = [Line(*(str(cell).replace("\u00a0", " ") for cell in cells)) for cells in board.browser.js(_LINES)]
    return sorted(lines, key=attrgetter("visitor", "visit"))


def shown(span_ms: int) -> str:
    """Write a span of less than an hour as the dashboard shows it, whole seconds."""
    minutes, rest = divmod(span_ms // 1000, 60)
    return f"{minutes} m {rest:02} s" if minutes else f"{rest} s"
