"""Timelines of grants: the rules' own opinion of what a few sessions hold, and how a store is driven through the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from stillhere.core.grants import Grant, Held, Swapped, swap_grant
from stillhere.core.records import EndedBy
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.timelines import PEOPLE, RulesStore, Step, begin, claim_by, drive, handle_of, note_rotation

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from stillhere.testing.promise import GrantingStore

KINDS: Final = ("provider", "refresh")

PUT_OFF_MS: Final = 5_000
"""How long what is due is put off, milliseconds."""


class GrantStep(msgspec.Struct, frozen=True):
    """The clock moves, perhaps back; then one thing happens.

    Attributes:
        what: `swap`, `again` (the last swap once more), `due`, `drop`, or what happens to the session: `beat`, `end`, `rotate`.
        advance_ms: how far the clock moves.
        person: whose session.
        kind: of the grant.
        ahead: how far the version is from the one that is held; 1 is right for a swap, 0 for a drop.
        check_in_ms: when the grant is due, from now.
    """

    what: str
    advance_ms: int
    person: int
    kind: str
    ahead: int
    check_in_ms: int


class RulesGrants:
    """No store at all: the rules applied to dictionaries, as a second opinion on every store."""

    def __init__(self) -> None:
        """Nobody holds anything."""
        self.sessions = RulesStore(0)
        self.grants: dict[tuple[str, str], Grant] = {}

    def held(self, handle: str, kind: str) -> Held:
        """See `Granting.held`."""
        return Held(session=self.sessions.sessions.get(handle), grant=self.grants.get((handle, kind)))

    def swap(self, grant: Grant, now: int) -> Swapped:
        """See `Granting.swap`."""
        kept = swap_grant(self.held(grant.handle, grant.kind), grant, now=now)
        if kept is not None:
            self.grants[grant.handle, grant.kind] = kept
        return Swapped(done=kept is not None, held=self.held(grant.handle, grant.kind))

    def due(self, kind: str, now: int) -> list[Held]:
        """See `Granting.due_grants`; in the order of their handles."""
        due = sorted(handle for (handle, its_kind), grant in self.grants.items() if its_kind == kind and grant.check_at <= now)
        for handle in due:
            self.grants[handle, kind] = replace(self.grants[handle, kind], check_at=now + PUT_OFF_MS)
        return [self.held(handle, kind) for handle in due]

    def drop(self, handle: str, kind: str, version: int) -> bool:
        """See `Granting.drop`."""
        grant = self.grants.get((handle, kind))
        return grant is not None and grant.version == version and self.grants.pop((handle, kind)) is not None


def random_grant_steps(chance: random.Random, length: int) -> list[GrantStep]:
    """Draw a timeline on which most swaps are done.

    Args:
        chance: draws random numbers.
        length: how many steps.
    """
    return [
        GrantStep(
            what=chance.choice(["swap"] * 8 + ["again", "due", "due", "drop", "beat", "beat", "beat", "end", "rotate"]),
            advance_ms=chance.choice([0, 1, chance.randint(0, 5_000), chance.randint(-5_000, 20_000)]),
            person=chance.randint(0, PEOPLE),
            kind=chance.choice(KINDS),
            ahead=chance.choice([1] * 6 + [0, 2, -1]),
            check_in_ms=chance.choice([0, 1, chance.randint(-1_000, 20_000)]),
        )
        for _ in range(length)
    ]


async def drive_grants(store: GrantingStore, rules: RulesGrants, steps: Sequence[GrantStep]) -> None:
    """Take a fresh store and the rules through a timeline.

    Raises:
        PromiseBroken: if an answer, or what is held after a step, is not what the rules say.
    """
    await begin(rules.sessions, [store])
    now, rotations, last = START, dict[int, int](), Grant(handle="nobody", kind=KINDS[0], version=1, document="", check_at=START)
    for n, step in enumerate(steps):
        now += step.advance_ms
        handle, kind, where = handle_of(step.person), step.kind, f"the answer at step {n + 1}: {step!r}"
        held = rules.held(handle, kind)
        version = (held.grant.version if held.grant else 0) + step.ahead
        if step.what in {"swap", "again"}:
            if step.what == "swap":
                last = Grant(handle=handle, kind=kind, version=version, document=f"step {n}", check_at=now + step.check_in_ms)
            expect(await store.swap(last, now=now), rules.swap(last, now), where)
        elif step.what == "due":
            due = await store.due_grants(kind, limit=99, now=now, until=now + PUT_OFF_MS)
            expect(sorted(due, key=lambda held: held.grant.handle if held.grant else ""), rules.due(kind, now), where)
        elif step.what == "drop":
            expect(await store.drop(handle, kind, version=version - 1), rules.drop(handle, kind, version - 1), where)
        else:
            session_step = _session_step(step, rotations)
            answers = rules.sessions.step(session_step, now, rotations)
            expect(await drive(store, session_step, now, rotations, 0), answers, where)
            note_rotation(session_step, answers, rotations)
        everything = [(handle_of(person), kind) for person in range(PEOPLE + 1) for kind in KINDS]
        expect([await store.held(*one) for one in everything], [rules.held(*one) for one in everything], f"what is held after {where}")


def _session_step(step: GrantStep, rotations: dict[int, int]) -> Step:
    if step.what == "beat":
        return Step(0, claims=[claim_by(step.person, rotations.get(step.person, 0), None, active_ago_ms=0)])
    if step.what == "end":
        return Step(0, ends=(step.person, EndedBy.SIGNED_OUT))
    return Step(0, rotates=step.person)
