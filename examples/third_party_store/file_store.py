"""A store by somebody else: one JSON file per session, in one folder. It shows how to write a store.

The rules are not written again: `core.rules` says what becomes of a session, the store only has to read, ask and write in one
step. Here a lock on the folder makes it one step, also between processes, and a rename makes each file whole or not there.
For Linux and macOS, and for a site of some hundred sessions.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from functools import wraps
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec

from stillhere.core.records import Claim, EndedBy, Outcome, Session, View, Visit
from stillhere.core.rules import apply_claim, end_session, ending, is_id_of, rotate_id
from stillhere.errors import SessionExists, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Kept(msgspec.Struct):
    """What one file holds: a session, its views by name, its visits in order."""

    session: Session
    views: dict[str, View] = {}
    visits: list[Visit] = []


def alone(
    work: Callable[Concatenate[FileStore, Params], Result],
) -> Callable[Concatenate[FileStore, Params], Coroutine[Any, Any, Result]]:
    """Let a verb work under the lock, in a thread, so that other requests need not wait for the disk. Trouble is `StoreError`."""

    @wraps(work)
    async def verb(store: FileStore, /, *args: Params.args, **kwargs: Params.kwargs) -> Result:
        def locked() -> Result:
            try:
                with (store.folder / "lock").open("w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
                    return work(store, *args, **kwargs)
            except (OSError, ValueError) as error:
                raise StoreError(f"the folder of sessions cannot be used: {error}") from error

        if store.is_closed:
            raise StoreError("the session store is closed")
        return await asyncio.to_thread(locked)

    return verb


class FileStore:
    """Keeps sessions as files. It can sweep and forget, but neither list nor watch: those abilities are optional.

    Args:
        folder: where the files are; made if it is not there.

    Attributes:
        folder: the same.
        is_closed: it is of no use any more.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self.folder = folder
        self.is_closed = False
        folder.mkdir(parents=True, exist_ok=True)

    @alone
    def create(self, session: Session) -> None:
        """See `Store.create`."""
        if self._read(session.handle) is not None:
            raise SessionExists(session.handle)
        self._write(Kept(session))

    @alone
    def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Store.beat`. A session is written once, after all of its claims: a crash leaves all of them or none."""
        found = {handle: self._read(handle) for handle in {claim.handle for claim in claims}}
        spans = {"visit_gap": visit_gap, "touch_interval": touch_interval, "now": now}
        outcomes = [take_in(found[claim.handle], claim, **spans) for claim in claims]
        for kept in found.values():
            if kept is not None:
                self._write(kept)
        return outcomes

    @alone
    def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        kept = self._read(handle)
        return None if kept is None else kept.session

    @alone
    def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        kept = self._read(handle)
        rotated = None if kept is None else rotate_id(kept.session, id_hash, new_id_hash, now=now)
        if kept is not None and rotated is not None:
            self._write(msgspec.structs.replace(kept, session=rotated))
        return rotated

    @alone
    def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        kept = self._read(handle)
        if kept is None or kept.session.ended_at is not None:
            return Outcome(session=None if kept is None else kept.session)
        return Outcome(session=self._end(kept, by, now), ended_now=True)

    @alone
    def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`."""
        lapsed = [kept for kept in self.everything() if kept.session.ended_at is None and ending(kept.session, now=now)]
        return [self._end(kept, EndedBy.IDLE, now) for kept in lapsed[:limit]]

    @alone
    def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Sweepable.forget`."""
        sessions = [kept.session for kept in self.everything()]
        over = [session.handle for session in sessions if session.ended_at is not None and session.ended_at < ended_before][:limit]
        for handle in over:
            self._path(handle).unlink()
        return len(over)

    @alone
    def ping(self) -> None:
        """See `Store.ping`. The lock has been taken: the folder is there and can be written."""

    async def close(self) -> None:
        """See `Store.close`. Nothing is held open between two verbs."""
        self.is_closed = True

    def everything(self) -> list[Kept]:
        """Read every file."""
        return [kept_in(path.read_bytes()) for path in self.folder.glob("*.json")]

    def _end(self, kept: Kept, by: EndedBy, now: int) -> Session:
        session = end_session(kept.session, by, now=now)
        self._write(msgspec.structs.replace(kept, session=session))
        return session

    def _path(self, handle: str) -> Path:
        return self.folder / f"{sha256(handle.encode()).hexdigest()}.json"  # a handle may be any text, a file's name may not

    def _read(self, handle: str) -> Kept | None:
        path = self._path(handle)
        return kept_in(path.read_bytes()) if path.exists() else None

    def _write(self, kept: Kept) -> None:
        """Put a whole file in the place of the old one; it is on disk when this returns."""
        path = self._path(kept.session.handle)
        with path.with_suffix(".new").open("w", encoding="utf-8") as file:
            json.dump(msgspec.to_builtins(kept), file)
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".new").replace(path)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file has a new name, which is on disk only now
        finally:
            os.close(folder)


def kept_in(text: bytes) -> Kept:
    """Read what a file holds."""
    return msgspec.convert(json.loads(text), Kept)


def take_in(kept: Kept | None, claim: Claim, *, visit_gap: int, touch_interval: int, now: int) -> Outcome:
    """Let the rules say what becomes of a session, its view and its visit; change `kept` accordingly."""
    if kept is None or not is_id_of(claim.id_hash, kept.session):
        return Outcome(session=None)
    before = kept.session
    view = None if claim.view is None else kept.views.get(claim.view)
    number = len(kept.visits) if view is None else view.visit
    visit = kept.visits[number - 1] if number else None
    kept.session, view, visit = apply_claim(before, view, visit, claim, visit_gap=visit_gap, touch_interval=touch_interval, now=now)
    if view is not None:
        kept.views[view.view] = view
    if visit is not None:
        kept.visits[visit.number - 1 : visit.number] = [visit]
    return Outcome(session=kept.session, ended_now=before.ended_at is None and kept.session.ended_at is not None)
