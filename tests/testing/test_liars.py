"""The kit finds every lie: each broken store is caught by the promise that was made for it."""

from __future__ import annotations

import pytest

from stillhere.testing import Opener, Promise, PromiseBroken, StoreCheckFailed, check_store, promise, store_promises
from tests.testing import grant_liars, liars, note_liars
from tests.testing.liars import Honest

PROMISES = {promise.name: promise for promise in store_promises()}

LIES = (
    {
        liars.RevivesTheEnded: "end.is_for_ever",
        liars.AdoptsIds: "beat.adopts_nothing",
        liars.ForgetsTheProof: "proof.a_handle_without_its_id_opens_nothing",
        liars.OverwritesTheReason: "end.is_idempotent_and_the_first_reason_stays",
        liars.SweepsTheLiving: "sweep.records_ends_and_leaves_the_living",
        liars.TakesClaimsBackwards: "beat.applies_claims_of_one_session_in_order",
        liars.RotatesForAnybody: "rotate.needs_the_id_that_the_session_has",
        liars.OverwritesSessions: "create.never_overwrites",
        liars.LosesViews: "crash_points.what_was_kept_outlives_a_close",
        liars.TellsTwice: "watch.tells_every_end_once_however_it_came",
        liars.WritesAlways: "touch_interval.spares_what_would_move_by_less",
        liars.MovesTimesBack: "time_travel.times_never_move_back",
        liars.LetsALapseWait: "time_travel.a_deadline_is_exact_to_the_millisecond",
        liars.NoticesBySight: "looking.changes_nothing",
        liars.ForgetsWhoLapsed: "forget.spares_whose_end_nobody_told",
        liars.ListsInAnyOrder: "listing.shows_the_living_by_when_they_were_seen",
        liars.FoldsText: "text.subjects_come_back_as_they_went_in",
        liars.CountsEveryTab: "time_travel.random_timelines_agree_with_the_rules",
        liars.IsEmptyWhenClosed: "crash_points.a_closed_store_says_so",
        liars.BreaksInTwo: "crash_points.a_cancelled_beat_is_whole_or_nothing",
        liars.WritesLater: "crash_points.what_was_answered_is_kept",
        liars.ReadsThenWrites: "contention.one_rotation_wins",
        liars.EndsThenWrites: "contention.one_end_is_told",
        liars.EndsWhomABeatSaved: "contention.a_sweep_never_ends_whom_a_beat_saved",
        liars.Fails: "looking.for_what_is_not_there_finds_none",
    }
    | grant_liars.LIES
    | note_liars.LIES
)


def opener_of(kind: type[Honest]) -> Opener[Honest]:
    """Say how a store of some kind is opened."""
    return Opener(kind, reopen=Honest.again, world=Honest.world)


@pytest.mark.parametrize(("kind", "name"), LIES.items(), ids=lambda value: getattr(value, "__name__", ""))
async def test_every_lie_is_found(kind: type[Honest], name: str) -> None:
    """The promise that was made for it is broken, and the error says which and what was found instead."""
    with pytest.raises(PromiseBroken) as broken:
        await PROMISES[name].check(opener_of(kind))
    assert str(broken.value).startswith(f"{name}: {PROMISES[name].sentence}\n  ")
    assert broken.value.trouble


def test_every_promise_of_grants_and_notes_finds_a_lie() -> None:
    """None of them is there in vain."""
    assert {name for name in PROMISES if name.startswith(("grants.", "notes."))} == {
        *grant_liars.LIES.values(),
        *note_liars.LIES.values(),
    }


@pytest.mark.parametrize("promise", PROMISES.values(), ids=lambda promise: promise.name)
async def test_an_honest_store_keeps_each_promise(promise: Promise) -> None:
    """What the liars are made of is honest: it is the lie that is found."""
    await promise.check(opener_of(Honest), rounds=2)


@pytest.mark.parametrize("kind", [liars.TakesManyTurns, liars.FinishesAnyway, *grant_liars.HABITS])
async def test_unusual_habits_are_no_lies(kind: type[Honest]) -> None:
    """A store may take its turns, and may finish what its caller gave up."""
    await check_store(kind, reopen=Honest.again, world=Honest.world, rounds=1)


@pytest.mark.parametrize("turns", range(8))
async def test_work_may_be_finished_at_any_time(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a cancelled call is finished before, while or after somebody looks: it is whole or nothing."""
    monkeypatch.setattr(liars.FinishesAnyway, "turns", turns)
    await PROMISES["crash_points.a_cancelled_end_is_whole_or_nothing"].check(opener_of(liars.FinishesAnyway))
    monkeypatch.setattr(grant_liars.FinishesSwapsAnyway, "turns", turns)
    await PROMISES["grants.a_cancelled_write_is_whole_or_nothing"].check(opener_of(grant_liars.FinishesSwapsAnyway))


async def test_a_random_lie_is_told_by_few_steps() -> None:
    """What a random timeline finds is shown by the steps that matter; the others are left out."""
    with pytest.raises(PromiseBroken) as broken:
        await PROMISES["time_travel.random_timelines_agree_with_the_rules"].check(opener_of(liars.CountsEveryTab))
    steps = str(broken.value).partition("after these steps")[2]
    assert 1 <= steps.count("Step(") <= 3


async def test_a_store_that_hangs_breaks_its_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that never comes back does not hold up the kit."""
    monkeypatch.setattr(promise, "TIME_LIMIT_S", 0.05)
    with pytest.raises(PromiseBroken, match="TimeoutError: it took too long"):
        await PROMISES["looking.ping_reaches_a_working_store"].check(opener_of(liars.Hangs), rounds=0)


async def test_the_kit_lists_every_broken_promise() -> None:
    """A store that breaks several is told all of them at once, each with its sentence; the report has those it keeps too."""
    with pytest.raises(StoreCheckFailed) as failed:
        await check_store(liars.OverwritesSessions, reopen=Honest.again, world=Honest.world, rounds=1)
    broken = {one.promise.partition(":")[0] for one in failed.value.report.broken}
    assert broken >= {"create.never_overwrites", "create.never_overwrites_what_has_ended", "contention.one_creator_wins"}
    assert PROMISES["create.never_overwrites"].sentence in str(failed.value)
    assert len(failed.value.report.kept) + len(broken) == len(PROMISES)
    some = failed.value.subgroup(lambda error: isinstance(error, PromiseBroken) and "what_has_ended" in str(error))
    assert isinstance(some, StoreCheckFailed)
    assert len(some.exceptions) == len(some.report.broken) == 1
