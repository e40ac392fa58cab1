"""The end of a session takes its tokens back at the provider, whatever is under way, and whoever has to do it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stillhere.core.policy import hours, minutes
from stillhere.core.records import EndedBy
from stillhere.core.refreshing import PROVIDER
from stillhere.core.rules import open_session
from stillhere.errors import StoreError
from stillhere.testing.scene import claim_of, id_of
from stillhere.tokens import taking_back as room
from stillhere.tokens.events import TokenNews
from stillhere.tokens.safe import LOOK_AFTER_MS
from tests.tokens.party import AWAY, HANDLE, POLICY, Side, news

if TYPE_CHECKING:
    from stillhere.tokens.provider.party import TokenKind


async def test_a_sign_out_beats_a_refresh_that_is_under_way() -> None:
    """Nothing is revived, nothing leaks: what the provider gives too late is taken back there, and forgotten here."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.gate.clear()
    asking = asyncio.create_task(side.coordinator.fresh(HANDLE, may_refresh=True))
    await side.party.arrived.wait()
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())
    assert not await side.coordinator.back.revoke(HANDLE)
    side.party.gate.set()
    kept = await asking
    assert kept.holding is None
    assert kept.session is not None
    assert kept.session.ended_by is EndedBy.SIGNED_OUT
    assert side.party.revoked == ["refresh-2", "access-2"]
    assert (await side.store.held(HANDLE, PROVIDER)).grant is None


async def test_a_sign_out_takes_the_tokens_back() -> None:
    """Both are revoked at the provider, and what was sealed here is gone; a second time there is nothing to do."""
    side = Side()
    await side.signed_in()
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())
    assert await side.coordinator.back.revoke(HANDLE)
    assert side.party.revoked == ["refresh-1", "access-1"]
    assert (await side.store.held(HANDLE, PROVIDER)).grant is None
    assert await side.coordinator.back.revoke(HANDLE)
    assert news(side) == [TokenNews.REVOKED]


async def test_an_access_token_that_is_over_needs_no_revoking() -> None:
    """Only what still opens something is taken back."""
    side = Side()
    await side.signed_in()
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())
    side.past_the_end()
    assert await side.coordinator.back.revoke(HANDLE)
    assert side.party.revoked == ["refresh-1"]


async def test_a_revocation_that_fails_is_tried_again() -> None:
    """At each upkeep of the process in which it failed, from the next one on, until it is done."""
    side = Side()
    await side.signed_in()
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())
    side.party.fails = [AWAY, AWAY]
    assert not await side.coordinator.back.revoke(HANDLE)
    await side.coordinator.back.upkeep()
    assert side.party.revoked == []
    await side.coordinator.back.upkeep()
    assert side.party.revoked == ["refresh-1", "access-1"]
    assert (await side.store.held(HANDLE, PROVIDER)).grant is None
    await side.coordinator.back.upkeep()
    assert news(side) == [TokenNews.NOT_REVOKED, TokenNews.NOT_REVOKED, TokenNews.REVOKED]


async def test_a_revocation_that_a_dead_process_left_is_tried_by_another() -> None:
    """Within the hour, however long a session may be idle; then every minute."""
    side = Side()
    patient = replace(POLICY, idle_timeout=hours(24))
    await side.store.create(open_session(id_of("a"), HANDLE, "reader@fund.example", {}, policy=patient, now=side.clock()))
    await side.coordinator.keep(HANDLE, side.party.login())
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())
    other = side.beside().coordinator.back
    side.clock.advance(LOOK_AFTER_MS - 1)
    await other.upkeep()
    side.clock.advance(1)
    side.party.fails = [AWAY]
    await other.upkeep()
    assert side.party.revoked == []
    side.clock.advance(minutes(1))
    await side.beside().coordinator.back.upkeep()
    assert side.party.revoked == ["refresh-1"]
    assert (await side.store.held(HANDLE, PROVIDER)).grant is None


async def test_a_revocation_that_the_store_interrupted_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store was away when somebody signed out; the next upkeep of that process does it."""
    side = Side()
    await side.signed_in()
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())

    async def fail(*_: object) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(side.store, "held", fail)
        with pytest.raises(StoreError):
            await side.coordinator.back.revoke(HANDLE)
    await side.coordinator.back.upkeep()
    assert side.party.revoked == ["refresh-1", "access-1"]


async def test_a_revocation_is_not_tried_for_ever() -> None:
    """After a day of refusals it is forgotten, and the log has it."""
    side = Side()
    await side.signed_in()
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())
    side.clock.advance(room.REVOKE_FOR_MS)
    side.party.fails = [AWAY]
    await side.coordinator.back.upkeep()
    assert news(side) == [TokenNews.NOT_REVOKED]
    assert (await side.store.held(HANDLE, PROVIDER)).grant is None


async def test_a_session_that_lapsed_gives_its_tokens_back() -> None:
    """Nobody signed out and nobody came: upkeep takes back what the lapsed session held, once no beat can be on its way any more."""
    side = Side()
    session = await side.signed_in()
    side.clock.advance(session.idle_timeout)
    await side.coordinator.back.upkeep()
    assert side.party.revoked == []
    side.clock.advance(minutes(1))
    await side.coordinator.back.upkeep()
    assert side.party.revoked == ["refresh-1"]


async def test_upkeep_goes_on_until_nothing_is_due() -> None:
    """More than a handful are all looked after, in one go; what was forgotten in between is passed over."""
    side = Side()
    for number in range(room._HANDFUL + 5):
        session = open_session(id_of(f"n{number}"), f"handle-n{number}", "reader", {}, policy=POLICY, now=side.clock())
        await side.store.create(session)
        await side.coordinator.keep(session.handle, side.party.login())
        await side.store.end(session.handle, EndedBy.REVOKED, now=side.clock())
    del side.store.sessions["handle-n0"]
    side.clock.advance(POLICY.idle_timeout)
    await side.coordinator.back.upkeep()
    assert len(side.party.revoked) == room._HANDFUL + 4


async def test_a_pair_without_a_refresh_token_is_taken_back_too() -> None:
    """A provider that gave none has only an access token to be told of."""
    side = Side()
    await side.signed_in()
    tokens = replace(side.party.tokens(), refresh_token=None)
    await side.coordinator.keep(HANDLE, replace(side.party.login(), tokens=tokens))
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())
    assert await side.coordinator.back.revoke(HANDLE)
    assert side.party.revoked == ["access-2"]


async def test_what_came_too_late_is_taken_back_though_nothing_is_held_any_more() -> None:
    """A session that was forgotten while the provider thought leaves nothing behind there."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.gate.clear()
    asking = asyncio.create_task(side.coordinator.fresh(HANDLE, may_refresh=True))
    await side.party.arrived.wait()
    side.store.sessions.clear()
    side.store.grants.clear()
    side.party.gate.set()
    assert (await asking).session is None
    assert side.party.revoked == ["refresh-2", "access-2"]


async def test_what_came_too_late_and_could_not_be_taken_back_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the new tokens that go back at the next upkeep, for the old one is spent, and not everywhere stands for them."""
    side = Side()
    await side.signed_in()
    side.near_the_end()
    side.party.gate.clear()
    asking = asyncio.create_task(side.coordinator.fresh(HANDLE, may_refresh=True))
    await side.party.arrived.wait()
    await side.store.end(HANDLE, EndedBy.SIGNED_OUT, now=side.clock())
    assert not await side.coordinator.back.revoke(HANDLE)

    async def fail(*_: object, **__: object) -> bool:
        raise AWAY

    with monkeypatch.context() as patch:
        patch.setattr(side.party, "revoke", fail)
        side.party.gate.set()
        assert (await asking).holding is None
    assert (await side.store.held(HANDLE, PROVIDER)).grant is not None
    await side.coordinator.back.upkeep()
    assert side.party.revoked == ["refresh-2", "access-2"]
    assert (await side.store.held(HANDLE, PROVIDER)).grant is None


async def test_upkeep_leaves_the_living_alone() -> None:
    """Whoever is still there when it could have been over is looked at again at the new deadline."""
    side = Side()
    session = await side.signed_in()
    side.clock.advance(session.idle_timeout - 1)
    await side.store.beat([claim_of("a", active_ago_ms=0)], visit_gap=1, touch_interval=0, now=side.clock())
    side.clock.advance(1)
    await side.coordinator.back.upkeep()
    assert side.party.revoked == []
    grant = (await side.store.held(HANDLE, PROVIDER)).grant
    assert grant is not None
    assert grant.check_at == side.clock() - 1 + session.idle_timeout


async def test_a_provider_that_is_away_keeps_upkeep_for_one_call() -> None:
    """Upkeep has more to do: the first refusal ends it, and the rest is tried the next time."""
    side = Side()
    for number in range(5):
        session = open_session(id_of(f"n{number}"), f"handle-n{number}", "reader", {}, policy=POLICY, now=side.clock())
        await side.store.create(session)
        await side.coordinator.keep(session.handle, side.party.login())
        await side.store.end(session.handle, EndedBy.REVOKED, now=side.clock())
    side.clock.advance(POLICY.idle_timeout)
    side.party.fails = [AWAY]
    await side.coordinator.back.upkeep()
    assert side.party.revoked == []
    side.clock.advance(minutes(1))
    await side.coordinator.back.upkeep()
    assert len(side.party.revoked) == 5


async def test_what_a_sign_out_left_waits_for_the_provider_too() -> None:
    """Of several late pairs the first that is refused ends the round."""
    side = Side()
    side.party.fails = [AWAY] * 3
    for name in "ab":
        assert not await side.coordinator.back.revoke(name, side.party.tokens())
    await side.coordinator.back.upkeep()
    assert side.party.fails == []
    await side.coordinator.back.upkeep()
    assert len(side.party.revoked) == 4


async def test_a_crowd_is_taken_back_a_few_at_a_time() -> None:
    """Many sessions that end together never have more than a few calls under way, so that refreshes get through."""
    side = Side()
    under_way, most = 0, 0
    revoke = side.party.revoke

    async def counted(token: str, kind: TokenKind, *, now: int) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return await revoke(token, kind, now=now)

    side.coordinator.back._party.revoke = counted  # type: ignore[method-assign]  # it counts
    await asyncio.gather(*(side.coordinator.back.give_back(side.party.tokens()) for _ in range(50)))
    assert (most, len(side.party.revoked)) == (8, 100)


async def test_what_cannot_be_opened_keeps_nobody_else_waiting() -> None:
    """A key that is missing is one session's trouble: the others are taken back, and the log has it."""
    side = Side()
    for name in ("broken", "whole"):
        session = open_session(id_of(name), f"handle-{name}", "reader", {}, policy=POLICY, now=side.clock())
        await side.store.create(session)
        await side.coordinator.keep(session.handle, side.party.login())
    grant = (await side.store.held("handle-broken", PROVIDER)).grant
    assert grant is not None
    sealed_elsewhere = replace(grant, version=2, document=grant.document.replace("v1.one.", "v1.two."))
    assert (await side.store.swap(sealed_elsewhere, now=side.clock())).done
    for name in ("broken", "whole"):
        await side.store.end(f"handle-{name}", EndedBy.REVOKED, now=side.clock())
    side.clock.advance(POLICY.idle_timeout)
    await side.coordinator.back.upkeep()
    assert side.party.revoked == ["refresh-2"]
    assert [(event.news, event.why) for event in side.events][:1] == [(TokenNews.NOT_REVOKED, "unsealable")]
