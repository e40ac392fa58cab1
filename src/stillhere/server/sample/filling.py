"""Fills a store with sample data: the past is lived by the rules of every beat, and then kept at once."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from stillhere.archive.records import VisitFilter
from stillhere.core.ids import HANDLE_BYTES, SECRET_BYTES, hash_secret, write_handle, write_id
from stillhere.core.policy import Policy, days, hours, minutes, seconds
from stillhere.core.rules import claim_of, ending, open_session
from stillhere.errors import SettingsError
from stillhere.server.sample.scripts import Pace, Parting, Writing, choose_parting
from stillhere.server.sample.world import arrivals_of, choose_visitor, visitors_of
from stillhere.stores.memory import MemoryStore
from stillhere.stores.protocol import Changed, Noting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from stillhere.core.records import Session
    from stillhere.manager import SessionManager
    from stillhere.server.sample.scripts import Act
    from stillhere.server.sample.world import Visitor

SEED: Final = 20

MARK: Final = "stillhere: sample data"
"""What is noted in a store that has sample data."""

CHUNK: Final = 200
"""Sessions kept in one transaction."""

POLICY: Final = Policy(
    idle_timeout=minutes(20),
    absolute_timeout=hours(2),
    warning_timeout=minutes(2),
    beat_interval=seconds(20),
    activity_window=seconds(20),
    visit_gap=minutes(10),
)
"""The rules under which the sample's past was lived."""

PAST: Final = Pace(slice_ms=seconds(20), hidden_ms=minutes(6), stay_ms=minutes(21), work_ms=hours(2))


@runtime_checkable
class Sink(Protocol):
    """What takes in whole sessions."""

    async def keep(self, changes: Sequence[Changed]) -> None:
        """See `ArchiveSink.keep`."""


class Living:
    """A memory store in which scripts are lived.

    Args:
        policy: the rules.
    """

    def __init__(self, policy: Policy = POLICY) -> None:
        """Nobody has lived yet."""
        self.store = MemoryStore()
        self._policy = policy

    async def begin(self, visitor: Visitor, *, handle: bytes, secret: bytes, at: int) -> tuple[Session, str]:
        """Sign somebody in.

        Args:
            visitor: who.
            handle: random bytes of the session's handle.
            secret: random bytes of its secret id.
            at: when.

        Returns:
            The session, and its secret id.
        """
        name = write_handle(handle)
        secret_id = write_id(name, secret)
        session = open_session(hash_secret(secret_id), name, visitor.address, visitor.attributes, policy=self._policy, now=at)
        await self.store.create(session)
        return session, secret_id

    async def play(self, session: Session, acts: Iterable[Act], *, at: int) -> None:
        """Live a script, until it ends or the session does; then its page knows, and says no more."""
        policy = self._policy
        for act in acts:
            now = at + act.after_ms
            if ending(self.store.sessions[session.handle], now=now) is not None:
                return
            if act.ends is not None:
                await self.store.end(session.handle, act.ends, now=now)
            elif act.beat is not None:
                claim = claim_of(act.beat, handle=session.handle, id_hash=session.id_hash, policy=policy)
                self.store.beat_now([claim], visit_gap=policy.visit_gap, touch_interval=0, now=now)

    def changes(self) -> list[Changed]:
        """Give all that was lived, as an archive takes it."""
        store = self.store
        return [
            Changed(handle, 0, session, store.visits.get(handle, []), list(store.views.get(handle, {}).values()))
            for handle, session in store.sessions.items()
        ]


async def lived(rng: Random, *, now: int, zone: tzinfo) -> list[Changed]:
    """Live five weeks; every session in them is over.

    Args:
        rng: draws everything.
        now: milliseconds since 1970.
        zone: whose working hours they are.
    """
    living, visitors = Living(), visitors_of(rng)
    for day, at in arrivals_of(rng, now=now, zone=zone):
        visitor, parting = choose_visitor(rng, visitors, day), choose_parting(rng)
        ended_at = await _stay(rng, living, visitor, parting, at=at, now=now)
        if parting is Parting.REPLACED and ended_at is not None:
            await _stay(rng, living, visitor, Parting.LEAVE, at=ended_at, now=now)
    while await living.store.sweep(limit=CHUNK, now=now):
        pass
    return living.changes()


async def _stay(rng: Random, living: Living, visitor: Visitor, parting: Parting, *, at: int, now: int) -> int | None:
    """Live one session; tell when its script ended. One that would not be over by now is left out: who is here comes with `lively.py`."""
    writing = Writing(rng, PAST, patience=visitor.patience, name="")
    acts: list[Act] = []
    if rng.random() < 0.06:  # noqa: PLR2004  # a few come back after a while, in the same session
        acts += writing.visit(Parting.VANISH)
        writing.pause()
    acts += writing.visit(parting)
    if at + writing.at + POLICY.idle_timeout >= now:
        return None
    session, _ = await living.begin(visitor, handle=rng.randbytes(HANDLE_BYTES), secret=rng.randbytes(SECRET_BYTES), at=at)
    await living.play(session, acts, at=at)
    return at + writing.at


async def fill(manager: SessionManager, *, zone: tzinfo, seed: int = SEED) -> int:
    """Fill a fresh store with sample data; one that has it is left as it is.

    Args:
        manager: on the store.
        zone: whose working hours the sample keeps.
        seed: of the random source.

    Returns:
        How many visits were kept; 0 if the sample was there.

    Raises:
        SettingsError: if the store has visits of others, or cannot take whole sessions.
        StoreError: if the store cannot be reached.
    """
    now, store, archive = manager.clock(), manager.store, manager.archive
    if not isinstance(store, Noting) or archive is None or (not isinstance(store, MemoryStore) and sink_of(manager) is None):
        raise SettingsError("sample data goes into SQLite, PostgreSQL or memory, or into the archive of a Redis store: set archive")
    if await store.noted(MARK, now=now):
        return 0
    if await archive.visits(VisitFilter(limit=1, internal=True, excluded=True), beat_interval=POLICY.beat_interval, now=now):
        raise SettingsError("this store has visits, and sample data would mix with them; give a fresh one: --store sqlite:///sample.db")
    changes = await lived(Random(seed), now=now, zone=zone)  # noqa: S311  # a sample is to be the same each time
    for begin in range(0, len(changes), CHUNK):
        await keep(manager, changes[begin : begin + CHUNK])
    await store.note(MARK, "sample", until=now + days(400))
    return sum(len(change.visits) for change in changes)


def sink_of(manager: SessionManager) -> Sink | None:
    """Tell what takes in whole sessions of a manager's store, or None."""
    archiver = None if manager.archive is None else manager.archive.archiver
    sink: object = manager.store if archiver is None else archiver.sink
    return sink if isinstance(sink, Sink) else None


async def keep(manager: SessionManager, changes: Sequence[Changed]) -> None:
    """Keep whole sessions in a manager's store, or its archive."""
    store, sink = manager.store, sink_of(manager)
    if isinstance(store, MemoryStore):
        for change in changes:
            await store.create(change.session)
            store.visits[change.handle] = change.visits
            store.views[change.handle] = {view.view: view for view in change.views}
    elif sink is not None:
        await sink.keep(changes)
