"""Answers that are lost, servers that keep silent, event loops that end, records that cannot be read."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from stillhere.core.records import EndedBy
from stillhere.errors import SessionExists, StoreError, StoreRefused
from stillhere.stores.redis import routes, scripts
from stillhere.stores.redis.connect import CALL_TIMEOUT_S
from stillhere.stores.redis.layout import place_of, write_session
from stillhere.stores.redis.servers import Command, Server
from stillhere.stores.redis.store import RedisStore
from stillhere.stores.redis.trouble import is_refusal
from tests.services import RedisCluster, RedisServer, redis_server
from tests.stores.every import IDLE, claim_of, id_of, session_of
from tests.stores.redis.helpers import beat, sentinels, silent
from tests.support import START, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class LostAnswers:
    """Lets a server do as it is told, and loses the answer, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._send = Server.send
        self.again = list[bool]()
        self._is_due = False
        monkeypatch.setattr(Server, "send", self._lossy(self))

    def lose(self) -> None:
        """Lose the next answer."""
        self._is_due = True

    @staticmethod
    def _lossy(losing: LostAnswers) -> Any:
        async def send(server: Server, commands: Sequence[Command], **how: Any) -> list[Any]:
            losing.again.append(how.get("again", False))
            answers = await losing._send(server, commands, **how)
            if losing._is_due:
                losing._is_due = False
                raise RedisConnectionError("Connection closed by server.")
            return answers

        return send


class TestLostAnswers:
    async def test_are_asked_for_again(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A session whose creation was not heard of is not taken for somebody else's, and a rotated one is not lost."""
        lost = LostAnswers(monkeypatch)
        lost.lose()
        await store.create(session_of("a"))
        lost.lose()
        rotated = await store.rotate("handle-a", id_of("a"), id_of("b"), now=START)
        assert rotated == replace(session_of("a"), id_hash=id_of("b")) == await store.get("handle-a")
        lost.lose()
        (outcome,) = await beat(store, replace(claim_of("a"), id_hash=id_of("b")))
        assert outcome.session == rotated
        assert lost.again == [False, True, False, True, False, False, True]

    async def test_make_nobody_the_owner_of_anything(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second try still refuses a handle that is taken, and an id that is not the session's."""
        lost = LostAnswers(monkeypatch)
        await store.create(session_of("a"))
        lost.lose()
        with pytest.raises(SessionExists):
            await store.create(session_of("a", {"other": True}))
        lost.lose()
        assert await store.rotate("handle-a", id_of("x"), id_of("y"), now=START) is None
        assert await store.get("handle-a") == session_of("a")

    async def test_are_errors_when_the_server_stays_away(self, tmp_path: Path) -> None:
        """A server that is gone is StoreError, and nobody is told that there is no such session; when it is back all goes on."""
        with redis_server(tmp_path, durable=True) as server:
            store = RedisStore(server.url)
            await store.create(session_of("a"))
            server.kill()
            for _ in range(2):
                with pytest.raises(StoreError, match="did not answer"):
                    await store.get("handle-a")
            server.start()
            assert await store.get("handle-a") == session_of("a")
            server.stop()
            server.start()
            assert (await beat(store, claim_of("a")))[0].session == session_of("a")
            await store.close()

    async def test_end_in_time(self, url: str, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that hangs is StoreError after a while, and the half answer is nobody else's afterwards."""
        store = RedisStore(url)
        await store.create(session_of("a"))
        patched = await (await store._here()).server_of(0)
        monkeypatch.setattr(patched, "_timeout_s", 0.2)
        server.pause()
        try:
            with pytest.raises(StoreError, match="not within"):
                await store.get("handle-a")
        finally:
            server.resume()
        monkeypatch.setattr(patched, "_timeout_s", 5)
        assert await store.get("handle-b") is None
        assert await store.get("handle-a") == session_of("a")
        await store.close()

    async def test_may_be_many_at_once(self, store: RedisStore) -> None:
        """More callers than there are connections are all answered; a store closed meanwhile lets them finish."""
        await store.create(session_of("a"))
        looks = [asyncio.ensure_future(store.get("handle-a")) for _ in range(100)]
        assert await asyncio.gather(*looks) == [session_of("a")] * 100
        last = asyncio.ensure_future(store.get("handle-a"))
        await asyncio.sleep(0)
        await store.close()
        assert await last == session_of("a")


class TestSilence:
    async def test_is_waited_for_once(self) -> None:
        """However many servers keep silent, a call ends after six seconds, and so do those with it: nobody is waited for twice."""
        with silent(6) as six:
            first = six.split(",")[0]
            stores = [RedisStore(url) for url in (f"redis+cluster://{six}", f"redis+sentinel://{six}/main", f"redis://{first}")]
            spans_s = list[float]()
            while not spans_s or (spans_s[-1] >= 2 * CALL_TIMEOUT_S and len(spans_s) < 3):  # a machine may be away, but not every time
                begun_s = time.monotonic()
                calls = [store.get(f"handle-{n}") for store in stores for n in range(3)]
                found = await asyncio.gather(*calls, *(store.ping() for store in stores), return_exceptions=True)
                spans_s.append(time.monotonic() - begun_s)
                assert {type(one) for one in found} == {StoreError}
            assert spans_s[-1] < 2 * CALL_TIMEOUT_S, spans_s
            for store in stores:
                await store.close()

    async def test_of_some_nodes_holds_up_nobody(self, cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever knows where things are is heard at once, wherever it stands in the URL."""
        with silent(3) as three:
            store = RedisStore(f"redis+cluster://{three},127.0.0.1:{cluster.ports[0]}")
            monkeypatch.setattr(routes, "LOOK_TIMEOUT_S", 60)  # whoever waits for a silent one now waits for too long
            assert await store.get("handle-a") is None
            await store.close()


class TestSentinels:
    @pytest.mark.parametrize("are_alive", [True, False])
    async def test_that_missed_a_failover_mislead_nobody(self, server: RedisServer, url: str, *, are_alive: bool) -> None:
        """The primary is who more than half of the sentinels name, however early another is named; where too few speak, those count."""
        named = (1, server.port, server.port) if are_alive else (server.port,)
        async with sentinels(*named) as hosts:
            more = "" if are_alive else ",127.0.0.1:1,127.0.0.1:2"
            store = RedisStore(f"redis+sentinel://{hosts}{more}/main/0?{url.rpartition('?')[2]}")
            await store.create(session_of("a"))
            assert await store.get("handle-a") == session_of("a")
            await store.close()


class TestClosing:
    async def test_leaves_nothing_open(self, url: str) -> None:
        """A call that is under way while the store is closed, and looks for its server again, leaves no connection open."""
        store = RedisStore(url)
        await store.create(session_of("a"))
        here = await store._here()
        server = await here.server_of(0)
        await store.close()
        host, port = next(iter(here._servers))
        await here.drop(host, port)
        (answer,) = await here.run([Command(0, (b"PING",))], writes=False)
        again = await here.server_of(0)
        assert (answer, again is server, again._idle) == (b"PONG", False, [])


class TestEventLoops:
    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    def test_may_follow_each_other(self, url: str) -> None:
        """A store that was used in a loop that is closed since works in the next one, and can be closed there."""
        store, idle = RedisStore(url), RedisStore(url)
        with asyncio.Runner() as runner:
            runner.run(store.create(session_of("a")))
            runner.run(idle.ping())

        async def use() -> None:
            assert await store.get("handle-a") == session_of("a")
            watching = store.watch()
            assert await anext(watching) is None
            await store.end("handle-a", EndedBy.REVOKED, now=START)
            assert await anext(watching) == "handle-a"
            await store.close()
            await idle.close()
            with pytest.raises(StoreError, match="closed"):
                await anext(watching)

        with asyncio.Runner() as runner:
            runner.run(use())
        gc.collect()

    async def test_may_run_beside_each_other(self, url: str, server: RedisServer) -> None:
        """Two threads may use one store; whoever closes it closes it for both."""
        store = RedisStore(url)
        await store.create(session_of("a"))
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            for _ in range(2):
                there = asyncio.run_coroutine_threadsafe(store.get("handle-a"), loop)
                assert await asyncio.wrap_future(there) == await store.get("handle-a") == session_of("a")
            before = server.ask("INFO", "clients")["connected_clients"]
            await store.close()
            await asyncio.to_thread(wait_until, lambda: server.ask("INFO", "clients")["connected_clients"] == before - 2, what="both gone")
        finally:
            loop.call_soon_threadsafe(loop.stop)
            await asyncio.to_thread(thread.join)
            loop.close()


class TestEnds:
    @pytest.mark.parametrize("trouble", [RedisConnectionError("gone"), asyncio.CancelledError()])
    async def test_are_told_when_a_sweep_breaks(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch, trouble: BaseException) -> None:
        """What a sweep recorded before it broke is told, by it or by the next; and each end once."""
        for n in range(20):
            await store.create(session_of(str(n)))
        ask, calls = store._ask, 0

        async def breaking(commands: Sequence[Command], *, writes: bool) -> list[Any]:
            nonlocal calls
            calls += commands[0].script is scripts.SWEEP
            if calls > 5 and isinstance(trouble, Exception):
                return [trouble]
            if calls > 5:
                raise trouble
            return await ask(commands, writes=writes)

        monkeypatch.setattr(store, "_ask", breaking)
        told = list[str]()
        with contextlib.suppress(asyncio.CancelledError):
            told += [session.handle for session in await store.sweep(limit=99, now=START + IDLE)]
        assert len(told) >= 5 if isinstance(trouble, Exception) else not told
        if isinstance(trouble, Exception):
            with pytest.raises(StoreError, match="gone"):
                await store.sweep(limit=99, now=START + IDLE)
        monkeypatch.undo()
        told += [session.handle for session in await store.sweep(limit=3, now=START + IDLE)]
        told += [session.handle for session in await store.sweep(limit=99, now=START + IDLE)]
        assert sorted(told) == sorted(f"handle-{n}" for n in range(20))

    async def test_are_told_when_a_part_of_a_batch_is_lost(self, cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        """The living parts of a cluster record ends while another is dead; the next sweep tells of them too."""
        store = RedisStore(f"{cluster.url}?prefix=partly")
        names = [str(n) for n in range(30)]
        for name in names:
            await store.create(session_of(name))
        dead = await (await store._here()).server_of(place_of("handle-0").tag)
        send = Server.send

        async def partly(server: Server, commands: Sequence[Command], **how: Any) -> list[Any]:
            if server is dead:
                raise RedisConnectionError("gone")
            return await send(server, commands, **how)

        monkeypatch.setattr(Server, "send", partly)
        routes = await store._here()

        async def as_before() -> None:
            """Go on with the same servers."""

        monkeypatch.setattr(routes, "look_again", as_before)
        with pytest.raises(StoreError, match="gone"):
            await beat(store, *(claim_of(name) for name in names), now=START + IDLE)
        monkeypatch.undo()
        assert 0 < len(store._untold) < 30
        assert sorted(session.handle for session in await store.sweep(limit=99, now=START + IDLE)) == sorted(f"handle-{n}" for n in names)
        await store.close()


class TestRefusals:
    async def test_are_of_one_claim(self, store: RedisStore, server: RedisServer) -> None:
        """A record that nobody can read, or a key of another kind, fails its own claim; the others of the batch are done."""
        for name in "abcd":
            await store.create(session_of(name))
        with server.client() as client:
            client.hset(store.layout.sessions[place_of("handle-b").tag].decode(), "handle-b", write_session(session_of("b"))[:50])
            client.set(store.layout.views(place_of("handle-c")).decode(), "other")
        claims = [claim_of(name, opens=True, view="v", active_ago_ms=0) for name in "abcd"]
        with pytest.raises(StoreRefused, match="could not work with this"):
            await beat(store, *claims, now=START + 5)
        for claim in claims[1:3]:
            with pytest.raises(StoreRefused, match="could not work with this"):
                await beat(store, claim, now=START + 5)
        assert [(await store.sessions([f"handle-{name}"]))[0].last_active_at for name in "ad"] == [START + 5] * 2
        server.ask("CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(StoreError, match="used memory"):
                await beat(store, *claims, now=START + 6)
        finally:
            server.ask("CONFIG", "SET", "maxmemory", 0)

    @pytest.mark.parametrize(
        ("text", "is_one"),
        [
            ("user_script:9: attempt to compare number with nil", True),
            ("user_script:9: Missing bytes in input. script: ab12, on @user_script:9.", True),
            ("Error running script (call to f_ab12): @user_script:9: user_script:9: attempt to index a nil value", True),
            ("WRONGTYPE Operation against a key holding the wrong kind of value script: ab12, on @user_script:9.", True),
            ("Error running script (call to f_ab12): @user_script:9: @user_script: 9: -OOM command not allowed", False),
            ("MISCONF Redis is configured to save RDB snapshots", False),
            ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", False),
            ("NOREPLICAS Not enough good replicas to write. script: ab12, on @user_script:9.", False),
            ("Unknown Redis command called from script script: ab12, on @user_script:9.", False),
        ],
    )
    def test_are_told_from_trouble(self, text: str, is_one: bool) -> None:  # noqa: FBT001  # a column of the table
        """What the server says of itself is trouble; what a script says of what it was given is a refusal."""
        assert is_refusal(ResponseError(text)) is is_one
        assert not is_refusal(ReadOnlyError(text))
