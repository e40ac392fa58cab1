"""The servers that other tests stand on: each starts, answers, keeps what it should over a restart or a kill, and leaves nothing behind."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.services import Postgresql, postgresql, redis_cluster, redis_sentinel, redis_server
from tests.services.postgresql import PASSWORD
from tests.services.process import Server, are_gone, free_port, running
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_redis_keeps_nothing_unless_it_is_durable(tmp_path: Path) -> None:
    """A plain one is empty after a stop; a durable one has everything after a stop and after a kill."""
    for durable in (False, True):
        with redis_server(tmp_path / str(durable), durable=durable) as server:
            for halt in (server.stop, server.kill):
                server.ask("SET", "key", halt.__name__)
                port = server.port
                halt()
                assert not server.is_running
                server.start()
                assert server.port == port
                assert server.ask("GET", "key") == (halt.__name__ if durable else None)
            pids = server.pids
        assert are_gone(pids)


def test_a_redis_with_tls_and_users(tmp_path: Path) -> None:
    """Its URL names the authority to check it by; a user gets in with the right password only, and may do what was said only."""
    with redis_server(tmp_path, tls=True, users={"app": ">secret ~stillhere:* +get"}) as server:
        assert server.url.startswith("rediss://")
        with redis.Redis.from_url(server.url_of("app", "secret")) as client:
            assert client.get("stillhere:key") is None
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.set("stillhere:key", "value")
        with redis.Redis.from_url(server.url_of("app", "wrong")) as client, pytest.raises(redis.AuthenticationError):
            client.get("stillhere:key")
        with redis.Redis("127.0.0.1", server.port, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(redis.ConnectionError):
            client.ping()


def test_a_redis_held_still_does_not_answer(tmp_path: Path) -> None:
    """A paused server answers again when it may go on; stopping a paused one works as ever."""
    with redis_server(tmp_path) as server:
        server.pause()
        assert server.ask_if_it_answers("PING") is None
        server.resume()
        assert server.ask("PING")
        server.pause()
    assert not server.is_running


def test_a_cluster_replaces_a_killed_primary(tmp_path: Path) -> None:
    """A replica takes over the slots and their data; when the killed node is back, all is well; a stopped cluster starts again."""
    with redis_cluster(tmp_path) as cluster:
        with redis.RedisCluster.from_url(cluster.url.replace("redis+cluster", "redis").partition(",")[0], socket_timeout=30) as client:
            client.set("key", "value")
            assert client.execute_command("WAIT", 1, 20_000, target_nodes=client.get_node_from_key("key")) == 1
        first = cluster.primary_of("key")
        pids = first.pids
        with cluster.hasty():
            first.kill()
            wait_until(lambda: cluster.primary_of("key") is not first, what="a replica to take over", timeout_s=60)
        assert cluster.primary_of("key").ask("GET", "key") == "value"
        assert are_gone(pids)
        first.start()
        cluster.wait_until_well()
        cluster.stop()
        cluster.start()
        pids = [pid for node in cluster.nodes for pid in node.pids]
        assert len(pids) == 6
    assert are_gone(pids)


def test_sentinels_replace_a_killed_primary(tmp_path: Path) -> None:
    """The replica takes over with its data; when the killed one is back it becomes the replica, and all is well."""
    with redis_sentinel(tmp_path) as group:
        first = group.primary()
        first.ask("SET", "key", "value")
        written = int(first.ask("INFO", "replication")["master_repl_offset"])
        wait_until(lambda: first.reached() >= written, what="the replica to have all")
        with group.hasty():
            first.kill()
            wait_until(lambda: first not in (group.primaries() or [first]), what="the replica to take over", timeout_s=60)
        assert group.primary().ask("GET", "key") == "value"
        first.start()
        group.wait_until_well()
        pids = [pid for server in group.servers for pid in server.pids]
        assert len(pids) >= 5  # and whoever writes a log anew
    assert are_gone(pids)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    """Run one PostgreSQL for the tests below."""
    with postgresql(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture
def database_server(shared_server: Postgresql) -> Postgresql:
    """Give it running, whatever the test before did."""
    if not shared_server.is_running:
        shared_server.start()
    return shared_server


def _rows(url: str, statement: sql.SQL | sql.Composed) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("how", ["stop", "immediate", "kill"])
def test_a_postgresql_keeps_what_was_committed(database_server: Postgresql, how: str) -> None:
    """After a stop, an immediate stop and a kill it has everything, and its processes were gone in between."""
    url = database_server.database(how)
    _rows(url, sql.SQL("CREATE TABLE kept AS SELECT 1 AS n"))
    pids = database_server.pids
    assert len(pids) > 3
    if how == "kill":
        database_server.kill()
    else:
        database_server.stop(signal.SIGQUIT if how == "immediate" else None)
    assert are_gone(pids)
    database_server.start()
    assert _rows(url, sql.SQL("SELECT n FROM kept")) == [(1,)]


def test_a_postgresql_database_is_fresh(database_server: Postgresql) -> None:
    """Asking for a database of the same name again gives an empty one, also while somebody is connected to the old one."""
    url = database_server.database("fresh")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE old AS SELECT 1 AS n")
        connection.commit()
        assert database_server.database("fresh") == url
    assert _rows(url, sql.SQL("SELECT to_regclass('old')")) == [(None,)]


def test_a_postgresql_database_is_emptied(database_server: Postgresql) -> None:
    """Its tables stay, whoever refers to whom, and so does the count of migrations; the rows are gone."""
    url = database_server.emptied("emptied")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE parent AS SELECT 1 AS n; ALTER TABLE parent ADD PRIMARY KEY (n)")
        connection.execute("CREATE TABLE child (n int REFERENCES parent); INSERT INTO child VALUES (1)")
        connection.execute("CREATE TABLE stillhere_version AS SELECT 1 AS n")
    assert database_server.emptied("emptied") == url
    for table, count in (("parent", 0), ("child", 0), ("stillhere_version", 1)):
        assert _rows(url, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))) == [(count,)]


def test_a_postgresql_role_with_a_password(database_server: Postgresql) -> None:
    """One role gets in with its password only; the ordinary one is no superuser; both may make tables in their own database."""
    for url in (database_server.url, database_server.guarded_url):
        _rows(url, sql.SQL("CREATE TABLE own AS SELECT 1 AS n"))
        assert _rows(url, sql.SQL("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")) == [(False,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database_server.guarded_url.replace(PASSWORD, "wrong"))


def test_a_postgresql_syncs_and_sorts_as_people_do(database_server: Postgresql) -> None:
    """It syncs to disk; it sorts by language, so that a query that needs the order of bytes must ask for it."""
    assert _rows(database_server.url, sql.SQL("SHOW fsync")) == [("on",)]
    assert _rows(database_server.url, sql.SQL("SELECT 'a' < 'B', 'a' COLLATE \"C\" < 'B'")) == [(True, False)]


def test_a_postgresql_held_still_does_not_answer(database_server: Postgresql) -> None:
    """A paused server, connections and all, waits; when it may go on it answers."""
    with psycopg.connect(database_server.url) as connection:
        database_server.pause()
        try:
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(database_server.url, connect_timeout=2)
        finally:
            database_server.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """The failure quotes what the server wrote, and nothing is left running."""
    server = Server(["sh", "-c", "echo the disk is on fire; exit 3"], tmp_path / "log", port=free_port(), is_ready=lambda: False)
    with pytest.raises(AssertionError, match="the disk is on fire"), running(server):
        pass
    assert not server.is_running


def test_two_servers_never_share_a_port(tmp_path: Path) -> None:
    """A port that somebody has is not given out."""
    with redis_server(tmp_path) as server:
        assert server.port not in {free_port() for _ in range(200)}
