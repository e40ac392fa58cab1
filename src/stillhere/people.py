"""What a person can do with all their sessions, and what a sign-in owes the others: fence, limit, and proof of who they are."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from stillhere.core.grants import Grant
from stillhere.core.ids import SECRET_BYTES, hash_secret, write_id
from stillhere.core.people import FRESH, Authentication, Fresh, authentication_of, surplus_of, write_fresh
from stillhere.core.policy import LONGEST_SPAN, MOST_SESSIONS, Policy, SessionLimitBy, hours
from stillhere.core.records import EndedBy, Session
from stillhere.core.rules import ending, is_id_of
from stillhere.errors import EndedEverywhere, SettingsError, SignInRefused, StoreError, TooManySessions
from stillhere.stores.protocol import Granting, Listable, Noting
from stillhere.verdicts import Started

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stillhere.stores.protocol import Store
    from stillhere.verdicts import Verdict

ROUNDS: Final = 20
"""How often a write is tried that others overtake; each time one of them got through."""


class EndByHandle(Protocol):
    """Ends a session by its handle, and calls the hooks."""

    def __call__(self, handle: str, by: EndedBy) -> Awaitable[Verdict]:
        """End it for that reason."""


LONGEST_SIGN_IN: Final = hours(24)
"""How long it is remembered when somebody's sessions were ended everywhere; a login that took longer is over by itself."""


class People:
    """The sessions of each subject, together.

    Args:
        store: where they are.
        policy: the rules.
        clock: tells the milliseconds since 1970.
        random_bytes: draws so many random bytes.
        end: ends a session by its handle.

    Raises:
        SettingsError: if the policy limits sessions and the store cannot list them.
    """

    def __init__(
        self, store: Store, policy: Policy, *, clock: Callable[[], int], random_bytes: Callable[[int], bytes], end: EndByHandle
    ) -> None:
        """Ask the store nothing yet."""
        if policy.session_limit is not None and not isinstance(store, Listable):
            raise SettingsError(f"session_limit needs a store that lists sessions; {type(store).__name__} has no `living` and `count`")
        self._store = store
        self._policy = policy
        self._clock = clock
        self._random_bytes = random_bytes
        self._end = end

    # Signing in

    async def generation(self, subject: str) -> int:
        """Tell a subject's generation: how often all their sessions were ended. Read it before you check who somebody is.

        Returns:
            The number for `SessionManager.start(…, fence=…)`; 0 from a store that has no fences.

        Raises:
            StoreError: if the store cannot be reached.
        """
        return await self._store.generation(subject) if isinstance(self._store, Noting) else 0

    async def fence_since(self, subject: str, began_at: int) -> int:
        """Tell a subject's generation for somebody whose sign-in began before anybody knew who they are, as at a provider.

        Args:
            subject: whom they turned out to be.
            began_at: when it began.

        Returns:
            The number for `SessionManager.start(…, fence=…)`.

        Raises:
            EndedEverywhere: if all their sessions were ended since then.
            StoreError: if the store cannot be reached.
        """
        fence = await self.generation(subject)
        # In this order, and `end_all` in the other: an end that is not noted yet here advances the generation after it was read.
        if isinstance(self._store, Noting):
            ends = await self._store.noted(_ends_of(subject), now=self._clock())
            if any(int(ended_at) >= began_at for ended_at in ends):
                raise EndedEverywhere
        return fence

    async def admit(self, session: Session, *, fence: int | None = None, replaced: str | None = None) -> None:
        """Keep a new session, if nothing speaks against it by the time it is there; else nothing is left behind.

        Args:
            session: the new one.
            fence: the subject's generation from before they proved who they are. Default: as it is now.
            replaced: handle of the session that it takes the place of, if any.

        Raises:
            EndedEverywhere: if all sessions of the subject were ended since the fence.
            TooManySessions: if there are as many as there may be, and the policy refuses more; or more signed in at the same moment.
            StoreError: if the store cannot be reached.
        """
        if fence is None:
            fence = await self.generation(session.subject)
        await self._refuse_one_more(session.subject, but=replaced)
        try:
            await self._store.create(session)
            # What is ended from now on finds the session; what was ended until now is seen here. So neither misses the other.
            if await self.generation(session.subject) != fence:
                raise EndedEverywhere
            if replaced is not None:
                await self._end(replaced, EndedBy.REPLACED)
            await self._keep_limit(session)
        except (StoreError, SignInRefused):
            # It may be there although the store did not say so. Nobody will learn its secret; do not leave it behind if it can be helped.
            with suppress(StoreError):
                await self._store.end(session.handle, EndedBy.REVOKED, now=self._clock())
            raise

    async def _refuse_one_more(self, subject: str, *, but: str | None) -> None:
        limit = self._policy.session_limit
        if limit is None or self._policy.session_limit_by is not SessionLimitBy.REFUSE:
            return
        others = [session for session in await self.living(subject) if session.handle != but]
        if len(others) >= limit:
            raise TooManySessions(limit)

    async def _keep_limit(self, session: Session) -> None:
        limit = self._policy.session_limit
        while limit is not None:
            living = await self.living(session.subject)
            surplus = surplus_of(living, session.handle, limit=limit, by=self._policy.session_limit_by)
            for one in surplus:
                if one.handle != session.handle:
                    await self._end(one.handle, EndedBy.REVOKED)
            kept = {one.handle for one in living} - {one.handle for one in surplus}
            if session.handle not in kept:
                raise TooManySessions(limit)
            if len(living) < MOST_SESSIONS:
                return

    # All of one person

    async def living(self, subject: str) -> list[Session]:
        """List a subject's living sessions, the most recently seen first; at most 1,000.

        Raises:
            TypeError: if the store cannot list.
            StoreError: if the store cannot be reached.
        """
        return await listable(self._store).living(subject=subject, limit=MOST_SESSIONS, now=self._clock())

    async def end_all(self, subject: str, by: EndedBy, *, but: str | None = None) -> int:
        """End all sessions of a subject, those included that are just beginning (OWASP ASVS 5.0 items 7.4.3 and 7.5.2).

        See `SessionManager.end_all`.
        """
        listable(self._store)
        if isinstance(self._store, Noting):
            now = self._clock()
            await self._store.note(_ends_of(subject), str(now), until=now + LONGEST_SIGN_IN)
            await self._store.advance(subject)
        ended = 0
        while others := [session.handle for session in await self.living(subject) if session.handle != but]:
            for handle in others:
                await self._end(handle, by)
            ended += len(others)
        return ended

    async def own(self, subject: str, handle: str) -> Session | None:
        """Look at a session of a subject, whether it lives or not; None if there is none, or it is another's.

        Raises:
            StoreError: if the store cannot be reached.
        """
        session = await self._store.get(handle)
        return session if session is not None and session.subject == subject else None

    async def end_one(self, session: Session, by: EndedBy) -> int:
        """End a session as it was looked at; tell how many that ended: 1, or 0 if it was over before.

        Raises:
            StoreError: if the store cannot be reached.
        """
        if ending(session, now=self._clock()) is not None:
            return 0
        await self._end(session.handle, by)
        return 1

    # Who they are

    async def rotate(self, named: tuple[str, str] | None, secret: str | None = None) -> Started | None:
        """Give a living session a new secret id.

        Args:
            named: its handle, and the hash of the id that it has.
            secret: the new id. Default: one is drawn.

        Returns:
            The session and its new secret, or None if it is over or has another id by now.
        """
        if named is None:
            return None
        handle, id_hash = named
        new_secret = self._drawn(handle) if secret is None else secret
        new_id_hash = hash_secret(new_secret)
        try:
            session = await self._store.rotate(handle, id_hash, new_id_hash, now=self._clock())
        except StoreError:
            # The swap may be done although its answer was lost. Whoever goes away with the old id then is signed out for nothing.
            session = await self._store.get(handle)
            if session is None or not is_id_of(new_id_hash, session):
                raise
        return None if session is None else Started(secret=new_secret, session=session)

    async def reauthenticated(self, named: tuple[str, str] | None, *, step_up_ms: int = 0) -> Started | None:
        """Take note that somebody just proved again who they are, and give their session a new id (OWASP ASVS 5.0 item 7.2.4).

        The proof is bound to the new id. It is written first: if that fails nothing has changed, and nobody is signed out.

        Args:
            named: handle of the session, and the hash of the id that it has: `SessionManager.named`.
            step_up_ms: for how long they may do what asks for more, milliseconds; 0 for not at all.

        Returns:
            The session and its new secret; set the new cookie. None if it is over or has another id by now.

        Raises:
            ValueError: if the span is negative, or longer than 400 days.
            TypeError: if the store cannot keep it.
            StoreError: if the store cannot be reached.
        """
        if type(step_up_ms) is not int or not 0 <= step_up_ms <= LONGEST_SPAN:
            raise ValueError(f"step_up_ms must be a whole number of milliseconds from 0 to {LONGEST_SPAN}, not {step_up_ms!r}")
        store = _granting(self._store)
        if named is None:
            return None
        handle, id_hash = named
        secret, now = self._drawn(handle), self._clock()
        new_id_hash = hash_secret(secret)
        document = write_fresh(Fresh(auth_at=now, until_at=now + step_up_ms, id_hash=new_id_hash))
        if not await self._record(store, handle, id_hash, document):
            return None
        started = await self.rotate(named, secret)
        if started is not None:
            # Another who came with the same id may have written since, or be about to, and will get no new id. Writing once more
            # undoes the one and overtakes the other; after that it knows better.
            with suppress(StoreError):
                await self._record(store, handle, new_id_hash, document)
        return started

    async def _record(self, store: Granting, handle: str, id_hash: str, document: str) -> bool:
        """Write a proof, if the session lives and has that id; tell whether it did."""
        for _ in range(ROUNDS):
            now, held = self._clock(), await store.held(handle, FRESH)
            session = held.session
            if session is None or not is_id_of(id_hash, session) or ending(session, now=now) is not None:
                return False
            version = 1 if held.grant is None else held.grant.version + 1
            grant = Grant(handle=handle, kind=FRESH, version=version, document=document, check_at=session.absolute_end_at)
            if (await store.swap(grant, now=now)).done:
                return True
        raise StoreError("a re-authentication was overtaken again and again; try once more")

    async def authentication(self, session: Session) -> Authentication | None:
        """Tell when somebody last proved who they are, and whether they have stepped up; None if the session is over or has another id.

        Args:
            session: as it was found when the request came.

        Raises:
            StoreError: if the store cannot be reached.
        """
        now = self._clock()
        if not isinstance(self._store, Granting):
            return Authentication(at=session.created_at) if ending(session, now=now) is None else None
        return authentication_of(await self._store.held(session.handle, FRESH), session.id_hash, now=now)

    async def is_fresh(self, session: Session, within_ms: int | None = None) -> bool:
        """Tell whether somebody proved lately who they are. Soon after a sign-in the store is not asked.

        Args:
            session: as it was found when the request came, alive.
            within_ms: what lately means, milliseconds. Default: the policy's `fresh_timeout`.

        Raises:
            StoreError: if the store cannot be reached.
        """
        within_ms = self._policy.fresh_timeout if within_ms is None else within_ms
        if self._clock() - session.created_at <= within_ms:
            return True
        authentication = await self.authentication(session)
        return authentication is not None and self._clock() - authentication.at <= within_ms

    async def has_stepped_up(self, session: Session) -> bool:
        """Tell whether somebody has stepped up: it lapses by itself, and dies with the session and with its id.

        Raises:
            StoreError: if the store cannot be reached.
        """
        authentication = await self.authentication(session)
        return authentication is not None and authentication.stepped_up_until is not None

    def _drawn(self, handle: str) -> str:
        return write_id(handle, self._random_bytes(SECRET_BYTES))


def listable(store: object) -> Listable:
    """Give a store back as one that lists.

    Raises:
        TypeError: if it cannot.
    """
    if not isinstance(store, Listable):
        raise TypeError(f"{type(store).__name__} cannot list sessions: it has no `living` and `count`")
    return store


def _granting(store: object) -> Granting:
    if not isinstance(store, Granting):
        raise TypeError(f"{type(store).__name__} cannot keep when somebody proved who they are: it has no `held` and `swap`")
    return store


def _ends_of(subject: str) -> str:
    """Name the instants at which all sessions of a subject were ended."""
    return f"ended everywhere {subject}"
