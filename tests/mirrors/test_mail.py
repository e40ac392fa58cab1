"""Notes by mail: one for each visitor, whatever fails and however many processes there are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from stillhere.mirrors.mail import Notes
from stillhere.mirrors.records import Delivery, Row, Told
from stillhere.stores.protocol import Noting
from tests.mirrors.post import FULL, IN_DOUBT, OWNER, PARTNER, REFUSED, TRANSIENT, WRONG_PASSWORD, Post
from tests.mirrors.stand import HOUR, MINUTE, Stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stillhere.errors import MailError
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


async def test_a_return_is_noted_as_such_after_a_failure(stand: Stand, post: Post) -> None:
    """A server that was busy for a moment does not make a new visitor of one who came back."""
    drain = stand.drain(_notes(stand, post, returns=True))
    visitor = await stand.arrive()
    await drain.run()
    await visitor.leave(MINUTE)
    stand.clock.advance(HOUR)
    post.fails = [TRANSIENT]
    await stand.arrive()
    await stand.until_quiet(drain)
    assert [subject for _, subject, _ in post.sent][1:] == ["investor@fund.example is back at Data room"]


async def test_a_note_whose_answer_is_lost_is_not_sent_again(stand: Stand, post: Post) -> None:
    """Once the server had begun to take it, it may have it: no second one is sent, and the next address gets its own."""
    drain = stand.drain(_notes(stand, post, OWNER, PARTNER))
    post.fails = [IN_DOUBT]
    await stand.arrive()
    await stand.until_quiet(drain)
    assert [to for to, _, _ in post.sent] == [PARTNER]


@pytest.mark.parametrize("trouble", [TRANSIENT, WRONG_PASSWORD])
async def test_a_day_without_mail_gives_no_note_up(stand: Stand, post: Post, trouble: MailError) -> None:
    """A server that is down, or a password that is wrong: the mirror is away, says why at once, and sends everything afterwards."""
    drain = stand.drain(_notes(stand, post, OWNER, PARTNER), interval_ms=10 * MINUTE)
    post.always = trouble
    await stand.arrive("one@fund.example")
    await drain.run()
    state = await drain.state()
    assert (state.state, state.last_error) == ("away", str(trouble))
    await stand.pass_time(drain, 24 * HOUR, step_ms=10 * MINUTE)
    await stand.arrive("two@fund.example")
    state = await drain.state()
    assert (state.state, state.dead, state.last_error) == ("away", 0, str(trouble))
    post.always = None
    await stand.until_quiet(drain)
    assert sorted((to, subject[:3]) for to, subject, _ in post.sent) == [(OWNER, "one"), (OWNER, "two"), (PARTNER, "one"), (PARTNER, "two")]


async def test_a_mailbox_that_is_full_holds_up_nobody(stand: Stand, post: Post) -> None:
    """Others get theirs at once, and its own is tried again until there is room."""
    drain = stand.drain(_notes(stand, post, OWNER, PARTNER))
    post.always = {OWNER: FULL}
    for number in range(8):
        await stand.arrive(f"visitor{number}@fund.example")
        await drain.run()
    assert [to for to, _, _ in post.sent] == [PARTNER] * 8
    state = await drain.state()
    assert (state.state, state.last_error) == ("behind", str(FULL))
    post.always = None
    await stand.until_quiet(drain)
    assert [to for to, _, _ in post.sent][8:] == [OWNER] * 8


async def test_a_note_half_sent_by_an_older_program_is_gone_on_with(stand: Stand, post: Post) -> None:
    """It wrote down addresses alone, and named its tries by the attempts: who has got it gets it no second time, and the rest is told."""
    notes = _notes(stand, post, OWNER, PARTNER)
    await stand.arrive()
    (due,) = await _due(stand, notes)
    await notes.deliver([replace(due, row=replace(due.row, sent=f'["{OWNER}"]', attempts=1))])
    assert [to for to, _, _ in post.sent] == [PARTNER]


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
