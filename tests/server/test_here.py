"""Who is here now is one and the same wherever it is asked: in Python, over HTTP, on the command line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from stillhere.stores import open_store
from tests.forked import command_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.server.site import Site


def _of(rows: Iterable[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    """Leave out others, and what passes between one question and the next."""
    return [{key: cell for key, cell in row.items() if not key.endswith("Ms")} for row in rows if row["visitor"] in names]


async def test_python_http_and_the_command_line_tell_who_is_here(site: Site) -> None:
    """Two who read and one who has just left: the same rows in the same order, each with device, page and title."""
    names = {site.name(), site.name(), site.name()}
    for n, name in enumerate(sorted(names)):
        visitor = site.enter(name)
        beat = {"view": "v", "tab": "t", "page": f"/{n}", "title": f"Page {n}", "visibleMs": 1, "lifecycle": "active"}
        visitor.post("/session/beat", json=beat)
        if n == 0:
            visitor.post("/session/beat", json={**beat, "kind": "leave", "seq": 2, "lifecycle": "hidden"})
    over_http = _of(site.operator().get("/admin/api/now").json()["here"], names)
    shown = command_line("here", "--store", site.store, "--json", environment={"PATH": "/usr/bin:/bin"}).stdout
    store, archive = open_store(site.store)
    now = round(time.time() * 1000)
    present = await archive.present(seen_since=now - 60_000, beat_interval=180_000, now=now)
    await store.close()
    assert len(over_http) == len(names)
    assert {row["title"] for row in over_http} == {"Page 0", "Page 1", "Page 2"}
    assert _of(msgspec.json.decode(shown)["here"], names) == over_http
    in_python = [
        (one.visit.visitor, one.session.handle, one.visit.device, one.view and one.view.page, one.view and one.view.title)
        for one in present
        if one.visit.visitor in names
    ]
    assert in_python == [(row["visitor"], row["session"], row["device"], row["page"], row["title"]) for row in over_http]
