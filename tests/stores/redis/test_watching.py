"""Ends are heard, whoever recorded them, also after a break."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stillhere.core.records import EndedBy
from stillhere.errors import StoreError
from stillhere.stores.redis import listening
from stillhere.stores.redis.routes import SingleRoutes
from stillhere.stores.redis.store import RedisStore
from tests.stores.every import IDLE, claim_of, session_of
from tests.stores.redis.helpers import beat
from tests.support import PATIENCE_S, START, wait_until

if TYPE_CHECKING:
    from tests.services import RedisServer


def _pings(server: RedisServer) -> int:
    return int(server.ask("INFO", "commandstats").get("cmdstat_ping", {}).get("calls", 0))


class TestWatching:
    async def test_goes_on_after_a_broken_connection(self, store: RedisStore, server: RedisServer) -> None:
        """None comes when listening begins and after each break; then every end, whoever recorded it and how."""
        for name in "abcd":
            await store.create(session_of(name))
        watching = store.watch()
        assert await anext(watching) is None
        server.ask("CLIENT", "KILL", "TYPE", "pubsub")
        assert await anext(watching) is None
        await store.end("handle-a", EndedBy.REVOKED, now=START)
        await store.end("handle-a", EndedBy.REVOKED, now=START)
        server.ask("PUBLISH", store.layout.channel.decode(), "")  # as the check at some other start does
        await beat(store, claim_of("b"), now=START + IDLE)
        assert [await anext(watching) for _ in range(2)] == ["handle-a", "handle-b"]
        await store.sweep(limit=10, now=START + IDLE)
        assert {await anext(watching) for _ in range(2)} == {"handle-c", "handle-d"}
        await watching.aclose()  # type: ignore[attr-defined]  # it is a generator

    async def test_asks_a_silent_server_whether_it_is_there(
        self, store: RedisStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Silence is no trouble; a server that does not answer when asked is listened to anew."""
        monkeypatch.setattr(listening, "SILENCE_S", 3)
        await store.create(session_of("a"))
        before = _pings(server)
        watching = store.watch()
        assert await anext(watching) is None
        waiting = asyncio.ensure_future(anext(watching))
        await asyncio.to_thread(wait_until, lambda: _pings(server) >= before + 2, what="the server to be asked twice")
        assert not waiting.done()
        monkeypatch.setattr(listening, "SILENCE_S", 0.1)
        given_up = asyncio.Event()

        async def look_again(_: SingleRoutes) -> None:
            given_up.set()

        monkeypatch.setattr(SingleRoutes, "look_again", look_again)
        server.pause()
        try:
            await asyncio.wait_for(given_up.wait(), PATIENCE_S)
            assert not waiting.done()
        finally:
            monkeypatch.setattr(listening, "SILENCE_S", 20)
            server.resume()
        assert await waiting is None
        await store.end("handle-a", EndedBy.REVOKED, now=START)
        assert await anext(watching) == "handle-a"

    async def test_needs_a_server_at_first(self) -> None:
        """Where nobody listens at all, that is said at once."""
        store = RedisStore("redis://127.0.0.1:1")
        with pytest.raises(StoreError, match="did not answer"):
            await anext(store.watch())
        await store.close()

    async def test_ends_when_the_store_is_closed(self, store: RedisStore) -> None:
        """Who watches a store that is closed is told so at once."""
        watching = store.watch()
        assert await anext(watching) is None
        waiting = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(StoreError, match="the session store is closed"):
            await waiting
        with pytest.raises(StoreError, match="the session store is closed"):
            await anext(store.watch())
