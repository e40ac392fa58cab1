"""Clients that do not give up: while the store is in trouble they wait a moment and say the same again, as a browser does."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from stillhere.archive.records import VisitFilter
from stillhere.stores import open_store
from tests.faults.clients import OURS, Client, ask
from tests.support import PATIENCE_S, wait_until

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator, Sequence

    from tests.support import Program

CROWD: Final = 12

MOMENT_S: Final = 0.1
"""Between a 503 and the next try. Sooner than it was asked for, so that the test sees when trouble ends."""


class Patient(Client):
    """A client that waits out 503.

    Attributes:
        answers: how often it was answered 200.
        refusals: how often it was answered 503, as it should be: with `Retry-After`, the cookie left alone.
        longest_s: how long the slowest answer took, of whatever status.
        last: what it was answered last, in words.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.answers = 0
        self.refusals = 0
        self.longest_s = 0.0
        self.last = "nothing"
        self._heard_at = 0.0
        self._asked_at = 0.0

    def _beat_until_it_breaks(self, connection: http.client.HTTPConnection) -> None:
        self._heard_at = time.monotonic()
        while not self._over:
            self._seq += 1
            visible_ms = self._visible_ms()
            beat = {"view": self.view, "seq": self._seq, "visibleMs": visible_ms, "lifecycle": "active", "idleMs": 0, "page": "/"}
            while not self._is_heard(connection, json.dumps(beat)) and not self._over:
                time.sleep(MOMENT_S)
            if not self._over:
                self.answered[self.view] = (self._seq, visible_ms)

    def _is_heard(self, connection: http.client.HTTPConnection, body: str) -> bool:
        """Say it once; tell whether it was taken in."""
        began = self._asked_at = time.monotonic()
        connection.request("POST", "/session/beat", body, {**OURS, "Cookie": self.cookie})
        self.in_flight = self._seq
        answer = connection.getresponse()
        content = answer.read()
        self.in_flight = None
        now = time.monotonic()
        self.longest_s = max(self.longest_s, now - began)
        self.last = f"{answer.status} {content.decode(errors='replace')[:200]} after {now - began:.1f} s"
        if answer.status == 200 and answer.headers["set-cookie"] is None:
            self.answers += 1
            self._heard_at = now
            self._opened_at = self._opened_at or now
            return True
        if answer.status == 503 and int(answer.headers["retry-after"] or 0) > 0 and answer.headers["set-cookie"] is None:
            self.refusals += 1
        else:
            self.wrong.append((answer.status, content))
        return False

    def plight(self, answers: int, refusals: int) -> str:
        """Tell what became of it since it had so many answers and refusals, for a failure to quote."""
        now = time.monotonic()
        counts = f"{self.answers - answers} times 200, {self.refusals - refusals} times 503"
        waits = f"; it has waited {now - self._asked_at:.1f} s for the next" if self.in_flight is not None else ""
        return f"{self.name}: {counts}; last 200 {now - self._heard_at:.1f} s ago, last answer {self.last}{waits}"


@contextmanager
def patients(program: Program, count: int = CROWD) -> Iterator[list[Patient]]:
    """Sign so many clients in and let them beat until the block ends."""
    crowd = [Patient(f"patient{n}") for n in range(count)]
    for client in crowd:
        client.start()
    try:
        for client in crowd:
            client.go_on(program.url)
        answered_again(crowd)
        yield crowd
    finally:
        for client in crowd:
            client.leave()


def answered_again(crowd: Sequence[Patient], *, beats: int = 5, timeout_s: float = PATIENCE_S) -> None:
    """Wait until each client was answered so many times from now on; fail with what became of each that was not."""
    before = {client: (client.answers, client.refusals) for client in crowd}

    def left() -> list[Patient]:
        return [client for client in crowd if client.answers < before[client][0] + beats and not client.rests]

    try:
        wait_until(lambda: not left(), what=f"{beats} answers for everybody", timeout_s=timeout_s)
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *(client.plight(*before[client]) for client in left())])) from None


def refused_again(crowd: Sequence[Patient], *, timeout_s: float = PATIENCE_S) -> None:
    """Wait until each client was answered 503 from now on."""
    before = [client.refusals for client in crowd]
    wait_until(
        lambda: all(client.refusals > count or client.rests for client, count in zip(crowd, before, strict=True)),
        what="503 for everybody",
        timeout_s=timeout_s,
    )


def check_nobody_is_signed_out(program: Program, crowd: Sequence[Patient]) -> None:
    """Make sure that everybody was answered 200 or a proper 503 only, and is signed in."""
    assert [client.wrong for client in crowd] == [[]] * len(crowd)
    assert [ask(program.url, "GET", "/session", client.cookie)[0] for client in crowd] == [200] * len(crowd)
    assert not any(client.rests for client in crowd), "the program hung up on somebody"


def kept(url: str) -> dict[str, tuple[int, int]]:
    """Read from the store what it keeps of every view: `seq` and visible time."""

    async def read() -> dict[str, tuple[int, int]]:
        store, archive = open_store(url)
        span = {"beat_interval": 60_000, "now": int(time.time() * 1000)}
        try:
            visits = [visit.id async for visit in archive.all_visits(VisitFilter(), **span)]
            found = [await archive.visit(visit, **span) for visit in visits]
        finally:
            await store.close()
        return {view.view: (view.seq, view.visible_ms) for _, views in filter(None, found) for view in views}

    return asyncio.run(read())


def check_nothing_is_lost(url: str, crowd: Sequence[Client]) -> None:
    """Compare what the store keeps with what each client had been answered before it was read."""
    answered = {view: told for client in crowd for view, told in dict(client.answered).items()}
    views = kept(url)
    for view, (seq, visible_ms) in answered.items():
        has_seq, has_visible_ms = views.get(view, (-1, 0)) if seq == 0 else views[view]
        assert seq == 0 or has_seq >= seq, f"{view} was answered message {seq}, the store has {has_seq}"
        assert has_visible_ms >= visible_ms, f"{view} was answered {visible_ms} ms, the store has {has_visible_ms}"
