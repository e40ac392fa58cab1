"""The digest: one for each day, whatever fails and however many processes there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from stillhere.mirrors.digest import LEASE_MS, Digest
from stillhere.stores.protocol import Noting
from tests.mirrors.post import FULL, OWNER, PARTNER, REFUSED, TRANSIENT, Post
from tests.mirrors.stand import HOUR, MINUTE, Stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support import FakeClock

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def post() -> Post:
    """Give a mail server."""
    return Post()


@pytest.fixture
async def stand(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Stand]:
    """Give visitors on SQLite."""
    stand = Stand.in_folder(tmp_path, clock)
    yield stand
    await stand.close()


def _digest(
    stand: Stand,
    post: Post,
    *,
    holder: str = "this",
    zone: str = "Europe/Berlin",
    to: tuple[str, ...] = (OWNER,),
    at: tuple[int, int] = (7, 0),
) -> Digest:
    archive, store = stand.manager.archive, stand.manager.store
    assert archive is not None
    assert isinstance(store, Noting)
    return Digest(
        to,
        at=at,
        noting=store,
        zone=ZoneInfo(zone),
        mailer=post,
        outbox=stand.outbox,
        archive=archive,
        policy=stand.manager.policy,
        holder=holder,
        clock=stand.clock,
        site_name="Data room",
    )


def _move(stand: Stand, local: str, zone: ZoneInfo = BERLIN) -> None:
    """Move the clock to an instant of somebody's day."""
    stand.clock.now = round(datetime.fromisoformat(local).replace(tzinfo=zone).timestamp() * 1000)


async def test_the_digest_tells_who_came_yesterday(stand: Stand, post: Post) -> None:
    """Once a day, at its hour: visitors with visits and time on screen, longest first, and totals; visits past midnight count, too."""
    digest = _digest(stand, post)
    _move(stand, "2023-11-15T06:00")
    await digest.run()
    _move(stand, "2023-11-15T10:00")
    await (await stand.arrive("investor@fund.example")).leave(15 * MINUTE)
    _move(stand, "2023-11-15T14:30")
    await (await stand.arrive("investor@fund.example")).leave(8 * MINUTE)
    await (await stand.arrive("partner@vc.example")).leave(12 * MINUTE + 5_000)
    _move(stand, "2023-11-15T23:50")
    await (await stand.arrive("late@fund.example")).leave(19 * MINUTE)
    _move(stand, "2023-11-16T06:59")
    assert not await digest.run()
    _move(stand, "2023-11-16T07:00")
    assert await digest.run()
    assert not await digest.run()
    ((to, subject, text),) = post.sent
    assert (to, subject) == (OWNER, "Data room: 3 visitors on Wednesday, 15 November")
    assert text.splitlines() == [
        "Data room, Wednesday, 15 November 2023 (Europe/Berlin)",
        "3 visitors, 4 visits, 54 m 5 s on screen",
        "",
        "investor@fund.example    2 visits  23 m 00 s",
        "late@fund.example         1 visit  19 m 00 s",
        "partner@vc.example        1 visit  12 m 05 s",
    ]


@pytest.mark.parametrize(("day", "began", "ended"), [("2024-03-31", "00:30", "23:30"), ("2024-10-27", "00:30", "23:30")])
async def test_days_of_23_and_25_hours_are_whole(stand: Stand, post: Post, day: str, began: str, ended: str) -> None:
    """Where clocks are changed, the digest of that day has its first and its last hour, and none of another day."""
    digest = _digest(stand, post)
    _move(stand, f"{day}T00:10")
    stand.clock.advance(-2 * HOUR)
    await digest.run()
    await (await stand.arrive("before@fund.example")).leave(1_000)
    for at in (began, ended):
        _move(stand, f"{day}T{at}")
        await (await stand.arrive(f"at{at[:2]}@fund.example")).leave(1_000)
    stand.clock.advance(8 * HOUR)
    assert await digest.run()
    text = post.sent[-1][2]
    assert "at00@fund.example" in text
    assert "at23@fund.example" in text
    assert "before@fund.example" not in text


async def test_a_day_without_visits_has_no_digest(stand: Stand, post: Post) -> None:
    """Nobody gets mail that says nothing."""
    digest = _digest(stand, post)
    await digest.run()
    for _ in range(3):
        stand.clock.advance(24 * HOUR)
        assert await digest.run()
    assert post.sent == []


async def test_of_two_processes_one_sends_the_digest(stand: Stand, post: Post) -> None:
    """The other finds it done, also after it took over."""
    one, two = _digest(stand, post, holder="one"), _digest(stand, post, holder="two")
    await one.run()
    await (await stand.arrive()).leave(MINUTE)
    stand.clock.advance(24 * HOUR)
    assert [await one.run(), await two.run()] == [True, False]
    await one.close()
    assert not await two.run()
    assert len(post.sent) == 1


async def test_a_digest_is_tried_again_until_it_is_taken(stand: Stand, post: Post) -> None:
    """Addresses that have got it get it no second time; one that is refused is left out."""
    digest = _digest(stand, post, to=(OWNER, "nobody@firm.example", PARTNER))
    await digest.run()
    await (await stand.arrive()).leave(MINUTE)
    stand.clock.advance(24 * HOUR)
    post.fails = [None, REFUSED, TRANSIENT, TRANSIENT]
    assert not await digest.run()
    assert not await digest.run()
    stand.clock.advance(MINUTE)
    assert not await digest.run()
    stand.clock.advance(MINUTE)
    assert await digest.run()
    assert [to for to, _, _ in post.sent] == [OWNER, PARTNER]


async def test_a_long_digest_is_cut(stand: Stand, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who stayed longest are listed, and the rest is counted."""
    monkeypatch.setattr("stillhere.mirrors.digest.MOST_LINES", 2)
    digest = _digest(stand, post, zone="UTC")
    stand.clock.now = round(datetime(2024, 1, 1, 12, tzinfo=UTC).timestamp() * 1000)
    await digest.run()
    for number in range(5):
        await (await stand.arrive(f"visitor{number}@fund.example")).leave(1_000 * number)
    stand.clock.advance(24 * HOUR)
    await digest.run()
    assert post.sent[0][2].splitlines()[3:] == [
        "visitor4@fund.example     1 visit  4 s",
        "visitor3@fund.example     1 visit  3 s",
        "and 3 more",
    ]


async def test_a_digest_that_takes_long_is_sent_by_one(stand: Stand, post: Post) -> None:
    """Twelve addresses at 14 s each take longer than a lease: it is renewed before each, and another process sends none."""
    readers = tuple(f"reader{number}@firm.example" for number in range(12))
    one, two = _digest(stand, post, holder="one", to=readers), _digest(stand, post, holder="two", to=readers)
    await one.run()
    await (await stand.arrive()).leave(MINUTE)
    stand.clock.advance(24 * HOUR)
    ran: list[bool] = []

    async def slowly(to: str, subject: str, text: str) -> None:
        stand.clock.advance(14_000)
        await Post.send(post, to, subject, text)
        ran.append(await two.run())

    post.send = slowly  # type: ignore[method-assign]  # another comes in between
    assert await one.run()
    assert [to for to, _, _ in post.sent] == list(readers)
    assert ran == [False] * 12


async def test_a_process_that_lost_the_digest_stops(stand: Stand, post: Post, caplog: pytest.LogCaptureFixture) -> None:
    """One that slept past its lease leaves the rest to the one that came after; only the message that was under way may come twice."""
    one, two = _digest(stand, post, holder="one", to=(OWNER, PARTNER)), _digest(stand, post, holder="two", to=(OWNER, PARTNER))
    await one.run()
    await (await stand.arrive()).leave(MINUTE)
    stand.clock.advance(24 * HOUR)

    async def sleepily(to: str, subject: str, text: str) -> None:
        del post.send
        await post.send(to, subject, text)
        stand.clock.advance(LEASE_MS)
        assert await two.run()

    post.send = sleepily  # type: ignore[method-assign]  # sleeps once
    assert not await one.run()
    assert [to for to, _, _ in post.sent] == [OWNER, OWNER, PARTNER]
    assert "another process sends the digest now" in caplog.text


async def test_a_restart_in_the_middle_of_a_digest_goes_on(stand: Stand, post: Post) -> None:
    """Who has got it is remembered across processes; one mailbox that is full holds up neither the others nor the next day's."""
    await _digest(stand, post).run()
    await (await stand.arrive()).leave(MINUTE)
    stand.clock.advance(24 * HOUR)
    post.always = {PARTNER: FULL}
    to = (OWNER, PARTNER, "third@firm.example")
    assert not await _digest(stand, post, to=to).run()
    await (await stand.arrive()).leave(MINUTE)
    stand.clock.advance(24 * HOUR)
    assert not await _digest(stand, post, to=to).run()
    assert [address for address, _, _ in post.sent] == [OWNER, "third@firm.example"] * 2
    post.always = None
    stand.clock.advance(10 * MINUTE)
    assert await _digest(stand, post, to=to).run()
    assert [address for address, _, _ in post.sent][4:] == [PARTNER] * 2


async def test_a_midnight_that_comes_twice_is_one(stand: Stand, post: Post) -> None:
    """On the Azores clocks go back from one to midnight in October: the digest of 00:30 is sent once, and tells of the whole day."""
    azores = ZoneInfo("Atlantic/Azores")
    digest = _digest(stand, post, zone=azores.key, at=(0, 30))
    _move(stand, "2026-10-24T12:00", azores)
    await digest.run()
    await (await stand.arrive()).leave(MINUTE)
    _move(stand, "2026-10-24T23:00", azores)
    sent_at = []
    for _ in range(12 * 6):
        stand.clock.advance(10 * MINUTE)
        if await digest.run():
            sent_at.append(datetime.fromtimestamp(stand.clock() / 1000, UTC).isoformat())
    assert sent_at == ["2026-10-25T00:30:00+00:00"]
    assert len(post.sent) == 1


async def test_days_without_mail_are_made_up_for(stand: Stand, post: Post) -> None:
    """After nine days without a mail server the digests of the last seven are sent, the oldest first; until then the state says why."""
    digest = _digest(stand, post)
    _move(stand, "2026-11-10T12:00")
    assert (await digest.state()).state == "asleep"
    await digest.run()
    assert ((await digest.state()).state, (await digest.state()).pending) == ("well", 0)
    post.always = TRANSIENT
    for _ in range(9):
        await (await stand.arrive()).leave(MINUTE)
        stand.clock.advance(24 * HOUR)
        assert not await digest.run()
    state = await digest.state()
    assert (state.state, state.pending, state.last_error, state.last_sent_at) == ("away", 7, str(TRANSIENT), None)
    assert state.lag_ms // HOUR == 6 * 24 + 5
    assert await digest.wake()
    post.always = None
    assert await digest.run()
    days = [subject.rpartition(", ")[2] for _, subject, _ in post.sent]
    assert days == [f"{day} November" for day in range(12, 19)]
    state = await digest.state()
    assert (state.state, state.pending, state.sent, state.last_error) == ("well", 0, 7, None)
    assert not await digest.run()


async def test_a_digest_goes_on_after_the_clock_is_put_back(stand: Stand, post: Post) -> None:
    """A process that believed it was next month holds up no digest of this one."""
    _move(stand, "2026-12-10T12:00")
    await _digest(stand, post, holder="before").run()
    _move(stand, "2026-11-10T12:00")
    digest = _digest(stand, post, holder="after")
    await digest.run()
    await (await stand.arrive()).leave(MINUTE)
    stand.clock.advance(24 * HOUR)
    assert await digest.run()
    assert len(post.sent) == 1
