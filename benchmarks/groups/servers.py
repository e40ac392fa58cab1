"""Under which server: uvicorn, which the program uses, beside granian."""

from __future__ import annotations

import sysconfig
from typing import TYPE_CHECKING

from benchmarks import verify
from benchmarks.measure import HERE, Side, alternate
from benchmarks.rows import throughput
from benchmarks.sides import ROOT

if TYPE_CHECKING:
    from benchmarks.rows import Row, Scale
    from benchmarks.services import Services
    from benchmarks.sides import Stage
    from tests.services.process import Server

GRANIAN = "--interface asgi --workers 1 --loop uvloop --no-ws --log-level warning --host 127.0.0.1 --port {port}".split()


def servers(stage: Stage, services: Services, scale: Scale) -> list[Row]:
    """Measure the bare application and stillhere in memory under both."""
    url, _ = services.store("memory")
    ours = stage.embedded("memory", url)
    bare = stage.bare(like=ours)
    cookies = stage.cookies("granian")
    asked = {"BENCH_COOKIES": str(cookies), "BENCH_PEOPLE": str(stage.people), "BENCH_STORED": str(stage.people), "BENCH_STORE": url}
    sides = {
        "memory": Side(name="memory, granian", server=_granian(stage, "benchmarks.apps.embedded:app", asked), cookies=cookies),
        "bare ASGI": Side(name="bare ASGI, granian", server=_granian(stage, "benchmarks.apps.bare:app", {}), cookies=ours.cookies),
    }
    verify.touches(sides["memory"])
    verify.answers_alike(sides["bare ASGI"], sides["memory"])
    found = alternate([ours, bare, *sides.values()], rounds=scale.rounds, seconds=1)
    return [
        throughput(side.name, found[side.name], group="servers", peer=(f"{name}, uvicorn", found[name])) for name, side in sides.items()
    ]


def _granian(stage: Stage, application: str, environment: dict[str, str]) -> Server:
    # Granian is no dependency of ours: it comes from the peers' folder, and finds stillhere and what that needs in .venv.
    path = f"PYTHONPATH={ROOT}:{ROOT / 'src'}:{sysconfig.get_path('purelib')}"
    return stage.start(application, ["env", path, HERE / ".peers" / "bin" / "granian", *GRANIAN, application], environment)
