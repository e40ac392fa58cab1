"""How Redis keeps grants and notes: beside their sessions, for no longer than needed, and once where an answer is lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stillhere.core.records import EndedBy
from stillhere.stores.redis.layout import TAGS, place_of
from stillhere.stores.redis.servers import NotReplicated
from stillhere.stores.redis.store import RedisStore
from stillhere.testing.scene import grant_of
from tests.stores.every import ABSOLUTE, session_of
from tests.stores.redis.helpers import keys_of
from tests.stores.redis.test_trouble import LostAnswers
from tests.support import START

if TYPE_CHECKING:
    from tests.services import RedisServer

DAY = 86_400_000


async def test_are_kept_beside_their_session(store: RedisStore, server: RedisServer) -> None:
    """A grant's keys are in its session's part; a session without grants has none; what is forgotten leaves only which kinds there were."""
    await store.create(session_of("a"))
    before = keys_of(server, store)
    await store.swap(grant_of("a"), now=START)
    part = f"{{{place_of('handle-a').tag}}}:"
    assert [key.partition(part)[2] for key in keys_of(server, store) if key not in before] == ["g:provider", "k", "q:provider"]
    await store.end("handle-a", EndedBy.REVOKED, now=START)
    assert await store.forget(ended_before=START + 1, limit=9) == 1
    assert [key for key in keys_of(server, store) if key not in before] == [f"{store.target.prefix}:{part}k"]


async def test_live_for_longer_than_their_session(store: RedisStore, server: RedisServer) -> None:
    """Every key of a grant goes some day if nobody uses it, 400 days after the session's absolute end and not before."""
    long = replace(session_of("a"), absolute_end_at=START + 300 * DAY)
    for session in (long, session_of("b")):
        await store.create(session)
    await store.swap(grant_of("a"), now=START)
    keys = [key for key in keys_of(server, store) if key.split("}:")[1][0] in "gqk"]
    assert {round(server.ask("PTTL", key) / DAY) for key in keys} == {700}
    await store.swap(grant_of("a", 2), now=START + 10 * DAY)
    assert {round(server.ask("PTTL", key) / DAY) for key in keys} == {700}


async def test_names_live_a_day_longer_than_they_are_needed(store: RedisStore, server: RedisServer) -> None:
    """A name that is taken or noted is litter a day after its instant, by the span alone if the caller's clock is not the server's."""
    now = int(time.time() * 1000)
    await store.first("name", until=START + 5 * DAY, now=START)
    await store.note("name", "handle-a", until=now + 3 * DAY)
    await store.note("past", "handle-a", until=START)
    lives = {key.rpartition("}:")[2][0]: server.ask("PTTL", key) for key in keys_of(server, store)}
    assert round(lives["f"] / DAY) == 6
    lives = {name: server.ask("PTTL", store.layout.handles(name)[1].decode()) for name in ("name", "past")}
    assert {name: round(life / DAY) for name, life in lives.items()} == {"name": 4, "past": 1}


async def test_a_name_that_is_noted_again_and_again_stays_small(store: RedisStore, server: RedisServer) -> None:
    """Who signs in every day for years has no handles noted that are over since more than a day."""
    now = int(time.time() * 1000)
    for days in range(-9, 2):
        await store.note("sub", f"handle-{days}", until=now + days * DAY + 60_000)
    assert server.ask("ZCARD", store.layout.handles("sub")[1].decode()) == 3
    assert sorted(await store.noted("sub", now=now)) == ["handle-0", "handle-1"]


async def test_what_is_due_of_nobody_is_let_go(store: RedisStore, server: RedisServer) -> None:
    """An entry of a grant that a failover lost is taken away when it is due, and holds up no other."""
    names = [name for name in map(str, range(999)) if place_of(f"handle-{name}").tag == 7][:2]
    for name in names:
        await store.create(session_of(name))
        await store.swap(grant_of(name, check_at=START), now=START)
    kept, due = (key.decode() for key in store.layout.grants(7, "provider"))
    server.ask("HDEL", kept, f"handle-{names[0]}")
    (held,) = await store.due_grants("provider", limit=9, now=START, until=START + 1)
    assert held.grant == grant_of(names[1], check_at=START + 1)
    assert server.ask("ZRANGE", due, 0, -1) == [f"handle-{names[1]}"]


async def test_a_part_that_was_passed_over_is_asked_first(store: RedisStore) -> None:
    """However much is due in some parts again and again, the others have their turn."""
    names = [next(name for name in map(str, range(9_999)) if place_of(f"handle-{name}").tag == tag) for tag in range(0, TAGS, 8)]
    for name in names:
        await store.create(session_of(name))
        await store.swap(grant_of(name, check_at=START), now=START)
    told = [await store.due_grants("provider", limit=3, now=START, until=START) for _ in range(8)]
    assert {held.grant.handle for due in told for held in due if held.grant} == {f"handle-{name}" for name in names}


async def test_a_lost_answer_changes_nothing(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A swap whose answer was lost is sent again and is done; a name whose answer was lost is told to nobody; an advance counts twice."""
    lost = LostAnswers(monkeypatch)
    await store.create(session_of("a"))
    lost.lose()
    assert (await store.swap(grant_of("a"), now=START)).done
    lost.lose()
    assert not await store.first("name", until=START, now=START)
    lost.lose()
    assert await store.advance("me") == await store.generation("me") == 2
    assert lost.again.count(True) == 3


async def test_too_few_replicas_are_trouble_that_may_be_repeated(url: str) -> None:
    """Where replicas are waited for, a swap that they do not have is trouble; the grant is kept, and is done again later."""
    strict, store = RedisStore(f"{url}&wait_replicas=1"), RedisStore(url)
    await store.create(session_of("a"))
    with pytest.raises(NotReplicated, match="repeating is safe"):
        await strict.swap(grant_of("a"), now=START)
    assert (await store.swap(grant_of("a"), now=START + ABSOLUTE)).done
    await strict.close()
    await store.close()


async def test_a_user_with_the_rights_of_the_manual_may_do_all(server: RedisServer) -> None:
    """Whoever was given the line of the manual lacks nothing for grants and notes."""
    store = RedisStore(server.url_of("stillhere", "password"))
    await store.create(session_of("granted"))
    assert (await store.swap(grant_of("granted", check_at=START), now=START)).done
    assert len(await store.due_grants("provider", limit=9, now=START, until=START)) == 1
    assert (await store.held("handle-granted", "provider")).grant == grant_of("granted", check_at=START)
    assert await store.first("name", until=START, now=START)
    await store.note("name", "handle-granted", until=START)
    assert await store.noted("name", now=START) == ["handle-granted"]
    assert await store.advance("me") == await store.generation("me") == 1
    assert await store.drop("handle-granted", "provider", version=1)
    await store.end("handle-granted", EndedBy.REVOKED, now=START)
    assert await store.forget(ended_before=START + 1, limit=9) == 1
    await store.close()
