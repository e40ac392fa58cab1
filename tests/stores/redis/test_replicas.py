"""Replicas that lag, primaries that die, slots that move."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from redis.crc import key_slot

from stillhere.core.records import EndedBy
from stillhere.errors import StoreError
from stillhere.stores.redis import routes
from stillhere.stores.redis.check import check
from stillhere.stores.redis.layout import place_of
from stillhere.stores.redis.servers import Server
from stillhere.stores.redis.store import RedisStore
from tests.services import RedisCluster, RedisServer, redis_sentinel
from tests.stores.every import claim_of, session_of
from tests.stores.redis.helpers import beat, silent, when_it_answers
from tests.support import START, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from stillhere.core.records import Claim


class TestReplicas:
    async def test_that_are_not_there_are_said(self, url: str, server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
        """Who asks for replicas and has none is told so by every write, which is done all the same; a start only warns of it."""
        check(f"{url}&wait_replicas=1")
        assert "0 of 1 replicas" in caplog.text
        store = RedisStore(f"{url}&wait_replicas=1")
        with pytest.raises(StoreError, match="repeating is safe"):
            await store.create(session_of("a"))
        server.ask("SCRIPT", "FLUSH")
        with pytest.raises(StoreError, match="0 of 1 replicas"):
            await store.end("handle-a", EndedBy.REVOKED, now=START)
        (ended,) = await store.sweep(limit=9, now=START)
        assert ended == await store.get("handle-a")
        assert ended.ended_by == EndedBy.REVOKED
        server.ask("CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(StoreError, match="used memory"):
                await store.create(session_of("b"))
        finally:
            server.ask("CONFIG", "SET", "maxmemory", 0)
        await store.close()
        hasty = RedisStore(f"{server.url_of('hasty', 'password')}?wait_replicas=1")
        with pytest.raises(StoreError, match=r"did not answer: .*permission"):
            await hasty.end("handle-a", EndedBy.REVOKED, now=START)
        await hasty.close()

    async def test_have_what_was_answered(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Under Sentinel a write waits for the replica if that is wanted; and after a failover it is still there."""
        with redis_sentinel(tmp_path) as group:
            check(group.url)
            with silent(2) as addresses:
                passing = RedisStore(group.url.replace("://", f"://{addresses},"))
                with monkeypatch.context() as patched:
                    patched.setattr(routes, "LOOK_TIMEOUT_S", 60)  # whoever waits for a silent one now waits for too long
                    assert await passing.get("handle-a") is None
                await passing.close()
            store, reading = RedisStore(f"{group.url}?wait_replicas=1"), RedisStore(group.url)
            await reading.create(session_of("a"))
            assert await when_replicated(store, claim_of("a")) == session_of("a")
            listened = store.watch()
            assert await anext(listened) is None
            with group.hasty():
                group.primary().kill()
                assert await when_it_answers(reading, "handle-a") == session_of("a")
            assert await anext(listened) is None
            for closing in (store, reading):
                await closing.close()
            with pytest.raises(StoreError, match="closed"):
                await anext(listened)
            replica = next(server for server in group.data if server.is_running)
            with pytest.raises(StoreError, match="no sentinel could tell where 'other' is"):
                check(group.url.replace("mymaster", "other"))
            replica.ask("REPLICAOF", "127.0.0.1", 1)
            with pytest.raises(StoreError, match="is a replica, which takes no writes"):
                check(replica.url)


async def when_replicated(store: RedisStore, claim: Claim) -> object:
    """Send a beat until the replica had it in time; on a busy machine that may take more than one."""
    for _ in range(20):
        with contextlib.suppress(StoreError):
            return (await beat(store, claim))[0].session
    raise AssertionError("the replica never had a beat in time")


class TestCluster:
    async def test_follows_a_slot_that_moves(self, cluster: RedisCluster) -> None:
        """While a slot moves and afterwards every verb is answered, and no session is taken for unknown."""
        store = RedisStore(f"{cluster.url}?prefix=moving", marks_changes=True)
        for n in range(40):
            await store.create(session_of(str(n)))
        claims = [claim_of(str(n), opens=True, view="v") for n in range(40)]
        await beat(store, *claims)
        tag = place_of("handle-7").tag
        move = Move(cluster, key_slot(f"{{{tag}}}".encode()))
        for step in (move.begin, move.move_half, move.move_rest, move.end):
            await asyncio.to_thread(step)
            if step == move.move_half:
                # Some keys are here, some there: such a script cannot run anywhere.
                with pytest.raises(StoreError):
                    await beat(store, *claims)
            else:
                assert all(outcome.session is not None for outcome in await beat(store, *claims))
                assert await store.get("handle-7") == session_of("7")
        assert len(await store.living(subject=None, limit=99, now=START)) == 40
        await store.ping()
        await store.close()

    async def test_says_when_nobody_is_there(self, cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        """No node, a node that may not tell, and a cluster with holes are each `StoreError` at use."""
        gone = [RedisStore(f"redis+{rest}") for rest in ("cluster://127.0.0.1:1", "sentinel://127.0.0.1:1/main")]
        for store in gone:
            for asked in (store.get("handle-a"), store.ping(), anext(store.watch())):
                with pytest.raises(StoreError, match=r"did not answer: no .* could tell"):
                    await asked
        for node in cluster.nodes:
            node.ask("ACL", "SETUSER", "blind", "on", ">password", "~*", "&*", "+@all", "-cluster")
        blind = RedisStore(cluster.url.replace("://", "://blind:password@"))
        with pytest.raises(StoreError, match=r"did not answer: .*permission"):
            await blind.get("handle-a")

        async def nothing(*_: object, **__: object) -> list[list[object]]:
            return [[]]

        monkeypatch.setattr(Server, "send", nothing)
        holed = RedisStore(cluster.url)
        with pytest.raises(StoreError, match="some slots are served by no node"):
            await holed.get("handle-a")
        for closing in (*gone, blind, holed):
            await closing.close()

    async def test_goes_on_after_a_failover(self, cluster: RedisCluster) -> None:
        """When a primary dies its replica is asked after a moment; until then there is trouble, and never a wrong answer."""
        store, reading, last = (RedisStore(f"{cluster.url}?prefix=failing{waits}") for waits in ("&wait_replicas=1", "", ""))
        await last.create(session_of("a"))
        assert await when_replicated(store, claim_of("a")) == session_of("a")
        assert await asyncio.gather(*(reading.get("handle-a") for _ in range(5))) == [session_of("a")] * 5
        node = cluster.primary_of(f"{{{place_of('handle-a').tag}}}")
        with cluster.hasty():
            node.kill()
            assert await when_it_answers(reading, "handle-a") == session_of("a")
        node.start()
        await asyncio.to_thread(cluster.wait_until_well)
        for closing in (store, reading, last):
            await closing.close()


class Move:
    """Moves a slot from one primary of a cluster to another, step by step."""

    def __init__(self, cluster: RedisCluster, slot: int) -> None:
        self._slot = slot
        self._cluster = cluster
        self._old = cluster.primary_of(slot)
        self._new = next(node for node in cluster.primaries() if node is not self._old)

    def begin(self) -> None:
        """Tell both."""
        old, new = (node.ask("CLUSTER", "MYID") for node in (self._old, self._new))
        self._new.ask("CLUSTER", "SETSLOT", self._slot, "IMPORTING", old)
        self._old.ask("CLUSTER", "SETSLOT", self._slot, "MIGRATING", new)

    def move_half(self) -> None:
        """Move some keys."""
        for key in [key for key in self._keys() if key.endswith(":s")]:
            self._old.ask("MIGRATE", "127.0.0.1", self._new.port, key, 0, 5000)

    def move_rest(self) -> None:
        """Move all keys."""
        for key in self._keys():
            self._old.ask("MIGRATE", "127.0.0.1", self._new.port, key, 0, 5000)

    def end(self) -> None:
        """Tell everybody who has it now."""
        new = self._new.ask("CLUSTER", "MYID")
        for node in (self._new, self._old, *self._cluster.primaries()):
            node.ask("CLUSTER", "SETSLOT", self._slot, "NODE", new)
        wait_until(lambda: self._cluster.primary_of(self._slot) is self._new, what="the slot to have moved")

    def _keys(self) -> list[str]:
        return list(self._old.ask("CLUSTER", "GETKEYSINSLOT", self._slot, 1000))
