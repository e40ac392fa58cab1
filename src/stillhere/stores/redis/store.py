"""The Redis store: each verb is a script, or a batch of them, that judges and writes in one step."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from stillhere.core.records import EndedBy, Outcome, Session
from stillhere.core.rules import ending
from stillhere.errors import SessionExists, StillhereError, StoreError
from stillhere.stores.protocol import Changed
from stillhere.stores.redis import scripts
from stillhere.stores.redis.connect import read_url
from stillhere.stores.redis.forgetting import Forgetting
from stillhere.stores.redis.grants import GrantsAndNotes
from stillhere.stores.redis.layout import (
    ENDED,
    INDEXES,
    LITTER_MS,
    TAGS,
    Layout,
    first_score,
    head_of,
    new_head,
    pairs,
    place_of,
    read_remembered,
    read_session,
    read_sessions,
    write_claim,
    write_session,
)
from stillhere.stores.redis.listening import listen
from stillhere.stores.redis.routes import Routes, routes_to
from stillhere.stores.redis.servers import Command, script
from stillhere.stores.redis.trouble import done, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from stillhere.core.records import Claim, View, Visit

LOOKS = 25
"""Sessions that one call of a script looks at while it sweeps, so that beats never wait long behind it."""

HANDFUL = 500
"""Sessions read with one exchange."""

READ = 8
"""Indexes read whole with one exchange: 500 sessions, where there are a million. Redis does what came together without a break."""

COUNTED = 64
"""Indexes counted with one exchange."""

UNTOLD: Final = 100_000
"""Ends kept for the next sweep; more trouble than that is not foreseen."""


class RedisStore(Forgetting, GrantsAndNotes):
    """Keeps sessions, visits, views and grants in Redis or Valkey. Connects when it is first used, anew in each event loop.

    Args:
        url: `redis://`, `rediss://` (TLS), or either with `+cluster` or `+sentinel`; docs/redis.md has the options.
        marks_changes: note which visits and views change, for somebody who archives them (`changed`, `archived`). Everybody who opens
            the same store notes them from then on.

    Raises:
        SettingsError: if the URL cannot be one.
    """

    def __init__(self, url: str, *, marks_changes: bool = False) -> None:
        """Read the URL; connect to nothing yet."""
        self.target = read_url(url)
        self.layout = Layout(self.target.prefix)
        self._archives = int(marks_changes)
        self._has_said_so = not marks_changes
        self._splits = self.target.kind == "cluster"
        self._routes = dict[asyncio.AbstractEventLoop, Routes]()
        self._swept_until = 0
        self._untold = deque[Session](maxlen=UNTOLD)  # ended, but nobody was told, for something else of the same call failed
        self._is_closed = False

    async def create(self, session: Session) -> None:
        """See `Store.create`."""
        place, layout = place_of(session.handle), self.layout
        lasts = session.absolute_end_at - session.created_at
        part, key, score = layout.subject(session.subject)
        keys = (layout.sessions[place.tag], layout.indexes[place.number], layout.filled[place.tag])
        words = (len(keys), *keys, place.handle, write_session(session), first_score(session), lasts, place.bit)
        noted = script(part, scripts.SUBJECT, [key], score, place.handle, lasts)
        kept = Command(place.tag, (*words, 0), scripts.CREATE, again=(*words, 1))
        # The subject's note comes first, and stays: who ends all sessions of a subject must not miss one.
        if self._splits:
            await self.run([noted], writes=True)
            (is_new,) = await self.run([kept], writes=True)
        else:
            _, is_new = await self.run([noted, kept], writes=True)
        if not is_new:
            raise SessionExists(session.handle)

    async def beat(self, claims: Sequence[Claim], *, visit_gap: int, touch_interval: int, now: int) -> list[Outcome]:
        """See `Store.beat`."""
        layout = self.layout
        groups: dict[int, tuple[list[bytes], list[bytes], list[int]]] = {}
        for n, claim in enumerate(claims):
            place = place_of(claim.handle)
            keys, packed, numbers = groups.setdefault(place.tag if self._splits else 0, ([], [], []))
            tag = place.tag
            keys += (layout.sessions[tag], layout.indexes[place.number], layout.views(place), layout.marks[tag], layout.counters[tag])
            packed.append(write_claim(claim))
            numbers.append(n)
        settings = (layout.channel, now, visit_gap, touch_interval, self._archives)
        calls = [script(tag, scripts.BEAT, keys, *settings, *packed) for tag, (keys, packed, _) in groups.items()]
        outcomes: list[Outcome] = [Outcome(session=None)] * len(claims)
        troubles = list[Exception]()
        for (_, _, numbers), answer in zip(groups.values(), await self._ask(calls, writes=True), strict=True):
            for n, one in zip(numbers, done(answer, troubles) or (), strict=False):
                outcomes[n] = _outcome(claims[n].handle, done(one, troubles), claims[n].id_hash)
        self._check(troubles, [outcome.session for outcome in outcomes if outcome.ended_now])
        return outcomes

    async def get(self, handle: str) -> Session | None:
        """See `Store.get`."""
        place = place_of(handle)
        (raw,) = await self.run([Command(place.tag, (b"HGET", self.layout.sessions[place.tag], place.handle))])
        return None if raw is None else read_session(handle, raw)

    async def rotate(self, handle: str, id_hash: str, new_id_hash: str, *, now: int) -> Session | None:
        """See `Store.rotate`."""
        place = place_of(handle)
        words = (1, self.layout.sessions[place.tag], place.handle, head_of(id_hash), new_head(new_id_hash), now)
        (raw,) = await self.run([Command(place.tag, (*words, 0), scripts.ROTATE, again=(*words, 1))], writes=True)
        return None if raw is None else read_session(handle, raw)

    async def end(self, handle: str, by: EndedBy, *, now: int) -> Outcome:
        """See `Store.end`."""
        place, layout = place_of(handle), self.layout
        keys = [layout.sessions[place.tag], layout.indexes[place.number], layout.marks[place.tag], layout.counters[place.tag]]
        call = script(place.tag, scripts.END, keys, layout.channel, place.handle, by.value, now, self._archives)
        (answer,) = await self._ask([call], writes=True)
        troubles = list[Exception]()
        outcome = _outcome(handle, done(answer, troubles))
        self._check(troubles, [outcome.session] if outcome.ended_now else [])
        return outcome

    async def living(self, *, subject: str | None, limit: int, now: int) -> list[Session]:
        """See `Listable.living`. With a subject, the index names more than there are; the records decide."""
        if subject is not None:
            found = await self.of_subject(subject)
            return _latest([session for session in found if ending(session, now=now) is None], limit)
        latest, seen_since = list[Session](), -ENDED
        for portion in await self._portions(READ):
            for answer in await self.run([script(tag, scripts.LIVING, keys, now, seen_since) for tag, keys in portion]):
                latest += read_sessions(answer)
            latest = _latest(latest, limit)
            if len(latest) == limit and latest:
                seen_since = latest[-1].last_seen_at
        return latest

    async def of_subject(self, subject: str) -> list[Session]:
        """Look at all sessions of a subject, also those that have ended."""
        part, key, score = self.layout.subject(subject)
        (handles,) = await self.run([Command(part, (b"ZRANGEBYSCORE", key, score, score))])
        return [session for session in await self.sessions(handle.decode() for handle in handles) if session.subject == subject]

    async def sessions(self, handles: Iterable[str]) -> list[Session]:
        """Look at the sessions of these handles, those that there are."""
        handles = list(handles)
        places = [place_of(handle) for handle in handles]
        found = []
        for begin in range(0, len(places), HANDFUL):
            chosen = places[begin : begin + HANDFUL]
            answers = await self.run([Command(at.tag, (b"HGET", self.layout.sessions[at.tag], at.handle)) for at in chosen])
            named = zip(handles[begin:], answers, strict=False)
            found += [read_session(handle, raw) for handle, raw in named if raw is not None]
        return found

    async def pages(self) -> AsyncIterator[list[Session]]:
        """Read all sessions, many at a time."""
        for portion in await self._portions(READ):
            answers = await self.run([script(tag, scripts.FIND, keys, "-inf", "+inf", 2**31) for tag, keys in portion])
            yield [session for answer in answers for session in read_sessions(answer)]

    async def _portions(self, most: int = INDEXES) -> list[list[tuple[int, list[bytes]]]]:
        """Name sessions and indexes, part by part, wherever there are any: up to `most` indexes for one exchange."""
        layout = self.layout
        filled = await self.run([Command(tag, (b"GET", layout.filled[tag])) for tag in range(TAGS)])
        portions, room = list[list[tuple[int, list[bytes]]]](), 0
        for tag, bits in enumerate(filled):
            indexes = layout.indexes_of(tag, bits or b"")
            for begin in range(0, len(indexes), most):
                chosen = indexes[begin : begin + most]
                if len(chosen) > room:
                    portions.append([])
                    room = most
                portions[-1].append((tag, [layout.sessions[tag], *chosen]))
                room -= len(chosen)
        return portions

    async def remembered(self, sessions: Sequence[Session]) -> list[tuple[list[Visit], list[View]]]:
        """Read the visits and views of these sessions."""
        found = []
        for begin in range(0, len(sessions), HANDFUL):
            chosen = sessions[begin : begin + HANDFUL]
            places = [place_of(session.handle) for session in chosen]
            answers = await self.run([Command(place.tag, (b"HGETALL", self.layout.views(place))) for place in places])
            found += [read_remembered(session, dict(pairs(answer))) for session, answer in zip(chosen, answers, strict=True)]
        return found

    async def count(self, *, now: int) -> int:
        """See `Listable.count`."""
        counted = 0
        for portion in await self._portions(COUNTED):
            counted += sum(await self.run([script(tag, scripts.COUNT, keys, now) for tag, keys in portion]))
        return counted

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`. In many short calls, and it goes on where the last one stopped.

        Whoever was ended is told, also when the sweep breaks; the next one meets the trouble.
        """
        swept = [self._untold.popleft() for _ in range(min(limit, len(self._untold)))]
        try:
            await self._sweep(swept, limit, now)
        except StillhereError:
            if not swept:
                raise
        except BaseException:
            self._untold.extend(swept)
            raise
        return swept

    async def _sweep(self, swept: list[Session], limit: int, now: int) -> None:
        layout = self.layout
        parts = [part for portion in await self._portions() for part in portion]
        for tag, (sessions, *left) in sorted(parts, key=lambda part: (part[0] - self._swept_until) % TAGS):
            while left and len(swept) < limit:
                keys = [sessions, layout.marks[tag], layout.counters[tag], layout.filled[tag], *left]
                call = script(tag, scripts.SWEEP, keys, layout.channel, now, limit - len(swept), LOOKS, self._archives)
                (answer,) = await self._ask([call], writes=True)
                troubles = list[Exception]()
                through, ended, alive = done(answer, troubles) or (0, (), ())
                swept += read_sessions(ended)
                self._check(troubles)
                await self._note(alive)
                del left[:through]
            if len(swept) >= limit:
                self._swept_until = tag
                break

    async def _note(self, alive: Sequence[Any]) -> None:
        """Note once more which subjects these handles belong to: the server that has the first note may have lost it."""
        notes = []
        for handle, subject, lasts in zip(alive[::3], alive[1::3], alive[2::3], strict=True):
            part, key, score = self.layout.subject(subject.decode())
            notes.append(script(part, scripts.SUBJECT, [key], score, handle, lasts))
        if notes:
            await self.run(notes, writes=True)

    async def changed(self, limit: int) -> list[Changed]:
        """See `Archivable.changed`. The oldest marks of every part, in turn."""
        self._has_said_so = False  # say it again from time to time: a server may have lost it
        few = limit // TAGS * 2 + 1
        marks = await self._oldest_marks(few)
        if len(marks) < limit and few < limit:
            marks = await self._oldest_marks(limit)  # one part may have most of them
        wanted = {handle.decode(): int(mark) for handle, mark in marks[:limit]}
        # The records may be newer than the marks, never older: then they come once more.
        sessions = await self.sessions(wanted)
        found = await self.remembered(sessions)
        return [
            Changed(session.handle, wanted[session.handle], session, visits, views)
            for session, (visits, views) in zip(sessions, found, strict=True)
        ]

    async def _oldest_marks(self, each: int) -> list[tuple[bytes, bytes]]:
        asked = [Command(tag, (b"ZRANGE", self.layout.marks[tag], 0, each - 1, b"WITHSCORES")) for tag in range(TAGS)]
        turns = zip_longest(*(pairs(answer) for answer in await self.run(asked)))
        return [mark for turn in turns for mark in turn if mark is not None]

    async def archived(self, marks: Sequence[tuple[str, int]]) -> None:
        """See `Archivable.archived`."""
        groups: dict[int, list[bytes | int]] = {}
        for handle, mark in marks:
            place = place_of(handle)
            groups.setdefault(place.tag, []).extend((place.handle, mark))
        await self.run([script(tag, scripts.ARCHIVED, [self.layout.marks[tag]], *words) for tag, words in groups.items()], writes=True)

    async def watch(self) -> AsyncIterator[str | None]:
        """See `Watchable.watch`."""
        async for handle in listen(await self._here(), self.target, self.layout.channel):
            yield handle

    async def ping(self) -> None:
        """See `Store.ping`. Asks every server that has sessions."""
        routes = await self._here()
        try:
            parts = await routes.parts()
        except (RedisError, OSError, TimeoutError) as error:
            raise told(self.target, [error]) from error
        await self.run([Command(part, (b"PING",)) for part in parts])

    async def close(self) -> None:
        """See `Store.close`."""
        self._is_closed = True
        here = asyncio.get_running_loop()
        while self._routes:
            loop, routes = self._routes.popitem()
            if loop is here:
                await routes.close()
            elif loop.is_closed():
                await routes.abandon()
            else:
                asyncio.run_coroutine_threadsafe(routes.close(), loop)

    async def run(self, commands: Sequence[Command], *, writes: bool = False) -> list[Any]:
        """Send commands to wherever their keys are.

        Raises:
            StoreError: if they were not all answered as they should be.
            StoreRefused: if a script could not work with what it was given.
        """
        answers = await self._ask(commands, writes=writes)
        self._check([answer for answer in answers if isinstance(answer, Exception)])
        return answers

    async def _ask(self, commands: Sequence[Command], *, writes: bool) -> list[Any]:
        """Send commands; answer what each was answered, errors among them."""
        routes = await self._here()
        if self._has_said_so:
            return await routes.run(commands, writes=writes)
        said = []
        for tag, counter in enumerate(self.layout.counters):
            said += [Command(tag, (b"SETNX", counter, 0)), Command(tag, (b"PEXPIRE", counter, LITTER_MS))]
        answers = await routes.run([*said, *commands], writes=writes)
        self._has_said_so = not any(isinstance(answer, RedisError) for answer in answers[: len(said)])
        return answers[len(said) :]

    def _check(self, troubles: Sequence[Exception], ended: Iterable[Session | None] = ()) -> None:
        """Raise the trouble, if there was any. The ends that were recorded all the same are told by the next sweep."""
        if troubles:
            self._untold.extend(session for session in ended if session is not None)
            raise told(self.target, troubles)

    async def _here(self) -> Routes:
        """Find the routes of this event loop; those of loops that are closed are of no use to anybody."""
        if self._is_closed:
            raise StoreError("the session store is closed")
        loop = asyncio.get_running_loop()
        routes = self._routes.get(loop)
        if routes is None:
            for closed in [other for other in self._routes if other.is_closed()]:
                await self._routes.pop(closed).abandon()
            routes = self._routes.setdefault(loop, routes_to(self.target))
        return routes


def _latest(sessions: list[Session], limit: int) -> list[Session]:
    return sorted(sessions, key=lambda session: (-session.last_seen_at, session.handle))[:limit]


def _outcome(handle: str, answer: bytes | list[bytes] | None, id_hash: str | None = None) -> Outcome:
    """Read what a script answers: nothing, a record, or a record in a list if its end was recorded now."""
    if answer is None:
        return Outcome(session=None)
    if isinstance(answer, list):
        return Outcome(session=read_session(handle, answer[0], id_hash), ended_now=True)
    return Outcome(session=read_session(handle, answer, id_hash))
