"""What is explained of a manager and its sessions: looked up, not touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.core.deadlines import TokenSpans
from stillhere.core.policy import Policy, days, hours, minutes, seconds
from stillhere.core.records import EndedBy, Ending
from stillhere.explain import explain, explain_rules, holding_of
from stillhere.manager import SessionManager
from stillhere.stores.memory import MemoryStore
from stillhere.tokens import Tokens
from tests.http.doubles import Trouble
from tests.tokens.made import own_tokens
from tests.tokens.party import VAULT
from tests.tokens.provider.doubles import provider
from tests.tokens.test_credentials import App

if TYPE_CHECKING:
    from tests.support import FakeClock


async def test_rules_alone(clock: FakeClock) -> None:
    """Without a session the rules are explained: its policy's, its tokens', its retention's."""
    plain = await explain(SessionManager(MemoryStore(), clock=clock))
    assert plain == explain_rules(Policy())
    assert (plain.effective.name, plain.session, plain.now, plain.ending) == ("idle timeout", None, None, None)
    full = await explain(SessionManager(MemoryStore(), clock=clock, tokens=own_tokens(), retention=days(1)))
    assert {"access token", "refresh token", "retention"} <= {row.name for row in full.deadlines}


async def test_a_session_of_a_manager(clock: FakeClock) -> None:
    """One session is explained as of now, or as of when it is said, with what is unusual of it first."""
    store = MemoryStore()
    session = (await SessionManager(store, policy=Policy(idle_timeout=hours(1)), clock=clock).start("reader@fund.example")).session
    manager = SessionManager(store, clock=clock, tokens=own_tokens())
    clock.advance(minutes(10))
    explained = await explain(manager, session)
    assert (explained.now, explained.session, explained.ending) == (clock(), session, None)
    assert explained.effective.remaining_ms(clock()) == minutes(50)
    assert explained.findings[0].code == "began-under-other-rules"
    assert (await explain(manager, session, now=clock() + minutes(1))).now == clock() + minutes(1)
    assert await manager.store.get(session.handle) == session
    clock.advance(hours(2))
    assert (await explain(manager, session)).ending == Ending(at=session.created_at + hours(1), by=EndedBy.IDLE)


async def test_what_it_holds_of_a_provider() -> None:
    """When its access token is due and over is told to the millisecond; nothing asks the provider, nothing is written."""
    store = MemoryStore()
    app = App(store=store)
    started = await app.sign_in()
    grants = dict(store.grants)
    holding = await holding_of(app.manager.store, started.session.handle)
    assert holding is not None
    rows = {row.name: row for row in (await explain(app.manager, started.session)).deadlines}
    assert rows["provider's access token"].at == holding.access_expires_at
    assert rows["refresh of the provider's token"].at == holding.refresh_at
    assert rows["refresh of the provider's token"].span_ms == seconds(90)
    assert store.grants == grants
    assert app.party.refreshed == []


@pytest.mark.parametrize(
    ("tokens", "spans"),
    [
        (own_tokens(), TokenSpans(access_lifetime=minutes(5), replay_timeout=minutes(2), grace=seconds(10))),
        (Tokens(access=own_tokens().access), TokenSpans(access_lifetime=minutes(5), grace=seconds(10))),
        (
            Tokens(provider=provider(access_lifetime=minutes(10), scopes=("openid",)), vault=VAULT),
            TokenSpans(grace=seconds(10), provider_lifetime=minutes(10), refresh_margin=minutes(3), asks_offline=False),
        ),
        (
            Tokens(provider=provider(access_lifetime=minutes(1), refresh_margin=1.0), vault=VAULT),
            TokenSpans(grace=seconds(10), provider_lifetime=minutes(1), refresh_margin=minutes(1)),
        ),
    ],
)
def test_tokens_tell_their_spans(tokens: Tokens, spans: TokenSpans) -> None:
    """What is set up, as it is set: a margin is told whole, though half of a token's life is the most that is used."""
    assert tokens.spans() == spans


async def test_a_session_that_holds_nothing() -> None:
    """One that signed in another way has no instants for a provider's tokens; nor has one in a store that keeps no grants."""
    app = App()
    session = (await app.manager.start("reader@fund.example")).session
    rows = {row.name: row for row in (await explain(app.manager, session)).deadlines}
    assert rows["provider's access token"].at is None
    assert await holding_of(Trouble(), session.handle) is None
