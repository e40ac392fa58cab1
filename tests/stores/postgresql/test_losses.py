"""Connections that are lost, servers that stop or fall silent, and what those who watch are told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, cast

import psycopg
import pytest
from psycopg import pq

from stillhere.core.records import EndedBy
from stillhere.errors import StoreError
from stillhere.stores.postgresql import listener, wire
from stillhere.stores.postgresql.store import PostgresqlStore
from tests.stores.every import GAP, IDLE, claim_of, session_of
from tests.stores.postgresql.helpers import until
from tests.support import PATIENCE_S, START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.services import Postgresql

OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'stillhere'"


def cut(other: psycopg.Connection) -> int:
    """Cut all of the store's connections; tell how many there were."""
    return len(other.execute(f"SELECT pg_terminate_backend(pid) {OURS}").fetchall())


async def answered(ask: Callable[[], Awaitable[object]]) -> object:
    """Ask until the store answers; only trouble that says so is waited out."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await ask()
            except StoreError:
                await asyncio.sleep(0.02)


async def test_a_cut_connection_is_replaced(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """After an administrator cut every connection the next call finds a new one."""
    await store.create(session_of("a"))
    await until(lambda: other.execute(f"SELECT count(*) {OURS}").fetchone() == (1,))  # what made the tables may be going still
    assert cut(other) == 1
    assert await answered(lambda: store.get("handle-a")) == session_of("a")
    assert await store.count(now=START) == 1


async def test_what_was_under_way_fails(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Who waits while the connection is cut is told, and asking again is safe."""
    await store.create(session_of("a"))
    with other.transaction():
        other.execute("SELECT FROM stillhere_sessions FOR UPDATE")
        waiting = [asyncio.create_task(store.end("handle-a", EndedBy.REVOKED, now=START)) for _ in range(9)]
        await until(lambda: other.execute(f"SELECT count(*) {OURS} AND wait_event_type = 'Lock'").fetchone() != (0,))
        cut(other)
        told = await asyncio.gather(*waiting, return_exceptions=True)
    assert any(isinstance(error, StoreError) for error in told)
    outcome = await store.end("handle-a", EndedBy.REVOKED, now=START)
    assert outcome.session is not None
    assert outcome.session.ended_by is EndedBy.REVOKED


async def test_a_caller_that_goes_away_harms_nobody(store: PostgresqlStore) -> None:
    """A cancelled call is carried out or not, and the connection serves the next one."""
    await store.create(session_of("a"))
    for _ in range(5):
        going = asyncio.create_task(store.get("handle-a"))
        await asyncio.sleep(0)
        going.cancel()
        assert await store.get("handle-a") == session_of("a")


async def test_a_restart_loses_nothing(server: Postgresql, store: PostgresqlStore) -> None:
    """While the server is away every verb is `StoreError`; when it is back all goes on with what was answered before."""
    await store.create(session_of("a"))
    server.stop()
    verbs: list[Awaitable[object]] = [store.ping(), store.get("handle-a"), store.readers(lambda _: None)]
    for verb in verbs:
        with pytest.raises(StoreError, match="the session store"):
            await verb
    with pytest.raises(StoreError, match="the session store cannot be reached"):
        await anext(store.watch())
    server.start()
    assert await answered(lambda: store.get("handle-a")) == session_of("a")


async def test_silence_is_trouble(server: Postgresql, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing is given up after a while, and used again when it speaks; an idle connection is left in peace."""
    store = PostgresqlStore(url)
    await store.create(session_of("a"))
    await store.readers(lambda _: None)
    monkeypatch.setattr(wire, "ANSWER_TIMEOUT_S", 1.0)
    monkeypatch.setattr(store.readers, "_timeout_s", 0.5)
    server.pause()
    try:
        with pytest.raises(StoreError, match="no answer within 1 second"):
            await store.get("handle-a")
        with pytest.raises(StoreError, match="it says nothing"):
            await store.readers(lambda connection: connection.exec_driver_sql("SELECT 1"))
    finally:
        server.resume()
    assert await answered(lambda: store.get("handle-a")) == session_of("a")
    await until(lambda: store._run._wires[0]._watchdog is None)
    assert await store.get("handle-a") == session_of("a")
    await store.close()


async def test_a_watchdog_gives_a_later_call_its_own_time(
    server: Postgresql, store: PostgresqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the time of an answered call is over, a later one that still waits has the rest of its own, and its answer comes."""
    monkeypatch.setattr(wire, "ANSWER_TIMEOUT_S", PATIENCE_S)
    await store.create(session_of("a"))
    (line,) = store._run._wires
    armed = line._watchdog
    assert armed is not None
    server.pause()
    waiting = asyncio.create_task(store.get("handle-a"))
    await until(lambda: len(line._under_way) == 1)
    armed.cancel()
    line._check_silence()  # as if the time of `create` were over
    assert line._watchdog is not None
    assert line._watchdog.when() == line._under_way[0].sent_at + PATIENCE_S
    server.resume()
    assert await waiting == session_of("a")


@asynccontextmanager
async def silence() -> AsyncIterator[dict[str, object]]:
    """Stand for a server that accepts and says nothing; give libpq's parameters."""

    async def hear(client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        await client.read()
        server.close()

    listening = await asyncio.start_server(hear, "127.0.0.1", 0)
    async with listening:
        yield {"host": "127.0.0.1", "port": listening.sockets[0].getsockname()[1], "user": "anybody", "connect_timeout": 20}


class GoneLibpq:
    """libpq's side of a connection that broke without a word."""

    status = pq.ConnStatus.BAD

    def consume_input(self) -> None: ...

    def is_busy(self) -> int:
        return 0

    def get_result(self) -> None: ...

    def finish(self) -> None: ...


async def test_a_lost_wire_takes_and_gives_nothing(url: str) -> None:
    """What waits when a connection turns out to be gone fails, once, and nothing more is taken."""
    lost: list[wire.Wire] = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        gone = wire.Wire(connection, lost.append)
        waiting = gone.send([("ping", ())])
        gone._libpq = cast("pq.abc.PGconn", GoneLibpq())
        gone._read()
        with pytest.raises(StoreError, match="the connection was lost"):
            await waiting
        gone.lose("again")
        gone._libpq = connection.pgconn
        connection.pgconn.finish()
        with pytest.raises(StoreError, match="the connection is closed"):
            await gone.send([("ping", ())])
    assert lost == [gone]


async def test_a_busy_store_opens_more_connections(server: Postgresql, store: PostgresqlStore, other: psycopg.Connection) -> None:
    """What comes while one connection is busy opens a few more; where the server allows none, the first serves everybody."""
    await store.create(session_of("a"))
    server.execute(psycopg.sql.SQL("ALTER ROLE stillhere CONNECTION LIMIT 2"))
    try:
        assert await asyncio.gather(*(store.get("handle-a") for _ in range(50))) == [session_of("a")] * 50
    finally:
        server.execute(psycopg.sql.SQL("ALTER ROLE stillhere CONNECTION LIMIT -1"))
    while other.execute(f"SELECT count(*) {OURS}").fetchone() != (4,):
        await asyncio.gather(*(store.get("handle-a") for _ in range(50)))


async def test_a_connection_that_cannot_be_made_ready_is_trouble(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """Without its tables the store says what is missing, and works again when they are back."""
    other.execute("ALTER TABLE stillhere_views RENAME TO aside")
    with pytest.raises(StoreError, match='relation "stillhere_views" does not exist'):
        await store.ping()
    other.execute("ALTER TABLE aside RENAME TO stillhere_views")
    await store.ping()


def test_a_store_serves_one_event_loop_after_another(url: str) -> None:
    """A store that was used in one loop works in the next: its connections are made in the loop that runs."""
    store = PostgresqlStore(url)
    asyncio.run(store.create(session_of("a")))
    assert asyncio.run(store.get("handle-a")) == session_of("a")
    asyncio.run(store.close())


async def test_closing_fails_what_is_under_way(url: str) -> None:
    """A call that waits for a connection, or for an answer, while the store is closed is told so."""
    for is_connected in (False, True):
        store = PostgresqlStore(url)
        if is_connected:
            await store.ping()
        waiting = asyncio.create_task(store.ping())
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(StoreError, match="the session store is closed"):
            await waiting


class TestWatching:
    async def test_tells_every_end_wherever_it_is_recorded(self, store: PostgresqlStore, url: str) -> None:
        """An end, a sweep and a late beat in another process are each told, once, as they are recorded."""
        elsewhere = PostgresqlStore(url)
        for name in "abc":
            await elsewhere.create(session_of(name))
        async with aclosing(store.watch()) as one, aclosing(store.watch()) as two:
            assert [await anext(one), await anext(two)] == [None, None]
            await elsewhere.end("handle-a", EndedBy.SIGNED_OUT, now=START)
            await elsewhere.end("handle-a", EndedBy.REVOKED, now=START)
            claim = claim_of("b")
            await elsewhere.beat([claim, claim], visit_gap=GAP, touch_interval=0, now=START + IDLE)
            await elsewhere.sweep(limit=10, now=START + IDLE)
            for told in (one, two):
                assert [await anext(told) for _ in range(3)] == ["handle-a", "handle-b", "handle-c"]
        await elsewhere.close()

    async def test_says_when_something_may_be_missed(
        self, store: PostgresqlStore, other: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a lost connection None is told, and then ends again."""
        monkeypatch.setattr(listener, "RECONNECT_INTERVAL_S", 0.01)
        await store.create(session_of("a"))
        async with aclosing(store.watch()) as told:
            assert await anext(told) is None
            cut(other)
            assert await anext(told) is None
            await answered(lambda: store.end("handle-a", EndedBy.SIGNED_OUT, now=START))
            assert await anext(told) == "handle-a"

    async def test_takes_one_connection_while_somebody_watches(self, store: PostgresqlStore, other: psycopg.Connection) -> None:
        """However many watch in a process, one connection listens; when the last has gone, none does."""

        def connections() -> int:
            return len(other.execute(f"SELECT {OURS} AND query LIKE 'LISTEN%'").fetchall())

        assert connections() == 0
        async with aclosing(store.watch()) as one:
            await anext(one)
            async with aclosing(store.watch()) as two:
                await anext(two)
                assert connections() == 1
            assert connections() == 1
        await until(lambda: connections() == 0)
        async with aclosing(store.watch()) as again:
            assert await anext(again) is None

    async def test_ends_when_the_store_is_closed(self, store: PostgresqlStore) -> None:
        """Who watches a store that is closed is told so at once."""
        async with aclosing(store.watch()) as told:
            await anext(told)
            waiting = asyncio.ensure_future(anext(told))
            await asyncio.sleep(0)
            await store.close()
            with pytest.raises(StoreError, match="the session store is closed"):
                await waiting
        with pytest.raises(StoreError, match="the session store is closed"):
            await anext(store.watch())

    async def test_ends_when_the_store_is_closed_before_it_listens(self) -> None:
        """Who waits for a server that says nothing is told when the store is closed, not when the server speaks."""
        async with silence() as parameters:
            listening = listener.Listener(parameters)
            waiting = [asyncio.ensure_future(anext(listening.watch())) for _ in range(2)]
            await until(lambda: listening._watching == 2)
            await listening.close()
            async with asyncio.timeout(10):  # `silence` says for how long a connection is waited for: twenty
                for told in await asyncio.gather(*waiting, return_exceptions=True):
                    assert isinstance(told, StoreError)
                    assert str(told) == "the session store is closed"

    async def test_nobody_listens_for_who_went_away(self) -> None:
        """When the last who waits for the first connection goes away, it is not made; the others' is."""
        async with silence() as parameters:
            listening = listener.Listener(parameters)
            one, two = (asyncio.ensure_future(anext(listening.watch())) for _ in range(2))
            await until(lambda: listening._watching == 2)
            for waiting, is_listening in ((one, True), (two, False)):
                waiting.cancel()
                await asyncio.wait([waiting])
                assert (listening._listening is not None) is is_listening
