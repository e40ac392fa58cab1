"""The kit tells what it found, left out and could not ask, also outside of pytest."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from stillhere.stores.memory import MemoryStore
from stillhere.testing import FakeClock, LeftOut, Need, Opener, Promise, PromiseBroken, check_store, store_promises
from stillhere.testing.expect import expect, expect_error, expect_one_of
from stillhere.testing.scene import session_of
from tests.testing.liars import HasTheVerbsOnly, Honest


async def test_a_report_can_be_read() -> None:
    """It counts, and says of each promise whether it was kept or why it was left out."""
    report = await check_store(MemoryStore, durable=False, rounds=1)
    lines = str(report).splitlines()
    assert lines[0] == f"{len(report.kept)} promises are kept, 0 are broken, {len(report.left_out)} are left out"
    assert "left out  contention.totals_are_exact: its views and visits cannot be seen: there is no `world`" in lines
    assert any(line.startswith("kept      create.never_overwrites: A taken handle is refused") for line in lines)
    assert len(report.kept) + len(report.left_out) == len(store_promises()) == len(lines) - 1


async def test_a_store_needs_the_seven_verbs_only() -> None:
    """A store without optional abilities is checked for the rest, and what was left out is said."""
    report = await check_store(HasTheVerbsOnly, durable=False, rounds=1)
    assert {promise.name.partition(".")[0] for promise, _ in report.left_out} >= {"listing", "sweep", "forget", "watch"}
    assert not [promise.name for promise in report.kept if promise.needs]


async def test_openers_may_be_async() -> None:
    """Opening, reopening and showing a store may each be awaited."""

    async def open_store() -> Honest:
        return Honest()

    async def reopen(store: Honest) -> Honest:
        return store.again()

    report = await check_store(open_store, reopen=reopen, rounds=1)
    assert {need for promise, _ in report.left_out for need in promise.needs} >= {Need.SHOWN}
    assert not [promise.name for promise in report.kept if Need.SHOWN in promise.needs]


async def test_a_durable_store_has_to_be_reopened() -> None:
    """Nobody passes for durable by leaving out how the data is opened again."""
    with pytest.raises(ValueError, match="give `reopen`, or say durable=False"):
        await check_store(MemoryStore)


async def test_a_promise_that_cannot_be_asked_says_why() -> None:
    """One by one, promises are left out by name, too."""
    (promise,) = [promise for promise in store_promises() if promise.name == "crash_points.what_was_answered_is_kept"]
    with pytest.raises(LeftOut, match="there is no `reopen`"):
        await promise.check(Opener(MemoryStore, durable=False))
    assert promise not in store_promises(without=[Need.REOPENABLE])


@pytest.mark.parametrize("promise", store_promises(), ids=lambda promise: promise.name)
def test_every_promise_is_a_sentence(promise: Promise) -> None:
    """Each has a sentence for its reader, and a name of its own."""
    assert promise.sentence.endswith(".")
    assert [other.name for other in store_promises()].count(promise.name) == 1


def test_the_kit_holds_when_python_leaves_out_assertions() -> None:
    """With -O a lie is found all the same: nothing rests on `assert`."""
    script = (
        "import asyncio; from tests.testing.liars import Honest, OverwritesSessions; from stillhere.testing import *\n"
        "assert False, 'this line is left out'\n"
        "try: asyncio.run(check_store(OverwritesSessions, reopen=Honest.again, rounds=1))\n"
        "except StoreCheckFailed as failed: print(failed)"
    )
    told = subprocess.run([sys.executable, "-O", "-c", script], capture_output=True, text=True, check=True).stdout
    assert "- create.never_overwrites: A taken handle is refused" in told


class Pair(msgspec.Struct):
    left: int
    right: object


@pytest.mark.parametrize(
    ("found", "promised", "where"),
    [
        (Pair(1, 2), Pair(1, 3), [".right: 2, not 3"]),
        ([Pair(1, 2), Pair(4, Pair(5, 6))], [Pair(0, 2), Pair(4, Pair(5, 7))], ["[0].left: 1, not 0", "[1].right.right: 6, not 7"]),
        ([1], [1, 2], []),
        (1, None, []),
    ],
)
def test_an_error_shows_where_records_differ(found: object, promised: object, where: list[str]) -> None:
    """Both values are shown, and then only the members that differ."""
    with pytest.raises(PromiseBroken) as broken:
        expect(found, promised, "the pair")
    assert str(broken.value).splitlines() == [f"  {line}" for line in ("the pair", f"found    {found!r}", f"promised {promised!r}", *where)]


def test_checks_let_pass_what_is_as_promised() -> None:
    """What is equal, is among what is allowed, or raises as promised, passes; any other error goes through."""
    expect(session_of("a"), session_of("a"))
    expect_one_of(1, (2, 1), "a number")
    with expect_error(ValueError, "reading a number") as raised:
        int("x")
    assert isinstance(raised[0], ValueError)
    with pytest.raises(TypeError), expect_error(ValueError, "reading a number"):
        int([])  # type: ignore[call-overload]  # that is the point
    with pytest.raises(PromiseBroken, match="allowed  1"):
        expect_one_of(3, (2, 1), "a number")


def test_the_room_has_no_other_names() -> None:
    """A name that is not offered is missed as in any module."""
    with pytest.raises(ImportError, match="cannot import name 'check_shop'"):
        from stillhere.testing import check_shop  # noqa: F401, PLC0415  # that is the point


def test_a_fake_clock_moves_only_when_told() -> None:
    """It stands still, moves forward, and steps back."""
    clock = FakeClock(1_000)
    assert (clock(), clock()) == (1_000, 1_000)
    clock.advance(60_000)
    assert clock() == 61_000
    clock.advance(-61_000)
    assert clock() == clock.now == 0
