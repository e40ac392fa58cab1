"""Mail about visits: one note for each visitor, one digest for each day, whatever fails and however many processes there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from stillhere.errors import MailError
from stillhere.mirrors.mail import Digest, Notes
from stillhere.mirrors.records import Delivery, Row, Told
from stillhere.stores.protocol import Noting
from tests.mirrors.stand import HOUR, MINUTE, Stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support import FakeClock

BERLIN = ZoneInfo("Europe/Berlin")
OWNER, PARTNER = "owner@firm.example", "partner@firm.example"
TRANSIENT = MailError("it is busy", is_transient=True)
REFUSED = MailError("no such mailbox", is_transient=False, is_recipient=True)


class Post:
    """A mail server.

    Attributes:
        sent: `(to, subject, text)` each.
        fails: what becomes of the next messages; None takes one.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.fails: list[MailError | None] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        """Take a message, or not."""
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error
        self.sent.append((to, subject, text))


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


def _notes(stand: Stand, post: Post, *to: str, returns: bool = False) -> Notes:
    store = stand.manager.store
    assert isinstance(store, Noting)

    async def first(name: str, until: int) -> bool:
        return await store.first(name, until=until, now=stand.clock())

    return Notes(to or (OWNER,), returns=returns, mailer=post, first=first, clock=stand.clock, zone=BERLIN, site_name="Data room")


async def test_a_visitor_who_comes_for_the_first_time_is_noted_once(stand: Stand, post: Post) -> None:
    """One note says who, when in the owner's zone, and where; growth, end and return send none."""
    drain = stand.drain(_notes(stand, post))
    visitor = await stand.arrive()
    await drain.run()
    assert post.sent == [
        (
            OWNER,
            "investor@fund.example came to Data room",
            "investor@fund.example came to Data room.\n\nWhen: Tuesday, 14 November 2023, 23:13 (Europe/Berlin)\nFirst page: The report\n",
        )
    ]
    await visitor.leave(MINUTE)
    await stand.pass_time(drain, HOUR, step_ms=MINUTE)
    await stand.arrive()
    await drain.run()
    assert len(post.sent) == 1


async def test_a_return_is_noted_for_those_who_ask(stand: Stand, post: Post) -> None:
    """With `notify_returns` a second visit is noted as such."""
    drain = stand.drain(_notes(stand, post, returns=True))
    visitor = await stand.arrive()
    await drain.run()
    await visitor.leave(MINUTE)
    stand.clock.advance(HOUR)
    await stand.arrive()
    await drain.run()
    assert [subject for _, subject, _ in post.sent][1] == "investor@fund.example is back at Data room"


async def test_a_server_that_is_busy_is_tried_again(stand: Stand, post: Post) -> None:
    """Whoever has got the note gets it no second time while another waits for theirs."""
    drain = stand.drain(_notes(stand, post, OWNER, PARTNER))
    post.fails = [None, TRANSIENT, TRANSIENT]
    await stand.arrive()
    await stand.until_quiet(drain)
    assert [to for to, _, _ in post.sent] == [OWNER, PARTNER]


async def test_a_mailbox_that_is_not_there_holds_up_nobody(stand: Stand, post: Post) -> None:
    """A recipient who is refused is left out, and the others get theirs."""
    drain = stand.drain(_notes(stand, post, OWNER, PARTNER))
    post.fails = [REFUSED]
    await stand.arrive()
    await stand.until_quiet(drain)
    assert [to for to, _, _ in post.sent] == [PARTNER]
    assert (await drain.state()).state == "well"


async def test_a_note_that_may_have_been_sent_is_not_sent_again(stand: Stand, post: Post) -> None:
    """A process that dies after the server took the note, and before that is written down, has sent it: the next one sends no second."""
    notes = _notes(stand, post)

    async def taken_and_killed(to: str, subject: str, text: str) -> None:
        await Post.send(post, to, subject, text)
        raise KeyboardInterrupt

    post.send = taken_and_killed  # type: ignore[method-assign]  # dies at this moment
    await stand.arrive()
    drain = stand.drain(notes, holder="first")
    await drain.outbox.take("mail", "first", now=stand.clock(), until=stand.clock() + 1)
    with pytest.raises(KeyboardInterrupt):
        await notes.deliver(await _due(stand, notes))
    del post.send
    stand.clock.advance(2 * MINUTE)
    await stand.until_quiet(stand.drain(_notes(stand, post), holder="next"))
    assert len(post.sent) == 1


async def _due(stand: Stand, notes: Notes) -> list[Delivery]:
    """Prepare what a drain would deliver now."""
    (visit,) = await stand.visits()
    handle, _, number = visit.id.rpartition(".")
    return [Delivery(row=Row(mirror=notes.name, handle=handle, number=int(number)), about=Told(visit=visit), told="noted")]


def _digest(stand: Stand, post: Post, *, holder: str = "this", zone: str = "Europe/Berlin", to: tuple[str, ...] = (OWNER,)) -> Digest:
    archive = stand.manager.archive
    assert archive is not None
    return Digest(
        to,
        at=(7, 0),
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
    monkeypatch.setattr("stillhere.mirrors.mail.MOST_LINES", 2)
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
