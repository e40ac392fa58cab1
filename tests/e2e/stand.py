"""An application of its own, wrapped in the middleware: it serves a test's pages, keeps every message and answers when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from stillhere import Policy, SessionManager
from stillhere.adapters.asgi import SessionMiddleware, session_of
from stillhere.http.config import HttpConfig
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stillhere.adapters.asgi import App, Receive, Scope, Send
    from stillhere.tokens import Tokens

CONFIG = HttpConfig(extra_paths={"beat": ("/api/auth/heartbeat",)}, beats_per_minute=1_000_000, messages_per_minute=1_000_000)


class Stand:
    """The application, and what it was told.

    Attributes:
        files: path to media type and content; `/enter` signs in and goes to `/`.
        messages: every message to a session route: its `path`, and what its body said.
        holds_answers: while true, answers wait.
        is_down: while true, session routes answer 503.
        csp: the Content-Security-Policy of its pages.
        config: how the session routes are offered.
        tokens: which tokens there are beside the cookie.
    """

    config: HttpConfig = CONFIG
    tokens: Tokens | None = None

    def __init__(self, policy: Policy, clock: Callable[[], int] | None = None) -> None:
        """Keep the policy, and the clock the server goes by."""
        self.policy = policy
        self.clock = clock
        self.files: dict[str, tuple[str, bytes]] = {"/favicon.ico": ("image/x-icon", b""), "/settled": ("text/plain", b"")}
        self.messages: list[dict[str, Any]] = []
        self.holds_answers = False
        self.is_down = False
        self.csp = "default-src 'self'; require-trusted-types-for 'script'"
        self.url = ""
        self._handle = ""
        self._loop: asyncio.AbstractEventLoop
        self._manager: SessionManager
        self._server: uvicorn.Server

    def beats(self) -> list[dict[str, Any]]:
        """List the messages that are beats."""
        return [message for message in self.messages if message.get("kind") == "beat"]

    def views(self) -> set[str]:
        """Tell which views beats came from: a client that starts anew has another."""
        return {str(message["view"]) for message in self.beats()}

    def end_session(self) -> None:
        """End the session from elsewhere."""
        asyncio.run_coroutine_threadsafe(self._manager.end_by_handle(self._handle), self._loop).result(timeout=20)

    @contextlib.contextmanager
    def serving(self) -> Iterator[Stand]:
        """Serve until the block ends."""
        # Named as TCP, which asyncio asks before it sends small answers at once.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(listener)))
        thread.start()
        try:
            wait_until(lambda: hasattr(self, "_server") and self._server.started, what="the stand to listen")
            yield self
        finally:
            self.holds_answers = False
            self._server.should_exit = True
            thread.join()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        async with SessionManager("memory://", policy=self.policy, clock=self.clock, tokens=self.tokens) as self._manager:
            app = self._watch(SessionMiddleware(self._show, self._manager, self.config))
            options = {"lifespan": "off", "ws": "none", "log_level": "error", "timeout_graceful_shutdown": 1}
            self._server = uvicorn.Server(uvicorn.Config(app, **options))  # type: ignore[arg-type]  # options of many types
            await self._server.serve([listener])

    def _watch(self, app: App) -> App:
        async def watching(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "POST":
                await app(scope, receive, send)
                return
            body, more = b"", True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            self.messages.append({"path": scope["path"], **json.loads(body or b"{}")})
            while self.holds_answers:  # noqa: ASYNC110  # the test sets it from another thread
                await asyncio.sleep(0.01)
            if self.is_down:
                await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
                await send({"type": "http.response.body"})
                return

            async def replay() -> dict[str, Any]:
                return {"type": "http.request", "body": body}

            await app(scope, replay, send)

        return watching

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        if scope["path"] == "/enter":
            started, cookies = await session_of(scope).start("reader@studio.example")
            self._handle = started.session.handle
            headers = [(b"location", b"/"), *((name.encode(), value.encode()) for name, value in cookies)]
            await send({"type": "http.response.start", "status": 303, "headers": headers})
            await send({"type": "http.response.body"})
            return
        media, content = self.files.get(scope["path"], ("text/plain", b""))
        status = 200 if scope["path"] in self.files else 404
        headers = [(b"content-type", media.encode()), (b"content-security-policy", self.csp.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
