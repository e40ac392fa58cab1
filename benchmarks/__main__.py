"""Runs the groups one after the other and writes what they found. `benchmarks/run` installs what it needs and calls this."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.groups.batches import batches
from benchmarks.groups.beats import beats
from benchmarks.groups.pages import pages
from benchmarks.groups.questions import questions
from benchmarks.groups.servers import servers
from benchmarks.groups.stored import stored
from benchmarks.groups.streams import streams
from benchmarks.groups.workers import workers
from benchmarks.measure import HERE, LOAD_CORE
from benchmarks.report import Report, machine, write
from benchmarks.rows import QUICK, Row, Scale
from benchmarks.services import Services
from benchmarks.sides import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    Group = Callable[[Stage, Services, Scale], list[Row]]

GROUPS: Final[dict[str, Group]] = {
    "beats": beats,
    "pages": pages,
    "stored": stored,
    "batches": batches,
    "workers": workers,
    "servers": servers,
    "streams": streams,
    "questions": questions,
}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks/run", description="Measures stillhere beside its peers.")
    parser.add_argument("--quick", action="store_true", help="a few short rounds: proves that everything runs; its numbers mean nothing")
    parser.add_argument("--only", choices=GROUPS, action="append", help="only this group; the others keep their last results")
    parser.add_argument("--out", type=Path, help="folder for results and pages; default: here and docs/, or for --quick a passing one")
    asked = parser.parse_args()
    scale = QUICK if asked.quick else Scale()
    os.sched_setaffinity(0, {LOAD_CORE})  # whatever is started here stays there: the load and the databases
    began = time.monotonic()
    rows: list[Row] = []
    for name in asked.only or GROUPS:
        with tempfile.TemporaryDirectory(prefix="stillhere-bench-") as folder:
            started = time.monotonic()
            with Services(Path(folder)) as services, Stage(Path(folder), people=scale.people) as stage:
                rows += GROUPS[name](stage, services, scale)
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    report = Report(machine=machine(scale), rows=rows)
    with tempfile.TemporaryDirectory() as passing:
        out = asked.out or (Path(passing) if asked.quick else None)
        write(report, HERE if out is None else out, HERE.parent / "docs" if out is None else out, keep_others=bool(asked.only))
    print(f"{len(rows)} rows in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
