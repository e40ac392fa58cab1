"""The manager's verbs: what each says, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.archive.archive import Archive
from stillhere.archive.memory import MemorySource
from stillhere.batcher import Batching
from stillhere.core.ids import hash_secret, read_id
from stillhere.core.policy import BeatsExtend, Policy, hours, minutes, seconds
from stillhere.core.records import EndedBy, Ending
from stillhere.core.rules import deadline
from stillhere.core.wire import PLAIN, Beat, Kind
from stillhere.errors import SessionExists, SettingsError, StoreError
from stillhere.manager import NO_SESSION, SessionManager, Verdict
from stillhere.stores.memory import MemoryStore
from tests.manager.doubles import DownStore, UntouchableStore, memory_of
from tests.support import START

if TYPE_CHECKING:
    from stillhere.core.records import Outcome
    from tests.support import FakeClock

UNKNOWN = "handle." + "u" * 43
NOT_IDS = [None, "", "short", "u" * 43, "handle." + "x" * 44, "handle." + "ü" * 43, "handle." + "a" * 43 + "\n"]


async def say(manager: SessionManager, verb: str, secret: str | None) -> Verdict:
    """Call the verb of this name with a cookie's value."""
    if verb == "beat":
        return await manager.beat(secret, [PLAIN])
    if verb == "end":
        return await manager.end(secret, beats=[PLAIN])
    verdict: Verdict = await getattr(manager, verb)(secret)
    return verdict


async def test_a_session_starts_as_the_policy_says(manager: SessionManager, clock: FakeClock) -> None:
    """Subject, attributes and timeouts are kept; the secret is fresh and the store holds only its hash."""
    started = await manager.start("reader@fund.example", attributes={"role": "reader"})
    session = started.session
    assert (session.subject, session.attributes, session.created_at) == ("reader@fund.example", {"role": "reader"}, clock())
    assert (session.idle_timeout, session.absolute_end_at) == (minutes(20), clock() + hours(24))
    assert read_id(started.secret) == (session.handle, session.id_hash)
    assert session.id_hash == hash_secret(started.secret)
    assert memory_of(manager).sessions == {session.handle: session}


async def test_every_session_has_ids_of_its_own() -> None:
    """No two sessions share a secret or a handle; the operating system draws them."""
    manager = SessionManager("memory://")
    started = [await manager.start("reader") for _ in range(50)]
    assert len({one.secret for one in started}) == len({one.session.handle for one in started}) == 50


async def test_an_id_that_was_drawn_twice_overwrites_nobody(clock: FakeClock) -> None:
    """Should the random source fail, the second sign-in fails and the first session stays."""
    manager = SessionManager(MemoryStore(), clock=clock, random_bytes=bytes)
    first = await manager.start("first")
    with pytest.raises(SessionExists):
        await manager.start("second")
    assert (await manager.look(first.secret)).session == first.session


@pytest.mark.parametrize("secret", NOT_IDS, ids=repr)
@pytest.mark.parametrize("verb", ["authenticate", "beat", "extend", "look", "end"])
async def test_without_a_cookie_that_can_be_an_id_the_store_is_not_called(verb: str, secret: str | None) -> None:
    """No cookie, or one that cannot be an id: no session, and no work for anybody."""
    manager = SessionManager(UntouchableStore())
    assert await say(manager, verb, secret) is NO_SESSION


@pytest.mark.parametrize("verb", ["authenticate", "beat", "extend", "look", "end"])
async def test_an_id_that_nobody_was_given_is_never_adopted(manager: SessionManager, verb: str) -> None:
    """Whoever comes with an unknown id has no session, and none begins."""
    verdict = await say(manager, verb, UNKNOWN)
    assert verdict == NO_SESSION
    assert not verdict.is_alive
    assert memory_of(manager).sessions == {}
    assert await manager.rotate(UNKNOWN) is None


async def test_a_sign_in_over_an_old_session_replaces_it(manager: SessionManager) -> None:
    """Ids rotate at login: the session the browser came with ends, for that reason."""
    old = await manager.start("reader")
    new = await manager.start("reader", replaces=old.secret)
    verdict = await manager.look(old.secret)
    assert verdict.ending == Ending(at=START, by=EndedBy.REPLACED)
    assert (await manager.look(new.secret)).is_alive


@pytest.mark.parametrize("replaced", [UNKNOWN, "no id at all", ""])
async def test_a_sign_in_with_a_foreign_cookie_gets_an_id_of_its_own(manager: SessionManager, replaced: str) -> None:
    """A planted id is not taken over (session fixation), and harms nothing."""
    started = await manager.start("reader", replaces=replaced)
    assert started.secret != replaced
    assert (await manager.look(replaced)) == NO_SESSION
    assert (await manager.look(started.secret)).is_alive


async def test_an_ordinary_request_extends_unless_it_says_otherwise(manager: SessionManager, clock: FakeClock) -> None:
    """A touch moves the deadline to a full idle timeout from now; one that is withheld moves nothing."""
    secret = (await manager.start("reader")).secret
    clock.advance(minutes(10))
    withheld = await manager.authenticate(secret, extends=False)
    assert withheld.standing is not None
    assert withheld.standing.expires_in_ms == minutes(10)
    touched = await manager.authenticate(secret)
    assert touched.standing is not None
    assert touched.standing.expires_in_ms == minutes(20)
    assert memory_of(manager).visits == {}


async def test_a_choice_to_stay_extends_under_every_policy(clock: FakeClock) -> None:
    """Also where beats extend nothing."""
    manager = SessionManager(MemoryStore(), clock=clock, policy=Policy(beats_extend=BeatsExtend.NEVER))
    secret = (await manager.start("reader")).secret
    clock.advance(minutes(19))
    assert (await manager.beat(secret, [Beat(idle_ms=0)])).standing != (await manager.extend(secret)).standing
    verdict = await manager.look(secret)
    assert verdict.standing is not None
    assert verdict.standing.expires_in_ms == minutes(20)


async def test_to_look_writes_nothing_at_all(manager: SessionManager, clock: FakeClock) -> None:
    """Not even that somebody looked, nor that the session has lapsed."""
    started = await manager.start("reader")
    clock.advance(minutes(5))
    verdict = await manager.look(started.secret)
    assert verdict.standing is not None
    assert verdict.standing.expires_in_ms == minutes(15)
    clock.advance(minutes(60))
    over = await manager.look(started.secret)
    assert over.ending == Ending(at=START + minutes(20), by=EndedBy.IDLE)
    assert not over.is_alive
    assert memory_of(manager).sessions == {started.session.handle: started.session}


@pytest.mark.parametrize("withheld", [True, False])
async def test_the_next_beat_is_timed_from_what_the_page_told(manager: SessionManager, *, withheld: bool) -> None:
    """Of several beats the last counts, a check is told the same as a beat, and who told nothing gets the interval."""
    secret = (await manager.start("reader")).secret
    said = [Beat(view="v", visible_ms=1), Beat(kind=Kind.CHECK, view="v", visible_ms=minutes(2))]
    assert (await manager.beat(secret, said, withheld=withheld)).next_beat_ms == manager.policy.beat_interval
    assert (await manager.beat(secret, [PLAIN], withheld=withheld)).next_beat_ms == manager.policy.beat_interval


async def test_a_new_id_leaves_the_old_one_dead(manager: SessionManager, clock: FakeClock) -> None:
    """Rotation keeps the session and its handle; the old secret opens nothing; one that is over gets no new id."""
    started = await manager.start("reader")
    rotated = await manager.rotate(started.secret)
    assert rotated is not None
    assert rotated.secret != started.secret
    assert rotated.session.handle == started.session.handle
    assert await manager.look(started.secret) == NO_SESSION
    assert await manager.rotate(started.secret) is None
    assert (await manager.look(rotated.secret)).is_alive
    clock.advance(hours(1))
    assert await manager.rotate(rotated.secret) is None


async def test_a_sign_out_takes_the_last_words_in_first(manager: SessionManager, clock: FakeClock) -> None:
    """The totals that came with it count, and the session is over at once."""
    started = await manager.start("reader")
    clock.advance(10_000)
    await manager.beat(started.secret, [Beat(view="v", visible_ms=10_000)])
    clock.advance(5_000)
    verdict = await manager.end(started.secret, beats=[Beat(kind=Kind.LEAVE, view="v", visible_ms=15_000)])
    assert verdict.ending == Ending(at=clock(), by=EndedBy.SIGNED_OUT)
    assert memory_of(manager).views[started.session.handle]["v"].visible_ms == 15_000
    clock.advance(1)
    assert not (await manager.authenticate(started.secret)).is_alive


async def test_an_end_is_idempotent_and_the_first_reason_stays(manager: SessionManager, clock: FakeClock) -> None:
    """Whoever ends it again is told when and why it ended first."""
    started = await manager.start("reader")
    first = await manager.end(started.secret)
    clock.advance(1_000)
    assert (await manager.end(started.secret)).ending == first.ending
    assert (await manager.end_by_handle(started.session.handle)).ending == first.ending == Ending(at=START, by=EndedBy.SIGNED_OUT)


async def test_a_session_that_lapsed_cannot_be_signed_out_any_more(manager: SessionManager, clock: FakeClock) -> None:
    """It ended at its deadline, whoever comes later with whatever last words."""
    started = await manager.start("reader")
    clock.advance(hours(2))
    verdict = await manager.end(started.secret, beats=[Beat(kind=Kind.EXTEND)])
    assert verdict.ending == Ending(at=deadline(started.session), by=EndedBy.IDLE)


async def test_a_handle_ends_a_session_and_opens_none(manager: SessionManager) -> None:
    """From the dashboard a session is revoked by its public name; as a cookie that name is worth nothing."""
    started = await manager.start("reader")
    assert await manager.look(started.session.handle) == NO_SESSION
    verdict = await manager.end_by_handle(started.session.handle)
    assert verdict.ending == Ending(at=START, by=EndedBy.REVOKED)
    assert await manager.end_by_handle("nobody's") == NO_SESSION


async def test_all_of_a_subjects_sessions_end_but_one(manager: SessionManager) -> None:
    """The caller's own may stay, others' are left alone, and the count is told."""
    mine = [await manager.start("me") for _ in range(4)]
    other = await manager.start("another")
    assert await manager.end_all("me", but=mine[0].session.handle) == 3
    assert [(await manager.look(one.secret)).is_alive for one in [*mine, other]] == [True, False, False, False, True]
    assert await manager.end_all("me", EndedBy.PROVIDER) == 1
    assert await manager.end_all("me") == 0


async def test_the_living_are_listed_with_the_last_seen_first(manager: SessionManager, clock: FakeClock) -> None:
    """Those that are over are not among them; a subject or a limit narrows the list."""
    first, second, over = [await manager.start(subject) for subject in ("a", "b", "c")]
    await manager.end(over.secret)
    clock.advance(1_000)
    await manager.authenticate(first.secret, extends=False)
    assert [session.subject for session in await manager.list()] == ["a", "b"]
    assert [session.handle for session in await manager.list("b")] == [second.session.handle]
    assert [session.subject for session in await manager.list(limit=1)] == ["a"]
    clock.advance(minutes(20))
    assert await manager.list() == []


@pytest.mark.parametrize("verb", ["authenticate", "beat", "extend", "look", "end"])
async def test_a_store_in_trouble_says_nothing_about_a_session(clock: FakeClock, verb: str) -> None:
    """Trouble is a `StoreError`, never "no session"; once it is over, everybody is still signed in."""
    store = DownStore()
    manager = SessionManager(store, clock=clock)
    started = await manager.start("reader")
    store.down = True
    with pytest.raises(StoreError) as trouble:
        await say(manager, verb, started.secret)
    assert trouble.value.status_hint == 503
    with pytest.raises(StoreError):
        await manager.start("another")
    store.down = False
    assert (await manager.look(started.secret)).session == started.session


async def test_a_clock_that_steps_back_neither_kills_nor_revives(manager: SessionManager, clock: FakeClock) -> None:
    """Who was alive stays alive; what is over stays over."""
    alive, over = await manager.start("alive"), await manager.start("over")
    await manager.end(over.secret)
    clock.advance(minutes(15))
    await manager.authenticate(alive.secret)
    for span in (-minutes(14), -hours(48), minutes(5)):
        clock.advance(span)
        verdict = await manager.authenticate(alive.secret)
        assert verdict.is_alive
        assert verdict.session is not None
        assert verdict.session.last_active_at == START + minutes(15)
        assert (await manager.authenticate(over.secret)).ending == Ending(at=START, by=EndedBy.SIGNED_OUT)


async def test_a_url_opens_the_store_and_the_archive_beside_it() -> None:
    """One address is enough; an unknown one is refused when the manager is made."""
    async with SessionManager("memory://") as manager:
        assert isinstance(manager.store, MemoryStore)
        assert isinstance(manager.archive, Archive)
        assert manager.policy == Policy()
        assert abs(manager.clock() - SessionManager(MemoryStore()).clock()) < 10_000
    with pytest.raises(SettingsError):
        SessionManager("mailto:reader@fund.example")


async def test_a_store_of_your_own_comes_with_its_own_archive() -> None:
    """What is handed in is what is used."""
    store = MemoryStore()
    archive = Archive(MemorySource(store))
    assert SessionManager(store, archive=archive).archive is archive
    assert SessionManager(MemoryStore()).archive is None


class RefusesEnds(MemoryStore):
    """A store that fails to end one session."""

    refused = ""

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """Fail for that one."""
        if handle == self.refused:
            raise StoreError("not now")
        return await super().end(handle, by, now=now)


async def test_a_sign_in_that_cannot_end_the_old_session_leaves_no_new_one() -> None:
    """Nobody would ever hold the new session's secret: it ends, and the old one is as it was."""
    store = RefusesEnds()
    manager = SessionManager(store)
    old = await manager.start("reader")
    store.refused = old.session.handle
    with pytest.raises(StoreError):
        await manager.start("reader", replaces=old.secret)
    assert await manager.list("reader") == [old.session]


async def test_a_store_that_cannot_list_says_so() -> None:
    """Listing and counting are optional abilities; without them the error names what is missing."""
    manager = SessionManager(UntouchableStore())
    with pytest.raises(TypeError, match="it has no `living` and `count`"):
        await manager.list()
    with pytest.raises(TypeError, match="UntouchableStore cannot list"):
        await manager.count()


async def test_living_sessions_are_counted(manager: SessionManager, clock: FakeClock) -> None:
    """The count is of the living, however many a list would show."""
    for number in range(3):
        await manager.start(f"reader {number}")
    clock.advance(minutes(10))
    await manager.start("late reader")
    assert (await manager.count(), len(await manager.list(limit=2))) == (4, 2)
    clock.advance(minutes(15))
    assert await manager.count() == 1


async def test_what_is_no_id_is_never_rotated() -> None:
    """A text that cannot be an id gets no new one, and the store is not asked."""
    manager = SessionManager(UntouchableStore())
    assert await manager.rotate("nonsense") is None


async def test_an_extension_is_always_written(clock: FakeClock) -> None:
    """Whoever clicks to stay sees the full span, also under a touch interval; an ordinary request is told the certain, earlier end."""
    manager = SessionManager("memory://", policy=Policy(touch_interval=minutes(1)), clock=clock)
    started = await manager.start("reader@fund.example")
    clock.advance(seconds(59))
    touched = await manager.authenticate(started.secret)
    assert touched.standing is not None
    assert touched.standing.idle_in_ms == minutes(20) - seconds(59)
    extended = await manager.extend(started.secret)
    assert extended.standing is not None
    assert extended.standing.idle_in_ms == minutes(20)


async def test_batching_can_be_read() -> None:
    """An application can see how its beats travel; a store that answers at once needs no batches."""
    manager = SessionManager("memory://")
    started = await manager.start("reader@fund.example")
    await manager.authenticate(started.secret)
    assert manager.batching == Batching()
