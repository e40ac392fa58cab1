"""What operators may change: a visit left out of every count, and a person erased; and who is internal or verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import create_engine, literal, select

from stillhere.archive import choosing
from stillhere.archive.internal import is_internal
from stillhere.archive.records import Erased, Kept, VisitFilter
from stillhere.core.records import EndedBy
from tests.archive.test_questions import BEATS, say
from tests.archive.test_questions import Kept as KeptStore
from tests.stores.every import session_of
from tests.support import START

if TYPE_CHECKING:
    from stillhere.core.records import Session

WHEN = {"beat_interval": BEATS, "now": START + 9}


async def test_an_excluded_visit_is_left_out_until_it_is_asked_for(kept: KeptStore) -> None:
    """Neither listed nor counted; shown with its mark to those who ask; and counted again when the mark is taken away."""
    store, archive = kept
    for name in "ab":
        await store.create(session_of(name))
        await say(store, name, 5, page="/a")
    assert await archive.exclude("handle-a.1", excluded=True)
    assert [visit.id for visit in await archive.visits(VisitFilter(), **WHEN)] == ["handle-b.1"]
    assert ((await archive.totals(VisitFilter(), **WHEN)).visits, (await archive.pages(VisitFilter(), **WHEN))[0].views) == (1, 1)
    both = await archive.visits(VisitFilter(excluded=True), **WHEN)
    assert [(visit.id, visit.excluded) for visit in both] == [("handle-b.1", False), ("handle-a.1", True)]
    await say(store, "a", 8, page="/a", visible=3)  # a beat keeps the mark
    found = await archive.visit("handle-a.1", **WHEN)
    assert found is not None
    assert (found[0].excluded, len(found[1])) == (True, 1)
    assert await archive.exclude("handle-a.1", excluded=False)
    assert (await archive.totals(VisitFilter(), **WHEN)).visits == 2
    for unknown in ("handle-a.2", "handle-z.1", "handle-a", ""):
        assert not await archive.exclude(unknown, excluded=True)


async def test_verified_is_the_boolean_true_and_nothing_like_it(kept: KeptStore) -> None:
    """Attributes that merely look like it do not count, in any database."""
    store, archive = kept
    said: list[object] = [True, False, "true", 1, 1.0, None, {"verified": True}, [True]]
    for n, value in enumerate(said):
        await store.create(replace(session_of(str(n), subject=f"s{n}"), attributes={"verified": value}))
        await say(store, str(n), n)
    await store.create(replace(session_of("plain", subject="plain"), attributes={"other": True}))
    await say(store, "plain", 9)
    assert [visit.id for visit in await archive.visits(VisitFilter(verified=True), **WHEN)] == ["handle-0.1"]
    others = await archive.visits(VisitFilter(verified=False), **WHEN)
    assert len(others) == len(said)
    assert not any(visit.verified for visit in others)
    assert [row.visitor for row in await archive.visitors(VisitFilter(), sort="last", **WHEN) if row.verified] == ["s0"]


async def test_a_person_is_told_all_and_then_forgotten(kept: KeptStore) -> None:
    """Sessions, visits and views of one subject are read out whole; erased they are gone everywhere, and nobody else's are touched."""
    store, archive = kept
    mine: list[Session] = []
    for n, name in enumerate(("a", "b", "c")):
        session = session_of(name, subject="me" if n < 2 else "other", now=START + n)
        mine += [session] if n < 2 else []
        await store.create(session)
        await say(store, name, 5 + n, page="/a", active_ago_ms=0)
    found = await archive.of_subject("me")
    assert [session.handle for session in found.sessions] == [session.handle for session in mine]
    assert [visit.handle for visit in found.visits] == [view.handle for view in found.views] == ["handle-a", "handle-b"]
    for session in mine:
        await store.end(session.handle, EndedBy.REVOKED, now=START + 9)
    assert await archive.erase("me") == Erased(sessions=2, visits=2, views=2)
    assert await archive.of_subject("me") == Kept(sessions=[], visits=[], views=[])
    assert await store.get("handle-a") is None
    assert [visit.visitor for visit in await archive.visits(VisitFilter(), **WHEN)] == ["other"]
    assert await archive.erase("me") == Erased()


async def test_visits_are_counted_and_add_up_also_when_nothing_is_left_to_summarise(kept: KeptStore) -> None:
    """Counting tells what listing would, in every store; upkeep has its end."""
    store, archive = kept
    for name in "ab":
        await store.create(session_of(name))
        await say(store, name, 5, page="/a")
    assert await archive.exclude("handle-a.1", excluded=True)
    assert await archive.count(VisitFilter(), **WHEN) == 1
    assert await archive.count(VisitFilter(excluded=True), **WHEN) == 2
    while await archive.summarise(now=START + 30 * 86_400_000):
        pass
    assert (await archive.totals(VisitFilter(), **WHEN)).visits == 1


async def test_a_live_store_erases_who_has_ended_there(kept: KeptStore) -> None:
    """Beside an archive elsewhere it deletes what has ended; one who lives stays, and it says so."""
    store, _ = kept
    erase = getattr(store, "erase_subject", None)
    if erase is None:
        return  # databases erase by their archive
    for name in "ab":
        await store.create(session_of(name, subject="me"))
    await store.end("handle-a", EndedBy.REVOKED, now=START + 9)
    assert not await erase("me")
    assert [session.handle for session in await store.living(subject="me", limit=9, now=START + 9)] == ["handle-b"]
    await store.end("handle-b", EndedBy.REVOKED, now=START + 9)
    assert await erase("me")
    assert await store.get("handle-b") is None


async def test_internal_visitors_are_left_out_until_they_are_asked_for(kept: KeptStore) -> None:
    """By address, by domain and by the domains below it; capitals do not count, and a domain that merely ends alike is another."""
    store, archive = kept
    archive.internal = ("me@firm.example", "@team.example", "@*.corp.example")
    subjects = {
        "Me@Firm.example": True,
        "you@firm.example": False,
        "x@TEAM.example": True,
        "x@steam.example": False,
        "x@a.team.example": False,
        "x@a.b.corp.example": True,
        "x@corp.example": False,
        "team.example": False,
    }
    for n, subject in enumerate(subjects):
        await store.create(session_of(str(n), subject=subject))
        await say(store, str(n), n)
    every = await archive.visits(VisitFilter(internal=True), **WHEN)
    assert {visit.visitor: visit.internal for visit in every} == subjects
    listed = {visit.visitor for visit in await archive.visits(VisitFilter(), **WHEN)}
    assert listed == {subject for subject, internal in subjects.items() if not internal}
    assert (await archive.totals(VisitFilter(internal=True), **WHEN)).visits == len(subjects)


texts = st.text(alphabet="aA@.*%_\\xK\u212a", max_size=8)


@given(subject=texts, patterns=st.lists(texts | texts.map("@".__add__) | texts.map("@*.".__add__), min_size=1, max_size=3).map(tuple))
def test_sql_means_the_same_by_a_pattern(subject: str, patterns: tuple[str, ...]) -> None:
    """Whatever is in a pattern or a subject, `%`, `_` and the escape among it, both say the same of it."""
    condition = choosing.is_internal_subject(literal(subject), patterns)
    with create_engine("sqlite://").connect() as connection:
        assert bool(connection.execute(select(condition)).scalar_one()) == is_internal(subject, patterns)


@pytest.mark.parametrize("name", ["", "nobody"])
async def test_nobody_has_no_data(kept: KeptStore, name: str) -> None:
    """Of somebody who never came there is nothing to tell."""
    assert await kept[1].of_subject(name) == Kept(sessions=[], visits=[], views=[])
