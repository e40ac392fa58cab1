"""The Redis store: each verb is a script, or a batch of them, that judges and writes in one step."""

from __future__ import annotations

import asyncio
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import RedisError

from stillhere.core.records import EndedBy, Outcome, Session
from stillhere.core.rules import ending
from stillhere.errors import SessionExists, StoreError
from stillhere.stores.protocol import Changed
from stillhere.stores.redis import scripts
from stillhere.stores.redis.connect import read_url
from stillhere.stores.redis.layout import (
    ENDED,
    INDEXES,
    TAGS,
    Layout,
    first_score,
    head_of,
    new_head,
    place_of,
    read_remembered,
    read_session,
    write_claim,
    write_session,
)
from stillhere.stores.redis.listening import listen
from stillhere.stores.redis.routes import Routes, routes_to
from stillhere.stores.redis.servers import Command, script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence

    from stillhere.core.records import Claim, View, Visit

Result = TypeVar("Result")

LOOKS = 25
"""Sessions that one call of a script looks at while it sweeps, so that beats never wait long behind it."""

HANDFUL = 500
"""Sessions read with one exchange."""

READ = 8
"""Indexes read whole with one exchange: 500 sessions, where there are a million. Redis does what came together without a break."""

COUNTED = 64
"""Indexes counted with one exchange."""


class RedisStore:
    """Keeps sessions, visits and views in Redis or Valkey. Connects when it is first used, and belongs to the event loop of that moment.

    Args:
        url: `redis://`, `rediss://` (TLS), or either with `+cluster` or `+sentinel`; docs/redis.md has the options.
        marks_changes: note which visits and views change, for somebody who archives them (`changed`, `archived`).

    Raises:
        SettingsError: if the URL cannot be one.
    """

    def __init__(self, url: str, *, marks_changes: bool = False) -> None:
        """Read the URL; connect to nothing yet."""
        self.target = read_url(url)
        self.layout = Layout(self.target.prefix)
        self._marks_changes = marks_changes
        self._marks = int(marks_changes)
        self._splits = self.target.kind == "cluster"
        self._routes: Routes | None = None
        self._swept_until = 0
        self._closed = asyncio.Event()

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
            keys += (layout.sessions[place.tag], layout.indexes[place.number], layout.views(place))
            if self._marks_changes:
                keys += (layout.marks[place.tag], layout.counters[place.tag])
            packed.append(write_claim(claim))
            numbers.append(n)
        settings = (layout.channel, now, visit_gap, touch_interval)
        calls = [script(tag, scripts.BEAT, keys, *settings, *packed) for tag, (keys, packed, _) in groups.items()]
        outcomes: list[Outcome] = [Outcome(session=None)] * len(claims)
        for (_, _, numbers), answers in zip(groups.values(), await self.run(calls, writes=True), strict=True):
            for n, answer in zip(numbers, answers, strict=True):
                outcomes[n] = _outcome(claims[n].handle, answer, claims[n].id_hash)
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
        call = script(place.tag, scripts.END, keys, layout.channel, place.handle, by.value, now, self._marks)
        (answer,) = await self.run([call], writes=True)
        return _outcome(handle, answer)

    async def living(self, *, subject: str | None, limit: int, now: int) -> list[Session]:
        """See `Listable.living`. With a subject, the index names more than there are; the records decide."""
        if subject is not None:
            found = await self.of_subject(subject)
            return _latest([session for session in found if ending(session, now=now) is None], limit)
        latest, seen_since = list[Session](), -ENDED
        for portion in await self._portions(READ):
            for answer in await self.run([script(tag, scripts.LIVING, keys, now, seen_since) for tag, keys in portion]):
                latest += _sessions(answer)
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
            yield [session for answer in answers for session in _sessions(answer)]

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
            found += [read_remembered(session, dict(_pairs(answer))) for session, answer in zip(chosen, answers, strict=True)]
        return found

    async def count(self, *, now: int) -> int:
        """See `Listable.count`."""
        counted = 0
        for portion in await self._portions(COUNTED):
            counted += sum(await self.run([script(tag, scripts.COUNT, keys, now) for tag, keys in portion]))
        return counted

    async def sweep(self, *, limit: int, now: int) -> list[Session]:
        """See `Sweepable.sweep`. In many short calls, and it goes on where the last one stopped."""
        layout, swept = self.layout, list[Session]()
        parts = [part for portion in await self._portions() for part in portion]
        for tag, (sessions, *left) in sorted(parts, key=lambda part: (part[0] - self._swept_until) % TAGS):
            while left and len(swept) < limit:
                keys = [sessions, layout.marks[tag], layout.counters[tag], *left]
                room = limit - len(swept)
                call = script(tag, scripts.SWEEP, keys, layout.channel, now, room, LOOKS, self._marks)
                ((done, *ended),) = await self.run([call], writes=True)
                swept += _sessions(ended)
                del left[:done]
            if len(swept) >= limit:
                self._swept_until = tag
                break
        return swept

    async def forget(self, *, ended_before: int, limit: int) -> int:
        """See `Sweepable.forget`. What still waits for the archive stays."""
        forgotten, deleted, highest = 0, 1, f"({ended_before - ENDED}"
        while deleted and forgotten < limit:
            deleted, room = 0, limit - forgotten
            for portion in await self._portions():
                calls = [script(tag, scripts.FIND, keys, "-inf", highest, min(room, LOOKS)) for tag, keys in portion]
                for (tag, _), answer in zip(portion, await self.run(calls), strict=True):
                    deleted += await self._forget(tag, _sessions(answer)[: room - deleted])
            forgotten += deleted
        return forgotten

    async def _forget(self, tag: int, ended: Sequence[Session]) -> int:
        if not ended:
            return 0
        notes, words = [], list[bytes | int]()
        keys = [self.layout.sessions[tag], self.layout.marks[tag], self.layout.filled[tag]]
        for session in ended:
            place = place_of(session.handle)
            part, key, _ = self.layout.subject(session.subject)
            notes.append(Command(part, (b"ZREM", key, place.handle)))
            keys += (self.layout.indexes[place.number], self.layout.views(place))
            words += (place.handle, place.bit)
        # The note goes first: nobody needs it for one who has ended, and a crash here leaves the rest to the next call.
        await self.run(notes, writes=True)
        (deleted,) = await self.run([script(tag, scripts.FORGET, keys, self._marks, *words)], writes=True)
        return int(deleted)

    async def changed(self, limit: int) -> list[Changed]:
        """See `Archivable.changed`. The oldest marks of every part, in turn."""
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
        turns = zip_longest(*(_pairs(answer) for answer in await self.run(asked)))
        return [mark for turn in turns for mark in turn if mark is not None]

    async def archived(self, marks: Sequence[tuple[str, int]]) -> None:
        """See `Archivable.archived`."""
        groups: dict[int, list[bytes | int]] = {}
        for handle, mark in marks:
            place = place_of(handle)
            groups.setdefault(place.tag, []).extend((place.handle, mark))
        calls = [script(tag, scripts.ARCHIVED, [self.layout.marks[tag]], *words) for tag, words in groups.items()]
        await self.run(calls, writes=True)

    async def watch(self) -> AsyncIterator[str | None]:
        """See `Watchable.watch`."""
        routes = self._open()
        async for handle in listen(routes, self.target, self.layout.channel, self._closed):
            yield handle

    async def ping(self) -> None:
        """See `Store.ping`. Asks every server that has sessions."""
        parts = await self._translated(self._open().parts())
        await self.run([Command(part, (b"PING",)) for part in parts])

    async def close(self) -> None:
        """See `Store.close`."""
        self._closed.set()
        if self._routes is not None:
            await self._routes.close()

    async def run(self, commands: Sequence[Command], *, writes: bool = False) -> list[Any]:
        """Send commands to wherever their keys are.

        Raises:
            StoreError: if they were not all answered as they should be.
        """
        return await self._translated(self._open().run(commands, writes=writes))

    async def _translated(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Turn the driver's trouble into `StoreError`, keeping the cause and no password."""
        try:
            return await work
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreError(f"the session store did not answer: {self.target.without_secrets(error)}") from error

    def _open(self) -> Routes:
        if self._closed.is_set():
            raise StoreError("the session store is closed")
        if self._routes is None:
            self._routes = routes_to(self.target)
        return self._routes


def _pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _sessions(flat: Sequence[Any]) -> list[Session]:
    return [read_session(handle.decode(), raw) for handle, raw in _pairs(flat)]


def _latest(sessions: list[Session], limit: int) -> list[Session]:
    return sorted(sessions, key=lambda session: (-session.last_seen_at, session.handle))[:limit]


def _outcome(handle: str, answer: bytes | list[bytes] | None, id_hash: str | None = None) -> Outcome:
    """Read what a script answers: nothing, a record, or a record in a list if its end was recorded now."""
    if answer is None:
        return Outcome(session=None)
    if isinstance(answer, list):
        return Outcome(session=read_session(handle, answer[0], id_hash), ended_now=True)
    return Outcome(session=read_session(handle, answer, id_hash))
