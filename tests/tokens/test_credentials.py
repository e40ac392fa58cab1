"""What a session has beside its cookie, as the manager asks for it: kept fresh by people, by nobody else, and gone with the session."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from stillhere.core.policy import Policy, minutes
from stillhere.core.records import EndedBy, Ending, Lifecycle
from stillhere.core.wire import PLAIN, Beat, Kind
from stillhere.errors import ProviderAway, SettingsError, StillhereError, TokenLapsed
from stillhere.manager import NO_SESSION, SessionManager, Started, Verdict
from stillhere.stores.memory import MemoryStore
from stillhere.tokens import Provider, TokenEvent, TokenNews, Tokens
from stillhere.tokens import credentials as room
from stillhere.tokens.provider.failures import Failure, ProviderError
from tests.support import FakeClock
from tests.tokens.made import LIFETIME, access_tokens, own_tokens
from tests.tokens.party import LIFE, VAULT, ScriptedParty

if TYPE_CHECKING:
    from stillhere.tokens.credentials import Credentials

PROVIDER = Provider(
    issuer="https://id.example", client_id="app", client_secret="nothing opens with this", redirect_uri="https://app.example/back"
)
TYPED = Beat(lifecycle=Lifecycle.ACTIVE, idle_ms=0)
READ = Beat(lifecycle=Lifecycle.ACTIVE)


class App:
    """A manager whose sessions hold tokens of a provider that answers as a test says."""

    def __init__(self, policy: Policy | None = None, store: MemoryStore | None = None) -> None:
        self.clock, self.events = FakeClock(), list[TokenEvent]()
        self.manager = SessionManager(
            store or MemoryStore(),
            policy=policy,
            clock=self.clock,
            tokens=Tokens(provider=PROVIDER, vault=VAULT, on_event=self.hear),
        )
        self.party = ScriptedParty(self.clock)
        assert self.credentials.provider is not None
        self.credentials.provider._party = self.credentials.provider.back._party = self.party

    async def hear(self, event: TokenEvent) -> None:
        """Remember an event."""
        self.events.append(event)

    @property
    def credentials(self) -> Credentials:
        """What the manager asks."""
        assert self.manager.credentials is not None
        return self.manager.credentials

    async def sign_in(self) -> Started:
        """Begin a session that holds tokens."""
        started = await self.manager.start("reader@fund.example")
        assert self.credentials.provider is not None
        assert await self.credentials.provider.keep(started.session.handle, self.party.login())
        return started

    async def later(self, started: Started, span_ms: int, beat: Beat = TYPED) -> Verdict:
        """Let time pass, then beat."""
        self.clock.advance(span_ms)
        return await self.manager.beat(started.secret, [beat])


async def test_a_beat_says_when_the_access_token_ends_and_asks_for_one_in_time() -> None:
    """The verdict has the end of the provider's token, and the next beat is due when the token is."""
    app = App()
    verdict = await app.later(await app.sign_in(), 0)
    assert verdict.access_expires_at == app.clock() + LIFE
    assert verdict.next_beat_ms == minutes(3)
    verdict = await app.later(await app.sign_in(), minutes(3))
    assert verdict.next_beat_ms == LIFE * 7 // 10 - minutes(3)


async def test_typing_keeps_the_tokens_fresh() -> None:
    """Beats with input refresh whenever it is time: an hour of typing, one token after the other, each in time."""
    app = App()
    started = await app.sign_in()
    for _ in range(60):
        verdict = await app.later(started, minutes(1))
        assert verdict.access_expires_at is not None
        assert verdict.access_expires_at > app.clock()
    assert 60 * 60_000 // LIFE <= len(app.party.refreshed) <= 60 * 60_000 // (LIFE * 7 // 10 - minutes(1))


@pytest.mark.parametrize("beat", [READ, PLAIN, Beat(kind=Kind.CHECK, idle_ms=0), Beat(lifecycle=Lifecycle.ACTIVE, idle_ms=minutes(4))])
async def test_without_input_nothing_is_refreshed(beat: Beat) -> None:
    """Reading without a hand, a plain beat, a check and old input leave the provider alone; the token lapses, the session lives."""
    app = App()
    verdict = await app.later(await app.sign_in(), LIFE, beat)
    assert verdict.is_alive
    assert verdict.access_expires_at == app.clock()
    assert app.party.refreshed == []


async def test_a_withheld_beat_refreshes_nothing() -> None:
    """`X-Heartbeat: true` can only withhold, whatever the beat says of input."""
    app = App()
    started = await app.sign_in()
    app.clock.advance(LIFE)
    verdict = await app.manager.beat(started.secret, [TYPED], withheld=True)
    assert verdict.is_alive
    assert app.party.refreshed == []


async def test_input_since_the_last_beat_counts() -> None:
    """Input older than the activity window but younger than a beat interval was made since the last beat: latched, not sampled."""
    app = App()
    await app.later(await app.sign_in(), LIFE, Beat(lifecycle=Lifecycle.ACTIVE, idle_ms=minutes(2.5)))
    assert app.party.refreshed == ["refresh-1"]


async def test_where_beats_always_extend_they_always_refresh() -> None:
    """An existing client that beats without a body, gated on activity by itself, is believed where the policy says so."""
    app = App(Policy(beats_extend="always"))  # type: ignore[arg-type]  # as settings write it
    await app.later(await app.sign_in(), LIFE, PLAIN)
    assert app.party.refreshed == ["refresh-1"]


async def test_a_look_refreshes_nothing() -> None:
    """Looking is not living: a look says when the token ends, also when that is over."""
    app = App()
    started = await app.sign_in()
    assert (await app.manager.look(started.secret)).access_expires_at == app.clock() + LIFE
    app.clock.advance(LIFE)
    assert (await app.manager.look(started.secret)).access_expires_at == app.clock()
    assert app.party.refreshed == []


async def test_before_it_is_time_a_beat_asks_nobody() -> None:
    """Between two refreshes a beat costs no look at what is held."""

    class Counting(MemoryStore):
        looks = 0

        async def held(self, handle: str, kind: str) -> Any:
            self.looks += 1
            return await super().held(handle, kind)

    store = Counting()
    app = App(store=store)
    started = await app.sign_in()
    await app.later(started, 0)
    looks = store.looks
    for _ in range(10):
        await app.later(started, 1_000)
    assert store.looks == looks


async def test_the_end_by_the_provider_is_told_by_the_very_beat() -> None:
    """A beat whose refresh is refused is answered with the end: `provider`, once, and the event says why."""
    app = App()
    started = await app.sign_in()
    app.party.fails = [ProviderError(Failure.TERMINAL, endpoint="token", why="invalid_grant", status=400)]
    verdict = await app.later(started, LIFE * 7 // 10)
    assert verdict.ending is not None
    assert verdict.ending.by is EndedBy.PROVIDER
    await app.manager.close()
    assert [(event.news, event.why) for event in app.events] == [(TokenNews.REFUSED, "invalid_grant")]


async def test_a_provider_that_is_away_is_trouble_only_when_the_token_is_over() -> None:
    """While the token is good the beat is answered as ever; when it is over, with the time to wait."""
    app = App()
    started = await app.sign_in()
    away = ProviderError(Failure.TRANSIENT, endpoint="token", why="timeout", retry_after=1)
    app.party.fails = [away, away]
    assert (await app.later(started, LIFE * 7 // 10)).is_alive
    with pytest.raises(ProviderAway):
        await app.later(started, LIFE * 3 // 10)
    assert (await app.later(started, minutes(1))).is_alive


async def test_signing_out_takes_the_tokens_back() -> None:
    """The end of a session, whoever brings it about, is followed by the provider's."""
    app = App()
    started = await app.sign_in()
    await app.manager.end(started.secret)
    await app.manager.close()
    assert app.party.revoked == ["refresh-1", "access-1"]


async def test_sweeping_takes_back_what_lapsed_sessions_held() -> None:
    """The upkeep of a manager looks after tokens, too, and a failure there is tried again."""
    app = App()
    await app.sign_in()
    app.clock.advance(minutes(20))
    app.party.fails = [ProviderError(Failure.TRANSIENT, endpoint="revocation", why="timeout")]
    await app.manager.sweep()
    app.clock.advance(minutes(2))
    await app.manager.sweep()
    await app.manager.close()
    assert app.party.revoked == ["refresh-1"]


async def test_a_call_of_the_applications_own_gets_a_fresh_token() -> None:
    """`access_token` refreshes for a person, uses what is good for nobody, and says so when there is nothing more."""
    app = App()
    session = (await app.sign_in()).session
    assert await app.credentials.access_token(session, may_refresh=False) == "access-1"
    app.clock.advance(LIFE)
    with pytest.raises(TokenLapsed) as caught:
        await app.credentials.access_token(session, may_refresh=False)
    assert (caught.value.handle, caught.value.expired_at, caught.value.status_hint) == (session.handle, app.clock(), 503)
    assert await app.credentials.access_token(session, may_refresh=True) == "access-2"
    assert app.credentials.was_active(session) is False
    other = await app.manager.start("somebody@fund.example")
    assert app.credentials.was_active(other.session)
    assert await app.credentials.access_token(other.session, may_refresh=True) is None


async def test_a_session_without_tokens_is_asked_about_once_a_minute() -> None:
    """Somebody who signed in otherwise has no end of a token, and tokens that come later are found."""
    app = App()
    started = await app.manager.start("reader@fund.example")
    assert (await app.later(started, 0)).access_expires_at is None
    assert app.credentials.provider is not None
    await app.credentials.provider.keep(started.session.handle, app.party.login())
    assert (await app.later(started, minutes(1))).access_expires_at == app.clock() - minutes(1) + LIFE


async def test_a_session_that_ends_meanwhile_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a beat and the look at its tokens a sign-out may come; then that is the answer."""
    app = App()
    started = await app.sign_in()
    provider = app.credentials.provider
    assert provider is not None
    fresh = provider.fresh

    async def ended_first(handle: str, *, may_refresh: bool) -> Any:
        await app.manager.end_by_handle(handle, EndedBy.REVOKED)
        return await fresh(handle, may_refresh=may_refresh)

    monkeypatch.setattr(provider, "fresh", ended_first)
    verdict = await app.later(started, 0)
    assert verdict.ending is not None
    assert verdict.ending.by is EndedBy.REVOKED


async def test_only_so_many_sessions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process remembers of tokens has a bound; whoever fell out is looked up again."""
    monkeypatch.setattr(room, "KNOWN", 2)
    app = App()
    for _ in range(4):
        await app.later(await app.sign_in(), 0)
    assert len(app.credentials._due) == 2


async def test_a_hook_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """An application's trouble with an event is its own."""
    app = App()

    async def fail(event: TokenEvent) -> None:
        raise ValueError(event.news)

    app.credentials._on_event = fail
    started = await app.sign_in()
    with caplog.at_level(logging.INFO, "stillhere"):
        assert (await app.later(started, LIFE * 7 // 10)).is_alive
        await app.manager.close()
    assert "failed" in caplog.text
    assert "refreshed" in caplog.text


async def test_a_store_that_is_away_after_an_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be taken back now is taken back later; the log says so, without a token in it."""
    app = App()
    started = await app.sign_in()
    app.credentials.ended(started.session)
    await app.manager.store.close()
    with caplog.at_level(logging.WARNING, "stillhere"):
        await app.credentials.close()
    assert "tried again later" in caplog.text
    assert "refresh-1" not in caplog.text


async def test_refused_access_tokens_are_logged_by_reason_only(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the word for why, and nothing of the token."""
    manager = SessionManager("memory://", tokens=own_tokens())
    text = "eyJhbGciOiJub25lIn0.e30.x"
    with caplog.at_level(logging.INFO, "stillhere"):
        assert manager.named(text) is None
    assert text not in caplog.text
    assert "refused" in caplog.text
    assert manager.named(None) is None
    assert manager.named("nonsense") is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({}, "no tokens"),
        ({"refresh": True, "provider": PROVIDER, "vault": VAULT}, "bring access tokens"),
        ({"provider": PROVIDER}, "vault"),
        ({"access": access_tokens(), "grace": -1}, "grace"),
        ({"access": access_tokens(), "replay_timeout": 0.5}, "replay_timeout"),
    ],
)
def test_tokens_that_cannot_work_are_refused_with_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    """A set that is missing something is refused when it is built, and the message says what."""
    with pytest.raises(SettingsError, match=sentence):
        Tokens(**wrong)


def test_a_store_that_cannot_keep_tokens_is_refused_at_start() -> None:
    """Better no start than tokens that are nowhere."""

    class Plain:
        """Keeps no grants."""

    with pytest.raises(SettingsError, match="cannot keep tokens"):
        own_tokens().open(Plain(), policy=Policy(), clock=FakeClock(), random_bytes=bytes, end=_never)


async def _never(handle: str, by: EndedBy) -> None:
    raise AssertionError(handle, by)


async def test_what_is_not_set_up_is_said_so() -> None:
    """Asking for tokens that there are none of is the caller's mistake, and is told."""
    app = App()
    session = (await app.sign_in()).session
    with pytest.raises(StillhereError, match="no refresh tokens"):
        await app.credentials.turn("nothing")
    with pytest.raises(StillhereError, match="no access tokens"):
        await app.credentials.issue(session)
    bare = SessionManager("memory://", tokens=Tokens(access=access_tokens()))
    assert bare.credentials is not None
    issued = await bare.credentials.issue(session, {"role": "reader"})
    assert issued is not None
    assert issued.refresh is None
    assert "eyJ" not in repr(issued)
    assert await bare.credentials.access_token(session, may_refresh=True) is None
    assert (await bare.credentials.expiry(session, may_refresh=True)).expires_at is None
    await bare.credentials.upkeep()
    await bare.close()


async def test_tokens_are_issued_to_the_living_only() -> None:
    """A session that ended gets none."""
    manager = SessionManager("memory://", tokens=own_tokens())
    started = await manager.start("reader@fund.example")
    await manager.end(started.secret)
    assert manager.credentials is not None
    assert await manager.credentials.issue(started.session) is None


async def test_an_access_token_that_is_over_tells_why_its_session_ended_and_nothing_else() -> None:
    """It opens nothing and touches nothing; of a session that is over its client hears the reason, of one that goes on nothing."""
    clock = FakeClock()
    manager = SessionManager("memory://", clock=clock, tokens=Tokens(access=access_tokens()))
    credentials = manager.credentials
    assert credentials is not None
    started, stranger = await manager.start("reader"), await SessionManager("memory://", clock=clock).start("reader")
    issued, foreign = await credentials.issue(started.session), await credentials.issue(stranger.session)
    assert issued is not None
    assert foreign is not None
    clock.advance(LIFETIME)
    forged = ".".join((issued.access.text.rpartition(".")[0], foreign.access.text.rpartition(".")[2]))
    for text in (issued.access.text, foreign.access.text, forged):
        assert await manager.authenticate(text) == NO_SESSION
        assert await manager.beat(text, [TYPED]) == NO_SESSION
    assert await manager.store.get(started.session.handle) == started.session
    clock.advance(manager.policy.idle_timeout - LIFETIME)
    for verdict in (await manager.authenticate(issued.access.text), await manager.beat(issued.access.text, [TYPED])):
        assert verdict.ending == Ending(by=EndedBy.IDLE, at=clock())


async def test_a_token_that_is_cut_to_its_sessions_end_lasts_exactly_as_long() -> None:
    """Tokens count whole seconds, sessions milliseconds: the rest of the last second is the session's, and then its end is told."""
    clock = FakeClock()
    policy = Policy(idle_timeout=minutes(4), absolute_timeout=minutes(4) + 500, beat_interval=minutes(2))
    manager = SessionManager("memory://", policy=policy, clock=clock, tokens=Tokens(access=access_tokens()))
    started = await manager.start("reader")
    assert manager.credentials is not None
    issued = await manager.credentials.issue(started.session)
    assert issued is not None
    assert issued.access.expires_at < started.session.absolute_end_at
    clock.advance(minutes(3))
    assert (await manager.authenticate(issued.access.text)).is_alive
    clock.advance(started.session.absolute_end_at - 1 - clock())
    assert (await manager.authenticate(issued.access.text)).is_alive
    clock.advance(1)
    verdict = await manager.look(issued.access.text)
    assert verdict.ending == Ending(by=EndedBy.ABSOLUTE, at=started.session.absolute_end_at)


async def test_a_text_that_is_no_token_outlived_nothing() -> None:
    """Only an access token can have been over with its session."""
    manager = SessionManager("memory://", tokens=own_tokens())
    assert manager.credentials is not None
    assert await manager.credentials.outlived("nonsense") is None
    await manager.close()
