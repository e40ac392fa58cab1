"""The same numbers everywhere: what people did in real browsers, and how gate, page, archive, API, files and dashboard tell of it.

All ways out of the program tell the same of every visit, to the millisecond; and they tell what was on screen, within the stated bound.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.board import Board
from tests.e2e.browser import Browser
from tests.e2e.readouts import (
    fetch,
    from_api,
    from_archive,
    from_command_line,
    from_csv,
    from_dashboard,
    from_json,
    from_json_lines,
    get,
    shown,
)
from tests.e2e.stories import SETTINGS, TWENTY_MINUTES_S, Stay, live
from tests.e2e.truth import union_ms
from tests.support import Program, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXACT_MS: Final = 1_000


@dataclass(frozen=True)
class Day:
    """A day of the program, after everybody has left.

    Attributes:
        program: the program.
        file: where it keeps visits.
        settings: its settings.
        stays: what really happened.
    """

    program: Program
    file: Path
    settings: Path
    stays: list[Stay]

    def ask(self, question: str) -> Any:  # whatever the API answers
        """Ask the API."""
        return get(self.program.url, question)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Read the API's visits by visitor, each of whom has one."""
        visits = self.ask("visits")["visits"]
        return {visit["visitor"]: visit for visit in visits}

    def views(self, visitor: str) -> list[dict[str, Any]]:
        """Read the views of a visitor's visit."""
        views: list[dict[str, Any]] = self.ask(f"visits/{self.rows()[visitor]['id']}")["views"]
        return views

    def untrue(self) -> list[str]:
        """Tell what is not as it was: another end, or more milliseconds away from the truth than the visit itself admits."""
        rows = self.rows()
        found = [f"{visitor} was never there" for visitor in rows.keys() - {stay.visitor for stay in self.stays}]
        for stay in self.stays:
            row = rows.get(stay.visitor)
            if row is None:
                found.append(f"{stay.visitor} is missing")
                continue
            off_ms = row["visibleMs"] - stay.visible_ms
            if not -row["uncertainMs"] - stay.late_ms - EXACT_MS < off_ms < stay.after_ms + EXACT_MS:
                found.append(f"{stay.visitor}: visible time is {off_ms:.0f} ms off, and {row['uncertainMs']} are admitted")
            if row["endedBy"] != stay.ended_by:
                found.append(f"{stay.visitor}: {row['endedBy']}, not {stay.ended_by}")
        return found


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Let everybody come and go, and wait until the last words are in."""
    folder = tmp_path_factory.mktemp("day")
    file, settings = folder / "visits.db", folder / "settings.toml"
    settings.write_text(SETTINGS, "utf-8")
    with serving(f"sqlite:///{file}", "--config", str(settings), verb="demo", log=folder / "log") as program:
        day = Day(program, file, settings, live(program.url, folder))
        # If it does not come to that, the tests say what is different.
        with suppress(AssertionError):
            wait_until(lambda: not day.untrue(), what="everybody to have left")
        yield day


@pytest.fixture(scope="module")
def board(day: Day, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """Sign in to the dashboard."""
    browser = Browser(tmp_path_factory.mktemp("board"), day.program.url)
    try:
        board = Board(day.program, day.file, browser)
        board.sign_in()
        yield board
        assert board.complaints() == []
    finally:
        browser.quit()


def test_what_is_told_is_what_was(day: Day) -> None:
    """Every visit is what was on screen, to a second and what it says may be missing; how it ended is right; there is no other."""
    assert len(day.stays) == 8
    assert day.untrue() == []
    off = {
        (stay.visitor, page): (said_ms - union_ms(stay.spans[page]), stay) for stay in day.stays for page, said_ms in stay.said_ms.items()
    }
    assert len(off) == 9
    # Until the server knows of a page, a busy machine may have been bringing its client there.
    assert {where: ms for where, (ms, stay) in off.items() if not -stay.late_ms - EXACT_MS < ms < EXACT_MS} == {}


def test_only_who_was_killed_misses_anything(day: Day) -> None:
    """The bound is nothing for whoever left or signed out, and one step between beats for whom nothing could be said of."""
    bounds = {row["visitor"]: row["uncertainMs"] for row in day.rows().values()}
    assert {visitor for visitor, bound in bounds.items() if bound} == {"counsel@law.example"}
    assert EXACT_MS < bounds["counsel@law.example"] <= 5_000


def test_every_way_out_tells_the_same(day: Day) -> None:
    """Archive, API page by page, CSV, JSON lines and command line have the same visits, to the millisecond."""
    url = day.program.url
    archived = from_archive(day.file)
    assert [visit.visitor for visit in archived] == sorted(stay.visitor for stay in day.stays)
    assert from_api(url) == archived
    assert from_csv(url) == archived
    assert from_json_lines(url) == archived
    assert from_json(from_command_line(day.settings, day.file, "--json")) == archived
    assert from_command_line(day.settings, day.file, "--csv").splitlines() == fetch(url, "export/visits.csv").decode().splitlines()


def test_the_dashboard_shows_the_same(day: Day, board: Board) -> None:
    """Every cell of the list of visits is what the archive has: who, when, how it ended, and each span in whole seconds."""
    lines = from_dashboard(board)
    archived = from_archive(day.file)
    assert [(line.visit, line.visitor, line.started_at, line.ended_at) for line in lines] == [
        (visit.id, visit.visitor, visit.started_at, visit.ended_at) for visit in archived
    ]
    assert [(line.open, line.visible.lstrip("~"), line.active, line.views) for line in lines] == [
        (shown(visit.open_ms), shown(visit.visible_ms), shown(visit.active_ms), str(visit.views)) for visit in archived
    ]
    words = {"leave": "left", "lost": "lost", "signed_out": "signed out"}
    assert [line.ended for line in lines] == [words[visit.ended_by] for visit in archived]


def test_a_visit_is_shown_page_by_page(day: Day, board: Board) -> None:
    """The page of a visit has the figures of the visit, and a track for every view."""
    row = day.rows()["analyst@corp.example"]
    board.open(f"/admin/visits/{row['id']}")
    figures = board.browser.js("return [...document.querySelectorAll('.figures dd')].map(dd => dd.textContent.replaceAll('\\u00a0', ' '))")
    assert figures[:4] == [shown(row["openMs"]), shown(row["visibleMs"]), shown(row["activeMs"]), str(row["views"])]
    assert board.browser.js("return document.querySelectorAll('.track').length") == len(day.views("analyst@corp.example")) == 2


def test_two_tabs_are_one_person_and_two_pages(day: Day) -> None:
    """Side by side, two pages count twice as pages and once as a person; the third, which nobody saw, is nothing."""
    stay = next(stay for stay in day.stays if stay.visitor == "analyst@corp.example")
    views = {view["page"]: view["visibleMs"] for view in day.views(stay.visitor)}
    assert views.keys() == stay.spans.keys() == {"/confidential", "/lab"}
    for page, spans in stay.spans.items():
        assert -stay.late_ms - EXACT_MS < views[page] - union_ms(spans) < stay.after_ms + EXACT_MS
    assert sum(views.values()) - day.rows()[stay.visitor]["visibleMs"] > 2 * EXACT_MS


def test_twenty_minutes_away_are_no_time(day: Day) -> None:
    """A hidden page counts nothing, and whoever comes back goes on with the same visit: only its open span has the absence."""
    stay = next(stay for stay in day.stays if stay.visitor == "partner@ventures.example")
    [(_, hidden_at), (shown_at, _)] = stay.spans["/confidential"]
    assert shown_at - hidden_at > 1_000 * TWENTY_MINUTES_S - EXACT_MS
    row = day.rows()[stay.visitor]
    assert abs(row["openMs"] - row["visibleMs"] - (shown_at - hidden_at)) < stay.late_ms + EXACT_MS
    assert row["views"] == 1


def test_active_is_not_visible(day: Day) -> None:
    """Who typed and then only looked was active while they typed, and not much longer."""
    stay = next(stay for stay in day.stays if stay.active_ms is not None)
    assert stay.active_ms is not None
    least, most = stay.active_ms
    row = day.rows()[stay.visitor]
    # Input is noticed once a second, so up to one is missing at either end.
    assert least - 2 * EXACT_MS < row["activeMs"] < most + EXACT_MS < row["visibleMs"] + EXACT_MS


def test_visits_begin_at_the_gate(day: Day) -> None:
    """Who passed the gate is the visitor, in the same letters, and the visit begins when the first page was seen."""
    began = {name: datetime.fromisoformat(row["startedAt"]).timestamp() * 1000 for name, row in day.rows().items()}
    assert began.keys() == {stay.visitor for stay in day.stays}
    off = {stay.visitor: (began[stay.visitor] - stay.began_at, stay.late_ms) for stay in day.stays}
    assert [visitor for visitor, (off_ms, late) in off.items() if not -EXACT_MS < off_ms < late + EXACT_MS] == []


def test_sums_are_the_sums_of_the_rows(day: Day) -> None:
    """Visitors, totals, buckets, durations and pages add up to the visits and views that are listed."""
    visits = from_api(day.program.url)
    spans = [sum(visit.open_ms for visit in visits), sum(visit.visible_ms for visit in visits), sum(visit.active_ms for visit in visits)]
    totals = day.ask("totals")
    assert (totals["visits"], totals["visitors"]) == (8, 8)
    assert [totals["openMs"], totals["visibleMs"], totals["activeMs"]] == spans
    visitors = {row["visitor"]: row for row in day.ask("visitors")["visitors"]}
    assert {name: (row["visits"], row["openMs"], row["visibleMs"], row["activeMs"]) for name, row in visitors.items()} == {
        visit.visitor: (1, visit.open_ms, visit.visible_ms, visit.active_ms) for visit in visits
    }
    for unit in ("hour", "day", "week", "month"):
        buckets = day.ask(f"buckets?unit={unit}&zone=Asia/Kolkata")["buckets"]
        assert [sum(bucket[key] for bucket in buckets) for key in ("visits", "visibleMs", "activeMs")] == [8, *spans[1:]], unit
    bins = day.ask("durations")["bins"]
    assert sum(one["visits"] for one in bins) == 8
    assert next(one for one in bins if one["fromMs"] == 0)["visits"] == sum(visit.visible_ms < 10_000 for visit in visits)


def test_pages_are_the_sums_of_the_views(day: Day) -> None:
    """A page has every view of it, with all of its time; a page that was never seen is not there."""
    views = [(visit, view) for visit in day.rows() for view in day.views(visit)]
    pages = {row["page"]: row for row in day.ask("pages")["pages"]}
    assert pages.keys() == {view["page"] for _, view in views} == {"/confidential", "/lab"}
    for page, row in pages.items():
        mine = [(visitor, view) for visitor, view in views if view["page"] == page]
        assert (row["views"], row["visitors"]) == (len(mine), len({visitor for visitor, _ in mine}))
        assert row["visible"]["sum"] == sum(view["visibleMs"] for _, view in mine)
        assert row["active"]["sum"] == sum(view["activeMs"] for _, view in mine)


def test_nobody_is_here(day: Day, board: Board) -> None:
    """When all have left, nobody is here, in the API and on the dashboard; the peak is of visits that overlap."""
    assert day.ask("now")["totals"]["here"] == 0
    board.open("/admin")
    board.wait_for("Nobody is here")
    peak = day.ask("simultaneous")["peak"]["visitors"]
    there = [(visit.started_at, visit.ended_at) for visit in from_archive(day.file)]
    assert peak == max(sum(start <= at < end for start, end in there) for at, _ in there)
