"""URLs that are understood or refused, and what is found wrong at start."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import pytest

from stillhere.core.records import EndedBy
from stillhere.errors import SettingsError, StoreError
from stillhere.stores.redis import routes
from stillhere.stores.redis.check import check, judge
from stillhere.stores.redis.connect import read_url
from stillhere.stores.redis.layout import VERSION
from stillhere.stores.redis.routes import ClusterRoutes
from stillhere.stores.redis.store import RedisStore
from tests.services import RedisCluster, RedisServer, redis_server
from tests.stores.every import claim_of, id_of, session_of
from tests.stores.redis.helpers import beat
from tests.support import START

if TYPE_CHECKING:
    from pathlib import Path


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "kind", "hosts"),
        [
            ("redis://db", "single", [("db", 6379)]),
            ("redis://[::1]:7000/3", "single", [("::1", 7000)]),
            ("rediss://db:1/0?ssl_ca_certs=/ca.pem", "single", [("db", 1)]),
            ("redis+cluster://a:1,b:2", "cluster", [("a", 1), ("b", 2)]),
            ("rediss+sentinel://a,b:2/main/1", "sentinel", [("a", 26379), ("b", 2)]),
            ("redis+sentinel://a/main", "sentinel", [("a", 26379)]),
        ],
    )
    def test_says_where_to_go(self, url: str, kind: str, hosts: list[tuple[str, int]]) -> None:
        """Each kind of URL is understood, with its usual ports."""
        target = read_url(url)
        assert (target.kind, target.hosts) == (kind, hosts)
        assert target.primary == ("main" if kind == "sentinel" else "")

    def test_says_as_whom_to_come(self) -> None:
        """User and password may hold any character; a password alone is the default user's; sentinels have their own."""
        target = read_url("redis+sentinel://us%40er:pa%3Ass@a/main/2?sentinel_username=s&sentinel_password=t&prefix=x:y&wait_replicas=1")
        assert target.options == {"tls": False, "username": "us@er", "password": "pa:ss", "db": 2}
        assert target.sentinel_options == {"tls": False, "username": "s", "password": "t"}
        assert (target.prefix, target.wait_replicas) == ("x:y", 1)
        assert read_url("redis://:secret@a").options["username"] is None

    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            ("redi://:pass-word@a", "use one of redis, rediss"),
            ("redis://:pass-word@", "needs a host"),
            ("redis://:pass-word@a:0", "needs a host"),
            ("redis://:pass-word@a:port", "needs a host"),
            ("redis://:pass-word@a,b", r"write redis\+cluster:// or redis\+sentinel://"),
            ("redis://:pass-word@[a", "cannot be read"),
            ("redis://:pass-word@a/zero", "number of a database"),
            ("redis://:pass-word@a/main/0", "path of the store's URL is the number"),
            ("redis+cluster://:pass-word@a/1", "no databases but 0"),
            ("redis+sentinel://:pass-word@a", "names no primary"),
            ("redis+sentinel://:pass-word@a/main/x", "number of a database"),
            ("redis://:pass-word@a?prefix=a{b}", "letters, digits"),
            ("redis://:pass-word@a?prefix=", "letters, digits"),
            ("redis://:pass-word@a?wait_replicas=some", "number of replicas"),
            ("redis://:pass-word@a?wait=1", "'wait' that Redis stores do not know"),
            ("redis://:pass-word@a?wait_replicas", "cannot be read"),
            ("redis://:pass-word@a?ssl_ca_certs=/ca.pem", "write rediss instead"),
        ],
    )
    def test_that_cannot_be_one_is_refused(self, url: str, sentence: str) -> None:
        """The sentence says what to write instead, and never repeats the password."""
        with pytest.raises(SettingsError, match=sentence) as refused:
            RedisStore(url)
        assert "pass-word" not in str(refused.value)


class TestCheck:
    def test_finds_nothing_wrong(self, url: str) -> None:
        """A fresh server and one that was used are both fine."""
        check(url)
        check(url)

    async def test_runs_beside_an_event_loop(self, url: str) -> None:
        """It may be called from a coroutine."""
        check(url)

    async def test_of_the_rights_in_the_manual(self, server: RedisServer) -> None:
        """A user with the rights that docs/redis.md names can do everything, and one with fewer is told so at start."""
        url = server.url_of("stillhere", "password")
        check(url)
        store = RedisStore(url, marks_changes=True)
        await store.create(session_of("a"))
        listening_ = store.watch()
        assert await anext(listening_) is None
        await beat(store, claim_of("a", opens=True, view="v"))
        await store.rotate("handle-a", id_of("a"), id_of("b"), now=START)
        await store.end("handle-a", EndedBy.REVOKED, now=START)
        assert await anext(listening_) == "handle-a"
        await store.archived([(change.handle, change.mark) for change in await store.changed(9)])
        await store.sweep(limit=9, now=START)
        await store.count(now=START)
        await store.ping()
        assert await store.forget(ended_before=START + 1, limit=9) == 1
        await store.close()
        with pytest.raises(StoreError, match=r"has not all the rights it needs.*docs/redis\.md"):
            check(server.url_of("reader", "password"))

    @pytest.mark.parametrize("user", ["stillhere", "nobody"])
    async def test_of_a_wrong_password(self, server: RedisServer, user: str) -> None:
        """Start and use both say so in a sentence without the password."""
        url = server.url_of(user, "wrong-one")
        with pytest.raises(StoreError, match="does not know this user and password") as refused:
            check(url)
        assert "wrong-one" not in str(refused.value)
        store = RedisStore(url)
        with pytest.raises(StoreError, match="did not answer") as refused:
            await store.get("handle-a")
        assert "wrong-one" not in str(refused.value)
        await store.close()

    def test_of_nobody_there(self) -> None:
        """A refused connection is said in a sentence."""
        with pytest.raises(StoreError, match="did not answer: Error"):
            check("redis://127.0.0.1:1/0")
        with pytest.raises(StoreError, match="no sentinel could tell"):
            check("redis+sentinel://127.0.0.1:1/main")
        with pytest.raises(StoreError, match="no node of the cluster could tell"):
            check("redis+cluster://127.0.0.1:1")

    def test_of_a_layout_from_the_future(self, url: str, server: RedisServer) -> None:
        """What a newer release wrote is not touched."""
        check(url)
        key = RedisStore(url).layout.version.decode()
        assert int(server.ask("GET", key)) == VERSION
        server.ask("SET", key, VERSION + 1)
        with pytest.raises(StoreError, match="upgrade stillhere"):
            check(url)

    def test_of_an_older_layout(self, url: str, server: RedisServer) -> None:
        """What an older release wrote is read, and that release is refused from now on."""
        key = RedisStore(url).layout.version.decode()
        server.ask("SET", key, VERSION - 1)
        check(url)
        assert int(server.ask("GET", key)) == VERSION

    def test_of_a_server_of_another_kind(self, server: RedisServer, cluster: RedisCluster) -> None:
        """A URL that takes a cluster for a server, or a server for a cluster, is told what to write."""
        with pytest.raises(StoreError, match=r"write redis\+cluster://"):
            check(f"redis://127.0.0.1:{cluster.ports[0]}")
        with pytest.raises(StoreError, match="write redis:// instead"):
            check(f"redis+cluster://127.0.0.1:{server.port}")
        check(cluster.url)

    @pytest.mark.parametrize(
        ("facts", "sentence"),
        [
            ({"redis_version": "6.0.16"}, "takes 6.2 or newer"),
            ({"redis_version": "7.0.15", "redis_mode": "sentinel"}, r"write redis\+sentinel://"),
            ({"redis_version": "7.2.4", "server_mode": "cluster"}, r"write redis\+cluster://"),
        ],
    )
    def test_of_what_a_server_says_of_itself(self, facts: dict[str, str], sentence: str) -> None:
        """Too old a server, or one of another kind, is refused by what it says."""
        with pytest.raises(StoreError, match=sentence):
            judge(read_url("redis://a"), facts)

    def test_of_a_server_that_forgets(self, url: str, server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
        """A policy that drops keys when memory is full is warned of: it would sign people out."""
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        try:
            with caplog.at_level(logging.WARNING, "stillhere"):
                check(url)
        finally:
            server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert "maxmemory-policy is allkeys-lru" in caplog.text

    async def test_of_a_full_server(self, store: RedisStore, server: RedisServer) -> None:
        """A server without memory left refuses, and what it has stays."""
        await store.create(session_of("a"))
        server.ask("CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(StoreError, match="did not answer"):
                await store.create(session_of("b"))
            assert await store.get("handle-a") == session_of("a")
        finally:
            server.ask("CONFIG", "SET", "maxmemory", 0)


async def test_speaks_tls(tmp_path: Path) -> None:
    """With the right authority it works; without, the server is not trusted."""
    with redis_server(tmp_path, tls=True) as server:
        check(server.url)
        store = RedisStore(server.url)
        await store.create(session_of("a"))
        assert await store.get("handle-a") == session_of("a")
        await store.close()
        with pytest.raises(StoreError, match=r"did not answer.*[Cc]ertificate"):
            check(server.url.partition("?")[0])


@pytest.mark.parametrize(("answered_at", "is_open"), [(3, True), (4, False)])
def test_servers_that_are_slow_at_first_are_asked_again(
    cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch, answered_at: int, *, is_open: bool
) -> None:
    """A start beside many others does not fail for one answer that came late; where none comes it does, and says so."""
    looks, really = [], ClusterRoutes.parts

    async def parts(self: ClusterRoutes) -> list[int]:
        looks.append(self)
        monkeypatch.setattr(routes, "LOOK_TIMEOUT_S", 20 if len(looks) == answered_at else 0)
        return await really(self)

    monkeypatch.setattr(ClusterRoutes, "parts", parts)
    with contextlib.nullcontext() if is_open else pytest.raises(StoreError, match="no node of the cluster could tell"):
        check(cluster.url)
    assert len(looks) == 3
