"""Servers that cannot be used, or do not answer: one clear sentence at the start, 503 later, and never somebody else's answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import pytest
from psycopg import sql

from stillhere.errors import StoreError
from stillhere.stores import open_store
from tests.faults.clients import UNLIMITED, ask, sign_in
from tests.faults.patients import answered_again, check_nobody_is_signed_out, patients, refused_again
from tests.forked import command_line
from tests.services import Postgresql, RedisServer, postgresql, redis_server
from tests.services.process import free_port, running
from tests.stores.every import session_of
from tests.support import serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSWORD = "wrong-horse-battery"
"""Never to be seen in what the program says."""

SAID_WITHIN_S = 9.5
"""A server that does not answer is given up after five seconds, and not asked twice; most hear so within this."""

SAID_AT_LAST_WITHIN_S = 15
"""Whoever has to wait longest, on a busy machine."""


class Servers(NamedTuple):
    """What the tests below share: one of each kind, one with TLS, and a sentinel that watches nobody."""

    postgresql: Postgresql
    redis: RedisServer
    secure: RedisServer
    sentinel: RedisServer


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Run one server of each kind for all tests of this file; each test leaves them answering."""
    folder = tmp_path_factory.mktemp("servers")
    users = {"reader": f">{PASSWORD} ~* &* +@read +@connection"}
    sentinel = RedisServer(folder / "sentinel", sentinel=True)
    with (
        postgresql(folder) as database,
        redis_server(folder, users=users) as plain,
        redis_server(folder / "secure", tls=True) as secure,
        running(sentinel),
    ):
        yield Servers(database, plain, secure, sentinel)


@pytest.fixture
def servers(shared: Servers) -> Servers:
    """Give them, with nothing in them."""
    shared.postgresql.emptied("stillhere")
    shared.redis.ask("FLUSHALL")
    return shared


@pytest.fixture(params=["postgresql", "redis"])
def server(request: pytest.FixtureRequest, servers: Servers) -> Postgresql | RedisServer:
    """Give each in turn."""
    return servers.postgresql if request.param == "postgresql" else servers.redis


def refusal_of(url: str) -> str:
    """Start the program on a store that it cannot use; tell the sentence it ends with."""
    ran = command_line("serve", "--port", "0", "--store", url, environment=os.environ)
    out, err = ran.stdout, ran.stderr
    assert ran.returncode == 1, (out, err)
    assert out == ""
    assert err.startswith("error: "), err
    assert err.count("\n") == 1, f"more than one line: {err}"
    assert PASSWORD not in err
    return err.removeprefix("error: ").strip()


def _with(url: str, *, user: str | None = None, database: str | None = None) -> str:
    """Put somebody's name and the password, or a database, into a URL."""
    scheme, _, rest = url.partition("://")
    address, _, path = rest.rpartition("@")[2].partition("/")
    who = rest.rpartition("@")[0] if user is None else f"{user}:{PASSWORD}"
    return f"{scheme}://{who}{'@' if who else ''}{address}/{path if database is None else database}"


REFUSED: dict[str, tuple[Callable[[Servers], str], str]] = {
    "postgresql, nobody listens": (lambda _: f"postgresql://stillhere:{PASSWORD}@127.0.0.1:{free_port()}/stillhere", "refused"),
    "postgresql, wrong password": (lambda servers: _with(servers.postgresql.guarded_url, user="guarded"), "password"),
    "postgresql, unknown database": (lambda servers: _with(servers.postgresql.url, database="nothing"), "nothing"),
    "postgresql, unknown role": (lambda servers: _with(servers.postgresql.url, user="nobody_knows"), "nobody_knows"),
    "postgresql, somebody else's database": (lambda servers: _with(servers.postgresql.url, database="postgres"), "permission"),
    "postgresql, no such option": (lambda servers: f"{servers.postgresql.url}?no_such_option=1", "no_such_option"),
    "postgresql, no such port": (lambda _: f"postgresql://stillhere:{PASSWORD}@127.0.0.1:port/stillhere", "port"),
    "redis, nobody listens": (lambda _: f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0", "Connect call failed|refused"),
    "redis, wrong password": (lambda servers: _with(servers.redis.url, user="nobody_knows"), "password"),
    "redis, a user who may only read": (lambda servers: _with(servers.redis.url, user="reader"), "rights"),
    "redis, unknown database": (lambda servers: _with(servers.redis.url, database="99"), "out of range"),
    "redis, no such port": (lambda _: f"redis://:{PASSWORD}@127.0.0.1:port/0", "port"),
    "redis, TLS where there is none": (lambda servers: servers.redis.url.replace("redis://", "rediss://"), "SSL|Timeout"),
    "redis, no TLS where there is": (lambda servers: f"redis://127.0.0.1:{servers.secure.port}/0", "did not answer"),
    "redis, an unknown authority": (lambda servers: servers.secure.url.partition("?")[0], "certificate"),
    "redis, an authority that is no file": (lambda servers: f"{servers.secure.url}.not", "No such file|ca.pem.not"),
    "redis, no cluster": (lambda servers: servers.redis.url.replace("redis://", "redis+cluster://").removesuffix("/0"), "cluster"),
    "redis, no sentinel": (lambda servers: f"redis+sentinel://127.0.0.1:{servers.redis.port}/mymaster/0", "entinel"),
    "redis, a sentinel as a server": (lambda servers: servers.sentinel.url, "sentinel"),
    "redis, a name no sentinel knows": (lambda servers: f"redis+sentinel://127.0.0.1:{servers.sentinel.port}/nobody/0", "nobody"),
    "redis, sentinel without a name": (lambda servers: f"redis+sentinel://127.0.0.1:{servers.redis.port}", "name"),
    "a slash too few": (lambda _: f"postgresql:/stillhere:{PASSWORD}@127.0.0.1/stillhere", "postgresql://"),
    "a slash too many": (lambda _: f"postgrex://stillhere:a/{PASSWORD}@127.0.0.1/stillhere", "postgresql://"),
    "a scheme nobody knows": (lambda _: f"postgrex://stillhere:{PASSWORD}@127.0.0.1/stillhere", "postgresql://"),
}
"""A URL that cannot work, and what the program says to it: a pattern."""


@pytest.mark.parametrize("what", REFUSED)
def test_a_start_that_cannot_work_is_one_sentence(servers: Servers, what: str) -> None:
    """It exits with 1 and one sentence on stderr that names what is wrong, without a traceback and without the password."""
    url_of, told = REFUSED[what]
    assert re.search(told, refusal_of(url_of(servers)))


def test_a_schema_from_a_newer_version_is_refused(server: Postgresql | RedisServer, tmp_path: Path) -> None:
    """What a newer version of stillhere has written is left alone, and the sentence says to upgrade."""
    url = server.database("newer") if isinstance(server, Postgresql) else server.url
    with serving(url, log=tmp_path / "log") as program:
        sign_in(program.url, "first@fund.example")
    if isinstance(server, Postgresql):
        server.execute(sql.SQL("UPDATE stillhere_version SET version_num = '9999'"), database="newer")
    else:
        (marker,) = server.ask("KEYS", "*layout")
        server.ask("SET", marker, 9999)
    assert "upgrade stillhere" in refusal_of(url)


def test_a_start_on_a_server_held_still_is_one_sentence(server: Postgresql | RedisServer) -> None:
    """A server that takes connections but does not answer is given up."""
    with _held_still(server):
        assert re.search("did not answer|timeout", refusal_of(server.url), re.IGNORECASE)


def test_the_greeting_keeps_the_password(servers: Servers, tmp_path: Path) -> None:
    """What the program says when it starts, and while it runs, has no password in it."""
    secret = servers.postgresql.guarded_url.partition("@")[0].rpartition(":")[2]
    servers.redis.ask("ACL", "SETUSER", "app", "on", f">{secret}", "~*", "&*", "+@all")
    for url in (servers.postgresql.guarded_url, servers.redis.url_of("app", secret)):
        log = tmp_path / url.partition(":")[0]
        with serving(url, "--log-level", "debug", log=log) as program:
            sign_in(program.url, "first@fund.example")
        assert secret not in log.read_text("utf-8")


@contextlib.contextmanager
def _held_still(server: Postgresql | RedisServer) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


def test_a_server_held_still_is_waited_out(server: Postgresql | RedisServer, tmp_path: Path) -> None:
    """While the server does not answer it is 503 for everybody within six seconds; then beats go on, and nobody is signed out."""
    with serving(server.url, *UNLIMITED, log=tmp_path / "log") as program, patients(program) as crowd:
        with _held_still(server):
            refused_again(crowd)
            assert ask(program.url, "GET", "/session", crowd[0].cookie)[0] == 503
        answered_again(crowd)
        check_nobody_is_signed_out(program, crowd)
        assert median(client.longest_s for client in crowd) < SAID_WITHIN_S
        assert max(client.longest_s for client in crowd) < SAID_AT_LAST_WITHIN_S
    assert "Traceback" not in (tmp_path / "log").read_text("utf-8")


def test_a_late_answer_is_nobody_elses(server: Postgresql | RedisServer) -> None:
    """After answers that came too late, and after callers who went away, everybody gets the session they asked for."""

    async def look() -> None:
        store, _ = open_store(server.url)
        try:
            names = [str(n) for n in range(20)]
            for name in names:
                await store.create(session_of(name))
            with _held_still(server):
                for found in await asyncio.gather(*(store.get(f"handle-{name}") for name in names), return_exceptions=True):
                    assert isinstance(found, StoreError)
                leaving = [asyncio.create_task(store.get(f"handle-{name}")) for name in names]
                await asyncio.wait(leaving, timeout=0.1)
                for task in leaving:
                    task.cancel()
            for name in reversed(names):
                assert await store.get(f"handle-{name}") == session_of(name)
        finally:
            await store.close()

    asyncio.run(look())


def test_a_server_that_takes_no_writes_is_503_until_it_does(server: Postgresql | RedisServer, tmp_path: Path) -> None:
    """A full or read-only server is 503 for beats, the cookie stays; when it takes writes again all goes on by itself."""
    with serving(server.url, *UNLIMITED, log=tmp_path / "log") as program:
        cookie = sign_in(program.url, "first@fund.example")
        beat = {"view": "v", "seq": 1, "visibleMs": 1, "lifecycle": "active"}
        for no, yes in _writes(server):
            no()
            try:
                status, headers, body = ask(program.url, "POST", "/session/beat", cookie, beat)
                assert (status, headers["set-cookie"]) == (503, None), body
                assert int(headers["retry-after"]) > 0
            finally:
                yes()
            wait_until(lambda: ask(program.url, "POST", "/session/beat", cookie, beat)[0] == 200, what="beats to go on")
    assert "Traceback" not in (tmp_path / "log").read_text("utf-8")


def _writes(server: Postgresql | RedisServer) -> list[tuple[Callable[[], object], Callable[[], object]]]:
    """Tell ways to forbid writing, and to allow it again."""
    if isinstance(server, RedisServer):
        full = (lambda: server.ask("CONFIG", "SET", "maxmemory", 1), lambda: server.ask("CONFIG", "SET", "maxmemory", 0))
        replica = (lambda: server.ask("REPLICAOF", "127.0.0.1", free_port()), lambda: server.ask("REPLICAOF", "NO", "ONE"))
        return [full, replica]

    def read_only(value: str) -> None:
        server.execute(sql.SQL("ALTER DATABASE stillhere SET default_transaction_read_only = {}").format(sql.Literal(value)))
        # It holds for new connections.
        server.execute(sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'stillhere'"))

    return [(lambda: read_only("on"), lambda: read_only("off"))]
