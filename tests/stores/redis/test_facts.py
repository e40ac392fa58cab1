"""What can be seen of a Redis store from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.clock import system_clock
from stillhere.errors import SettingsError, StoreError
from stillhere.stores import look_at_store
from stillhere.stores.redis.check import check
from stillhere.stores.redis.layout import VERSION
from tests.services.process import free_port

if TYPE_CHECKING:
    from tests.services import RedisCluster, RedisServer


def test_an_empty_server_stays_empty(url: str, server: RedisServer) -> None:
    """No key is made, however often somebody looks; its version is told, and its clock if it tells that."""
    before = server.ask("DBSIZE")
    for facts in (look_at_store(url), look_at_store(url)):
        assert (facts.revision, facts.newest) == (None, str(VERSION))
        assert facts.software.startswith(("Redis ", "Valkey "))
        assert facts.clock_at is None or abs(facts.clock_at - system_clock()()) < 60_000
    assert server.ask("DBSIZE") == before


def test_a_store_tells_its_layout(url: str, cluster: RedisCluster) -> None:
    """It is this release's once a store was opened, on a server and on a cluster."""
    for place in (url, cluster.url):
        check(place)
        assert look_at_store(place).revision == str(VERSION)


def test_what_a_crash_or_a_full_memory_could_take_is_told(url: str, server: RedisServer) -> None:
    """A server without a log, and one that drops keys, are each said with what to set."""
    kept = {name: server.ask("CONFIG", "GET", name)[1] for name in ("appendonly", "maxmemory-policy")}
    try:
        server.ask("CONFIG", "SET", "appendonly", "no")
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        told = look_at_store(url).problems
        assert [word for word in ("maxmemory-policy", "appendonly") if word in str(told)] == ["maxmemory-policy", "appendonly"]
        assert len(told) == 2
        server.ask("CONFIG", "SET", "appendonly", "yes")
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert look_at_store(url).problems == ()
    finally:
        for name, value in kept.items():
            server.ask("CONFIG", "SET", name, value)


def test_a_server_that_is_away_or_no_such_store_is_said(server: RedisServer, cluster: RedisCluster) -> None:
    """As when a store is opened."""
    with pytest.raises(StoreError, match="did not answer"):
        look_at_store(f"redis://:open-sesame@127.0.0.1:{free_port()}/0")
    with pytest.raises(StoreError, match=r"write redis\+cluster://"):
        look_at_store(f"redis://127.0.0.1:{cluster.ports[0]}")
    with pytest.raises(StoreError, match="write redis:// instead"):
        look_at_store(f"redis+cluster://127.0.0.1:{server.port}")
    with pytest.raises(SettingsError):
        look_at_store("redis://")
