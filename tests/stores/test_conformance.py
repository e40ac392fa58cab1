"""What every store promises: the contract of `stores/protocol.py`, one sentence at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stillhere.core.records import Claim, EndedBy, Lifecycle, Outcome
from stillhere.core.wire import LONGEST_MS
from stillhere.errors import SessionExists, StoreError
from tests.stores.every import ABSOLUTE, GAP, IDLE, FullStore, claim_of, id_of, session_of
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stillhere.core.records import Session


async def beat(store: FullStore, *claims: Claim, now: int = START) -> list[Outcome]:
    """Send a batch."""
    return await store.beat(claims, visit_gap=GAP, touch_interval=0, now=now)


class TestCreate:
    async def test_keeps_the_record_as_it_was_given(self, store: FullStore) -> None:
        """What was created is found by its handle, every field equal."""
        session = session_of("a", {"n": 1})
        await store.create(session)
        assert await store.get(session.handle) == session
        assert await store.get(session.handle) == session

    async def test_never_overwrites(self, store: FullStore) -> None:
        """A taken handle is refused, and the session that has it stays as it was."""
        first, second = session_of("a"), session_of("b", subject="third@fund.example")
        await store.create(first)
        with pytest.raises(SessionExists) as refused:
            await store.create(replace(second, handle=first.handle))
        assert refused.value.handle == first.handle
        assert await store.living(subject=None, limit=10, now=START) == [first]
        assert await store.living(subject=second.subject, limit=10, now=START) == []

    async def test_never_overwrites_what_has_ended(self, store: FullStore) -> None:
        """The handle of a session that is over is not free again."""
        session = session_of("a")
        await store.create(session)
        ended = await store.end(session.handle, EndedBy.REVOKED, now=START)
        with pytest.raises(SessionExists):
            await store.create(session)
        assert await store.get(session.handle) == ended.session

    async def test_of_one_handle_by_many_succeeds_once(self, store: FullStore) -> None:
        """Of thirty that create the same handle at once exactly one succeeds, and its record is the one kept."""
        sessions = [session_of("a", {"n": n}) for n in range(30)]
        results = await asyncio.gather(*map(store.create, sessions), return_exceptions=True)
        won = [session for session, result in zip(sessions, results, strict=True) if result is None]
        assert [type(result) for result in results if result is not None] == [SessionExists] * 29
        assert await store.living(subject=None, limit=100, now=START) == won


class TestLooking:
    async def test_changes_nothing(self, store: FullStore) -> None:
        """Getting, finding and listing leave a session as it was, also one that has lapsed."""
        session = session_of("a")
        await store.create(session)
        for _ in range(2):
            assert await store.get(session.handle) == session
            assert await store.get(session.handle) == session
            assert await store.living(subject=None, limit=10, now=START + IDLE) == []

    async def test_for_what_is_not_there_finds_none(self, store: FullStore) -> None:
        """Absence is a value: no verb raises for an id or a handle that names nothing."""
        await store.create(session_of("a"))
        assert await store.get("handle-b") is None
        assert await store.get("") is None
        assert await store.get(id_of("a")) is None
        assert await store.rotate("handle-b", id_of("b"), id_of("c"), now=START) is None
        assert await store.end("handle-b", EndedBy.REVOKED, now=START) == Outcome(session=None)
        assert await beat(store, claim_of("b")) == [Outcome(session=None)]

    async def test_counts_the_living(self, store: FullStore) -> None:
        """The count is of the living, whether or not anybody has noticed the ends of the others."""
        for name in ("a", "b", "c"):
            await store.create(session_of(name))
        await store.end(session_of("a").handle, EndedBy.REVOKED, now=START)
        assert await store.count(now=START) == 2
        assert await store.count(now=START + IDLE - 1) == 2
        assert await store.count(now=START + IDLE) == 0

    async def test_lists_the_living_by_when_they_were_seen(self, store: FullStore) -> None:
        """The list holds who lives, of one subject or all, the most recently seen first, and no more than asked for."""
        for n, subject in enumerate(["first", "second", "first", "first"]):
            await store.create(session_of(str(n), subject=subject, now=START + n))
        await store.create(session_of("tie", subject="second", now=START + 3))
        await store.end("handle-2", EndedBy.REVOKED, now=START + 4)
        await beat(store, claim_of("0"), now=START + 9)

        async def handles(subject: str | None = None, limit: int = 10, now: int = START + 9) -> list[str]:
            return [session.handle for session in await store.living(subject=subject, limit=limit, now=now)]

        assert await handles() == ["handle-0", "handle-3", "handle-tie", "handle-1"]
        assert await handles("first") == ["handle-0", "handle-3"]
        assert await handles("nobody") == []
        assert await handles(limit=2) == ["handle-0", "handle-3"]
        assert await handles(now=START + IDLE + 2) == ["handle-3", "handle-tie"]


class TestBeat:
    async def test_adopts_nothing(self, store: FullStore) -> None:
        """A beat for an unknown id is None, and afterwards there is still no such session."""
        claim = claim_of("a", active_ago_ms=0, on_screen=True, opens=True, view="v", visible_ms=1)
        assert await beat(store, claim, claim) == [Outcome(session=None)] * 2
        assert await store.get("handle-a") is None
        assert await store.living(subject=None, limit=10, now=START) == []

    async def test_of_nothing_is_nothing(self, store: FullStore) -> None:
        """An empty batch has no outcomes."""
        assert await beat(store) == []

    async def test_applies_claims_of_one_session_in_order(self, store: FullStore) -> None:
        """Each outcome is the session as it is after that claim and before the next."""
        await store.create(session_of("a"))
        agos = [5_000, 2_000, 9_000, None, 0]
        outcomes = await beat(store, *(claim_of("a", active_ago_ms=ago) for ago in agos), now=START + 10_000)
        active = [outcome.session.last_active_at - START for outcome in outcomes if outcome.session]
        assert active == [5_000, 8_000, 8_000, 8_000, 10_000]

    async def test_answers_in_the_order_of_the_claims(self, store: FullStore) -> None:
        """Outcome n belongs to claim n, whoever else is in the batch, unknown ones and repeated ones too."""
        for name in "abc":
            await store.create(session_of(name))
        order = ["c", "a", "?", "c", "b", "a", "a", "?", "c"] * 30
        outcomes = await beat(store, *(claim_of(name) for name in order))
        assert [outcome.session.handle[-1] if outcome.session else "?" for outcome in outcomes] == order

    async def test_judges_before_it_credits(self, store: FullStore) -> None:
        """At its deadline a session is over, whatever is claimed; a millisecond before it is not."""
        await store.create(session_of("late"))
        await store.create(session_of("just"))
        (just,) = await beat(store, claim_of("just", active_ago_ms=0), now=START + IDLE - 1)
        (late,) = await beat(store, claim_of("late", active_ago_ms=IDLE - 1), now=START + IDLE)
        assert just.session is not None
        assert just.session.last_active_at == START + IDLE - 1
        assert late == Outcome(session=replace(session_of("late"), ended_at=START + IDLE, ended_by=EndedBy.IDLE), ended_now=True)

    async def test_tells_an_end_once(self, store: FullStore) -> None:
        """Of all that notice that a session lapsed, the first alone is told that it ended now."""
        await store.create(session_of("a"))
        claim, later = claim_of("a"), START + IDLE + 5
        told = [outcome.ended_now for outcome in await beat(store, claim, claim, now=later) + await beat(store, claim, now=later)]
        told.append((await store.end("handle-a", EndedBy.REVOKED, now=later)).ended_now)
        assert told == [True, False, False, False]
        assert await store.sweep(limit=10, now=later) == []

    async def test_ends_at_the_absolute_end(self, store: FullStore) -> None:
        """No activity moves the absolute end, and where both ends fall together it is the absolute one."""
        await store.create(session_of("a"))
        for now in range(START + IDLE - 1, START + ABSOLUTE, IDLE - 1):
            await beat(store, claim_of("a", active_ago_ms=0), now=now)
        (outcome,) = await beat(store, claim_of("a", active_ago_ms=0), now=START + ABSOLUTE + 7)
        assert outcome.session is not None
        assert (outcome.session.ended_at, outcome.session.ended_by) == (START + ABSOLUTE, EndedBy.ABSOLUTE)
        both = replace(session_of("both"), absolute_end_at=START + IDLE)
        await store.create(both)
        (swept,) = await store.sweep(limit=10, now=START + ABSOLUTE)
        assert (swept.ended_at, swept.ended_by) == (START + IDLE, EndedBy.ABSOLUTE)

    async def test_never_moves_times_back(self, store: FullStore) -> None:
        """A clock that steps back moves neither what was seen nor what was active, and ends nobody."""
        await store.create(session_of("a"))
        (before,) = await beat(store, claim_of("a", active_ago_ms=0), now=START + 20_000)
        for now in (START + 10_000, START - 10_000_000, 0):
            assert await beat(store, claim_of("a", active_ago_ms=0), now=now) == [before]
        assert await store.living(subject=None, limit=10, now=0) == [before.session]

    async def test_takes_the_largest_numbers_of_the_wire(self, store: FullStore) -> None:
        """The longest spans and the highest count that a message may carry are taken in and clamped, never an error."""
        await store.create(session_of("a"))
        widest = claim_of(
            "a",
            age_ms=LONGEST_MS,
            active_ago_ms=2 * LONGEST_MS,
            on_screen=True,
            opens=True,
            view="v" * 64,
            tab="t" * 64,
            page="/" * 1024,
            title="\N{SNOWMAN}" * 300,
            visible_ms=LONGEST_MS,
            active_ms=LONGEST_MS,
            scroll_pct=100.0,
            lifecycle=Lifecycle.TERMINATED,
            seq=2**53 - 1,
        )
        (outcome,) = await beat(store, widest, now=START + 1)
        assert outcome.session == replace(session_of("a"), last_seen_at=START + 1)

    async def test_takes_a_batch_far_larger_than_usual(self, store: FullStore) -> None:
        """A thousand claims, each of its own session and then all of one, are all answered."""
        for n in range(50):
            await store.create(session_of(str(n)))
        names = [str(n % 50) for n in range(900)] + ["7"] * 100
        outcomes = await beat(store, *(claim_of(name, opens=True, view="v") for name in names))
        assert [outcome.session.handle for outcome in outcomes if outcome.session] == [f"handle-{name}" for name in names]


class TestProof:
    async def test_a_handle_without_its_id_opens_nothing(self, store: FullStore) -> None:
        """Handles are public: a claim with a right handle and a wrong id finds no session and changes nothing."""
        await store.create(session_of("a"))
        await store.create(session_of("b"))
        stolen = replace(claim_of("a", active_ago_ms=0, opens=True, on_screen=True, view="v"), id_hash=id_of("b"))
        outcomes = await beat(store, stolen, claim_of("b"), now=START + 1)
        assert outcomes[0] == Outcome(session=None)
        assert outcomes[1].session == replace(session_of("b"), last_seen_at=START + 1)
        assert await beat(store, stolen, now=START + IDLE) == [Outcome(session=None)]
        assert await store.get("handle-a") == session_of("a")


class TestTouchInterval:
    async def test_spares_what_would_move_by_less(self, store: FullStore) -> None:
        """The operation itself decides: the answer and the record stay as they were until a clock would move by as much."""
        await store.create(session_of("a"))
        for now, last in ((START + 999, START), (START + 1_000, START + 1_000), (START + 1_999, START + 1_000)):
            (outcome,) = await store.beat([claim_of("a", active_ago_ms=0)], visit_gap=GAP, touch_interval=1_000, now=now)
            assert outcome.session == replace(session_of("a"), last_active_at=last, last_seen_at=last) == await store.get("handle-a")

    async def test_holds_within_a_batch_too(self, store: FullStore) -> None:
        """Of two claims in one batch the second finds what the first has written."""
        await store.create(session_of("a"))
        claims = [claim_of("a", active_ago_ms=500), claim_of("a", active_ago_ms=0), claim_of("a", active_ago_ms=0, chosen=True)]
        outcomes = await store.beat(claims, visit_gap=GAP, touch_interval=1_000, now=START + 5_000)
        active = [outcome.session.last_active_at - START for outcome in outcomes if outcome.session]
        assert active == [4_500, 4_500, 5_000]

    async def test_never_saves_what_has_lapsed(self, store: FullStore) -> None:
        """What was not written does not count: the session ended at the deadline of its record."""
        await store.create(session_of("a"))
        claims = [claim_of("a", active_ago_ms=0)]
        await store.beat(claims, visit_gap=GAP, touch_interval=1_000, now=START + 999)
        (outcome,) = await store.beat(claims, visit_gap=GAP, touch_interval=1_000, now=START + IDLE)
        assert outcome == Outcome(session=replace(session_of("a"), ended_at=START + IDLE, ended_by=EndedBy.IDLE), ended_now=True)


class TestRotate:
    async def test_swaps_the_id_and_nothing_else(self, store: FullStore) -> None:
        """The new id opens the same session, the old one opens nothing, not even for a beat."""
        session = session_of("a", {"role": "admin"})
        await store.create(session)
        rotated = await store.rotate("handle-a", id_of("a"), id_of("b"), now=START + 1)
        assert rotated == replace(session, id_hash=id_of("b"))
        assert await store.get("handle-a") == rotated
        assert await beat(store, claim_of("a", active_ago_ms=0)) == [Outcome(session=None)]
        assert (await beat(store, replace(claim_of("a"), id_hash=id_of("b"))))[0].session == rotated

    async def test_needs_the_id_that_the_session_has(self, store: FullStore) -> None:
        """Of two that present the same id the first gets the session and the second gets None."""
        await store.create(session_of("a"))
        first = await store.rotate("handle-a", id_of("a"), id_of("b"), now=START)
        assert first is not None
        assert await store.rotate("handle-a", id_of("a"), id_of("c"), now=START) is None
        assert await store.get("handle-a") == first

    async def test_does_nothing_to_what_is_over(self, store: FullStore) -> None:
        """A session that has ended or lapsed gets no new id, and its record does not change."""
        await store.create(session_of("lapsed"))
        await store.create(session_of("ended"))
        ended = await store.end("handle-ended", EndedBy.REVOKED, now=START)
        assert await store.rotate("handle-lapsed", id_of("lapsed"), id_of("x"), now=START + IDLE) is None
        assert await store.rotate("handle-ended", id_of("ended"), id_of("y"), now=START) is None
        assert await store.get("handle-lapsed") == session_of("lapsed")
        assert await store.get("handle-ended") == ended.session

    async def test_leaves_the_sessions_of_others_alone(self, store: FullStore) -> None:
        """The id of one session swaps nothing in another, whatever handle it is presented with."""
        for name in "ab":
            await store.create(session_of(name))
        assert await store.rotate("handle-b", id_of("a"), id_of("c"), now=START) is None
        for name in "ab":
            assert await store.get(f"handle-{name}") == session_of(name)


class TestEnd:
    async def test_is_idempotent_and_the_first_reason_stays(self, store: FullStore) -> None:
        """However often and for whatever reason it is ended again, when and why it first ended stays."""
        await store.create(session_of("a"))
        first = await store.end("handle-a", EndedBy.SIGNED_OUT, now=START + 5)
        assert first == Outcome(session=replace(session_of("a"), ended_at=START + 5, ended_by=EndedBy.SIGNED_OUT), ended_now=True)
        for by in EndedBy:
            assert await store.end("handle-a", by, now=START + 9) == Outcome(session=first.session)

    @pytest.mark.parametrize("by", EndedBy)
    async def test_keeps_every_reason(self, store: FullStore, by: EndedBy) -> None:
        """Each reason is found again as it was told."""
        await store.create(session_of("a"))
        await store.end("handle-a", by, now=START)
        found = await store.get("handle-a")
        assert found is not None
        assert found.ended_by is by

    async def test_of_what_has_lapsed_is_at_its_deadline(self, store: FullStore) -> None:
        """Who signs out too late was signed out already: idle, at the deadline."""
        await store.create(session_of("a"))
        outcome = await store.end("handle-a", EndedBy.SIGNED_OUT, now=START + IDLE)
        assert outcome == Outcome(session=replace(session_of("a"), ended_at=START + IDLE, ended_by=EndedBy.IDLE), ended_now=True)

    async def test_is_never_before_the_beginning(self, store: FullStore) -> None:
        """A clock that stepped back ends a session where it began."""
        await store.create(session_of("a"))
        outcome = await store.end("handle-a", EndedBy.REVOKED, now=START - 50)
        assert outcome.session == replace(session_of("a"), ended_at=START, ended_by=EndedBy.REVOKED)

    async def test_is_for_ever(self, store: FullStore) -> None:
        """No beat, however active or old or young, changes anything in a session that has ended."""
        await store.create(session_of("a"))
        ended = await store.end("handle-a", EndedBy.SIGNED_OUT, now=START + 5)
        for now in (START, START + 5, START + 6, START + IDLE, START + ABSOLUTE + 1):
            claims = [claim_of("a", active_ago_ms=ago, opens=True, view=f"v{ago}", on_screen=True) for ago in (0, 1, None)]
            assert await beat(store, *claims, now=now) == [Outcome(session=ended.session)] * 3
        assert await store.rotate("handle-a", id_of("a"), id_of("b"), now=START) is None
        assert await store.living(subject=None, limit=10, now=START) == []


async def test_attributes_come_back_as_they_went_in(store: FullStore) -> None:
    """Any JSON is kept: nested, of every script, with large and small numbers; and every verb answers it alike."""
    attributes = {
        "": "",
        "roles": ["admin", {"of": ["\u03b1", {"\N{SNOWMAN}": [None, True, False]}]}],
        "n": [0, -1, 2**63, 10**30, 0.1, -1e-300, 1e308],
        "text": "'\"\\ \n\t\0\x7f\u2028\N{PILE OF POO} e\u0301 \u202eabc {}",
    }
    session = session_of("a", attributes)
    await store.create(session)
    seen = [
        await store.get("handle-a"),
        *await store.living(subject=None, limit=1, now=START),
        (await beat(store, claim_of("a")))[0].session,
        await store.rotate("handle-a", id_of("a"), id_of("b"), now=START),
        *await store.sweep(limit=1, now=START + IDLE),
        (await store.end("handle-a", EndedBy.REVOKED, now=START)).session,
    ]
    assert [found.attributes if found else None for found in seen] == [attributes] * 6


async def test_ping_reaches_a_working_store(store: FullStore) -> None:
    """A store that works is pinged without a word, and nothing is changed by it."""
    await store.create(session_of("a"))
    await store.ping()
    assert await store.get("handle-a") == session_of("a")


USES: dict[str, Callable[[FullStore], Awaitable[object]]] = {
    "create": lambda store: store.create(session_of("b")),
    "beat": lambda store: beat(store, claim_of("a")),
    "get": lambda store: store.get("handle-a"),
    "rotate": lambda store: store.rotate("handle-a", id_of("a"), id_of("b"), now=START),
    "end": lambda store: store.end("handle-a", EndedBy.REVOKED, now=START),
    "living": lambda store: store.living(subject=None, limit=1, now=START),
    "sweep": lambda store: store.sweep(limit=1, now=START),
    "forget": lambda store: store.forget(ended_before=START, limit=1),
    "watch": lambda store: anext(store.watch()),
    "ping": lambda store: store.ping(),
}


async def test_a_closed_store_says_so(store: FullStore) -> None:
    """After `close` every verb is `StoreError`, never absence: nobody may take a closed store for an empty one."""
    await store.create(session_of("a"))
    await store.close()
    await store.close()
    for use in USES.values():
        with pytest.raises(StoreError, match="the session store is closed"):
            await use(store)


async def test_many_callers_at_once_are_all_served(store: FullStore) -> None:
    """A hundred verbs of every kind at once are each answered as if they were alone."""
    sessions = [session_of(str(n)) for n in range(25)]
    await asyncio.gather(*map(store.create, sessions))

    async def use(session: Session) -> None:
        assert await store.get(session.handle) == session
        (outcome,) = await beat(store, Claim(handle=session.handle, id_hash=session.id_hash, active_ago_ms=0), now=START + 1)
        assert outcome.session is not None
        assert outcome.session.handle == session.handle
        await store.ping()
        assert (await store.end(session.handle, EndedBy.REVOKED, now=START + 2)).ended_now

    await asyncio.gather(*map(use, sessions))
    assert await store.living(subject=None, limit=100, now=START + 3) == []
