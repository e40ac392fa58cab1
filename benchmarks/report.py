"""Writes what was found: JSON for machines, a table and charts for people."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.measure import HERE
from benchmarks.rows import Row, Scale
from tests.services.postgresql import binary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


ORDER: Final = (
    "beats beside Express",
    "beats beside the floor",
    "beats of a page, with its view",
    "ordinary requests",
    "sessions stored",
    "bytes for each session",
    "sweeping",
    "latency",
    "batches",
    "workers",
    "servers",
    "streams",
    "dashboard queries at 1,000,000 visits",
)
"""The groups as the pages show them."""

OURS: Final = ("uvicorn", "uvloop", "httptools", "starlette", "msgspec", "sqlalchemy", "psycopg", "redis", "hiredis")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how it was measured.

    Attributes:
        cpu: model of the processor.
        cores: how many.
        memory_gb: how much memory.
        kernel: name and release.
        versions: of what was measured, and of what measured.
        scale: how much was measured.
    """

    cpu: str
    cores: int
    memory_gb: int
    kernel: str
    versions: dict[str, str]
    scale: Scale


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of `results/latest.json`."""

    machine: Machine
    rows: list[Row]


def machine(scale: Scale) -> Machine:
    """Describe this machine; nothing that names it."""
    models = [
        line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cpu=models[0] if models else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gb=round(memory / 2**30),
        kernel=f"{platform.system()} {platform.release().partition('-')[0]}",
        versions=_versions(),
        scale=scale,
    )


def _versions() -> dict[str, str]:
    found = {
        "Python": platform.python_version(),
        **{name: version(name) for name in OURS},
    }
    for name, program in {"Node": "node", "Redis": "redis-server", "PostgreSQL": binary("postgres"), "wrk": "wrk"}.items():
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        number = re.search(r"\d+(\.\d+)+", told)
        found[name] = number[0] if number is not None else "?"
    for line in (HERE / "peers" / "requirements.txt").read_text("utf-8").splitlines():
        name, equals, rest = line.partition("==")
        if equals and name in {"django", "flask", "flask-session", "starsessions", "gunicorn", "granian"}:
            found[name] = rest.split()[0]
    packages = msgspec.json.decode((HERE / "peers" / "package-lock.json").read_bytes())["packages"]
    return found | {name: packages[f"node_modules/{name}"]["version"] for name in ("express", "express-session", "connect-redis")}


def write(report: Report, results: Path, docs: Path, *, keep_others: bool) -> None:
    """Write the results, the tables and the charts.

    Args:
        report: what was found.
        results: folder for `results/latest.json` and `README.md`.
        docs: folder for `benchmarks.md` and `images`.
        keep_others: keep the rows of groups that were not measured now.
    """
    file = results / "results" / "latest.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    if keep_others and file.exists():
        measured = {row.group for row in report.rows}
        others = msgspec.json.decode(file.read_bytes(), type=Report).rows
        report = msgspec.structs.replace(report, rows=[*report.rows, *(row for row in others if row.group not in measured)])
    report.rows.sort(key=lambda row: ORDER.index(row.group))
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    _renew(HERE / "README.md", results / "README.md", {"machine": _described(report), "rows": "\n".join(_tables(report.rows))})
    _renew(HERE.parent / "docs" / "benchmarks.md", docs / "benchmarks.md", {"goals": "\n".join(_goals(report.rows))})
    images = docs / "images"
    images.mkdir(exist_ok=True)
    subprocess.run([HERE / ".peers" / "bin" / "python", HERE / "peers" / "charts.py", file, images], check=True)


def _renew(source: Path, target: Path, parts: dict[str, str]) -> None:
    """Put fresh parts between the marks of a page; the rest is written by hand and stays."""
    text = source.read_text("utf-8")
    for name, part in parts.items():
        head, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition(f"<!-- end of {name} -->\n")
        text = f"{head}{begin}{part}\n{end}{tail}"
    target.write_text(text, "utf-8")


def _described(report: Report) -> str:
    machine, scale = report.machine, report.machine.scale
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    others = [row.others for row in report.rows if row.others is not None]
    disturbed = f" Other work took {median(others):.0%} of the server's core meanwhile." if others else ""
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb} GB, {machine.kernel}. {versions}. "
        f"Medians of {scale.rounds} rounds, {scale.people:,} people.{disturbed}"
    )


def _tables(rows: Sequence[Row]) -> Iterator[str]:
    for group in dict.fromkeys(row.group for row in rows):
        yield f"### {group[0].upper()}{group[1:]}\n"
        yield "| what | value | peer | peer's value | ratio | CPU µs | peer's CPU µs | ratio of CPU | database's CPU µs | goal | met |"
        yield "|---|--:|---|--:|--:|--:|--:|--:|--:|---|---|"
        for row in rows:
            if row.group == group:
                cells = [f"{_number(row.value)} {row.unit}", row.peer or "", _number(row.peer_value), _number(row.ratio)]
                cells += [_number(number) for number in (row.cpu_us, row.peer_cpu_us, row.cpu_ratio, row.database_us)]
                yield f"| {row.name} | {' | '.join([*cells, row.goal or '', _word(row)])} |"
        yield ""


def _goals(rows: Sequence[Row]) -> Iterator[str]:
    """List what has a goal, the missed ones with by how much."""
    yield "| what | reached | goal | |"
    yield "|---|--:|---|---|"
    for row in rows:
        if row.goal is not None:
            reached = f"{_number(row.value)} {row.unit}" if row.ratio is None else f"{_number(row.ratio)} of {row.peer}"
            yield f"| {row.group}: {row.name} | {reached} | {row.goal} | {_word(row)} |"


def _number(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _word(row: Row) -> str:
    return "" if row.met is None else "met" if row.met else "**missed**"
