"""Lists on the command line: all of them in a file, a screenful of them on a screen, and what is left out is said."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillhere import SessionManager
from stillhere.core.records import Lifecycle
from stillhere.core.wire import Beat
from stillhere.errors import BadFilter
from stillhere.server.querying import lists
from stillhere.server.settings import load_settings
from tests.forked import PROGRAM, Forked, command_line
from tests.support import FakeClock

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator

VISITORS = 103
LONGEST = "somebody.with.a.long.name@a-long-domain-of-theirs.example"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "COLUMNS": "40"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program where nobody watches."""
    return command_line(*arguments, environment=ENVIRONMENT)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Keep one visit with one view of each of 103 visitors."""
    url = f"sqlite:///{tmp_path_factory.mktemp('lists') / 'visits.db'}"

    async def visit() -> None:
        clock = FakeClock()
        async with SessionManager(url, clock=clock) as sessions:
            for n in range(VISITORS):
                started = await sessions.start(f"visitor{n}@fund.example" if n else LONGEST)
                await sessions.beat(started.secret, [Beat(view="v", page=f"/{n}", lifecycle=Lifecycle.ACTIVE)])
                clock.advance(60_000)
                await sessions.beat(started.secret, [Beat(view="v", page=f"/{n}", lifecycle=Lifecycle.ACTIVE, visible_ms=30_000)])

    asyncio.run(visit())
    return url


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("visits", ["3 more: --limit, or --csv for all", "3 more: stillhere visitors"]),
        ("views", ["There are more: --limit, or --csv for all"]),
        ("visitors", ["3 more: --limit, or --csv for all"]),
        ("pages", ["3 more: --limit, or --csv for all"]),
    ],
)
def test_a_table_says_what_it_leaves_out(store: str, name: str, said: list[str]) -> None:
    """A hundred rows, and how many more there are; with --limit as many as that, and nothing to say if these are all."""
    shown = run(name, "--store", store)
    assert [line for line in shown.stderr.splitlines() if "more" in line] == said
    assert run(name, "--store", store, "--limit", str(VISITORS)).stderr == ""
    assert len(run(name, "--store", store, "--limit", "2").stdout.split("\n\n")[0].splitlines()) == 3


@pytest.mark.parametrize("name", ["visits", "views", "visitors", "pages"])
def test_every_other_form_is_all_there_is(store: str, tmp_path: Path, name: str) -> None:
    """JSON as well as CSV, on standard output as well as in a file; with --limit only so many."""
    told = json.loads(run(name, "--store", store, "--json").stdout)
    assert len(told[name]) == VISITORS
    assert set(told) == ({"visits", "visitors"} if name == "visits" else {name})
    assert run(name, "--store", store, "--json", "--output", str(tmp_path / "all.json")).returncode == 0
    assert json.loads((tmp_path / "all.json").read_text("utf-8")) == told
    rows = list(csv.DictReader(io.StringIO(run(name, "--store", store, "--csv").stdout)))
    assert [list(row) for row in rows] == [list(row) for row in told[name]]
    few = json.loads(run(name, "--store", store, "--json", "--limit", "2").stdout)
    assert few[name] == told[name][:2]


def test_an_output_needs_a_form(store: str, tmp_path: Path) -> None:
    """A table is for a screen: the error says what to add, and no file is made."""
    shown = run("visits", "--store", store, "--output", str(tmp_path / "visits.txt"))
    assert (shown.returncode, "--csv" in shown.stderr, list(tmp_path.iterdir())) == (2, True, [])


def test_a_program_that_reads_a_table_finds_an_address(store: str) -> None:
    """In a pipe nothing is cut, however narrow the window is: grep finds whom it looks for, in one line with their numbers."""
    for name in ("visits", "visitors"):
        (line, *_) = [line for line in run(name, "--store", store, "--limit", str(VISITORS)).stdout.splitlines() if LONGEST in line]
        assert "1 m 00 s" in line


def test_sums_are_lists_too(store: str) -> None:
    """Totals, buckets, durations and who was there at once, for people and in the zone that is asked for."""
    assert run("totals", "--store", store).stdout.splitlines()[1].split()[:2] == [str(VISITORS), str(VISITORS)]
    period = ("--from", "2023-11-14", "--to", "2023-11-15", "--zone", "Asia/Tokyo", "--store", store)
    rows = [line.split("  ") for line in run("buckets", *period).stdout.splitlines()]
    assert [row[0] for row in rows[1:]] == ["2023-11-14 00:00+09:00", "2023-11-15 00:00+09:00"]
    weeks = json.loads(run("buckets", *period, "--unit", "week", "--json").stdout)["buckets"]
    assert [(week["from_at"], week["visits"]) for week in weeks] == [("2023-11-12T15:00:00.000Z", VISITORS)]
    assert run("durations", "--store", store).stdout.splitlines()[3].split() == ["30", "s", "1", "m", "00", "s", str(VISITORS)]
    assert run("simultaneous", "--store", store, "--limit", "1").stdout.splitlines()[1].split() == ["2023-11-14", "22:13:20", "1"]
    (first, *_) = json.loads(run("visitors", "--store", store, "--sort", "visits", "--json").stdout)["visitors"]
    assert first["visitor"] == min(LONGEST, "visitor1@fund.example")
    assert run("buckets", "--store", store, "--unit", "year").stderr == "error: 'year' is none of hour, day, week, month\n"


@pytest.mark.parametrize(
    "words",
    [
        *(("visitors", "--limit", "99", *form) for form in ((), ("--csv",), ("--json",))),
        *((*verb, *form) for verb in (("doctor",), ("mirrors", "list"), ("sessions", "list")) for form in ((), ("--json",))),
    ],
    ids=" ".join,
)
def test_a_full_disk_is_one_sentence(store: str, tmp_path: Path, words: tuple[str, ...]) -> None:
    """What cannot be written to standard output is said, whatever the form is, and the exit code is 1."""
    process = Forked(PROGRAM, [*words, "--store", store], out=Path("/dev/full"), err=tmp_path / "err", environment=ENVIRONMENT)
    assert process.wait(60) == 1
    told = [line for line in (tmp_path / "err").read_text("utf-8").splitlines() if "more" not in line]
    assert told == ["error: cannot write to standard output: No space left on device"]


def test_what_is_kept_of_a_person_is_private_and_of_somebody(store: str, tmp_path: Path) -> None:
    """Nobody else may read the file; of nobody there is none."""
    output = tmp_path / "person.json"
    assert run("export", "--subject", LONGEST, "--store", store, "--output", str(output)).returncode == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert json.loads(output.read_text("utf-8"))["subject"] == LONGEST
    shown = run("export", "--subject", "", "--store", store, "--output", str(tmp_path / "nobody.json"))
    assert (shown.returncode, shown.stderr.startswith("error: say whose data")) == (1, True)
    assert [file.name for file in tmp_path.iterdir()] == ["person.json"]


@pytest.mark.parametrize(("limit", "total"), [(None, VISITORS), (7, 7), (200, VISITORS)])
def test_progress_is_of_what_is_written(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None, total: int) -> None:
    """A bar that counts rows is full when the last of them is written, with --limit, too."""
    counted: list[Any] = []

    class Watched(lists._Bar):
        """A bar that a person watches."""

        def __init__(self, output: Path | None) -> None:
            super().__init__(output)
            self.is_shown = True

        async def along(self, rows: AsyncIterator[Any], count: int | None) -> AsyncIterator[Any]:
            counted.append(count)
            async for row in super().along(rows, count):
                yield row
                counted.append("step")

    monkeypatch.setattr(lists, "_Bar", Watched)
    settings = load_settings({"store": store}, None)
    asyncio.run(lists.list_table(settings, "visits", {}, form="csv", output=tmp_path / "v.csv", limit=limit))
    assert counted == [total, *["step"] * total]


def test_what_goes_wrong_midway_leaves_no_file(store: str, tmp_path: Path) -> None:
    """More buckets than anybody reads are refused; no half of a file stays behind, and what was there stays."""
    output = tmp_path / "buckets.json"
    output.write_text("before", "utf-8")
    words = {"from": "1970-01-01", "to": "2026-01-01", "unit": "hour"}
    with pytest.raises(BadFilter, match="more than 10,000 buckets"):
        asyncio.run(lists.list_table(load_settings({"store": store}, None), "buckets", words, form="json", output=output))
    assert {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()} == {"buckets.json": "before"}
