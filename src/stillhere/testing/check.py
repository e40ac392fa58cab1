"""Holds a store to all promises, and tells how it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from stillhere.testing.expect import PromiseBroken
from stillhere.testing.opener import Opener, StoreT, World
from stillhere.testing.promise import ROUNDS, LeftOut, Need, Promise
from stillhere.testing.promises import PROMISES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a store did.

    Attributes:
        kept: promises that it keeps.
        left_out: promises that could not be asked of it, and why.
        broken: what it did instead, for each promise that it breaks.
    """

    kept: list[Promise]
    left_out: list[tuple[Promise, str]]
    broken: list[PromiseBroken]

    def __str__(self) -> str:
        """Show it, one promise a line."""
        lines = [f"{len(self.kept)} promises are kept, {len(self.broken)} are broken, {len(self.left_out)} are left out"]
        lines += [f"broken    {broken}" for broken in self.broken]
        lines += [f"left out  {promise.name}: {why}" for promise, why in self.left_out]
        lines += [f"kept      {promise.name}: {promise.sentence}" for promise in self.kept]
        return "\n".join(lines)


class StoreCheckFailed(ExceptionGroup[PromiseBroken]):
    """A store breaks promises; the group holds what it did instead of each.

    Attributes:
        report: how it did, in full.
    """

    report: Report

    def __new__(cls, report: Report) -> Self:
        """Make the group's message of the broken promises."""
        broken = "\n".join(f"- {broken.promise}" for broken in report.broken)
        made = super().__new__(cls, f"the store breaks {len(report.broken)} of its promises:\n{broken}\n", report.broken)
        made.report = report
        return made

    def derive(self, excs: Sequence[PromiseBroken], /) -> StoreCheckFailed:  # type: ignore[override]  # only these are in it
        """Make a group of some of them."""
        return StoreCheckFailed(msgspec.structs.replace(self.report, broken=list(excs)))


def store_promises(*, without: Collection[Need] = ()) -> tuple[Promise, ...]:
    """Give every promise, to be checked one by one.

    Args:
        without: leave out those that need one of these.
    """
    return tuple(promise for promise in PROMISES if not promise.needs.intersection(without))


async def check_store(
    open_store: Callable[[], StoreT | Awaitable[StoreT]],
    *,
    reopen: Callable[[StoreT], StoreT | Awaitable[StoreT]] | None = None,
    durable: bool = True,
    world: Callable[[StoreT], World | Awaitable[World]] | None = None,
    rounds: int = ROUNDS,
) -> Report:
    """Hold a store to every promise, each with a fresh one. The callables may be plain or async.

    Args:
        open_store: opens a fresh store that is empty, whatever was opened before.
        reopen: opens another store on the data of one that was opened, which may still be in use, or was left without `close`.
        durable: the data outlives the store. Say False for a store that keeps it in memory only and cannot be reopened.
        world: shows all views and visits that a store keeps. Without it, promises of what is remembered of them are left out.
        rounds: how many races are run and random timelines drawn.

    Returns:
        What was kept, and what was left out because the store lacks an ability. Print it.

    Raises:
        StoreCheckFailed: if promises are broken; it holds one `PromiseBroken` for each.
        ValueError: if a durable store comes without `reopen`.
    """
    opener = Opener(open_store, reopen=reopen, durable=durable, world=world)
    report = Report(kept=[], left_out=[], broken=[])
    for promise in PROMISES:
        try:
            await promise.check(opener, rounds=rounds)
        except LeftOut as left_out:
            report.left_out.append((promise, str(left_out)))
        except PromiseBroken as broken:
            report.broken.append(broken)
        else:
            report.kept.append(promise)
    if report.broken:
        raise StoreCheckFailed(report)
    return report
