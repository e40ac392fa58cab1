"""A gate over real HTTP, in this process: its clock can be moved, its mail server is real, and what it keeps can be read."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import uvicorn

from stillhere.manager import SessionManager
from stillhere.server.app import build_app
from stillhere.server.settings import load_settings
from tests.server.site import ADMIN_TOKEN
from tests.services.mail import Post, post_office
from tests.support import FakeClock, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "reader@fund.example"


class Stand:
    """A gate and what is around it.

    Attributes:
        url: where it listens.
        post: takes its mail.
        clock: what the gate goes by.
        file: its store.
    """

    numbers = itertools.count(1)

    def __init__(self, url: str, post: Post, clock: FakeClock, file: Path) -> None:
        self.url = url
        self.post = post
        self.clock = clock
        self.file = file
        self.closing = ExitStack()

    def visitor(self, address: str | None = None, **headers: str) -> httpx2.Client:
        """Give a browser of its own, at an address of its own or the one given, on one of our pages."""
        number = next(self.numbers)
        address = address or f"10.9.{number >> 8 & 255}.{number & 255}"
        sent = {"origin": self.url, "x-forwarded-for": address, **headers}
        return self.closing.enter_context(httpx2.Client(base_url=self.url, headers=sent, timeout=20))

    def asked(self, email: str = ADDRESS, **fields: str) -> httpx2.Client:
        """Give a browser that asked for a code."""
        visitor = self.visitor()
        answer = visitor.post("/gate", data={"email": email, **fields})
        assert (answer.status_code, answer.headers.get("location", "").partition("?")[0]) == (303, "/gate/code"), answer.text
        return visitor

    def enter(self, email: str = ADDRESS, **fields: str) -> httpx2.Client:
        """Give a browser that typed its code."""
        visitor = self.asked(email, **fields)
        assert visitor.post("/gate/code", data={"code": self.post.code_for(email)}).status_code == 303
        return visitor

    def sessions(self) -> list[dict[str, Any]]:
        """Read all sessions from the file itself."""
        return self.rows("sessions")

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Read a table."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(f"select * from stillhere_{table}")]  # noqa: S608  # a name from the test


@contextmanager
def standing(folder: Path, /, *, clock: FakeClock | None = None, post: Post | None = None, **flags: str) -> Iterator[Stand]:
    """Run a gate until the block ends.

    Args:
        folder: for its file; two at once share it.
        clock: what it goes by. Default: one of its own.
        post: takes its mail. Default: one of its own.
        flags: more settings.
    """
    clock = clock or FakeClock()
    with ExitStack() as closing_too:
        post = post or closing_too.enter_context(post_office())
        mail = {"mail_url": post.url, "mail_from": "room@firm.example", "gate_code": "email"}
        told = {"store": f"sqlite:///{folder / 'gate.db'}", "trusted_proxies": "127.0.0.1/32", **mail, **flags}
        settings = load_settings(told)
        manager = SessionManager(settings.store, policy=settings.policy(), clock=clock)
        app = build_app(manager, settings, admin_token=ADMIN_TOKEN, demo=True)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", proxy_headers=False, timeout_graceful_shutdown=5, ws="none"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
        thread.start()
        wait_until(lambda: server.started, what="the gate to listen")
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        stand = Stand(url, post, clock, folder / "gate.db")
        try:
            yield stand
        finally:
            stand.closing.close()
            server.should_exit = True
            thread.join(20)
