"""What is given up, and what is not: one visit that breaks every call, and another side that is in trouble itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.mirrors.drain import MOST_ATTEMPTS
from tests.mirrors.doubles import MemoryMirror, again, broke, dead
from tests.mirrors.stand import HOUR

if TYPE_CHECKING:
    import pytest

    from tests.mirrors.stand import Stand


async def test_one_that_breaks_holds_up_nobody_else(stand: Stand) -> None:
    """It is tried again by itself, ever later, and becomes a dead letter after many attempts; others are told meanwhile."""
    mirror = MemoryMirror()
    drain = stand.drain(mirror)
    bad = await stand.arrive("bad@fund.example")
    mirror.fates.append(again("it broke"))
    await stand.caught_up(drain)
    other = await stand.arrive("other@fund.example")
    await stand.caught_up(drain)
    assert [id_ for id_, _ in mirror.told_of] == [f"{other.handle}.1"]
    mirror.breaks_over = f"{bad.handle}.1"
    for number in range(MOST_ATTEMPTS - 1):
        assert (await drain.state()).dead == 0
        stand.clock.advance(HOUR)
        await stand.arrive(f"visitor{number}@fund.example")
        await stand.caught_up(drain)
    (letter,) = await stand.outbox.dead(mirror.name, limit=10)
    assert (letter.visit, letter.attempts, letter.error) == (f"{bad.handle}.1", MOST_ATTEMPTS, "it broke")


async def test_one_is_given_up_only_while_others_are_taken(stand: Stand) -> None:
    """Whoever breaks over one visit, and takes nothing else meanwhile, may be in trouble itself: it is never given up."""
    mirror = MemoryMirror()
    drain = stand.drain(mirror)
    await stand.arrive("bad@fund.example")
    for result in (broke("it broke"), again("it refused")):
        for _ in range(2 * MOST_ATTEMPTS):
            mirror.fates.append(result)
            await stand.caught_up(drain)
            mirror.fates.clear()
            stand.clock.advance(HOUR)
    state = await drain.state()
    assert (state.dead, state.pending, state.last_error) == (0, 1, "it refused")


async def test_one_that_breaks_lets_others_go_first(stand: Stand) -> None:
    """It cannot be told at first whether it is about the visit or the other side: the next turn begins with another, and that tells."""
    mirror = MemoryMirror(batch=1)
    mirror.before = lambda: stand.clock.advance(1)
    drain = stand.drain(mirror)
    bad = await stand.arrive("bad@fund.example")
    mirror.breaks_over = f"{bad.handle}.1"
    await stand.caught_up(drain)
    other = await stand.arrive("other@fund.example")
    for wait_ms in (1_000, 2_000):
        assert (await drain.state()).state == "away"
        stand.clock.advance(wait_ms)
        await stand.caught_up(drain)
    assert [id_ for id_, _ in mirror.told_of] == [f"{other.handle}.1"]
    assert (await drain.state()).state == "behind"
    assert (await drain.state()).last_error == "it broke"


async def test_a_dead_letter_can_be_tried_again_or_dropped(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """Its changes are not sent while it is dead; tried again it is told as it is now; dropped it is never told again."""
    mirror = MemoryMirror()
    drain = stand.drain(mirror)
    one, two = await stand.arrive("one@fund.example"), await stand.arrive("two@fund.example")
    mirror.fates.extend([dead("no such column"), dead("no such column")])
    await stand.caught_up(drain)
    assert "refused" in caplog.text
    await one.stay(5_000)
    await stand.caught_up(drain)
    assert mirror.told_of == []
    assert (await drain.state()).state == "refused"
    now = stand.clock()
    letters = {letter.visit: letter.id for letter in await stand.outbox.dead(mirror.name, limit=10)}
    assert await stand.outbox.revive(mirror.name, letters[f"{one.handle}.1"], drop=False, now=now)
    assert await stand.outbox.revive(mirror.name, letters[f"{two.handle}.1"], drop=True, now=now)
    for unknown in (letters[f"{one.handle}.1"], letters[f"{two.handle}.1"], "nobody.1", "nobody", "", "a.99999999999"):
        assert not await stand.outbox.revive(mirror.name, unknown, drop=False, now=now)
    await two.stay(5_000)
    await stand.caught_up(drain)
    assert mirror.told_of == [(f"{one.handle}.1", "5000 here")]
    assert (await drain.state()).state == "well"


async def test_all_dead_letters_are_tried_again_at_once(stand: Stand) -> None:
    """However many there are; those of other mirrors, and what was dropped, stay as they are, and a pause is over."""
    mirror, other = MemoryMirror(batch=2_000), MemoryMirror("other")
    drain = stand.drain(mirror)
    for number in range(12):
        await stand.arrive(f"visitor{number}@fund.example")
    mirror.fates.extend([dead()] * 12)
    other.fates.extend([dead()] * 12)
    await stand.caught_up(drain)
    await stand.caught_up(stand.drain(other))
    letter = (await stand.outbox.dead(mirror.name, limit=1))[0]
    assert await stand.outbox.revive(mirror.name, letter.id, drop=True, now=stand.clock())
    assert [await drain.retry(), await drain.retry()] == [11, 0]
    await stand.caught_up(drain)
    assert len(mirror.told_of) == 11
    assert (await stand.outbox.waiting("other")).dead == 12
