"""Tables as JSON lines and Parquet, and a person erased from a live store whose archive is elsewhere."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import pyarrow.parquet  # type: ignore[import-untyped]  # it has no types
import pytest

from stillhere.archive import export, parquet
from stillhere.archive.archive import Archive
from stillhere.archive.archiver import Archiver
from stillhere.archive.cursor import named_cursor, read_named_cursor
from stillhere.archive.export import VISITS, csv_of, json_lines, together
from stillhere.archive.records import Erased, VisitFilter
from stillhere.archive.sql import SqlSource
from stillhere.core.records import EndedBy
from stillhere.errors import BadCursor, MissingExtra
from stillhere.stores.sqlite.store import SqliteStore
from tests.archive.live import LiveStore
from tests.archive.test_export import visit_of
from tests.archive.test_questions import say
from tests.stores.every import session_of
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stillhere.archive.records import VisitReport


async def several(count: int) -> AsyncIterator[VisitReport]:
    """Make visits up."""
    for n in range(count):
        yield visit_of(f"v{n}")


@pytest.mark.parametrize("count", [0, 1, 5, 6])
async def test_forms_tell_the_same(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the rows fall into groups and pieces, JSON lines, CSV and Parquet have all of them, in order."""
    monkeypatch.setattr(parquet, "GROUP", 3)
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 3)
    lines = b"".join([piece async for piece in together(json_lines(VISITS, several(count)))])
    assert [msgspec.json.decode(line)["visitor"] for line in lines.splitlines()] == [f"v{n}" for n in range(count)]
    text = b"".join([piece async for piece in together(csv_of(VISITS, several(count)))])
    assert len(text.splitlines()) == count + 1
    file = pyarrow.parquet.ParquetFile(io.BytesIO(b"".join([piece async for piece in parquet.parquet_of(VISITS, several(count))])))
    assert (file.metadata.num_rows, file.num_row_groups) == (count, -(-count // 3))
    assert file.read().column("visitor").to_pylist() == [f"v{n}" for n in range(count)]


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback, but the name of the extra."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(parquet, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"install stillhere\[parquet\]") as refused:
        parquet.load()
    assert (refused.value.extra, refused.value.status_hint) == ("parquet", 501)


@pytest.mark.parametrize("cursor", ["", "x", "1.h.1", "last.-1.eA", "last.1.%%", "last.1._w", "last.1.e", "visible.5.eA", "5.eA"])
def test_a_cursor_of_names_is_one_that_was_given_out(cursor: str) -> None:
    """Others are refused, those of a list in another order, too; those that were given out are read back, whatever the name."""
    with pytest.raises(BadCursor):
        read_named_cursor(cursor, "last")
    assert read_named_cursor(named_cursor(5, "ü\N{SNOWMAN} x", "last"), "last") == (5, "ü\N{SNOWMAN} x")


async def test_a_person_is_erased_on_both_sides(tmp_path: Path) -> None:
    """What waits in the live store is brought over and deleted here and there; one who lives there stays until the session is ended."""
    live, sink = LiveStore(), SqliteStore(f"sqlite:///{tmp_path / 'archive.db'}")
    archive = Archive(SqlSource(sink.readers), Archiver(live, sink))
    for name in ("a", "b"):
        await live.create(session_of(name, subject="me"))
        await say(live, name, 5)
    await live.end("handle-a", EndedBy.REVOKED, now=START + 9)
    assert await archive.erase("me") == Erased(sessions=2, visits=2, views=2)
    assert list(live.sessions) == ["handle-b"]
    await live.end("handle-b", EndedBy.REVOKED, now=START + 9)
    assert await archive.erase("me") == Erased(sessions=1, visits=1, views=1)
    assert (live.sessions, await archive.visits(VisitFilter(), beat_interval=1, now=START)) == ({}, [])
    await sink.close()
