"""What an application holds: policy, store, clock and hooks, put together.

Reads the clock and draws random numbers, so that nothing below has to.
"""

from __future__ import annotations

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
from stillhere.errors import StoreError
from stillhere.hooks import Hooks
from stillhere.metrics import Metrics
from stillhere.people import People, listable
from stillhere.push import Push
from stillhere.stores import store_of
from stillhere.stores.protocol import Immediate
from stillhere.upkeep import forget_all, sweep_all
from stillhere.verdicts import NO_SESSION, Started, Verdict, verdict_of, with_expiry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from stillhere.archive.archive import Archive
    from stillhere.core.wire import Beat
    from stillhere.stores.protocol import Store
    from stillhere.tokens.settings import Tokens

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
        tokens: which tokens sessions have beside their cookies: `stillhere.tokens.Tokens`. Default none.
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
        credentials: what issues, reads and refreshes those tokens, or None.
        people: what a person can do with all their sessions; fence, limit, re-authentication.
        push: what keeps open streams told.
        metrics: what this process counts of itself.

    Raises:
        SettingsError: if the URL names no store, or the store cannot do what policy or tokens ask for.
        StoreError: if the store cannot be opened.
    """

    def __init__(  # noqa: PLR0913  # what an application may choose, all but one by keyword
        self,
        store: str | Store,
        *,
        policy: Policy | None = None,
        archive: str | Archive | None = None,
        tokens: Tokens | None = None,
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
        self.store, self.archive = store_of(store, archive)
        if self.archive is not None:
            self.archive.ramp = self.policy.ramp
        self._random_bytes = random_bytes
        self._on_started = on_started
        self._on_ended = on_ended
        self._batcher = Batcher(self._send)
        self.metrics = Metrics(self.store, self.policy, self.clock, self._batcher.sizes, self._batcher.waits)
        self._immediate = self.store if isinstance(self.store, Immediate) else None
        self._hooks = Hooks()
        self.people = People(self.store, self.policy, clock=self.clock, random_bytes=random_bytes, end=self.end_by_handle)
        self.credentials = (
            None
            if tokens is None
            else tokens.open(self.store, policy=self.policy, clock=self.clock, random_bytes=random_bytes, end=self._end_for_tokens)
        )
        self.push = Push(
            self.store,
            self.policy,
            self.clock,
            on_lapsed=partial(self._announce, on_ended),
            on_expiring=partial(self._hooks.call, on_expiring),
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
        if self.credentials is not None:
            await self.credentials.close()
        await self._hooks.finish()
        if self.archive is not None:
            with suppress(StoreError):  # nothing is lost: the store has the marks, and the next start goes on
                await self.archive.catch_up()
            await self.archive.close()
        await self.store.close()

    async def start(
        self, subject: str, *, attributes: Mapping[str, Any] | None = None, replaces: str | None = None, fence: int | None = None
    ) -> Started:
        """Begin a session under a fresh secret id. Call it at every sign-in.

        Args:
            subject: whom it belongs to.
            attributes: what your application wants to keep with it, JSON.
            replaces: the secret id the browser came with, if any. That session ends with `replaced`: ids rotate at login
                (OWASP ASVS 5.0 item 7.2.4).
            fence: the subject's generation from before you checked who they are (`people.generation`). Default: as it is now.

        Raises:
            ValueError: if the subject is longer than 2,000 bytes, or it or the attributes hold what no store can keep.
            SignInRefused: if all their sessions were ended meanwhile, or there are as many as there may be.
            StoreError: if the store cannot be reached.
        """
        handle = write_handle(self._random_bytes(HANDLE_BYTES))
        secret = write_id(handle, self._random_bytes(SECRET_BYTES))
        session = open_session(hash_secret(secret), handle, subject, attributes or {}, policy=self.policy, now=self.clock())
        replaced = await self.find(replaces)
        await self.people.admit(session, fence=fence, replaced=None if replaced is None else replaced.handle)
        self._announce(self._on_started, session)
        return Started(secret=secret, session=session)

    async def authenticate(self, secret: str | None, *, extends: bool = True, withheld: bool = False) -> Verdict:
        """Judge the session of an ordinary request, and touch it.

        Args:
            secret: the cookie's value, or None. If it cannot be an id at all, the store is not asked.
            extends: the request counts as activity. Pass False for those that must not, such as `X-Heartbeat: true`.
            withheld: that is why it does not; it would otherwise. Only counted.

        Raises:
            StoreError: if the store cannot be reached. That says nothing about the session.
        """
        named = await self.recognize(secret)
        if named is None:
            return NO_SESSION
        try:
            verdict = await self._touch(named, active_ago_ms=0 if extends else None)
        except StoreError:
            self.metrics.touches.unavailable += 1
            raise
        self.metrics.touched(verdict, extends=extends, withheld=withheld)
        return verdict

    def named(self, secret: str | None) -> tuple[str, str] | None:
        """Read whom a secret id, or an access token, speaks for: the handle, and the hash that proves it; None if it can be neither."""
        named = read_id(secret)
        return named if named or secret is None or self.credentials is None else self.credentials.named(secret)

    async def recognize(self, secret: str | None) -> tuple[str, str] | None:
        """As `named`, and also of an access token that is over with its session, so that its client hears why; the store may be asked."""
        named = self.named(secret)
        return named if named or secret is None or self.credentials is None else await self.credentials.outlived(secret)

    async def _touch(self, named: tuple[str, str], *, active_ago_ms: int | None, chosen: bool = False) -> Verdict:
        claim = Claim(handle=named[0], id_hash=named[1], active_ago_ms=active_ago_ms, chosen=chosen)
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
        return await self.take(await self.recognize(secret), beats, withheld=withheld)

    async def take(self, named: tuple[str, str] | None, beats: Sequence[Beat], *, withheld: bool = False) -> Verdict:
        """Take in what a client says; as `beat`, for callers who have read the secret id already (`recognize`)."""
        if named is None:
            return NO_SESSION
        handle, id_hash = named
        claims = [claim_of(beat, handle=handle, id_hash=id_hash, policy=self.policy, withheld=withheld) for beat in beats]
        visible_ms = beats[-1].visible_ms
        try:
            if self._immediate:
                verdict = self._answer_now(self._immediate, claims, visible_ms=visible_ms)
            else:
                verdict = await self._submit(claims, visible_ms=visible_ms)
        except StoreError:
            self.metrics.missed(beats, withheld=withheld)
            raise
        self.metrics.took(beats, verdict, withheld=withheld)
        return verdict if self.credentials is None else await self._with_tokens(verdict, may_refresh=self.credentials.is_present(claims))

    async def _with_tokens(self, verdict: Verdict, *, may_refresh: bool) -> Verdict:
        """Add to a verdict when the provider's access token ends, after seeing to it if it is time; the provider may end the session."""
        if self.credentials is None or self.credentials.provider is None or verdict.session is None or not verdict.is_alive:
            return verdict
        expiry, now = await self.credentials.expiry(verdict.session, may_refresh=may_refresh), self.clock()
        if expiry.session is None or ending(expiry.session, now=now) is not None:
            return self._verdict(expiry.session, now=now)
        return with_expiry(verdict, expiry.expires_at, expiry.refresh_at, now=now)

    async def extend(self, secret: str | None) -> Verdict:
        """Extend a session because its person chose to stay: always in full, whatever the policy's touch interval."""
        named = await self.recognize(secret)
        return NO_SESSION if named is None else self.metrics.chose(await self._touch(named, active_ago_ms=0, chosen=True))

    async def look(self, secret: str | None) -> Verdict:
        """Tell how a session stands. Writes nothing at all.

        Raises:
            StoreError: if the store cannot be reached; or if the session is over since a moment ago and no end is recorded yet, for a
                beat that came in time may still be on its way. An end that was told once is final.
        """
        session, now = await self.find(secret), self.clock()
        over = None if session is None or self._immediate else ending(session, now=now)
        if session is not None and over is not None and session.ended_at is None and now - over.at < SETTLING_MS:
            raise StoreError("the session is ending; beats on their way are waited for", retry_after=1)
        verdict = self._verdict(session, now=now)
        return verdict if self.credentials is None else await self._with_tokens(verdict, may_refresh=False)

    async def find(self, secret: str | None) -> Session | None:
        """Look for the session of a secret id; one that has another id by now is none of its business."""
        named = await self.recognize(secret)
        if named is None:
            return None
        session = await self.store.get(named[0])
        return session if session is not None and is_id_of(named[1], session) else None

    async def rotate(self, secret: str) -> Started | None:
        """Give a living session a new secret id. Call it whenever somebody's privileges change; then set the new cookie.

        Returns:
            The session and its new secret, or None if it is over or has another id by now. Also for an access token, which lasts a few
            minutes and must not be traded for an id that lasts.
        """
        return await self.people.rotate(read_id(secret))

    async def reauthenticated(self, secret: str | None, *, step_up_ms: int = 0) -> Started | None:
        """Take note that somebody proved again who they are; gives a new secret id, as `rotate`. See `People.reauthenticated`."""
        return await self.people.reauthenticated(read_id(secret), step_up_ms=step_up_ms)

    async def end(self, secret: str | None, by: EndedBy = EndedBy.SIGNED_OUT, *, beats: Sequence[Beat] = ()) -> Verdict:
        """End a session by its secret id. Idempotent; the first reason stays.

        Args:
            secret: the cookie's value, or None.
            by: why.
            beats: last words, taken in before it ends.
        """
        if beats:
            await self.beat(secret, beats)
        session = await self.find(secret)
        return NO_SESSION if session is None else await self.end_by_handle(session.handle, by)

    async def end_by_handle(self, handle: str, by: EndedBy = EndedBy.REVOKED) -> Verdict:
        """End a session by its public handle: from the dashboard, the command line, or another device."""
        outcome = await self.store.end(handle, by, now=self.clock())
        if outcome.ended_now and outcome.session is not None:
            self._announce(self._on_ended, outcome.session)
        return self._verdict(outcome.session, now=self.clock())

    async def _end_for_tokens(self, handle: str, by: EndedBy) -> Session | None:
        return (await self.end_by_handle(handle, by)).session

    async def end_all(self, subject: str, by: EndedBy = EndedBy.REVOKED, *, but: str | None = None) -> int:
        """End all sessions of one subject, those included that are just beginning.

        Args:
            subject: whose.
            by: why.
            but: handle of one to keep, such as the caller's own.

        Returns:
            How many were ended.
        """
        return await self.people.end_all(subject, by, but=but)

    async def list(self, subject: str | None = None, *, limit: int = 1000) -> Sequence[Session]:
        """List living sessions, the most recently seen first.

        Args:
            subject: only this one's, or None for everybody's.
            limit: at most so many.

        Raises:
            TypeError: if the store cannot list.
        """
        return await listable(self.store).living(subject=subject, limit=limit, now=self.clock())

    async def count(self) -> int:
        """Count all living sessions.

        Raises:
            TypeError: if the store cannot list.
        """
        return await listable(self.store).count(now=self.clock())

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
        if self.credentials is not None:
            await self.credentials.upkeep()
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
        self.metrics.announced(session)
        self.push.streams.learn(session)
        if self.credentials is not None and session.ended_by is not None:
            self.credentials.ended(session)
        self._hooks.call(hook, session)

    def _verdict(self, session: Session | None, *, now: int, visible_ms: int | None = None) -> Verdict:
        return NO_SESSION if session is None else verdict_of(session, policy=self.policy, now=now, visible_ms=visible_ms)
