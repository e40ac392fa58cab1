"""How the databases go about it: who is here is found without a walk through all visits, and without an index that beats would move."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace
from sqlalchemy import make_url

from stillhere.archive.choosing import conditions
from stillhere.archive.records import Asked, VisitFilter
from stillhere.archive.sql import present_query, readings_query, visits_query
from stillhere.core.records import EndedBy, Visit
from stillhere.stores import open_store
from stillhere.stores.sql.keeping import columns_of
from stillhere.stores.sql.schema import metadata, sessions, visits
from tests.archive.test_questions import say
from tests.stores.every import fresh_url, session_of
from tests.support import START

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Select

    from stillhere.stores.sqlite.store import SqliteStore

ENDED = 2_000


def _fill(connection: Connection) -> None:
    """Put many sessions there that ended long ago, each with a visit."""
    old = [session_of(f"old-{n}", now=n) for n in range(ENDED)]
    over = [columns_of(replace(session, ended_at=session.created_at, ended_by=EndedBy.IDLE)) for session in old]
    connection.execute(sessions.insert(), over)
    stayed = [
        Visit(handle=one.handle, number=1, subject=one.subject, started_at=n, last_seen_at=n, covered_until_at=n)
        for n, one in enumerate(old)
    ]
    connection.execute(visits.insert(), [columns_of(visit) for visit in stayed])


def _plan(connection: Connection, query: Select[object]) -> str:
    written = query.compile(connection, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    # SQLAlchemy writes `IS` with a parameter all the same.
    values = tuple(written.params[name] for name in written.positiontup or ())
    found = connection.exec_driver_sql(f"{explain} {written}".replace("%", "%%"), values)
    return "\n".join(" ".join(str(cell) for cell in row) for row in found)


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
async def test_who_is_here_is_found_by_their_sessions(name: str, tmp_path: Path, *, analyzed: bool) -> None:
    """With and without statistics the plan goes from living and lately ended sessions to their visits by key, and scans no visits."""
    store, archive = open_store(fresh_url(name, tmp_path))
    readers = cast("SqliteStore", store).readers
    await readers.write(_fill)
    if analyzed:
        await readers.write(lambda connection: connection.exec_driver_sql("ANALYZE"))
    await store.create(session_of("a"))
    await say(cast("SqliteStore", store), "a", 5)
    asked = Asked(wanted=VisitFilter(seen_since=START))
    changed = visits_query(asked).where(*conditions(asked, name))
    for query in (present_query(START, name).limit(100), changed):
        plan = await readers(_plan, query)
        assert "SCAN stillhere_visits" not in plan, plan
        assert "Seq Scan on stillhere_visits" not in plan, plan
        assert "stillhere_visits_by_start" not in plan, plan
    found = await archive.present(seen_since=START, beat_interval=1, now=START + 6)
    assert [presence.session.handle for presence in found] == ["handle-a"]
    await store.close()


def test_no_index_is_on_what_a_beat_changes() -> None:
    """Totals and instants that move with every beat are in no index."""
    moving = {"last_seen_at", "visible_ms", "active_ms", "covered_until_at", "scroll_pct", "seq", "left_at", "heat", "bands"}
    indexed = {column.name for table in metadata.tables.values() for index in table.indexes for column in index.columns}
    assert indexed & moving == set()


@pytest.mark.parametrize(
    ("url", "handles", "verified"),
    [
        ("sqlite://", "visits.handle IN (SELECT", "json_type("),
        ("postgresql://", "visits.handle = ANY (array((SELECT", " -> 'verified'"),
    ],
)
def test_each_database_is_asked_in_its_own_words(url: str, handles: str, verified: str) -> None:
    """PostgreSQL takes the handles of those who may be here as an array and reads JSON by its operator; SQLite by a list and functions."""
    asked = Asked(wanted=VisitFilter(seen_since=START, verified=True))
    dialect = make_url(url).get_dialect()()
    query = visits_query(asked).where(*conditions(asked, dialect.name))
    written = " ".join(str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).split())
    assert handles in written
    assert verified in written


async def test_a_page_s_views_in_a_period_are_found_by_their_visits(tmp_path: Path) -> None:
    """SQLite looks through the visits of the period, not through all views there are; those of a visitor it finds by the visitor."""
    store, _ = open_store(fresh_url("sqlite", tmp_path))
    readers = cast("SqliteStore", store).readers
    await readers.write(_fill)
    for wanted, index in (
        (VisitFilter(page="/a", until_at=5), "stillhere_visits_by_start"),
        (VisitFilter(page="/a", since_at=1, visitor="a"), "stillhere_visits_by_subject"),
    ):
        asked = Asked(wanted=wanted)
        plan = await readers(_plan, readings_query(asked).where(*conditions(asked, "sqlite")))
        assert "SCAN" not in plan, plan
        assert index in plan, plan
    await store.close()
