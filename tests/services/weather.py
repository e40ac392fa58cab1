"""A proxy that stands before somebody's server and makes its weather: away, slow, broken, too busy, answers that get lost. It counts."""

from __future__ import annotations

import asyncio
import http.client
import threading
import uuid
from collections import Counter, deque
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from stillhere.tokens.provider.transport import HttpxTransport, NoReply
from tests.services.http import Answered, Asked, HttpThread, answer
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.tokens.provider.transport import Call, Reply


PATIENCE_S = 60
"""How long what is late waits to be let through; longer than any caller waits for it."""

NUMBER: Final = "x-number"
"""Header by which a caller and the weather speak of one call. It goes no further."""


class Fault(Enum):
    """What may happen to a call.

    Attributes:
        BUSY: it is told to come later (429).
        BROKEN: it is told that the server broke (500), and did not reach it.
        GATEWAY: the same by a gateway, in HTML (502).
        LOST: it reaches the server, whose answer gets lost.
        DROPPED: it gets lost on the way.
        SLOW: it reaches the server, whose answer comes too late.
        LATE: it reaches the server only after the caller has given up.
        HALF: its answer breaks off in the middle.
    """

    BUSY = "busy"
    BROKEN = "broken"
    GATEWAY = "gateway"
    LOST = "lost"
    DROPPED = "dropped"
    SLOW = "slow"
    LATE = "late"
    HALF = "half"


class Weather:
    """The proxy. Without faults everything passes, up to the limit of calls.

    Args:
        behind: address of the server.
        clock: tells the milliseconds by which calls are limited.
        calls: so many are let through ...
        per_ms: ... in so many milliseconds; one more, and all are refused with 429 for `block_ms`.
        block_ms: see above.

    Attributes:
        url: where to call.
        counts: calls by method.
        asked: the calls themselves.
        passed: of those the ones that the server has answered.
        held: numbers of the calls that are held back, or were.
        refused: calls that were refused because the limit was passed, or while that lasted.
        faults: what happens to the next calls, the first to the next one; None passes.
        always: what happens to all calls after those.
        only: faults meet only calls of this method, if one is named.
        poison: what happens to every call whose body has some bytes in it.
    """

    def __init__(self, behind: str, clock: Callable[[], int], *, calls: int = 5, per_ms: int = 1_000, block_ms: int = 30_000) -> None:
        self._behind = behind
        self._clock = clock
        self._limit = calls, per_ms, block_ms
        self._passed = deque[int](maxlen=calls)
        self._blocked_until = 0
        self._lock = threading.Lock()
        self._patience = threading.Event()
        self.counts = Counter[str]()
        self.asked = list[Asked]()
        self.passed = Counter[str]()
        self.held = set[str]()
        self.refused = 0
        self.faults = deque[Fault | None]()
        self.always: Fault | None = None
        self.only: str | None = None
        self.poison: tuple[Fault, bytes] | None = None
        self._server = HttpThread(self._answer)
        self.url = self._server.url

    def down(self) -> None:
        """Let nobody in: connections are refused."""
        self._server.stop()

    def up(self) -> None:
        """Let them in again."""
        self._server.start()

    def clear(self) -> None:
        """Let what is late arrive now."""
        self._patience.set()

    def wait_until_called(self, method: str, times: int) -> None:
        """Wait until so many calls of a method have come."""
        wait_until(lambda: self.counts[method] >= times, what=f"{times} calls of {method}")

    def wait_until_passed(self, method: str, times: int) -> None:
        """Wait until the server has answered so many calls of a method."""
        wait_until(lambda: self.passed[method] >= times, what=f"{times} calls of {method} to get through")

    def close(self) -> None:
        """Stop."""
        self.clear()
        self._server.stop()

    def _answer(self, asked: Asked) -> Answered | None:
        with self._lock:
            self.counts[asked.method] += 1
            self.asked.append(asked)
            if self._is_too_much():
                self.refused += 1
                return answer(429, {"msg": "Too many requests"})
            fault = self._fault(asked)
        if fault is None:
            return self._pass_on(asked)
        return self._make(fault, asked)

    def _fault(self, asked: Asked) -> Fault | None:
        if self.poison is not None and self.poison[1] in asked.body:
            return self.poison[0]
        if self.only not in {None, asked.method}:
            return None
        return self.faults.popleft() if self.faults else self.always

    def _is_too_much(self) -> bool:
        now, (calls, per_ms, block_ms) = self._clock(), self._limit
        if now < self._blocked_until:
            return True
        if len(self._passed) == calls and now - self._passed[0] < per_ms:
            self._blocked_until = now + block_ms
            return True
        self._passed.append(now)
        return False

    def _make(self, fault: Fault, asked: Asked) -> Answered | None:
        if fault is Fault.BUSY:
            return answer(429, {"msg": "Too many requests"})
        if fault is Fault.BROKEN:
            return answer(500, {"msg": "SQLITE_BUSY: database is locked"})
        if fault is Fault.GATEWAY:
            return Answered(status=502, body=b"<h1>Bad Gateway</h1>", headers={"content-type": "text/html"})
        if fault is Fault.DROPPED:
            return None
        if fault is Fault.LATE:
            self._hold(asked)
        found = self._pass_on(asked)
        if fault is Fault.SLOW:
            self._hold(asked)
        if fault is Fault.HALF:
            return Answered(status=found.status, body=found.body[: len(found.body) // 2], headers=found.headers)
        return None

    def _hold(self, asked: Asked) -> None:
        self.held.add(asked.headers.get(NUMBER, ""))
        self._patience.wait(PATIENCE_S)

    def _pass_on(self, asked: Asked) -> Answered:
        place = urlsplit(self._behind)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        headers = {name: value for name, value in asked.headers.items() if name not in {"host", "connection", NUMBER}}
        connection.request(asked.method, asked.target, body=asked.body, headers=headers)
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        with self._lock:
            self.passed[asked.method] += 1
        return Answered(status=reply.status, body=body, headers={"content-type": reply.headers.get("content-type", "")})


class Forecast:
    """Carries calls into weather: waits for an answer as long as the call may, and gives up at once what the weather holds back.

    So what is held back costs no time, and whatever else takes its time on a busy machine is not mistaken for it.

    Args:
        weather: where to.
    """

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._inner = HttpxTransport()

    async def send(self, call: Call) -> Reply:
        """See `Transport.send`."""
        number = uuid.uuid4().hex
        sending = asyncio.ensure_future(self._inner.send(msgspec.structs.replace(call, headers={**call.headers, NUMBER: number})))
        try:
            while not sending.done():
                await asyncio.wait({sending}, timeout=0.01)
                if number in self._weather.held and not sending.done():
                    raise NoReply("timeout", may_have_arrived=True)
            return await sending
        finally:
            sending.cancel()
            await asyncio.wait({sending})

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._inner.close()
