"""What stores promise of small facts that processes share: what comes first, what else a session is called, which generation it is."""

from __future__ import annotations

import asyncio

from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Need, Trial, noting, promise
from stillhere.testing.promises.crash_points import AWAITS, cut_short
from stillhere.testing.texts import TEXTS

NAMES = (*TEXTS, "", "a", "a\0", "a\0b", "A", "a" * 99_999, "a" * 99_998)
"""Names that are easily taken for each other, or cut."""


@promise(Need.NOTING)
async def the_first_is_told_so(trial: Trial) -> None:
    """Of all who come with a name the first is told, up to its instant and with it; after it the name is free again."""
    store = noting(trial.store)
    expect(await store.first("name", until=START + 10, now=START), promised=True, what="the first")
    for now in (START, START + 9, START + 10):
        expect(await store.first("name", until=START + 99, now=now), promised=False, what=f"another, {now - START} ms later")
    expect(await store.first("name", until=START + 20, now=START + 11), promised=True, what="the first after it has passed")
    expect(await store.first("name", until=START + 20, now=START + 20), promised=False, what="another after that one")


@promise(Need.NOTING)
async def names_are_told_apart(trial: Trial) -> None:
    """Names of any length and script are nobody else's: neither cut, nor folded, nor matched in part."""
    store = noting(trial.store)
    for n, name in enumerate(NAMES):
        expect(await store.first(name, until=START + 10, now=START), promised=True, what=f"the first to come with {name[:50]!r}")
        await store.note(name, f"handle-{n}", until=START + 10)
        for _ in range(n % 3):
            await store.advance(name)
    expect([await store.first(name, until=START + 10, now=START) for name in NAMES], [False] * len(NAMES), "coming again")
    expect([await store.noted(name, now=START) for name in NAMES], [[f"handle-{n}"] for n in range(len(NAMES))], "the handles")
    expect([await store.generation(name) for name in NAMES], [n % 3 for n in range(len(NAMES))], "the generations")


@promise(Need.NOTING)
async def one_comes_first(trial: Trial) -> None:
    """Of many who come with one name at once, through several stores, one is told that it was the first; also when it is free again."""
    stores = [noting(store) for store in await trial.several()]
    for n in range(trial.rounds):
        for now in (START, START + 11):
            told = await asyncio.gather(*(stores[m % 4].first(f"name {n}", until=now + 10, now=now) for m in range(16)))
            expect(told.count(True), 1, "how many were the first")


@promise(Need.NOTING)
async def what_passes_takes_nothing_along(trial: Trial) -> None:
    """However many names pass, those that have not are still taken, and what was noted for longer is still known."""
    store = noting(trial.store)
    for n in range(40):
        await store.first(f"name {n}", until=START + n, now=START)
        await store.note("person", f"handle-{n}", until=START + n)
    for now in (START + 5, START + 25, START + 25, START + 25):
        await store.first(f"at {now}", until=now, now=now)
    expect([n for n in range(40) if not await store.first(f"name {n}", until=START + 99, now=START + 25)], list(range(25, 40)))
    expect(sorted(await store.noted("person", now=START + 25)), [f"handle-{n}" for n in range(25, 40)])


@promise(Need.NOTING)
async def a_session_goes_by_its_names(trial: Trial) -> None:
    """A name finds every handle that was noted for it, for the longest time that was asked for, and no other."""
    store = noting(trial.store)
    for name, handle, until in (("sid", "a", 10), ("sub", "a", 10), ("sub", "b", 20), ("sub", "b", 15), ("sub", "c", 5), ("sub", "c", 30)):
        await store.note(name, f"handle-{handle}", until=START + until)
    found = {now: "".join(sorted(handle[-1] for handle in await store.noted("sub", now=START + now))) for now in (0, 10, 11, 20, 21, 31)}
    expect(found, {0: "abc", 10: "abc", 11: "bc", 20: "bc", 21: "c", 31: ""}, "handles noted, by milliseconds from the beginning")
    expect([await store.noted(name, now=START) for name in ("sid", "handle-a", "")], [["handle-a"], [], []])


@promise(Need.NOTING)
async def generations_count_from_one(trial: Trial) -> None:
    """A subject that was never advanced is of generation 0; each advance is one more, and that subject's alone."""
    store = noting(trial.store)
    expect([await store.generation("a"), await store.advance("a"), await store.advance("a"), await store.generation("a")], [0, 1, 2, 2])
    expect([await store.generation("b"), await store.advance("b"), await store.generation("a")], [0, 1, 2])


@promise(Need.NOTING)
async def no_advance_is_lost(trial: Trial) -> None:
    """Of many who advance a subject at once each gets a number of its own, without a gap."""
    stores = [noting(store) for store in await trial.several()]
    numbers = await asyncio.gather(*(stores[n % 4].advance("a") for n in range(40)))
    expect(sorted(numbers), list(range(1, 41)))
    expect([await store.generation("a") for store in stores], [40] * 4)


@promise(Need.NOTING)
async def a_cancelled_first_is_told_to_one_at_most(trial: Trial) -> None:
    """Wherever `first` is cancelled, one at most of those who come later is told that it was the first."""
    store = noting(trial.store)
    for at in AWAITS:
        broke_off = await cut_short(store.first(f"name {at}", until=START + 10, now=START), at)
        told = [await store.first(f"name {at}", until=START + 10, now=START) for _ in range(3)]
        expect(told[1:], [False, False], "those who came after the next")
        if not broke_off:
            expect(told[0], promised=False, what="the next, though the first was told")
            return


@promise(Need.NOTING, Need.REOPENABLE)
async def what_was_noted_is_kept(trial: Trial) -> None:
    """A store that is opened anew on the same data knows all of it, though the first was never closed."""
    store = noting(trial.store)
    await store.first("name", until=START + 10, now=START)
    await store.note("name", "handle-a", until=START + 10)
    await store.advance("name")
    async with trial.reopened(store) as reopened:
        again = noting(reopened)
        found = [await again.first("name", until=START, now=START), await again.noted("name", now=START), await again.generation("name")]
        expect(found, [False, ["handle-a"], 1])
