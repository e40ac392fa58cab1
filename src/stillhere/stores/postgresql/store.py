"""The store on PostgreSQL: any number of processes, every batch one round trip and one transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.grants import Held, Swapped
from stillhere.core.ids import hash_name
from stillhere.core.records import Outcome, Session
from stillhere.errors import SessionExists, StoreError
from stillhere.stores.postgresql.connect import ARCHIVE_TIMEOUT_S, make_ready, open_engine, read_url, refusing
from stillhere.stores.postgresql.listener import Listener
from stillhere.stores.postgresql.wires import Wires
from stillhere.stores.sql import listing
from stillhere.stores.sql.keeping import keep
from stillhere.stores.sql.readers import Readers
from stillhere.stores.sql.waves import waves

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from sqlalchemy import Connection

    from stillhere.core.grants import Grant
    from stillhere.core.records import Claim, EndedBy
    from stillhere.stores.postgresql.wire import Call
    from stillhere.stores.protocol import Changed

SWEPT_AT_ONCE: Final = 250
"""Sessions that a sweep looks at in one transaction."""

_encode: Final = msgspec.json.Encoder().encode
_session: Final = msgspec.json.Decoder(Session).decode
_sessions: Final = msgspec.json.Decoder(list[Session]).decode
_outcomes: Final = msgspec.json.Decoder(list[Outcome]).decode
_held: Final = msgspec.json.Decoder(Held).decode
_all_held: Final = msgspec.json.Decoder(list[Held]).decode
_handles: Final = msgspec.json.Decoder(list[str]).decode

_NOTHING: Final = Held(session=None, grant=None)


class _Swept(msgspec.Struct):
    """What sweep.sql answers."""

    looked_at: int
    ended: list[Session]


_swept: Final = msgspec.json.Decoder(_Swept).decode


class PostgresqlStore:
    """Keeps sessions, views, visits and grants in a PostgreSQL database.

    Claims go there as one JSON text, and records come back as one: both ends write and read it in C. What was answered is durable
    (`synchronous_commit` is `on` or stronger). Nothing waits longer than about five seconds; then it is `StoreError`.

    Args:
        url: `postgresql://user:password@host:port/database`, or `postgres://`; every parameter of libpq may follow as `?sslmode=...`.

    Attributes:
        readers: runs a query in a reading thread, for the archive.

    Raises:
        SettingsError: if the URL cannot be read.
        StoreError: if the database cannot be reached or used, or was written by a newer version.
    """

    def __init__(self, url: str) -> None:
        """Reach the database and bring it to the newest version; connect for good when the first verb is called."""
        parameters = read_url(url)
        self._engine = open_engine(parameters)
        try:
            make_ready(self._engine)
        finally:
            self._engine.dispose()  # a process that is forked from here must not share a connection
        self.readers = Readers(self._engine, timeout_s=ARCHIVE_TIMEOUT_S)
        self._run = Wires(parameters)
        self._listener = Listener(parameters)

    async def create(self, session: Session) -> None:
        """See `Store.create`."""
        (handle,) = await self._run(("create", _columns(session)))
        if handle is None:
            raise SessionExists(session.handle)

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        numbers = [b"%d" % now, b"%d" % visit_gap, b"%d" % touch_interval]
        split = waves(claims)
        _, *answers = await self._run(
            _lock(*(claim.handle for claim in claims)),
            *(("beat", [_encode([claims[position] for position in wave]), *numbers]) for wave in split),
        )
        outcomes = [Outcome(session=None)] * len(claims)
        for wave, answer in zip(split, answers, strict=True):
            for position, outcome in zip(wave, _outcomes(answer or b""), strict=True):
                outcomes[position] = outcome
        return outcomes

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        if not _can_be(handle):
            return None
        (found,) = await self._run(("get", [handle.encode()]))
        return None if found is None else _session(found)

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        if not _can_be(handle):
            return None
        (rotated,) = await self._run(("rotate", [handle.encode(), id_hash.encode(), new_id_hash.encode(), b"%d" % now]))
        return None if rotated is None else _session(rotated)

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        if not _can_be(handle):
            return Outcome(session=None)
        ended, found = await self._run(("end", [handle.encode(), by.value.encode(), b"%d" % now]), ("get", [handle.encode()]))
        return Outcome(session=None if found is None else _session(found), ended_now=ended is not None)

    async def living(self, *, subject: str | None, limit: int, now: int) -> list[Session]:
        """See `Listable.living`."""
        if subject is not None and not _can_be(subject):
            return []
        if subject is not None:
            (found,) = await self._run(("living_of", [b"%d" % now, b"%d" % limit, subject.encode()]))
            return _sessions(found or b"[]")
        return await listing.living(self.readers, subject=None, limit=limit, now=now)

    async def count(self, *, now: int) -> int:
        """See `Listable.count`."""
        return await listing.count(self.readers, now=now)

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`. Looks at those who are due, a few in each transaction, so that no beat waits for long.

        Whose end is recorded is told, also if a later transaction fails: the next call meets that trouble.
        """
        clock = asyncio.get_running_loop().time
        ended: list[Session] = []
        while True:
            began_at = clock()
            try:
                (told,) = await self._run(("sweep", [b"%d" % now, b"%d" % (limit - len(ended)), b"%d" % SWEPT_AT_ONCE]))
            except StoreError:
                if ended:
                    return ended
                raise
            swept = _swept(told or b"")
            ended += swept.ended
            if swept.looked_at < SWEPT_AT_ONCE:
                return ended
            await asyncio.sleep(clock() - began_at)  # there is more, for now or the next call: half of the time is the beats'
            if len(ended) >= limit:
                return ended

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Forgetful.forget`."""
        _, forgotten = await self._run(("share_days", []), ("forget", [b"%d" % ended_before, b"%d" % limit]))
        return int(forgotten or 0)

    async def held(self, handle: str, kind: str) -> Held:
        """See `Granting.held`."""
        if not _can_be(handle, kind):
            return _NOTHING
        (found,) = await self._run(("held", [handle.encode(), kind.encode()]))
        return _NOTHING if found is None else _held(found)

    async def swap(self, grant: Grant, *, now: int) -> Swapped:
        """See `Granting.swap`."""
        if not _can_be(grant.handle, grant.kind):
            return Swapped(done=False, held=_NOTHING)
        names = [grant.handle.encode(), grant.kind.encode()]
        rest = [b"%d" % grant.version, grant.document.encode(), b"%d" % grant.check_at, b"%d" % now]
        _, kept, found = await self._run(_lock(grant.handle), ("swap", [*names, *rest]), ("held", names))
        held = _NOTHING if found is None else _held(found)
        return Swapped(done=kept is not None or held.grant == grant, held=held)

    async def due_grants(self, kind: str, *, limit: int, now: int, until: int) -> list[Held]:
        """See `Granting.due_grants`. The earliest are chosen."""
        if not _can_be(kind):
            return []
        (found,) = await self._run(("due_grants", [kind.encode(), b"%d" % now, b"%d" % until, b"%d" % limit]))
        return _all_held(found or b"[]")

    async def drop(self, handle: str, kind: str, *, version: int) -> bool:
        """See `Granting.drop`."""
        if not _can_be(handle, kind):
            return False
        _, dropped = await self._run(_lock(handle), ("drop", [handle.encode(), kind.encode(), b"%d" % version]))
        return dropped is not None

    async def first(self, name: str, *, until: int, now: int) -> bool:
        """See `Noting.first`."""
        taken, _ = await self._run(("first", [hash_name(name).encode(), b"%d" % until, b"%d" % now]), ("pass", [b"%d" % now]))
        return taken is not None

    async def note(self, name: str, handle: str, *, until: int) -> None:
        """See `Noting.note`."""
        if _can_be(handle):
            await self._run(("note", [hash_name(name).encode(), handle.encode(), b"%d" % until]))

    async def noted(self, name: str, *, now: int) -> list[str]:
        """See `Noting.noted`."""
        (found,) = await self._run(("noted", [hash_name(name).encode(), b"%d" % now]))
        return _handles(found or b"[]")

    async def generation(self, subject: str) -> int:
        """See `Noting.generation`."""
        (number,) = await self._run(("generation", [hash_name(subject).encode()]))
        return int(number or 0)

    async def advance(self, subject: str) -> int:
        """See `Noting.advance`."""
        (number,) = await self._run(("advance", [hash_name(subject).encode()]))
        return int(number or 0)

    async def keep(self, changes: Sequence[Changed]) -> None:
        """See `ArchiveSink.keep`."""
        await self.readers(_keep, changes)

    def watch(self) -> AsyncGenerator[str | None]:
        """See `Watchable.watch`. Takes one connection more, whoever watches in this process."""
        return self._listener.watch()

    async def ping(self) -> None:
        """See `Store.ping`. Takes a transaction id, so that a server that cannot write is found out."""
        await self._run(("ping", []))

    async def close(self) -> None:
        """See `Store.close`."""
        await self._run.close()
        await self._listener.close()
        await asyncio.to_thread(self._close_readers)

    def _close_readers(self) -> None:
        self.readers.close()
        self._engine.dispose()


def _can_be(*names: str) -> bool:
    """Tell whether anything can be called so: PostgreSQL has no U+0000, and libpq would look for what is before it."""
    return not any("\0" in name for name in names)


def _lock(*handles: str) -> Call:
    """Take these sessions for the transaction. A statement of its own: the next one sees what those who held them before have written."""
    return "lock", [_encode(handles)]


def _keep(connection: Connection, changes: Sequence[Changed]) -> None:
    # In the order of their handles, as lock.sql goes: several processes may keep the same ones.
    with refusing():
        keep(connection, sorted(changes, key=lambda changed: changed.handle))
        connection.commit()


def _columns(session: Session) -> list[bytes | None]:
    """Write a session's columns in the order of create.sql."""
    return [
        session.handle.encode(),
        session.id_hash.encode(),
        session.subject.encode(),
        b"%d" % session.created_at,
        b"%d" % session.last_active_at,
        b"%d" % session.last_seen_at,
        b"%d" % session.absolute_end_at,
        b"%d" % session.idle_timeout,
        _encode(session.attributes),
        None if session.ended_at is None else b"%d" % session.ended_at,
        None if session.ended_by is None else session.ended_by.value.encode(),
    ]
