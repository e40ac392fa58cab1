"""How Redis keeps things: small, exact, for no longer than needed, and found again by whom they belong to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from stillhere.core.records import EndedBy, Lifecycle
from stillhere.errors import StoreRefused
from stillhere.stores.redis import scripts
from stillhere.stores.redis.layout import place_of, write_session
from stillhere.stores.redis.servers import script
from tests.stores.every import GAP, IDLE, claim_of, id_of, session_of
from tests.stores.redis.helpers import beat, keys_of
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.stores.redis.servers import Command
    from stillhere.stores.redis.store import RedisStore
    from tests.services import RedisServer


class TestLayout:
    async def test_stays_small(self, store: RedisStore, server: RedisServer) -> None:
        """Indexes are packed tightly, and an ordinary record has room in 96 bytes with what Redis puts around it."""
        for n in range(120):
            await store.create(session_of(str(n), subject="person123456@example.org"))
        assert {server.ask("OBJECT", "ENCODING", key) for key in keys_of(server, store) if ":x:" in key or ":u:" in key} == {"listpack"}
        session = replace(session_of("a", subject="person123456@example.org"), absolute_end_at=START + 86_400_000)
        late = replace(session, last_active_at=START + 86_000_000, last_seen_at=START + 86_000_000)
        assert len(write_session(late)) <= 96 - 4

    async def test_keeps_every_number(self, store: RedisStore) -> None:
        """The highest count, ten years and any fraction come back as they went in, and what is not there as None."""
        ten_years = 10 * 366 * 86_400_000
        session = replace(session_of("a"), idle_timeout=ten_years, absolute_end_at=START + ten_years)
        await store.create(session)
        said = {"seq": 2**53 - 1, "scroll_pct": 100 / 3, "visible_ms": ten_years, "lifecycle": Lifecycle.HIDDEN, "page": ""}
        await beat(store, claim_of("a", opens=True, view="v", age_ms=1, active_ago_ms=0, **said), now=START + ten_years - 1)
        kept = await store.get("handle-a")
        assert kept == replace(session, last_active_at=START + ten_years - 1, last_seen_at=START + ten_years - 1)
        ((visits, views),) = await store.remembered([kept])
        (view,) = views
        assert (view.seq, view.scroll_pct, view.visible_ms) == (2**53 - 1, 100 / 3, ten_years - 2)
        assert (view.tab, view.page, view.title, visits[0].left_at) == (None, "", None, None)

    @pytest.mark.parametrize("id_hash", ["", "short", "x" * 31, "x" * 32, "x" * 43, "é" * 120, f"{id_of('b')[:-1]}B"])
    async def test_takes_any_proof_for_what_it_is(self, store: RedisStore, id_hash: str) -> None:
        """An id_hash that is no hash is kept to the letter, and no other opens the session."""
        await store.create(replace(session_of("a"), id_hash=id_hash))
        found = await store.get("handle-a")
        assert found is not None
        assert found.id_hash == id_hash
        claims = [replace(claim_of("a"), id_hash=given) for given in (id_hash, f"{id_hash}x", id_of("b"), "y" * 300)]
        assert [outcome.session is not None for outcome in await beat(store, *claims)] == [True, False, False, False]

    async def test_refuses_a_proof_beyond_all_measure(self, store: RedisStore) -> None:
        """What is far longer than a hash is refused, not cut."""
        with pytest.raises(StoreRefused, match="far longer than a hash"):
            await store.create(replace(session_of("a"), id_hash="x" * 300))

    async def test_leaves_no_litter(self, marking: RedisStore, server: RedisServer) -> None:
        """Every key but visits' goes some day if nobody uses it, a year from now and not before; what is forgotten goes at once."""
        store = marking
        for name in "ab":
            await store.create(session_of(name))
        await beat(store, claim_of("a", opens=True, view="v"), claim_of("b", opens=True))
        await store.end("handle-b", EndedBy.REVOKED, now=START)
        lives = {key: server.ask("PTTL", key) for key in keys_of(server, store)}
        assert {life for key, life in lives.items() if ":v:" in key} == {-1}
        assert min(life for key, life in lives.items() if ":v:" not in key) > 366 * 86_400_000
        await store.sweep(limit=10, now=START + IDLE)
        await store.archived([(change.handle, change.mark) for change in await store.changed(10)])
        assert await store.forget(ended_before=START + IDLE + 1, limit=10) == 2
        assert {key[-1] for key in keys_of(server, store)} == {"c", "i"}
        assert {server.ask("BITCOUNT", key) for key in keys_of(server, store) if key.endswith("i")} == {0}

    async def test_keeps_all_of_a_session_while_somebody_sweeps(self, store: RedisStore, server: RedisServer) -> None:
        """However long ago the last sign-in was: a session that ended stays with its visits until it is forgotten."""
        await store.create(session_of("a"))
        await beat(store, claim_of("a", opens=True, view="v"))
        await store.end("handle-a", EndedBy.REVOKED, now=START)
        kept = [key for key in keys_of(server, store) if key.split("}:")[1][0] in "sxi"]
        for key in kept:
            server.ask("PEXPIRE", key, 60_000)
        assert await store.sweep(limit=9, now=START) == []
        assert len(kept) == 3
        assert min(server.ask("PTTL", key) for key in kept) > 366 * 86_400_000

    async def test_is_packed_anew_by_nobody_who_looks(self, store: RedisStore, server: RedisServer) -> None:
        """Looking, listing and counting write nothing, also where a session moved on since it was indexed."""
        await store.create(session_of("a"))
        await beat(store, claim_of("a", active_ago_ms=0), now=START + IDLE - 1)
        place = place_of("handle-a")
        key = store.layout.indexes[place.number].decode()
        assert await store.count(now=START + IDLE + 5) == len(await store.living(subject=None, limit=9, now=START + IDLE + 5)) == 1
        assert float(server.ask("ZSCORE", key, "handle-a")) == START + IDLE
        assert await store.sweep(limit=9, now=START + IDLE + 5) == []
        assert float(server.ask("ZSCORE", key, "handle-a")) == START + IDLE + IDLE - 1
        server.ask("HDEL", store.layout.sessions[place.tag].decode(), "handle-a")
        assert await store.count(now=START + 3 * IDLE) == 0
        assert await store.living(subject=None, limit=9, now=START) == await store.sweep(limit=9, now=START + 3 * IDLE) == []
        assert server.ask("ZSCORE", key, "handle-a") is None

    async def test_sweeps_on_where_it_stopped(self, store: RedisStore) -> None:
        """More sessions in one part than one call looks at are all ended, each once."""
        names = [name for name in map(str, range(20_000)) if place_of(f"handle-{name}").tag == 7][:250]
        await asyncio.gather(*(store.create(session_of(name)) for name in names))
        swept = [await store.sweep(limit=130, now=START + IDLE) for _ in range(3)]
        assert [len(sessions) for sessions in swept] == [130, 120, 0]
        assert len({session.handle for sessions in swept for session in sessions}) == 250
        assert [await store.forget(ended_before=START + IDLE + 1, limit=limit) for limit in (100, 120, 99)] == [100, 120, 30]


class TestScripts:
    async def test_are_sent_whole_when_the_server_forgot_them(self, store: RedisStore, server: RedisServer) -> None:
        """After a restart, a failover or SCRIPT FLUSH every verb works at once, alone and together with others."""
        for name in "ab":
            server.ask("SCRIPT", "FLUSH")
            await store.create(session_of(name))
        server.ask("SCRIPT", "FLUSH")
        assert [outcome.session is not None for outcome in await beat(store, claim_of("a"), claim_of("b"))] == [True, True]
        server.ask("SCRIPT", "FLUSH")
        assert await store.count(now=START) == 2
        assert (await store.end("handle-a", EndedBy.REVOKED, now=START)).ended_now
        assert len(await store.living(subject=None, limit=9, now=START)) == 1


class TestSubjects:
    async def test_are_noted_before_there_is_a_session(self, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A note without a session lists nothing, and stays: its session may be just on its way."""
        run, sent = store.run, list[object]()

        async def watched(commands: Sequence[Command], *, writes: bool = False) -> list[Any]:
            sent.extend(command.script for command in commands)
            return await run(commands, writes=writes)

        monkeypatch.setattr(store, "run", watched)
        session = session_of("a")
        part, key, score = store.layout.subject(session.subject)
        await run([script(part, scripts.SUBJECT, [key], score, session.handle, 1)], writes=True)
        assert await store.living(subject=session.subject, limit=9, now=START) == []
        await store.create(session_of("b"))
        await store.end("handle-b", EndedBy.REVOKED, now=START)
        assert await store.forget(ended_before=START + 1, limit=9) == 1
        sent.clear()
        await store.create(session)
        assert sent == [scripts.SUBJECT, scripts.CREATE]
        assert await store.living(subject=session.subject, limit=9, now=START) == [session]

    async def test_decide_by_the_record(self, store: RedisStore) -> None:
        """A note of somebody else's session lists nothing: not the hash of the subject decides, but the subject."""
        await store.create(session_of("a", subject="other"))
        part, key, score = store.layout.subject("me")
        await store.run([script(part, scripts.SUBJECT, [key], score, "handle-a", 1)], writes=True)
        assert await store.living(subject="me", limit=9, now=START) == []

    async def test_are_noted_anew_by_the_sweep(self, store: RedisStore, server: RedisServer) -> None:
        """A note that a failover lost is there again as soon as the sweep has come by its session."""
        await store.create(session_of("a", subject="me"))
        await beat(store, claim_of("a", active_ago_ms=0), now=START + IDLE - 1)
        _, key, _ = store.layout.subject("me")
        server.ask("ZREM", key.decode(), "handle-a")
        assert await store.living(subject="me", limit=9, now=START + IDLE) == []
        assert await store.sweep(limit=9, now=START + IDLE) == []
        assert [session.handle for session in await store.living(subject="me", limit=9, now=START + IDLE)] == ["handle-a"]

    async def test_are_missed_by_no_race(self, store: RedisStore) -> None:
        """Whoever signs in while all are signed out is listed as soon as the sign-in was answered."""
        for n in range(20):
            session = session_of(str(n), subject="me")
            await asyncio.gather(store.create(session), store.forget(ended_before=START + 1, limit=99))
            listed = await store.living(subject="me", limit=9, now=START)
            assert listed == [session]
            await store.end(session.handle, EndedBy.REVOKED, now=START)


class TestArchiving:
    async def test_knows_what_changed(self, marking: RedisStore) -> None:
        """Visits, views and ends are told until they are archived, and told again if they changed meanwhile."""
        store = marking
        for name in "abc":
            await store.create(session_of(name))
        await beat(store, claim_of("a", opens=True, view="v", visible_ms=5), claim_of("b", active_ago_ms=0), now=START + 9)
        (first,) = await store.changed(10)
        assert first.session == await store.get("handle-a")
        assert [(visit.number, view.view) for visit, view in zip(first.visits, first.views, strict=True)] == [(1, "v")]
        await beat(store, claim_of("a", opens=True, view="w"), now=START + GAP + 99)
        await store.archived([(first.handle, first.mark)])
        (second,) = await store.changed(10)
        assert [visit.number for visit in second.visits] == [1, 2]
        assert {view.view: view.visit for view in second.views} == {"v": 1, "w": 2}
        await beat(store, claim_of("a", view="v", visible_ms=7), now=START + GAP + 99)
        (third,) = await store.changed(10)
        assert [visit.number for visit in third.visits] == [1, 2]
        await store.archived([(third.handle, third.mark)])
        assert await store.changed(10) == []
        await store.end("handle-c", EndedBy.REVOKED, now=START)
        assert [(change.handle, change.visits) for change in await store.changed(10)] == [("handle-c", [])]
        await store.archived([])

    async def test_loses_nothing_to_forgetting(self, marking: RedisStore, store: RedisStore) -> None:
        """A session that still waits for the archive is not forgotten, whoever forgets; one that nobody archives is."""
        await store.create(session_of("a"))
        await store.end("handle-a", EndedBy.REVOKED, now=START)
        assert await store.forget(ended_before=START + 1, limit=9) == 1
        await marking.create(session_of("b"))
        await marking.end("handle-b", EndedBy.REVOKED, now=START)
        assert [await each.forget(ended_before=START + 1, limit=9) for each in (marking, store)] == [0, 0]
        await marking.archived([(change.handle, change.mark) for change in await marking.changed(9)])
        assert await store.forget(ended_before=START + 1, limit=9) == 1

    async def test_is_told_by_everybody(self, marking: RedisStore, store: RedisStore, server: RedisServer) -> None:
        """Once somebody archives, every process notes what it changes: visits, ends, lapses found by a beat or a sweep."""
        await marking.ping()
        for name in "abcd":
            await store.create(session_of(name))
        await beat(store, claim_of("a", opens=True, view="v"))
        await store.end("handle-b", EndedBy.REVOKED, now=START)
        await beat(store, claim_of("c"), now=START + IDLE)
        assert len(await store.sweep(limit=9, now=START + IDLE)) == 2
        assert {change.handle for change in await marking.changed(9)} == {f"handle-{name}" for name in "abcd"}
        for key in keys_of(server, store):
            server.ask("DEL", key)
        await marking.changed(9)
        await store.create(session_of("e"))
        await store.end("handle-e", EndedBy.REVOKED, now=START)
        assert [change.handle for change in await marking.changed(9)] == ["handle-e"]

    async def test_gives_every_change_its_turn(self, marking: RedisStore) -> None:
        """However often some sessions change, the others come too; also where most changes are in one part."""
        names = [*[name for name in map(str, range(2_000)) if place_of(f"handle-{name}").tag == 7][:12], "last"]
        await asyncio.gather(*(marking.create(session_of(name)) for name in names))
        await beat(marking, *(claim_of(name, opens=True, view="v") for name in names))
        assert [len(await marking.changed(limit)) for limit in (1, 99)] == [1, 13]
        seen = set[str]()
        for _ in range(5):
            changes = await marking.changed(5)
            assert len(changes) == 5
            seen |= {change.handle for change in changes}
            await marking.archived([(change.handle, change.mark) for change in changes])
            await beat(marking, *(claim_of(change.handle.removeprefix("handle-"), opens=True, view="v") for change in changes))
        assert len(seen) == 13
