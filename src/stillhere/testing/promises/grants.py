"""What stores promise of grants: one at a time takes the place of another, and none is written for a session that is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stillhere.core.grants import Grant, Held, Swapped
from stillhere.core.records import EndedBy
from stillhere.core.rules import rotate_id
from stillhere.testing.clock import START
from stillhere.testing.expect import expect, expect_one_of
from stillhere.testing.grants import RulesGrants, drive_grants, random_grant_steps
from stillhere.testing.promise import Need, Trial, granting, promise, sweepable
from stillhere.testing.promises.crash_points import AWAITS, cut_short
from stillhere.testing.scene import IDLE, claim_of, grant_of, id_of, session_of
from stillhere.testing.texts import TEXTS

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from stillhere.testing.promise import GrantingStore

NOTHING = Held(session=None, grant=None)

LENGTH = 40
"""Steps of a random timeline."""

PASSED_OVER = 1_000
"""How often it is tried again what a cancelled call may still be at."""


async def _all_held(store: GrantingStore, *names: str, kind: str = "provider") -> list[Held]:
    return [await store.held(f"handle-{name}", kind) for name in names]


@promise(Need.GRANTING)
async def what_is_kept_is_held(trial: Trial) -> None:
    """A grant is found with its session, to the letter; each kind is a grant of its own; and where there is none, none is found."""
    store = granting(trial.store)
    sessions = {name: await trial.begin(name) for name in "ab"}
    for kind in ("provider", "refresh"):
        grant = grant_of("a", document=kind, kind=kind, check_at=START + len(kind))
        expect(await store.swap(grant, now=START), Swapped(done=True, held=Held(session=sessions["a"], grant=grant)))
        expect(await store.held("handle-a", kind), Held(session=sessions["a"], grant=grant))
    expect(await _all_held(store, "b", "nobody"), [Held(session=sessions["b"], grant=None), NOTHING])
    expect(await store.held("handle-a", "other"), Held(session=sessions["a"], grant=None))


@promise(Need.GRANTING)
async def the_version_decides(trial: Trial) -> None:
    """A grant takes the place of the version before its own, of the first if it is the first; any other changes nothing."""
    store, session = granting(trial.store), await trial.begin("a")
    kept: Grant | None = None
    for version in (2, 0, -1, 1, 1, 3, 2, 1, 2, 3, 9):
        grant = grant_of("a", version, f"{version} after {kept}")
        done = version == (kept.version if kept else 0) + 1
        kept = grant if done else kept
        expect(await store.swap(grant, now=START), Swapped(done=done, held=Held(session=session, grant=kept)), f"version {version}")
        expect(await store.held("handle-a", "provider"), Held(session=session, grant=kept))
    expect(kept.version if kept else 0, 3, "the last that was kept")


@promise(Need.GRANTING)
async def a_repetition_is_done_again(trial: Trial) -> None:
    """The very same grant is answered as the first time, also after the session's end; what differs in anything is not done."""
    store = granting(trial.store)
    await trial.begin("a")
    grant = grant_of("a", document="one")
    for n in range(2):
        expect((await store.swap(grant, now=START + n)).done, promised=True)
        for other in (replace(grant, document="two"), replace(grant, check_at=START)):
            expect((await store.swap(other, now=START + n)).done, promised=False)
    ended = (await store.end("handle-a", EndedBy.REVOKED, now=START + 5)).session
    expect(await store.swap(grant, now=START + 6), Swapped(done=True, held=Held(session=ended, grant=grant)), "after the end")
    expect((await store.swap(replace(grant, document="two"), now=START + 6)).done, promised=False)


@promise(Need.GRANTING)
async def nothing_is_kept_for_who_is_over(trial: Trial) -> None:
    """A session that has ended, lapsed, or never was takes no grant; the swap records no end, and at an earlier time it is done."""
    store, lapsed = granting(trial.store), await trial.begin("lapsed")
    await trial.begin("ended")
    ended = (await store.end("handle-ended", EndedBy.SIGNED_OUT, now=START)).session
    for name, session in (("ended", ended), ("lapsed", lapsed), ("nobody", None)):
        swapped = await store.swap(grant_of(name), now=START + IDLE)
        expect(swapped, Swapped(done=False, held=Held(session=session, grant=None)), f"of {name}")
    expect(await store.get("handle-lapsed"), lapsed)
    expect((await store.swap(grant_of("lapsed"), now=START + IDLE - 1)).done, promised=True)
    expect((await store.swap(grant_of("lapsed", 2), now=START + IDLE)).done, promised=False)


@promise(Need.GRANTING)
async def stays_while_its_session_changes(trial: Trial) -> None:
    """Beats, a new id and the end leave a grant as it is; it is always seen with the session as it is now."""
    store, session = granting(trial.store), await trial.begin("a")
    await store.swap(grant_of("a"), now=START)
    (beaten,) = await trial.beat(claim_of("a", active_ago_ms=0, opens=True, on_screen=True, view="v"), now=START + 5)
    expect(await store.held("handle-a", "provider"), Held(session=beaten.session, grant=grant_of("a")))
    rotated = await store.rotate("handle-a", id_of("a"), id_of("b"), now=START + 5)
    expect(rotated, rotate_id(beaten.session or session, id_of("a"), id_of("b"), now=START))
    expect(await store.swap(grant_of("a", 2), now=START + 5), Swapped(done=True, held=Held(session=rotated, grant=grant_of("a", 2))))
    ended = await store.end("handle-a", EndedBy.PROVIDER, now=START + 6)
    expect(await store.held("handle-a", "provider"), Held(session=ended.session, grant=grant_of("a", 2)))


@promise(Need.GRANTING)
async def documents_come_back_as_they_went_in(trial: Trial) -> None:
    """A document is kept to the letter, of any script and up to a megabyte, and so is the handle it belongs to."""
    store = granting(trial.store)
    for n, text in enumerate((*TEXTS, "", " ", "1 2 3", "\n1 2\n", "x" * 1_000_000)):
        name = text[:300] or "nothing"
        session = await trial.begin(f"{n} {name}")
        grant = grant_of(f"{n} {name}", document=text, check_at=START + n)
        await store.swap(grant, now=START)
        expect(await store.held(grant.handle, "provider"), Held(session=session, grant=grant))
        due = await store.due_grants("provider", limit=9, now=START + n, until=2 * START)
        expect(due, [Held(session=session, grant=replace(grant, check_at=2 * START))], "which are due")


@promise(Need.GRANTING)
async def names_are_told_apart(trial: Trial) -> None:
    """A handle or a kind that goes on after that of a grant, with U+0000 or anything else, is another one."""
    store = granting(trial.store)
    await trial.begin("a")
    await store.swap(grant_of("a"), now=START)
    for more in ("\0", "\0junk", " ", ":", "*", "x" * 99_999):
        expect(await store.held(f"handle-a{more}", "provider"), NOTHING)
        expect((await store.held("handle-a", f"provider{more}")).grant, None)
        expect((await store.swap(replace(grant_of("a"), handle=f"handle-a{more}"), now=START)).done, promised=False)
        expect(await store.due_grants(f"provider{more}", limit=9, now=2 * START, until=START), [])
        found = [await store.drop(f"handle-a{more}", "provider", version=1), await store.drop("handle-a", f"provider{more}", version=1)]
        expect(found, [False, False], "whether it was dropped")
    expect((await store.held("handle-a", "provider")).grant, grant_of("a"))


@promise(Need.GRANTING)
async def the_due_are_put_off(trial: Trial) -> None:
    """Whose instant has come is told once, with the session, also one that is over, and again from the instant it was put off to."""
    store = granting(trial.store)
    for n, name in enumerate("abcd"):
        await trial.begin(name)
        await store.swap(grant_of(name, check_at=START + n), now=START)
        await store.swap(grant_of(name, check_at=START, kind="refresh"), now=START)
    await store.end("handle-a", EndedBy.SIGNED_OUT, now=START)
    for now, names, until in ((0, "a", 9), (2, "bc", 5), (2, "", 9), (4, "d", 9), (5, "bc", 9), (8, "", 9), (9, "abcd", 99)):
        due = await store.due_grants("provider", limit=9, now=START + now, until=START + until)
        expect("".join(sorted(held.grant.handle[-1] for held in due if held.grant)), names, f"who is due after {now} ms")
        expect(due, [await store.held(held.grant.handle, "provider") for held in due if held.grant], "as they are afterwards")
        expect({held.grant.check_at for held in due if held.grant} <= {START + until}, promised=True, what="put off")
    expect(len(await store.due_grants("refresh", limit=9, now=START, until=START + 1)), 4, "how many of another kind are due")


@promise(Need.GRANTING)
async def putting_off_is_bounded(trial: Trial) -> None:
    """No more are told at once than was asked for, none is told twice, and going on tells all of them."""
    store = granting(trial.store)
    for n in range(40):
        await trial.begin(str(n))
        await store.swap(grant_of(str(n), check_at=START + n % 3), now=START)
    told = [await store.due_grants("provider", limit=15, now=START + 9, until=START + 99) for _ in range(4)]
    expect([len(due) for due in told], [15, 15, 10, 0])
    expect(len({held.grant.handle for due in told for held in due if held.grant}), 40, "how many different ones")
    expect(len(await store.due_grants("provider", limit=99, now=START + 99, until=START)), 40, "how many, put off to an instant long ago")


@promise(Need.GRANTING)
async def a_swap_says_when_it_is_due(trial: Trial) -> None:
    """The latest grant alone is due, at its own instant, whatever the ones before it said; one that was put off keeps its version."""
    store = granting(trial.store)
    await trial.begin("a")
    await store.swap(grant_of("a", check_at=START), now=START)
    await store.swap(grant_of("a", 2, check_at=START + 10), now=START)
    expect(await store.due_grants("provider", limit=9, now=START + 9, until=START + 20), [])
    expect(len(await store.due_grants("provider", limit=9, now=START + 10, until=START + 20)), 1)
    expect((await store.swap(grant_of("a", 3, check_at=START + 15), now=START)).done, promised=True)
    expect(len(await store.due_grants("provider", limit=9, now=START + 15, until=START + 20)), 1)


@promise(Need.GRANTING)
async def a_drop_needs_the_version(trial: Trial) -> None:
    """The version that is held is deleted, once, also of a session that has ended, and is not due any more; another kind stays."""
    store = granting(trial.store)
    for name in "ab":
        await trial.begin(name)
        for version in (1, 2):
            await store.swap(grant_of(name, version), now=START)
        await store.swap(grant_of(name, kind="refresh"), now=START)
    await store.end("handle-b", EndedBy.SIGNED_OUT, now=START)
    for name in "ab":
        dropped = [await store.drop(f"handle-{name}", "provider", version=version) for version in (1, 3, 0, 2, 2)]
        expect(dropped, [False, False, False, True, False], "whether versions 1, 3, 0, 2, 2 were dropped")
    expect([held.grant for held in await _all_held(store, "a", "b")], [None, None])
    expect([held.grant for held in await _all_held(store, "a", "b", kind="refresh")], [grant_of(name, kind="refresh") for name in "ab"])
    expect(await store.due_grants("provider", limit=9, now=2 * START, until=START), [], "which are due")
    expect([(await store.swap(grant_of(name), now=START)).done for name in "ab"], [True, False], "beginning anew")


@promise(Need.GRANTING, Need.SWEEPABLE)
async def are_forgotten_with_their_session(trial: Trial) -> None:
    """Of a session that is forgotten no grant is left, also if its handle is used again; those of others stay."""
    store = granting(trial.store)
    for name in "abc":
        await trial.begin(name)
        for kind in ("provider", "refresh"):
            await store.swap(grant_of(name, kind=kind, check_at=START), now=START)
    for name in "ac":
        await store.end(f"handle-{name}", EndedBy.REVOKED, now=START)
    expect(await sweepable(trial.store).forget(ended_before=START + 1, limit=9), 2, "how many were forgotten")
    again = await trial.begin("a")
    expect(await _all_held(store, "a", "c"), [Held(session=again, grant=None), NOTHING])
    for kind in ("provider", "refresh"):
        (due,) = await store.due_grants(kind, limit=9, now=START, until=START + 1)
        expect(due, Held(session=session_of("b"), grant=grant_of("b", kind=kind, check_at=START + 1)))


@promise(Need.GRANTING)
async def one_swap_wins(trial: Trial) -> None:
    """Of many that swap one version at once, through several stores, one is done, and all are answered what it wrote."""
    stores = [granting(store) for store in await trial.several()]
    for n in range(trial.rounds):
        session = await trial.begin(f"{n}")
        for version in (1, 2, 3):
            documents = [f"{version} by {m}" for m in range(16)]
            swaps = (stores[m % 4].swap(grant_of(f"{n}", version, one), now=START) for m, one in enumerate(documents))
            swapped = await asyncio.gather(*swaps)
            winners = [one.held for one in swapped if one.done]
            expect(len(winners), 1, "how many were done")
            expect([one.held for one in swapped if not one.done], winners * 15, "what the others were answered")
            expect(winners[0].session, session)
            expect([await store.held(session.handle, "provider") for store in stores], winners * 4)


async def _refresh(store: GrantingStore, name: str, by: int, *, most: int) -> int:
    """Look and swap until it is said that the session is over, or so many were done; tell how many."""
    done, held = 0, await store.held(f"handle-{name}", "provider")
    while held.session is not None and held.session.ended_at is None and done < most:
        version = held.grant.version if held.grant else 0
        swapped = await store.swap(grant_of(name, version + 1, f"{done} by {by}", check_at=START), now=START + 1)
        done, held = done + swapped.done, swapped.held
        if swapped.done:
            expect(held.session.ended_at if held.session else None, None, "when the session had ended of which a swap is done")
    return done


@promise(Need.GRANTING)
async def no_swap_is_lost(trial: Trial) -> None:
    """Many that look and swap at once, while others put the grant off, write as many versions as they were told."""
    stores = [granting(store) for store in await trial.several()]
    await trial.begin("a")
    await stores[0].swap(grant_of("a", check_at=START), now=START)
    putting_off = asyncio.gather(*(stores[n % 4].due_grants("provider", limit=9, now=START, until=START) for n in range(8)))
    told = await asyncio.gather(*(_refresh(stores[n % 4], "a", n, most=10) for n in range(8)))
    await putting_off
    expect(told, [10] * 8, "how many swaps of each were done")
    held = await stores[1].held("handle-a", "provider")
    expect(held.grant.version if held.grant else 0, 81, "the version in the end")


@promise(Need.GRANTING)
async def a_swap_that_is_done_came_before_the_end(trial: Trial) -> None:
    """While a session is ended others go on swapping: what is done came before the end, and what came after it is not done."""
    stores = [granting(store) for store in await trial.several()]
    for n in range(trial.rounds):
        await trial.begin(f"{n}")

        async def end(n: int = n) -> Held:
            for _ in range(trial.chance.randint(0, 20)):
                await stores[3].get(f"handle-{n}")
            await stores[3].end(f"handle-{n}", EndedBy.SIGNED_OUT, now=START + 1)
            return await stores[3].held(f"handle-{n}", "provider")

        swapping = (_refresh(stores[m % 4], f"{n}", m, most=1_000) for m in range(6))
        done, found = await asyncio.gather(asyncio.gather(*swapping), end())
        expect(await stores[0].held(f"handle-{n}", "provider"), found, "what is held long after the end, as at once after it")
        expect(found.grant.version if found.grant else 0, sum(done), "the version in the end, and how many swaps were done")


@promise(Need.GRANTING)
async def nobody_is_told_what_others_were(trial: Trial) -> None:
    """Several that ask for what is due at once are each told other grants, and between them all."""
    stores = [granting(store) for store in await trial.several()]
    for n in range(40):
        await trial.begin(str(n))
        await stores[0].swap(grant_of(str(n), check_at=START), now=START)

    async def take(store: GrantingStore) -> list[str]:
        told: list[str] = []
        while due := await store.due_grants("provider", limit=3, now=START, until=START + 1):
            told += [held.grant.handle for held in due if held.grant]
        return told

    told = [handle for handles in await asyncio.gather(*map(take, stores)) for handle in handles]
    told += await take(stores[0])  # what one left to another that was just about to take it
    expect(sorted(told), sorted(f"handle-{n}" for n in range(40)))


async def _rests(store: GrantingStore, name: str) -> Held:
    """Look until nothing changes: the work of a cancelled call may go on in a thread or a server."""
    looks = [await store.held(f"handle-{name}", "provider") for _ in range(2)]
    while looks[-1] != looks[-2]:
        looks.append(await store.held(f"handle-{name}", "provider"))
    return looks[-1]


@promise(Need.GRANTING)
async def a_cancelled_write_is_whole_or_nothing(trial: Trial) -> None:
    """Wherever `swap`, `due_grants` or `drop` is cancelled, the grant is as before or as afterwards, and calling again is safe."""
    store = granting(trial.store)
    new, put_off = grant_of("", 2, "two"), grant_of("", check_at=START + 9)

    async def swap(name: str) -> None:
        expect((await store.swap(replace(new, handle=f"handle-{name}"), now=START)).done, promised=True, what="done, or done again")

    async def due(_name: str) -> None:
        await store.due_grants("provider", limit=9, now=START, until=START + 9)

    async def drop(name: str) -> None:
        await store.drop(f"handle-{name}", "provider", version=1)

    for verb, afterwards in ((swap, new), (due, put_off), (drop, None)):
        for at in AWAITS:
            name = f"{verb.__name__}-{at}"
            session, old = await trial.begin(name), grant_of(name, check_at=START)
            await store.swap(old, now=START)
            call: Coroutine[object, object, None] = verb(name)
            broke_off = await cut_short(call, at)
            grant = None if afterwards is None else replace(afterwards, handle=session.handle)
            before, after = Held(session=session, grant=old), Held(session=session, grant=grant)
            expect_one_of(await _rests(store, name), (before, after), f"after `{verb.__name__}` was cancelled at its await {at}")
            await verb(name)
            for _ in range(PASSED_OVER):
                if await _rests(store, name) == after:
                    break
                await verb(name)  # what the cancelled call still holds, in a server, is passed over by those who look for what is due
            expect(await _rests(store, name), after, f"after `{verb.__name__}` was called again")
            await store.end(session.handle, EndedBy.REVOKED, now=START)
            await store.drop(session.handle, "provider", version=1)
            await store.drop(session.handle, "provider", version=2)
            if not broke_off:
                break


@promise(Need.GRANTING)
async def random_timelines_agree_with_the_rules(trial: Trial) -> None:
    """Whatever is swapped, put off, dropped, beaten, ended and rotated in whatever order, all answers are what the rules say."""
    for _ in range(trial.rounds):
        steps = random_grant_steps(trial.chance, LENGTH)
        rules = RulesGrants()
        async with trial.fresh() as fresh:
            await drive_grants(granting(fresh), rules, steps)


@promise(Need.GRANTING, Need.REOPENABLE)
async def what_was_answered_is_kept(trial: Trial) -> None:
    """After every answer a store that is opened anew on the same data holds the same, though the first was never closed."""
    store = granting(trial.store)
    await trial.begin("a")
    for version in range(1, 9):
        swapped = await store.swap(grant_of("a", version, check_at=START), now=START)
        async with trial.reopened(store) as again:
            expect(await granting(again).held("handle-a", "provider"), swapped.held)
        if version % 2:
            (due,) = await store.due_grants("provider", limit=1, now=START, until=START + version)
            async with trial.reopened(store) as again:
                expect(await granting(again).held("handle-a", "provider"), due)
    await store.drop("handle-a", "provider", version=8)
    async with trial.reopened(store) as again:
        expect((await granting(again).held("handle-a", "provider")).grant, None)
