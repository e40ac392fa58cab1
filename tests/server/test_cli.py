"""The command line, as a person runs it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow.parquet  # type: ignore[import-untyped]  # it has no types
import pytest

from stillhere import EndedBy, SessionManager, __version__
from stillhere.core.records import Lifecycle
from stillhere.core.wire import Beat, Kind
from tests.forked import command_line
from tests.support import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

INVESTOR = "investor@fund.example"
PARTNER = "partner@ventures.example"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program and wait for it."""
    return command_line(*arguments, environment={"PATH": "/usr/bin:/bin", "COLUMNS": "160"})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Keep two visits of one visitor and one of another."""
    url = f"sqlite:///{tmp_path_factory.mktemp('cli') / 'visits.db'}"
    asyncio.run(_visit(url))
    return url


async def _visit(url: str) -> None:
    clock = FakeClock()
    async with SessionManager(url, clock=clock) as sessions:
        for who, visible_ms in ((INVESTOR, 47 * 60_000), (INVESTOR, 8 * 60_000), (PARTNER, 22 * 60_000)):
            started = await sessions.start(who)
            await sessions.beat(started.secret, [Beat(view="v", lifecycle=Lifecycle.ACTIVE, visible_ms=0, idle_ms=0)])
            for seen_ms in range(60_000, visible_ms, 60_000):
                clock.advance(60_000)
                await sessions.beat(started.secret, [Beat(view="v", lifecycle=Lifecycle.ACTIVE, visible_ms=seen_ms, idle_ms=0)])
            clock.advance(60_000)
            last = Beat(kind=Kind.LEAVE, view="v", visible_ms=visible_ms, active_ms=visible_ms // 2)
            await sessions.beat(started.secret, [last])
            await sessions.end_by_handle(started.session.handle, EndedBy.SIGNED_OUT)


def test_visits_are_a_table_with_totals(store: str) -> None:
    """A person sees visits, newest first, and what they add up to: 47 and 8 minutes are 55."""
    shown = run("visits", "--store", store)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.index(PARTNER) < shown.stdout.index(INVESTOR)
    assert "47 m 00 s" in shown.stdout
    assert "Totals" in shown.stdout
    assert "55 m 00 s" in shown.stdout


def test_visits_of_one_visitor(store: str) -> None:
    """A filter leaves the others out, also of the totals."""
    shown = run("visits", "--store", store, "--visitor", INVESTOR)
    assert INVESTOR in shown.stdout
    assert PARTNER not in shown.stdout


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_csv_and_json_tell_the_same(store: str) -> None:
    """Both exports have the same columns and the same values."""
    rows = list(csv.DictReader(io.StringIO(run("visits", "--store", store, "--csv").stdout)))
    told = json.loads(run("visits", "--store", store, "--json").stdout)
    assert list(rows[0])[:7] == ["visitor", "started_at", "ended_at", "open_ms", "visible_ms", "active_ms", "ended_by"]
    assert rows == [{name: _cell(value) for name, value in visit.items()} for visit in told["visits"]]
    assert [row["ended_by"] for row in rows] == ["signed_out"] * 3
    assert {row["visitor"]: row["visible_ms"] for row in told["visitors"]} == {INVESTOR: 55 * 60_000, PARTNER: 22 * 60_000}


def test_a_wrong_file_is_not_made() -> None:
    """Asking for visits in a file that is not there says so, and makes none."""
    shown = run("visits", "--store", "sqlite:////nowhere/visits.db")
    assert shown.returncode == 1
    assert shown.stderr.startswith("error: there is no file /nowhere/visits.db")
    assert "Traceback" not in shown.stderr


def test_sessions_are_listed_and_ended(tmp_path: Path) -> None:
    """An operator sees who is signed in, ends one by its handle, then all of one subject's."""
    url = f"sqlite:///{tmp_path / 'visits.db'}"

    async def start_three() -> list[str]:
        async with SessionManager(url) as sessions:
            return [(await sessions.start(who)).session.handle for who in (INVESTOR, INVESTOR, PARTNER)]

    handles = asyncio.run(start_three())
    listed = json.loads(run("sessions", "list", "--store", url, "--json").stdout)
    assert sorted(session["handle"] for session in listed) == sorted(handles)
    assert handles[2] in run("sessions", "list", "--store", url).stdout
    assert "revoked" in run("sessions", "end", handles[2], "--store", url).stdout
    assert "Ended 2 sessions" in run("sessions", "end", "--subject", INVESTOR, "--store", url).stdout
    assert run("sessions", "list", "--store", url).stdout.strip() == "Nobody is signed in."


def test_an_unknown_handle_is_an_error(store: str) -> None:
    """Ending what is not there says how to see what is."""
    shown = run("sessions", "end", "nobody", "--store", store)
    assert shown.returncode == 1
    assert "stillhere sessions list" in shown.stderr


@pytest.mark.parametrize("arguments", [["sessions", "end"], ["sessions", "end", "x", "--subject", "y"], ["serve", "--no-such-flag", "1"]])
def test_a_wrong_command_is_exit_code_two(arguments: list[str]) -> None:
    """Mistakes of the command line are told from trouble by their exit code."""
    assert run(*arguments).returncode == 2


def test_the_version_is_shown() -> None:
    """`--version` says which."""
    assert run("--version").stdout == f"stillhere {__version__}\n"


def test_what_people_typed_is_no_markup(tmp_path: Path) -> None:
    """A subject in square brackets is shown as it is, in every list."""
    url = f"sqlite:///{tmp_path / 'visits.db'}"

    async def visit() -> None:
        async with SessionManager(url) as sessions:
            started = await sessions.start("[/bold]team[red]@x")
            await sessions.beat(started.secret, [Beat(view="v", lifecycle=Lifecycle.ACTIVE)])

    asyncio.run(visit())
    for arguments in (["visits"], ["sessions", "list"], ["sessions", "end", "--subject", "[/bold]team[red]@x"]):
        shown = run(*arguments, "--store", url)
        assert shown.returncode == 0, shown.stderr
        assert "[/bold]team[red]@x" in shown.stdout


def test_two_forms_at_once_are_a_mistake(store: str) -> None:
    """`--json --csv` is refused, not silently one of them."""
    assert run("visits", "--store", store, "--json", "--csv").returncode == 2


def test_every_filter_is_a_flag(store: str) -> None:
    """What a URL can say the command line can: by duration, ending, day, page; and what cannot be read is a clear error."""
    assert [row["visible_ms"] for row in listed(store, "visits", "--min", "20m", "--max", "30m")] == [22 * 60_000]
    assert listed(store, "visits", "--ended", "leave,here") == []
    assert len(listed(store, "visits", "--from", "2023-11-14", "--to", "2023-11-15", "--zone", "Asia/Tokyo", "--verified", "false")) == 3
    assert listed(store, "visits", "--page", "/nowhere", "--with", "internal,excluded") == []
    shown = run("visits", "--store", store, "--from", "yesterday")
    assert (shown.returncode, shown.stderr.startswith("error: 'yesterday' is no date")) == (1, True)


def listed(store: str, *arguments: str) -> list[dict[str, object]]:
    """List rows as JSON lines."""
    shown = run(*arguments, "--store", store, "--jsonl")
    assert shown.returncode == 0, shown.stderr
    return [json.loads(line) for line in shown.stdout.splitlines()]


def test_visitors_and_pages_are_lists_too(store: str) -> None:
    """Both as tables and as files, with the totals of seed's kind: minutes by e-mail."""
    assert [(row["visitor"], row["visits"], row["total_minutes"]) for row in listed(store, "visitors")] == [
        (PARTNER, 1, 22),
        (INVESTOR, 2, 55),
    ]
    assert len(listed(store, "visitors", "--limit", "1")) == 1
    assert INVESTOR in run("visitors", "--store", store).stdout
    assert run("pages", "--store", store).stdout.strip() == "No pages yet."
    assert json.loads(run("pages", "--store", store, "--json").stdout) == {"pages": []}


def test_a_file_is_complete_once_it_is_there(store: str, tmp_path: Path) -> None:
    """`--output` writes CSV, JSON lines and Parquet; a folder that is not there is a clear error, and Parquet is not for a screen."""
    for form in ("csv", "jsonl", "parquet"):
        shown = run("visits", "--store", store, f"--{form}", "--output", str(tmp_path / f"visits.{form}"))
        assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")
    assert pyarrow.parquet.read_table(tmp_path / "visits.parquet").num_rows == 3
    assert len((tmp_path / "visits.csv").read_text("utf-8").splitlines()) == 4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["visits.csv", "visits.jsonl", "visits.parquet"]
    assert run("visits", "--store", store, "--parquet").returncode == 2
    shown = run("visits", "--store", store, "--csv", "--output", "/nowhere/visits.csv")
    assert (shown.returncode, shown.stderr) == (1, "error: cannot write /nowhere/visits.csv: No such file or directory\n")


def test_who_is_here_is_told_by_what(tmp_path: Path) -> None:
    """Without settings that say the beat interval it is said which one judged; with them, in a file, and where nobody is here it is not."""
    url = f"sqlite:///{tmp_path / 'visits.db'}"

    async def visit() -> None:
        async with SessionManager(url) as sessions:
            started = await sessions.start(INVESTOR)
            await sessions.beat(started.secret, [Beat(view="v", page="/a", lifecycle=Lifecycle.ACTIVE)])

    asyncio.run(visit())
    config = tmp_path / "stillhere.toml"
    config.write_text(f'store = "{url}"\nbeat_interval = "1m"\n', "utf-8")
    for verb in ("visits", "here"):
        assert "judged by beats every 3 minutes" in run(verb, "--store", url).stderr
        assert run(verb, "--config", str(config)).stderr == ""
        assert run(verb, "--store", url, "--json").stderr == ""
    assert run("visits", "--store", url, "--ended", "leave").stderr == ""


def test_the_package_is_the_program() -> None:
    """`python -m stillhere` is the command line."""
    shown = subprocess.run([sys.executable, "-m", "stillhere", "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout == run("--version").stdout


def test_a_person_is_exported_and_erased(tmp_path: Path) -> None:
    """All that is kept as JSON; erasing asks first, ends the session, and leaves nothing of them and all of others."""
    url = f"sqlite:///{tmp_path / 'visits.db'}"

    async def visit() -> None:
        async with SessionManager(url) as sessions:
            for who in (INVESTOR, PARTNER):
                started = await sessions.start(who, attributes={"stillhere": {"device": f"Browser of {who}"}})
                await sessions.beat(started.secret, [Beat(view="v", page="/a", lifecycle=Lifecycle.ACTIVE)])

    asyncio.run(visit())
    assert {row["visitor"] for row in json.loads(run("here", "--store", url, "--json").stdout)["here"]} == {INVESTOR, PARTNER}
    shown = run("here", "--store", url).stdout
    assert all(told in shown for told in ("/a", "device", f"Browser of {INVESTOR}"))
    told = json.loads(run("export", "--subject", INVESTOR, "--store", url).stdout)
    assert (told["subject"], len(told["sessions"]), told["views"][0]["page"]) == (INVESTOR, 1, "/a")
    assert run("erase", "--subject", INVESTOR, "--store", url).returncode == 1  # nobody says yes
    erased = run("erase", "--subject", INVESTOR, "--yes", "--store", url)
    assert erased.stdout.strip() == f"Erased 1 sessions, 1 visits and 1 views of {INVESTOR}."
    assert json.loads(run("export", "--subject", INVESTOR, "--store", url).stdout)["sessions"] == []
    assert [row["visitor"] for row in listed(url, "visitors")] == [PARTNER]
