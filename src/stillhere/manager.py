"""What an application holds: policy, store, clock and hooks, put together.

Reads the clock and draws random numbers, so that nothing below has to.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from stillhere.batcher import Batcher, Batching
from stillhere.clock import system_clock
from stillhere.core.ids import HANDLE_BYTES, SECRET_BYTES, hash_secret, read_id, write_handle, write_id
from stillhere.core.policy import Policy, seconds
from stillhere.core.records import Claim, EndedBy, Outcome, Session
from stillhere.core.rules import claim_of, ending, is_id_of, open_session
from stillhere.errors import SettingsError, StoreError
from stillhere.push import Push
from stillhere.stores import open_store
from stillhere.stores.protocol import Immediate, Listable
from stillhere.upkeep import forget_all, sweep_all
from stillhere.verdicts import NO_SESSION, Started, Verdict, verdict_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from stillhere.archive.archive import Archive
    from stillhere.core.wire import Beat
    from stillhere.stores.protocol import Store

__all__ = ["NO_SESSION", "SessionManager", "Started", "Verdict"]

logger = logging.getLogger("stillhere")

SETTLING_MS: Final = seconds(10)
"""Longer than any beat is on its way to a store; then it is answered, or its store gave up."""


class SessionManager:
    """Starts, keeps and ends sessions.

    Args:
        store: a URL (`sqlite:///app.db`, `postgresql://…`, `redis://…`, `memory://`), or a store of your own.
        policy: the rules. Default: `Policy()`.
        archive: URL of a SQL store for the visits, if `store` is the URL of a Redis store; or an archive for a store of your own.
        retention: how long after its end a session is kept, with its visits, milliseconds. Default: for ever.
        clock: tells the milliseconds since 1970. Default: `system_clock()`.
        random_bytes: draws so many random bytes. Default: the operating system's.
        on_started: called with each session that begins.
        on_expiring: called with each session whose warning falls due while a stream of it is open in this process, once for each warning.
        on_ended: called once with each session whose end is recorded, whoever ended it.

    Attributes:
        policy: the rules.
        store: the store.
        archive: the visits.
        clock: the clock.
        push: what keeps open streams told.

    Raises:
        SettingsError: if the URL names no store.
        StoreError: if the store cannot be opened.
    """

    def __init__(  # noqa: PLR0913  # what an application may choose, all but one by keyword
        self,
        store: str | Store,
        *,
        policy: Policy | None = None,
        archive: str | Archive | None = None,
        retention: int | None = None,
        clock: Callable[[], int] | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,  # noqa: TID251  # here it enters
        on_started: Callable[[Session], Awaitable[None]] | None = None,
        on_expiring: Callable[[Session], Awaitable[None]] | None = None,
        on_ended: Callable[[Session], Awaitable[None]] | None = None,
    ) -> None:
        """Open the store."""
        self.policy = policy or Policy()
        self.clock = clock or system_clock()
        self.retention = retention
        self.store, self.archive = _opened(store, archive)
        self._random_bytes = random_bytes
        self._on_started = on_started
        self._on_ended = on_ended
        self._batcher = Batcher(self._send)
        self._immediate = self.store if isinstance(self.store, Immediate) else None
        self._hooks: set[asyncio.Task[None]] = set()
        self.push = Push(
            self.store,
            self.policy,
            self.clock,
            on_lapsed=partial(self._announce, on_ended),
            on_expiring=partial(self._call, on_expiring),
        )

    async def __aenter__(self) -> Self:
        """Hand out the manager; leaving closes it."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close streams, answer what is under way, let the hooks finish, bring visits into the archive, then let go of the store."""
        await self.push.close()
        await self._batcher.drain()
        while self._hooks:  # a hook may end other sessions, which calls more of them
            await asyncio.wait(self._hooks)
        if self.archive is not None:
            with suppress(StoreError):  # nothing is lost: the store has the marks, and the next start goes on
                await self.archive.catch_up()
            await self.archive.close()
        await self.store.close()

    async def start(self, subject: str, *, attributes: Mapping[str, Any] | None = None, replaces: str | None = None) -> Started:
        """Begin a session under a fresh secret id. Call it at every sign-in.

        Args:
            subject: whom it belongs to.
            attributes: what your application wants to keep with it, JSON.
            replaces: the secret id the browser came with, if any. That session ends with `replaced`: ids rotate at login
                (OWASP ASVS 5.0 item 7.2.4).

        Raises:
            ValueError: if the subject is longer than 2,000 bytes, or it or the attributes hold what no store can keep.
            StoreError: if the store cannot be reached.
        """
        handle = write_handle(self._random_bytes(HANDLE_BYTES))
        secret = write_id(handle, self._random_bytes(SECRET_BYTES))
        session = open_session(hash_secret(secret), handle, subject, attributes or {}, policy=self.policy, now=self.clock())
        try:
            await self.store.create(session)
            if replaces is not None:
                await self.end(replaces, EndedBy.REPLACED)
        except StoreError:
            # It may be there although the store did not say so. Nobody will learn its secret; do not leave it behind if it can be helped.
            with suppress(StoreError):
                await self.store.end(handle, EndedBy.REVOKED, now=self.clock())
            raise
        self._announce(self._on_started, session)
        return Started(secret=secret, session=session)

    async def authenticate(self, secret: str | None, *, extends: bool = True) -> Verdict:
        """Judge the session of an ordinary request, and touch it.

        Args:
            secret: the cookie's value, or None. If it cannot be an id at all, the store is not asked.
            extends: the request counts as activity. Pass False for those that must not, such as `X-Heartbeat: true`.

        Raises:
            StoreError: if the store cannot be reached. That says nothing about the session.
        """
        return await self._touch(secret, active_ago_ms=0 if extends else None)

    async def _touch(self, secret: str | None, *, active_ago_ms: int | None, chosen: bool = False) -> Verdict:
        named = read_id(secret)
        if named is None:
            return NO_SESSION
        handle, id_hash = named
        claim = Claim(handle=handle, id_hash=id_hash, active_ago_ms=active_ago_ms, chosen=chosen)
        return self._answer_now(self._immediate, [claim]) if self._immediate else await self._submit([claim])

    async def beat(self, secret: str | None, beats: Sequence[Beat], *, withheld: bool = False) -> Verdict:
        """Take in what a client says.

        Args:
            secret: the cookie's value, or None.
            beats: at least one, oldest first.
            withheld: the request carried `X-Heartbeat: true`, so each is a check.

        Returns:
            What was found after the last.

        Raises:
            StoreError: if the store cannot be reached. Sending the beats again is safe.
        """
        return await self.take(read_id(secret), beats, withheld=withheld)

    async def take(self, named: tuple[str, str] | None, beats: Sequence[Beat], *, withheld: bool = False) -> Verdict:
        """Take in what a client says; as `beat`, for callers who have read the secret id already (`read_id`)."""
        if named is None:
            return NO_SESSION
        handle, id_hash = named
        claims = [claim_of(beat, handle=handle, id_hash=id_hash, policy=self.policy, withheld=withheld) for beat in beats]
        visible_ms = beats[-1].visible_ms
        if self._immediate:
            return self._answer_now(self._immediate, claims, visible_ms=visible_ms)
        return await self._submit(claims, visible_ms=visible_ms)

    async def extend(self, secret: str | None) -> Verdict:
        """Extend a session because its person chose to stay: always in full, whatever the policy's touch interval."""
        return await self._touch(secret, active_ago_ms=0, chosen=True)

    async def look(self, secret: str | None) -> Verdict:
        """Tell how a session stands. Writes nothing at all.

        Raises:
            StoreError: if the store cannot be reached; or if the session is over since a moment ago and no end is recorded yet, for a
                beat that came in time may still be on its way. An end that was told once is final.
        """
        session, now = await self._find(secret), self.clock()
        over = None if session is None or self._immediate else ending(session, now=now)
        if session is not None and over is not None and session.ended_at is None and now - over.at < SETTLING_MS:
            raise StoreError("the session is ending; beats on their way are waited for", retry_after=1)
        return self._verdict(session, now=now)

    async def _find(self, secret: str | None) -> Session | None:
        """Look for the session of a secret id; one that has another id by now is none of its business."""
        named = read_id(secret)
        if named is None:
            return None
        handle, id_hash = named
        session = await self.store.get(handle)
        return session if session is not None and is_id_of(id_hash, session) else None

    async def rotate(self, secret: str) -> Started | None:
        """Give a living session a new secret id. Call it whenever somebody's privileges change; then set the new cookie.

        Returns:
            The session and its new secret, or None if it is over or has another id by now.
        """
        named = read_id(secret)
        if named is None:
            return None
        handle, id_hash = named
        new_secret = write_id(handle, self._random_bytes(SECRET_BYTES))
        new_id_hash = hash_secret(new_secret)
        try:
            session = await self.store.rotate(handle, id_hash, new_id_hash, now=self.clock())
        except StoreError:
            # The swap may be done although its answer was lost. Whoever goes away with the old id then is signed out for nothing.
            session = await self.store.get(handle)
            if session is None or not is_id_of(new_id_hash, session):
                raise
        return None if session is None else Started(secret=new_secret, session=session)

    async def end(self, secret: str | None, by: EndedBy = EndedBy.SIGNED_OUT, *, beats: Sequence[Beat] = ()) -> Verdict:
        """End a session by its secret id. Idempotent; the first reason stays.

        Args:
            secret: the cookie's value, or None.
            by: why.
            beats: last words, taken in before it ends.
        """
        if beats:
            await self.beat(secret, beats)
        session = await self._find(secret)
        return NO_SESSION if session is None else await self.end_by_handle(session.handle, by)

    async def end_by_handle(self, handle: str, by: EndedBy = EndedBy.REVOKED) -> Verdict:
        """End a session by its public handle: from the dashboard, the command line, or another device."""
        outcome = await self.store.end(handle, by, now=self.clock())
        if outcome.ended_now and outcome.session is not None:
            self._announce(self._on_ended, outcome.session)
        return self._verdict(outcome.session, now=self.clock())

    async def end_all(self, subject: str, by: EndedBy = EndedBy.REVOKED, *, but: str | None = None) -> int:
        """End all sessions of one subject.

        Args:
            subject: whose.
            by: why.
            but: handle of one to keep, such as the caller's own.

        Returns:
            How many were ended.
        """
        ended = 0
        while others := [session.handle for session in await self.list(subject) if session.handle != but]:
            for handle in others:
                await self.end_by_handle(handle, by)
            ended += len(others)
        return ended

    async def list(self, subject: str | None = None, *, limit: int = 1000) -> Sequence[Session]:
        """List living sessions, the most recently seen first.

        Args:
            subject: only this one's, or None for everybody's.
            limit: at most so many.

        Raises:
            TypeError: if the store cannot list.
        """
        return await self._listable().living(subject=subject, limit=limit, now=self.clock())

    async def count(self) -> int:
        """Count all living sessions.

        Raises:
            TypeError: if the store cannot list.
        """
        return await self._listable().count(now=self.clock())

    def _listable(self) -> Listable:
        if not isinstance(self.store, Listable):
            raise TypeError(f"{type(self.store).__name__} cannot list sessions: it has no `living` and `count`")
        return self.store

    async def sweep(self) -> int:
        """Record the ends of sessions that lapsed unnoticed, call `on_ended` for each, and do the rest of the upkeep.

        The rest: visits go to the archive, if that is elsewhere, and what ended longer ago than `retention` is forgotten.

        Returns:
            How many. A store that cannot sweep records its ends when they are noticed; then 0.
        """
        swept = 0
        async for session in sweep_all(self.store, self.clock):
            self._announce(self._on_ended, session)
            swept += 1
        await forget_all(self.store, self.archive, retention=self.retention, now=self.clock())
        return swept

    @property
    def batching(self) -> Batching:
        """How claims travel to the store: batches, how many claims wait, how long they did."""
        return self._batcher.metrics

    async def _submit(self, claims: Sequence[Claim], *, visible_ms: int | None = None) -> Verdict:
        session, now = (await self._batcher.submit(claims)).session, self.clock()
        while session is not None and session.ended_at is None and ending(session, now=now) is not None:
            # It lived when the batch left, and lapsed on the way. That is told when it is recorded: others may be on their way too.
            check = Claim(handle=session.handle, id_hash=session.id_hash)
            session, now = (await self._batcher.submit([check])).session, self.clock()
        return self._verdict(session, now=now, visible_ms=visible_ms)

    def _answer_now(self, immediate: Immediate, claims: Sequence[Claim], *, visible_ms: int | None = None) -> Verdict:
        policy, now = self.policy, self.clock()
        outcomes = immediate.beat_now(claims, visit_gap=policy.visit_gap, touch_interval=policy.touch_interval, now=now)
        self._take_note(outcomes)
        return self._verdict(outcomes[-1].session, now=now, visible_ms=visible_ms)

    async def _send(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        policy = self.policy
        outcomes = await self.store.beat(claims, visit_gap=policy.visit_gap, touch_interval=policy.touch_interval, now=self.clock())
        self._take_note(outcomes)
        return outcomes

    def _take_note(self, outcomes: Sequence[Outcome]) -> None:
        streams = self.push.streams
        for outcome in outcomes:
            if outcome.ended_now and outcome.session is not None:
                self._announce(self._on_ended, outcome.session)
            elif streams.followed and outcome.session is not None:
                streams.learn(outcome.session)

    def _announce(self, hook: Callable[[Session], Awaitable[None]] | None, session: Session) -> None:
        # The handle opens nothing and the subject stays out: logs travel further than databases.
        logger.info("session %s %s", session.handle, "started" if session.ended_by is None else f"ended: {session.ended_by}")
        self.push.streams.learn(session)
        self._call(hook, session)

    def _call(self, hook: Callable[[Session], Awaitable[None]] | None, session: Session) -> None:
        if hook is not None:
            # In a task of its own: a slow hook must not hold up the beats of others.
            task = asyncio.get_running_loop().create_task(_called(hook, session))
            self._hooks.add(task)
            task.add_done_callback(self._hooks.discard)

    def _verdict(self, session: Session | None, *, now: int, visible_ms: int | None = None) -> Verdict:
        return NO_SESSION if session is None else verdict_of(session, policy=self.policy, now=now, visible_ms=visible_ms)


def _opened(store: str | Store, archive: str | Archive | None) -> tuple[Store, Archive | None]:
    if isinstance(store, str) and (archive is None or isinstance(archive, str)):
        return open_store(store, archive)
    if isinstance(store, str) or isinstance(archive, str):
        raise SettingsError("store and archive are both URLs, or both objects of your own")
    return store, archive


async def _called(hook: Callable[[Session], Awaitable[None]], session: Session) -> None:
    try:
        await hook(session)
    except Exception:
        # A hook is the application's; its trouble must not keep a session from ending.
        logger.exception("a hook failed for session %s", session.handle)
