"""What a store promises. Few verbs; absence is `None`; trouble is `StoreError`; the caller tells the time.

A store holds no policy and reads no clock. Whatever it answers it has made durable, as far as its database can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from stillhere.core.records import Session, View, Visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from stillhere.core.grants import Grant, Held, Swapped
    from stillhere.core.records import Claim, EndedBy, Outcome


class Store(Protocol):
    """The verbs every store has. All of them are atomic, also between processes."""

    async def create(self, session: Session) -> None:
        """Keep a new session.

        Raises:
            SessionExists: if its handle is taken; nothing was overwritten.
            StoreError: if the store cannot be reached.
        """

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """Judge, credit and remember a whole batch, as `core.rules.apply_claim` says, each claim after the one before it.

        A claim without the session's own id changes nothing; its outcome has no session.

        Args:
            claims: the batch; several may speak for one session.
            visit_gap: absence after which a new view begins a new visit, milliseconds.
            touch_interval: clocks that would move by less stay where they are, milliseconds. The operation itself decides, not a
                read before it.
            now: milliseconds since 1970, the same for the whole batch.

        Returns:
            One outcome for each claim, in order, holding the session as it is after that claim.

        Raises:
            StoreError: if the store cannot be reached. Sending the batch again is safe.
        """

    async def get(self, handle: str) -> Session | None:
        """Look at a session. Writes nothing."""

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """Swap a living session's id, if it still has the id presented; None if not."""

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """End a session. Idempotent: the first reason stays, and one that had lapsed ended at its deadline.

        Returns:
            The session as it is now, and whether this call was the one that recorded its end.
        """

    async def ping(self) -> None:
        """Do nothing, but through to the database.

        Raises:
            StoreError: if the store cannot be reached.
        """

    async def close(self) -> None:
        """Let go of connections and threads. The store is of no use afterwards."""


@runtime_checkable
class Immediate(Protocol):
    """A store that answers without waiting for anything, so that its beats need not travel in batches."""

    def beat_now(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """As `Store.beat`, at once."""


@runtime_checkable
class Listable(Protocol):
    """A store that can say which sessions live."""

    async def living(self, *, subject: str | None, limit: int, now: int) -> list[Session]:
        """List living sessions, the most recently seen first.

        Args:
            subject: only this one's, or None for everybody's.
            limit: at most so many.
            now: milliseconds since 1970.
        """

    async def count(self, *, now: int) -> int:
        """Count all living sessions."""


@runtime_checkable
class Forgetful(Protocol):
    """A store that can delete what is long over."""

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """Delete up to `limit` sessions that are over since before an instant, with their visits, views and grants; tell how many.

        Over is one whose end was recorded, or whose absolute end has passed; one that only lapsed is swept first.
        """


@runtime_checkable
class Sweepable(Forgetful, Protocol):
    """A store that can record the ends of sessions that lapsed unnoticed, and forget those that are long over."""

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """Record up to `limit` ends and return those sessions. It decides nothing: each ended at its deadline."""


class Changed(msgspec.Struct, frozen=True):
    """A session whose visits, views or end are not in the archive as they are.

    Attributes:
        handle: the session's.
        mark: which change this is; `Archivable.archived` wants it back.
        session: the record.
        visits: all of them, in order.
        views: all of them.
    """

    handle: str
    mark: int
    session: Session
    visits: list[Visit]
    views: list[View]


@runtime_checkable
class Archivable(Protocol):
    """A store whose visits are archived elsewhere. It marks what changes until it is told that the archive has it."""

    async def changed(self, limit: int) -> list[Changed]:
        """Read up to `limit` sessions that are marked; each has its turn, however often others change."""

    async def archived(self, marks: Sequence[tuple[str, int]]) -> None:
        """Take note that the archive has these, `(handle, mark)` each, unless they changed since."""

    async def erase_subject(self, subject: str) -> bool:
        """Delete a subject's sessions that have ended; False if one is left, for it lives or waits for the archive."""


@runtime_checkable
class Watchable(Protocol):
    """A store that tells of ends as they are recorded, in whatever process."""

    def watch(self) -> AsyncIterator[str | None]:
        """Tell the handle of every session whose end is recorded from now on.

        None comes first, when listening has begun, and again whenever something may have been missed: look at all you hold then.

        Raises:
            StoreError: if the store cannot be reached at first, or is closed. A connection that is lost later is made anew.
        """


@runtime_checkable
class Granting(Protocol):
    """A store that keeps what sessions hold of token issuers (`core.grants`). A session that holds nothing costs nothing."""

    async def held(self, handle: str, kind: str) -> Held:
        """Look at a session and its grant of a kind, both as of one moment. Writes nothing."""

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """Keep a grant in the place of the one before it, as `core.grants.swap_grant` says.

        One conditional write: session and version are judged in the operation that writes. A swap that is done came before the
        session's end. It records no end.

        Args:
            grant: the new record.
            now: milliseconds since 1970.

        Returns:
            Whether it is kept, and how things are afterwards. Repeating it is safe: the very same grant is done again.

        Raises:
            StoreError: if the store cannot be reached.
        """

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """Find grants of a kind whose `check_at` has come, also those of sessions that are over.

        Their `check_at` moves to `until` in the same step, so that other processes leave them alone meanwhile. If the answer is
        lost, they are due again then.

        Args:
            kind: which grants.
            limit: at most so many.
            now: milliseconds since 1970.
            until: when they are due again, unless somebody swaps or drops them.

        Returns:
            Them as they are afterwards, with their sessions; in any order.
        """

    async def drop(self, handle: str, kind: str, *, version: int) -> bool:
        """Delete a grant if that is its version, also of a session that is over; tell whether this call did."""


@runtime_checkable
class Noting(Protocol):
    """A store that keeps small facts which processes share. Names may be any text; they are kept as hashes."""

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """Tell whether nobody has come with a name before: a token that may be used once, a login that is under way.

        True for one caller at most, until the instant `until` has passed. If that one's answer is lost, nobody is told.

        Args:
            name: what may be used once.
            until: up to when, included, everybody else is told False.
            now: milliseconds since 1970.
        """

    async def note(self, name: str, handle: str, *, until: int) -> None:
        """Note that a session also goes by a name, such as a provider's `sid` or `sub`; forgotten after `until`."""

    async def noted(self, name: str, *, now: int) -> list[str]:
        """Tell the handles noted for a name, in any order. Sessions of them may be over, or never have begun: the caller looks at each."""

    async def generation(self, subject: str) -> int:
        """Tell how often a subject's generation was advanced; 0 if never."""

    async def advance(self, subject: str) -> int:
        """Advance a subject's generation by one: the fence behind "end everywhere".

        Returns:
            The new number. Repeating it advances once more.
        """
