"""How PostgreSQL keeps grants and notes: in the order in which their sessions are held, by index, and not for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from stillhere.core.records import EndedBy
from stillhere.errors import StoreError, StoreRefused
from stillhere.testing.scene import grant_of
from tests.stores.every import session_of
from tests.stores.postgresql.helpers import until
from tests.support import START

if TYPE_CHECKING:
    import psycopg

    from stillhere.stores.postgresql.store import PostgresqlStore

FILL = (
    (
        "INSERT INTO stillhere_sessions (handle, id_hash, subject, created_at, last_active_at, last_seen_at, absolute_end_at, "
        "idle_timeout, attributes, due_at) SELECT n, '', '', 0, 0, 0, 9e15, 9e15, '{}', 9e15 FROM generate_series(1, 3000) AS n"
    ),
    "INSERT INTO stillhere_grants SELECT n, 'provider', 1, '', 9e15 FROM generate_series(1, 3000) AS n",
    "INSERT INTO stillhere_firsts SELECT n, 9e15 FROM generate_series(1, 3000) AS n",
    "INSERT INTO stillhere_notes SELECT n, '', 9e15 FROM generate_series(1, 3000) AS n",
    "INSERT INTO stillhere_generations SELECT n, 1 FROM generate_series(1, 3000) AS n",
)
"""Three thousand of each, none of which is due or has passed."""

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_a_swap_waits_for_an_end_that_is_under_way(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Whoever ends the session first, in a transaction that is not over yet, is heard: the swap comes after it, and is not done."""
    await store.create(session_of("a"))
    with other.transaction():
        other.execute(f"UPDATE stillhere_sessions SET ended_at = {START}, ended_by = 'signed_out'")  # noqa: S608  # our own number
        swapping = asyncio.create_task(store.swap(grant_of("a"), now=START))
        await until(lambda: other.execute(WAITING).fetchone() != (0,))
    swapped = await swapping
    assert not swapped.done
    assert swapped.held.session is not None
    assert swapped.held.session.ended_by is EndedBy.SIGNED_OUT
    assert swapped.held.grant is None


async def test_a_swap_sees_what_was_written_while_it_waited(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """A version that somebody writes, in a transaction that is not over yet, is the one that decides."""
    await store.create(session_of("a"))
    with other.transaction():
        other.execute("SELECT FROM stillhere_sessions FOR UPDATE")
        other.execute("INSERT INTO stillhere_grants VALUES ('handle-a', 'provider', 1, '{}', 0)")
        swapping = [asyncio.create_task(store.swap(grant_of("a", version), now=START)) for version in (1, 2)]
        dropping = asyncio.create_task(store.drop("handle-a", "other", version=1))
        await until(lambda: other.execute(WAITING).fetchone() != (0,))
    assert [swapped.done for swapped in await asyncio.gather(*swapping)] == [False, True]
    assert not await dropping


async def test_nobody_waits_for_a_grant_that_is_held(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Upkeep passes over what somebody is just writing, and a session that is held for long is `StoreError`, not a wait without end."""
    for name in "ab":
        await store.create(session_of(name))
        await store.swap(grant_of(name, check_at=START), now=START)
    with other.transaction():
        other.execute("SELECT FROM stillhere_grants WHERE handle = 'handle-a' FOR UPDATE")
        other.execute("SELECT FROM stillhere_sessions WHERE handle = 'handle-b' FOR UPDATE")
        (due,) = await store.due_grants("provider", limit=9, now=START, until=START + 1)
        assert due.grant == grant_of("b", check_at=START + 1)
        with pytest.raises(StoreError, match="lock timeout"):
            await store.swap(grant_of("b", 2), now=START)
    assert len(await store.due_grants("provider", limit=9, now=START, until=START + 1)) == 1


async def test_names_pass_while_others_hold_some(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """What has passed is deleted with the next name that is taken, a few at a time; one that is held is left, and nobody waits."""
    for n in range(20):
        await store.first(str(n), until=START + n, now=START)
        await store.note("name", f"handle-{n}", until=START + n)
    counts = "SELECT (SELECT count(*) FROM stillhere_firsts), (SELECT count(*) FROM stillhere_notes)"
    with other.transaction():
        other.execute(f"SELECT FROM stillhere_firsts WHERE until_at < {START + 5} FOR UPDATE")
        assert await store.first("new", until=START + 99, now=START + 99)
        assert other.execute(counts).fetchone() == (13, 12)
    for _ in range(2):
        await store.first("new", until=START + 99, now=START + 99)
    assert other.execute(counts).fetchone() == (1, 0)


async def test_what_it_cannot_keep_is_refused(store: PostgresqlStore) -> None:
    """A document with U+0000, or a number beyond all measure, fails whoever sent it; a handle with it is nobody's, and is not noted."""
    await store.create(session_of("a"))
    for grant in (grant_of("a", document="a\0b"), grant_of("a", check_at=2**70)):
        with pytest.raises(StoreRefused):
            await store.swap(grant, now=START)
    await store.note("name", "handle-a\0junk", until=START)
    assert await store.noted("name", now=START) == []


async def test_plans_made_over_empty_tables_serve_full_ones(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Every statement looks its rows up, whatever the tables were like when it was planned; none walks through a table."""
    other.execute("ALTER TABLE stillhere_grants SET (autovacuum_enabled = off)")

    async def use(name: str) -> None:
        await store.create(session_of(name))
        await store.swap(grant_of(name, check_at=START), now=START)
        await store.swap(grant_of(name, 2, check_at=START), now=START)
        await store.due_grants("provider", limit=2, now=START, until=2 * START)
        await store.held(f"handle-{name}", "provider")
        await store.drop(f"handle-{name}", "provider", version=2)
        await store.first(name, until=START, now=START)
        await store.note(name, f"handle-{name}", until=START)
        await store.noted(name, now=START)
        await store.advance(name)
        await store.generation(name)
        await store.end(f"handle-{name}", EndedBy.REVOKED, now=START)
        await store.forget(ended_before=START + 1, limit=9)

    async def rows_read(updates: int) -> int:
        """Wait until so many updates of grants are counted; then tell how many rows of all tables were read."""
        counted = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = 'stillhere_grants'"
        while other.execute(counted).fetchone() != (updates,):
            await store.ping()
            await asyncio.sleep(0.05)
        read = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables WHERE schemaname = current_schema()"
        return int(cast("tuple[int]", other.execute(read).fetchone())[0])

    await use("early")
    for statement in FILL:
        other.execute(statement)
    other.execute("SELECT pg_stat_force_next_flush()")  # or what it read itself is counted later
    before = await rows_read(2)
    await use("late")
    assert await rows_read(4) - before < 100
