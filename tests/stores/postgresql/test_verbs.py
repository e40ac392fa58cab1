"""What is peculiar to PostgreSQL in what the verbs do: round trips, what is written, locks, notices."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import sql

from stillhere.archive.archive import Archive
from stillhere.archive.records import Asked, VisitFilter
from stillhere.archive.sql import SqlSource
from stillhere.core.records import Claim, EndedBy, Visit
from stillhere.errors import SessionExists, StoreError
from stillhere.stores.postgresql import store as store_module
from stillhere.stores.postgresql.store import PostgresqlStore
from stillhere.stores.protocol import Changed
from tests.stores.every import ABSOLUTE, GAP, IDLE, claim_of, session_of
from tests.stores.postgresql.helpers import relay_before, until
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from stillhere.core.records import Outcome

RAISE = """
    CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
    CREATE TRIGGER raises BEFORE UPDATE ON stillhere_visits FOR EACH ROW WHEN (NEW.handle = 'handle-1') EXECUTE FUNCTION raises();
"""
"""Breaks what is written of one session's visit."""


FILL = f"""
    INSERT INTO stillhere_sessions (
        handle, id_hash, subject, created_at, last_active_at, last_seen_at, absolute_end_at, idle_timeout, attributes, due_at
    )
    SELECT 'handle-' || n, 'id', 'subject-' || n, {START}, {START}, {START}, {START + IDLE}, {IDLE}, '{{}}', {START + IDLE}
    FROM generate_series(0, 2999) AS n;
    INSERT INTO stillhere_visits SELECT 'handle-' || n, 1, '', {START}, {START}, {START}, 0, 0 FROM generate_series(0, 2999) AS n;
    INSERT INTO stillhere_views
    SELECT 'handle-' || n, 'v', 1, '', '', '', {START}, {START}, 0, 0, 0, '', 0 FROM generate_series(0, 2999) AS n;
"""  # noqa: S608  # numbers of our own
"""Thousands of sessions, each with a visit and a view."""


async def beat(store: PostgresqlStore, claims: Sequence[Claim], *, now: int) -> list[Outcome]:
    """Send a batch."""
    return await store.beat(claims, visit_gap=GAP, touch_interval=0, now=now)


def claims_of(names: Sequence[str], passed_ms: int) -> list[Claim]:
    """Report a view of each session, visible since it began."""
    return [claim_of(name, view="v", opens=True, on_screen=True, visible_ms=passed_ms, active_ago_ms=0, seq=passed_ms) for name in names]


async def begin(store: PostgresqlStore, names: Sequence[str]) -> None:
    """Sign people in and let each open a view."""
    for name in names:
        await store.create(session_of(name))
    await beat(store, claims_of(names, 1), now=START + 1)


NAMES = [str(n) for n in range(20)]


async def test_a_batch_is_one_round_trip(url: str) -> None:
    """However many claims, waves included: the store speaks once, the server answers once. So does every other verb."""
    async with relay_before(url) as relay:
        store = await asyncio.to_thread(PostgresqlStore, relay.url)  # it connects before it returns
        await begin(store, NAMES)
        batch = claims_of([*NAMES, "0", "0", "1"], 10)
        verbs: dict[str, Awaitable[object]] = {
            "beat": beat(store, batch, now=START + 10),
            "get": store.get("handle-0"),
            "rotate": store.rotate("handle-0", session_of("0").id_hash, "new", now=START),
            "end": store.end("handle-0", EndedBy.REVOKED, now=START + 20),
            "create": store.create(session_of("new")),
            "sweep": store.sweep(limit=10, now=START),
        }
        for name, verb in verbs.items():
            before = relay.round_trips
            await verb
            assert relay.round_trips - before == 1, name
        await store.close()


async def test_a_beat_touches_no_index(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Beats move no index entry: every one of their updates is a heap-only tuple."""
    await begin(store, NAMES)
    for n in range(2, 102):
        await beat(store, claims_of([NAMES[n % 20]], n * 100), now=START + n * 100)
    updates = "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = current_schema()"
    while len(told := [row for row in other.execute(updates) if row[1] >= 100]) < 3:
        await store.ping()  # a server process that works passes on what it counted, once a second
        await asyncio.sleep(0.05)
    for table, updated, hot in told:
        assert hot == updated, table


async def test_a_plan_made_over_empty_tables_serves_full_ones(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Statements look rows up by their keys, whatever the tables were like when they were planned; none walks through a table."""
    for table in ("sessions", "visits", "views"):
        other.execute(sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = off)").format(sql.Identifier(f"stillhere_{table}")))
    other.execute("VACUUM ANALYZE stillhere_sessions, stillhere_visits, stillhere_views")

    async def use_all(names: Sequence[str], passed_ms: int) -> None:
        claims = [replace(claim, id_hash="id") for claim in claims_of(names, passed_ms)]
        await beat(store, claims, now=START + passed_ms)
        await store.living(subject="subject-7", limit=10, now=START)
        await store.sweep(limit=10, now=START)
        await store.end("handle-9", EndedBy.REVOKED, now=START)
        await store.rotate("handle-8", "id", "new", now=START)
        await store.get("handle-8")
        await store.forget(ended_before=START + 1, limit=10)

    async def read_by_index(column: str, count: int) -> dict[str, int]:
        """Wait until what is counted of views has come so far; then tell how much was read through each index."""
        views = "SELECT {} FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = 'stillhere_views'"
        while other.execute(sql.SQL(views).format(sql.Identifier(column))).fetchone() != (count,):
            await store.ping()
            await asyncio.sleep(0.05)
        read = "SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes WHERE schemaname = current_schema()"
        return dict(other.execute(read).fetchall())

    await use_all(["nobody"], 1)
    other.execute(FILL)
    before = await read_by_index("n_tup_ins", 3_000)
    await use_all(NAMES[:7], 2)
    after = await read_by_index("n_tup_upd", 7)
    read = {index: after[index] - before[index] for index in after}
    assert sum(read.values()) < 100, read


async def test_what_changes_nothing_writes_nothing(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """A message that comes twice, or a second check in the same instant, leaves every row as it was, down to its version."""
    await begin(store, NAMES)
    versions = "SELECT array_agg(ctid::text || xmin ORDER BY handle) FROM stillhere_{}"

    def kept() -> list[object]:
        return [other.execute(versions.format(table)).fetchone() for table in ("sessions", "visits", "views")]

    before = kept()
    await beat(store, claims_of(NAMES, 1), now=START + 1)
    await beat(store, [claim_of(name) for name in NAMES], now=START + 1)
    assert kept() == before


async def test_a_batch_whose_middle_breaks_leaves_nothing_behind(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """When one claim cannot be kept nothing of its batch is, and the next batch works."""
    await begin(store, NAMES)
    other.execute(RAISE.format(body="RAISE 'no';"))
    with pytest.raises(StoreError, match=r"^the session store did not answer: no$"):
        await beat(store, claims_of(["0", "1", "2", "0"], 500), now=START + 500)
    for name in "012":
        session = await store.get(f"handle-{name}")
        assert session is not None
        assert session.last_seen_at == START + 1
    other.execute("DROP TRIGGER raises ON stillhere_visits")
    outcomes = await beat(store, claims_of(["0", "1", "2", "0"], 500), now=START + 500)
    assert {outcome.session.last_seen_at for outcome in outcomes if outcome.session} == {START + 500}


@pytest.mark.parametrize("code", ["40001", "40P01", "26000"])
async def test_what_was_undone_without_fault_is_tried_again(store: PostgresqlStore, other: psycopg.Connection, code: str) -> None:
    """A serialization failure, a deadlock or a forgotten statement is tried again, and nobody notices; not for ever."""
    await begin(store, NAMES)
    other.execute("CREATE SEQUENCE tries")
    other.execute(RAISE.format(body=f"IF nextval('tries') < 3 THEN RAISE 'again' USING ERRCODE = '{code}'; END IF;"))
    (outcome,) = await beat(store, claims_of(["1"], 500), now=START + 500)
    assert outcome.session is not None
    assert outcome.session.last_seen_at == START + 500
    other.execute("ALTER SEQUENCE tries RESTART WITH 1 INCREMENT BY -1 MINVALUE -99")
    with pytest.raises(StoreError, match="again"):
        await beat(store, claims_of(["1"], 600), now=START + 600)


@pytest.mark.parametrize(("default", "ours"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
async def test_what_was_answered_is_durable(url: str, default: str, ours: str) -> None:
    """Whatever the server's default, a transaction is on disk before it is answered; a stronger setting stays."""
    store = PostgresqlStore(f"{url}%20-csynchronous_commit%3D{default}")
    await begin(store, NAMES)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(RAISE.format(body="RAISE '%', current_setting('synchronous_commit');"))
    with pytest.raises(StoreError, match=f"did not answer: {ours}$"):
        await beat(store, claims_of(["1"], 500), now=START + 500)
    await store.close()


async def test_processes_share_a_sweep(store: PostgresqlStore, url: str) -> None:
    """Two stores that sweep at once record each end once."""
    second = PostgresqlStore(url)
    for name in NAMES:
        await store.create(session_of(name))
    swept = await asyncio.gather(*(swept_by.sweep(limit=3, now=START + IDLE) for swept_by in [store, second] * 7))
    handles = [session.handle for sessions in swept for session in sessions]
    assert sorted(handles) == sorted(f"handle-{name}" for name in NAMES)
    await second.close()


async def test_a_sweep_looks_at_nobody_before_it_must(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Who beats is looked at once in an idle timeout, however often it is swept; and whoever lapses then is found in time."""
    await begin(store, NAMES)
    versions = "SELECT array_agg(ctid::text || xmin ORDER BY handle) FROM stillhere_sessions"
    await beat(store, claims_of(NAMES, IDLE - 1), now=START + IDLE - 1)
    before = other.execute(versions).fetchone()
    assert await store.sweep(limit=100, now=START + IDLE - 1) == []
    assert other.execute(versions).fetchone() == before
    assert await store.sweep(limit=100, now=START + IDLE) == []
    put_off = other.execute(versions).fetchone()
    assert put_off != before
    assert await store.sweep(limit=100, now=START + 2 * IDLE - 2) == []
    assert other.execute(versions).fetchone() == put_off
    assert len(await store.sweep(limit=100, now=START + 2 * IDLE - 1)) == len(NAMES)


async def test_a_sweep_goes_on_past_those_who_live(
    store: PostgresqlStore, other: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of those who were due live, the ones that lapsed are found by the same call, and no more than asked for."""
    monkeypatch.setattr(store_module, "SWEPT_AT_ONCE", 3)
    for name in NAMES:
        await store.create(session_of(name))
    await beat(store, claims_of(NAMES[:12], 1), now=START + 1)
    other.execute("UPDATE stillhere_sessions SET due_at = 0")
    assert [len(await store.sweep(limit=5, now=START + IDLE)) for _ in range(3)] == [5, 3, 0]
    assert await store.count(now=START + IDLE) == 12


async def test_a_sweep_that_breaks_tells_what_it_ended(
    store: PostgresqlStore, other: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends that are recorded are told once, whatever happens to the others; the trouble is met by the next call."""
    monkeypatch.setattr(store_module, "SWEPT_AT_ONCE", 2)
    for n in range(6):
        await store.create(session_of(str(n), now=START + n))
    breaks = RAISE.format(body="RAISE 'no';").replace("stillhere_visits", "stillhere_sessions").replace("handle-1", "handle-5")
    other.execute(breaks)
    assert [session.handle for session in await store.sweep(limit=6, now=START + 10 + IDLE)] == [f"handle-{n}" for n in range(4)]
    with pytest.raises(StoreError, match="no"):
        await store.sweep(limit=6, now=START + 10 + IDLE)
    other.execute("DROP TRIGGER raises ON stillhere_sessions")
    assert [session.handle for session in await store.sweep(limit=6, now=START + 10 + IDLE)] == ["handle-4", "handle-5"]


async def test_forgets_whose_end_never_came_over(store: PostgresqlStore) -> None:
    """An archive lets go of a session past its absolute end, also if its live store lost it and never told; of no other."""
    told = replace(session_of("told"), ended_at=START + 1, ended_by=EndedBy.REVOKED)
    kept = [told, session_of("lost"), session_of("later", now=START + 1)]
    visits = [Visit(handle=one.handle, number=1, subject="", started_at=START, last_seen_at=START, covered_until_at=START) for one in kept]
    changes = [Changed(handle=one.handle, mark=1, session=one, visits=[visit], views=[]) for one, visit in zip(kept, visits, strict=True)]
    await store.keep(changes)
    assert [await store.forget(ended_before=START + ABSOLUTE, limit=10) for _ in range(2)] == [1, 0]
    await store.keep(changes[:1])
    assert [await store.forget(ended_before=START + ABSOLUTE + 1, limit=1) for _ in range(3)] == [1, 1, 0]
    assert [await store.get(one.handle) for one in kept] == [None, None, kept[2]]
    assert [row.visit for row in await SqlSource(store.readers).visits(Asked(wanted=VisitFilter()))] == visits[2:]


async def test_nobody_waits_for_a_session_that_is_held(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """A sweep and a clearing out pass by what somebody else holds, and come back to it."""
    for name in "abc":
        await store.create(session_of(name))
    with other.transaction():
        other.execute("SELECT FROM stillhere_sessions WHERE handle = 'handle-b' FOR UPDATE")
        swept = await store.sweep(limit=10, now=START + IDLE)
        assert sorted(session.handle for session in swept) == ["handle-a", "handle-c"]
        assert await store.forget(ended_before=START + IDLE + 1, limit=10) == 2
    assert [session.handle for session in await store.sweep(limit=10, now=START + IDLE)] == ["handle-b"]
    assert await store.forget(ended_before=START + IDLE + 1, limit=10) == 1


async def test_a_batch_waits_for_who_was_before(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """A batch that waited for a session sees what was written of its views and visits meanwhile."""
    await begin(store, NAMES)
    with other.transaction():
        other.execute("SELECT FROM stillhere_sessions WHERE handle = 'handle-0' FOR UPDATE")
        waiting = asyncio.create_task(beat(store, claims_of(["0"], 3_000), now=START + 4_000))
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        await until(lambda: other.execute(blocked).fetchone() == (1,))
        other.execute("UPDATE stillhere_visits SET visible_ms = 2400, covered_until_at = %s WHERE handle = 'handle-0'", [START + 2_401])
        other.execute("UPDATE stillhere_views SET visible_ms = 1000 WHERE handle = 'handle-0'")
    await waiting
    found = await Archive(SqlSource(store.readers)).visit("handle-0.1", beat_interval=GAP, now=START)
    assert found is not None
    assert found[0].visible_ms == 2_400 + 1_599


async def test_a_session_that_is_held_does_not_hold_up_everybody(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Who holds a session for long fails those who ask for it, well before a statement's own time is up."""
    await begin(store, NAMES)
    with other.transaction():
        other.execute("SELECT FROM stillhere_sessions WHERE handle = 'handle-0' FOR UPDATE")
        with pytest.raises(StoreError, match="due to lock timeout"):
            await beat(store, claims_of(["0", "1"], 500), now=START + 500)
    await beat(store, claims_of(["0", "1"], 500), now=START + 500)


async def test_a_huge_batch_fits_through(store: PostgresqlStore, url: str) -> None:
    """A batch larger than a socket's buffers is sent in pieces, as fast as they are taken, while other verbs go on."""
    await begin(store, NAMES)
    huge = [claim_of(f"nobody{n}", view=f"v{n}", title="\N{SNOWMAN}" * 300, page="/" * 1_024) for n in range(4_000)]
    # The relay reads only when this event loop lets it, so no piece can be the whole.
    async with relay_before(url) as relay:
        slow = await asyncio.to_thread(PostgresqlStore, relay.url)
        outcomes, found = await asyncio.gather(beat(slow, [*huge, claim_of("0")], now=START + 5), slow.get("handle-0"))
        await slow.close()
    assert [outcome.session is not None for outcome in outcomes] == [False] * 4_000 + [True]
    assert found is not None


async def test_keeps_what_a_live_store_reports(store: PostgresqlStore, url: str) -> None:
    """As an archive beside another store it takes reports in, however often and from however many processes they come."""
    second = PostgresqlStore(url)
    changes = [Changed(handle=f"handle-{n}", mark=int(n), session=session_of(n), visits=[], views=[]) for n in reversed(NAMES)]
    await asyncio.gather(*(kept_by.keep(changes) for kept_by in [store, second] * 4))
    assert sorted(session.handle for session in await store.living(subject=None, limit=100, now=START)) == sorted(
        change.handle for change in changes
    )
    assert await store.living(subject="nobody", limit=100, now=START) == []
    assert await store.count(now=START) == len(changes)
    with pytest.raises(SessionExists):
        await store.create(session_of("0"))
    await second.close()


async def test_lists_sort_by_code_point(server: object, store: PostgresqlStore) -> None:
    """The server sorts text as people do; the store's lists are sorted as Python sorts, as in every other store."""
    del server
    subjects = ["b", "A", "a", "B", "\N{LATIN SMALL LETTER A WITH DIAERESIS}", "_", "Z"]
    for n, subject in enumerate(subjects):
        await store.create(session_of(str(n), subject=subject))
    await beat(store, claims_of([str(n) for n in range(len(subjects))], 5), now=START + 5)
    found = await Archive(SqlSource(store.readers)).visitors(beat_interval=1, now=START + 5)
    assert [row.visitor for row in found] == sorted(subjects)
