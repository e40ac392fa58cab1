"""What PostgreSQL will not keep: told apart from trouble, so that it fails whoever sent it and nobody else."""

from __future__ import annotations

import asyncio
import random
import string
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from stillhere.core.records import EndedBy, Outcome, Session
from stillhere.errors import StoreError, StoreRefused
from stillhere.stores.postgresql import listener
from stillhere.stores.protocol import Changed
from tests.stores.every import GAP, claim_of, id_of, session_of
from tests.support import START

if TYPE_CHECKING:
    import psycopg

    from stillhere.stores.postgresql.store import PostgresqlStore

LONG = "".join(random.Random(1).choices(string.printable, k=6_000))  # noqa: S311  # no secret
"""Too long for an index, also compressed."""


def changed(session: Session) -> Changed:
    """Report a session to an archive."""
    return Changed(handle=session.handle, mark=1, session=session, visits=[], views=[])


async def test_no_name_holds_a_zero(store: PostgresqlStore) -> None:
    """A name with U+0000 in it is nobody's, although libpq reads only what is before it."""
    await store.create(session_of("a"))
    name = "handle-a\0junk"
    assert await store.get(name) is None
    assert await store.rotate(name, id_of("a"), id_of("b"), now=START) is None
    assert await store.end(name, EndedBy.REVOKED, now=START) == Outcome(session=None)
    assert await store.living(subject="first@fund.example\0junk", limit=10, now=START) == []
    assert await store.living(subject="first@fund.example", limit=10, now=START) == [session_of("a")]


@pytest.mark.parametrize("subject", ["first@fund.example\0junk", LONG], ids=["zero", "long"])
async def test_what_cannot_be_created_is_refused(store: PostgresqlStore, subject: str) -> None:
    """A session that PostgreSQL cannot keep whole is refused, not cut; the store goes on."""
    bad, good = await asyncio.gather(
        store.create(replace(session_of("bad"), subject=subject)), store.create(session_of("good")), return_exceptions=True
    )
    assert isinstance(bad, StoreRefused)
    assert good is None
    assert await store.get("handle-bad") is None
    assert await store.get("handle-good") == session_of("good")


@pytest.mark.parametrize("says", [{"title": "a\0b"}, {"scroll_pct": 66.0}, {"seq": 2**70}], ids=["data", "constraint", "range"])
async def test_a_claim_at_fault_is_refused(store: PostgresqlStore, other: psycopg.Connection, says: dict[str, object]) -> None:
    """A batch that holds what PostgreSQL does not take is refused for what it says, and leaves nothing behind."""
    other.execute("ALTER TABLE stillhere_views ADD CHECK (scroll_pct <> 66)")
    for name in "ab":
        await store.create(session_of(name))
    claims = [claim_of(name, view="v", opens=True, on_screen=True) for name in "ab"]
    with pytest.raises(StoreRefused, match=r"^the session store refused what it was given: "):
        await store.beat([claims[0], replace(claims[1], **says)], visit_gap=GAP, touch_interval=0, now=START + 5)
    assert await store.get("handle-a") == session_of("a")
    (outcome,) = await store.beat(claims[:1], visit_gap=GAP, touch_interval=0, now=START + 5)
    assert outcome.session == replace(session_of("a"), last_seen_at=START + 5)


@pytest.mark.parametrize(
    "says",
    [{"subject": "a\0b"}, {"subject": "a\ud800"}, {"subject": LONG}, {"attributes": {"x": float("nan")}}, {"idle_timeout": 6}],
    ids=["zero", "surrogate", "long", "nan", "constraint"],
)
async def test_a_report_at_fault_is_refused(store: PostgresqlStore, other: psycopg.Connection, says: dict[str, object]) -> None:
    """An archive refuses a report that it cannot keep, with all that came with it, and takes the others without it."""
    other.execute("ALTER TABLE stillhere_sessions ADD CHECK (idle_timeout <> 6)")
    good, bad = changed(session_of("a")), changed(replace(session_of("b"), **says))
    with pytest.raises(StoreRefused, match=r"^the session store refused"):
        await store.keep([good, bad])
    assert await store.get("handle-a") is None
    await store.keep([good])
    assert await store.get("handle-a") == session_of("a")


async def test_an_archive_in_trouble_is_trouble(store: PostgresqlStore, other: psycopg.Connection) -> None:
    """What has nothing to do with the report is trouble that passes, and no refusal."""
    other.execute("ALTER TABLE stillhere_sessions RENAME TO aside")
    with pytest.raises(StoreError, match='relation "stillhere_sessions" does not exist'):
        await store.keep([changed(session_of("a"))])


async def test_a_connection_that_may_not_listen_is_let_go(store: PostgresqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches hears of it, and no connection is left behind."""
    monkeypatch.setattr(listener, "CHANNEL", "")
    with pytest.raises(StoreError, match="cannot be reached"):
        await anext(store.watch())
