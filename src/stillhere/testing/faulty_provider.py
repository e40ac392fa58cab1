"""A proxy in front of a real OpenID provider, in which everything goes wrong that goes wrong with providers. Needs `stillhere[tokens]`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter, defaultdict, deque
from concurrent.futures import Future
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, Literal, Self

import httpx2
import msgspec

from stillhere.testing.altered import Answer, Fault, Forger, alter, page

if TYPE_CHECKING:
    from collections.abc import Mapping

Endpoint = Literal["discovery", "jwks", "token", "revocation", "other"]
"""What is asked of a provider; everything that is not named here, pages above all, is `other`."""

DISCOVERY: Final = "/.well-known/openid-configuration"

LONGEST_WAIT_S: Final = 30
"""Nothing here waits longer than that, so that a test that forgets something fails instead of hanging."""

OF_THE_CONNECTION: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"})
"""Headers that speak of one connection, not of the message."""


class Held:
    """A call that waits to be let on.

    It may be used by tests that are async and by tests that are not.
    """

    def __init__(self) -> None:
        """Wait for one."""
        self._arrived: Future[None] = Future()
        self._released: Future[None] = Future()

    async def arrived(self) -> None:
        """Wait until the call is here.

        Raises:
            TimeoutError: if none comes.
        """
        await asyncio.wait_for(asyncio.wrap_future(self._arrived), LONGEST_WAIT_S)

    def wait(self) -> None:
        """Wait until the call is here, in a test that is not async.

        Raises:
            TimeoutError: if none comes.
        """
        self._arrived.result(LONGEST_WAIT_S)

    def release(self) -> None:
        """Let it go on. No harm if it went already, or never came."""
        if not self._released.done():
            self._released.set_result(None)

    async def _pass(self) -> None:
        self._arrived.set_result(None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._released)), LONGEST_WAIT_S)


class FaultyProvider:
    """A provider with faults: stands before a real one, passes everything on, and spoils what it is told to.

    The real provider has to take this address for its issuer (`url`), so that all it says of itself leads here. It serves in a thread of
    its own, from `with` to the end of the block, for tests of either kind.

    Args:
        upstream: address of the real provider, such as `http://127.0.0.1:9000`. May be set later, before the first call.
        port: where to listen on loopback; 0 takes any free one.

    Attributes:
        upstream: address of the real provider.
        url: where it listens: the issuer.
        calls: how many calls came to each endpoint, counted when they arrive.
    """

    def __init__(self, upstream: str = "", *, port: int = 0) -> None:
        """Have no faults yet."""
        self.upstream = upstream
        self.url = ""
        self.calls: Counter[Endpoint] = Counter()
        self._port = port
        self._faults: dict[Endpoint, Fault] = {}
        self._next: defaultdict[Endpoint, deque[Fault]] = defaultdict(deque)
        self._held: defaultdict[tuple[Endpoint, bool], deque[Held]] = defaultdict(deque)
        self._paths: dict[str, Endpoint] = {}
        self._forger = Forger()
        self._thread: threading.Thread

    def always(self, endpoint: Endpoint, fault: Fault | None) -> None:
        """Let every call to an endpoint meet a fault from now on; None for none."""
        if fault is None:
            self._faults.pop(endpoint, None)
        else:
            self._faults[endpoint] = fault

    def next(self, endpoint: Endpoint, *faults: Fault) -> None:
        """Let the next calls to an endpoint meet these faults, one each, in this order; `Fault()` lets one pass."""
        self._next[endpoint].extend(faults)

    def hold(self, endpoint: Endpoint, *, answered: bool = False) -> Held:
        """Hold the next call to an endpoint until it is released.

        Args:
            endpoint: which.
            answered: hold it once the real provider has answered, instead of before it hears anything.
        """
        held = Held()
        self._held[endpoint, answered].append(held)
        return held

    def heal(self) -> None:
        """Have no faults any more, and let everything go that is held."""
        self._faults.clear()
        self._next.clear()
        for waiting in self._held.values():
            while waiting:
                waiting.popleft().release()

    def __enter__(self) -> Self:
        """Begin to serve."""
        started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), name="faulty-provider", daemon=True)
        self._thread.start()
        self.url, self._loop, self._over = started.result(LONGEST_WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; what is held is let go first."""
        self.heal()
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(LONGEST_WAIT_S)

    async def _serve(self, started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        over = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._answer(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        try:
            listening = await asyncio.start_server(accept, "127.0.0.1", self._port)
        except OSError as error:
            started.set_exception(error)
            return
        # Cookies are the browser's: the proxy keeps none, or everybody would be whoever signed in last.
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        async with listening, httpx2.AsyncClient(trust_env=False, timeout=LONGEST_WAIT_S, cookies=cookies) as self._client:
            port = listening.sockets[0].getsockname()[1]
            started.set_result((f"http://127.0.0.1:{port}", asyncio.get_running_loop(), over))
            await over.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one call on a connection of its own."""
        try:
            method, target, headers, body = await _read(reader)
            answer = await self._meet(method, target, headers, body)
            if answer is None:
                writer.transport.abort()
                return
            writer.write(_write(answer))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _meet(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """Let a call meet its fault.

        Returns:
            What is answered, or None if the connection is to break.
        """
        endpoint = await self._endpoint(target, headers)
        self.calls[endpoint] += 1
        waiting = self._next[endpoint]
        fault = waiting.popleft() if waiting else self._faults.get(endpoint, Fault())
        await self._hold(endpoint, answered=False)
        answer = page(fault)
        if answer is None or fault.is_heard:
            heard = await self._pass_on(method, target, headers, body)
            answer = alter(heard, fault, self._forger, is_keys=endpoint == "jwks") if answer is None else answer
        await self._hold(endpoint, answered=True)
        await asyncio.sleep(fault.delay / 1000)
        return None if fault.loses_answer else answer

    async def _hold(self, endpoint: Endpoint, *, answered: bool) -> None:
        waiting = self._held[endpoint, answered]
        if waiting:
            await waiting.popleft()._pass()  # noqa: SLF001  # it is ours

    async def _endpoint(self, target: str, headers: Mapping[str, str]) -> Endpoint:
        """Tell what is asked for, by what the provider says of itself."""
        path = target.partition("?")[0]
        if path == DISCOVERY:
            return "discovery"
        if not self._paths:
            told = await self._pass_on("GET", DISCOVERY, {"host": headers.get("host", "")}, b"")
            said = msgspec.json.decode(told.body) if told.status == 200 else {}  # noqa: PLR2004  # OK
            names: tuple[tuple[str, Endpoint], ...] = (
                ("jwks_uri", "jwks"),
                ("token_endpoint", "token"),
                ("revocation_endpoint", "revocation"),
            )
            self._paths = {str(httpx2.URL(said[name]).path): endpoint for name, endpoint in names if name in said}
        return self._paths.get(path, "other")

    async def _pass_on(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        kept = {name: value for name, value in headers.items() if name not in OF_THE_CONNECTION}
        request = self._client.build_request(method, f"{self.upstream}{target}", headers=kept, content=body or None)
        try:
            response = await self._client.send(request)
        except httpx2.HTTPError:
            return Answer(status=502, headers=[("content-type", "text/plain")], body=b"the provider behind this one does not answer")
        unpacked = OF_THE_CONNECTION | {"content-encoding"}
        passed = [(name.lower(), value) for name, value in response.headers.multi_items() if name.lower() not in unpacked]
        return Answer(status=response.status_code, headers=passed, body=response.content)


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    """Read a request: method, target, headers by their names in small letters, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return method, target, headers, await reader.readexactly(int(headers.get("content-length", "0")))


def _write(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {answer.status}", *(f"{name}: {value}" for name, value in answer.headers)]
    lines += [f"content-length: {len(answer.body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + answer.body
