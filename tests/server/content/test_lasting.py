"""A long answer does not outlive the session that asked for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from stillhere import EndedBy, SessionManager
from stillhere.errors import StoreError
from stillhere.server.content import GateMiddleware
from stillhere.server.content.files import PIECE_BYTES
from stillhere.server.content.folder import Folder
from stillhere.server.content.html import MOST_WHOLE
from stillhere.server.content.lasting import LOOK_INTERVAL_S
from stillhere.server.pages import Pages
from stillhere.stores.memory import MemoryStore
from tests.support import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
    from pathlib import Path

    from stillhere.core.records import Session

PIECES: Final = 12


class Store(MemoryStore):
    """A store that counts how often a session was looked at, and can be told to fail.

    Attributes:
        looks: how often.
        is_away: whether it fails.
    """

    def __init__(self) -> None:
        super().__init__()
        self.looks, self.is_away = 0, False

    async def get(self, handle: str) -> Session | None:
        """Look at a session."""
        self.looks += 1
        if self.is_away:
            raise StoreError("away")
        return await super().get(handle)


class Stand:
    """A folder with a large file and a longer page behind a gate, and a reader of one of them.

    Args:
        place: for the folder.
        manager: the sessions.
        path: of what is read.
    """

    def __init__(self, place: Path, manager: SessionManager, path: str = "/big.bin") -> None:
        (place / "big.bin").write_bytes(b"x" * PIECES * PIECE_BYTES)
        (place / "big.html").write_bytes(b"x" * (MOST_WHOLE + PIECES * PIECE_BYTES))
        self._path = path
        folder = Folder(place, Pages(), site_name="Deck", tag=None, downloads=True)
        self._app = GateMiddleware(folder, manager, open_paths=("/big.bin",))
        self.sent: list[MutableMapping[str, Any]] = []

    async def read(self, secret: str | None, then: Callable[[int], Awaitable[None]]) -> int:
        """Ask for the file, and do something after each piece; tell how many came."""
        cookie = [] if secret is None else [(b"cookie", f"session={secret}".encode())]
        asgi = {"version": "3.0", "spec_version": "2.3"}
        sides = {"client": ("127.0.0.1", 1), "server": ("localhost", 8000), "headers": [(b"host", b"localhost:8000"), *cookie]}
        target = {"method": "GET", "path": self._path, "raw_path": self._path.encode(), "query_string": b"", "root_path": ""}
        scope = {"type": "http", "asgi": asgi, "scheme": "http", "http_version": "1.1", **sides, **target}
        asked = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            return asked.pop() if asked else await asyncio.Event().wait()  # type: ignore[return-value]  # it waits for ever

        async def send(message: MutableMapping[str, Any]) -> None:
            self.sent.append(message)
            if message.get("body"):
                await then(self.pieces)

        await self._app(scope, receive, send)
        return self.pieces

    @property
    def pieces(self) -> int:
        """How many pieces came."""
        return sum(bool(message.get("body")) for message in self.sent)

    @property
    def is_whole(self) -> bool:
        """Whether the answer was said to be complete."""
        return self.sent[-1].get("more_body") is False


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock to move."""
    return FakeClock()


@pytest.fixture
def store() -> Store:
    """Give a store that counts."""
    return Store()


@pytest.fixture
async def manager(clock: FakeClock, store: Store) -> AsyncIterator[SessionManager]:
    """Give the sessions."""
    async with SessionManager(store, clock=clock) as manager:
        yield manager


@pytest.mark.parametrize("path", ["/big.bin", "/big.html"])
async def test_a_download_stops_once_its_session_is_over(tmp_path: Path, manager: SessionManager, clock: FakeClock, path: str) -> None:
    """The next piece after the next look is not sent, and the answer is left unfinished, also of a page that is so long."""
    started, stand = await manager.start("reader@fund.example"), Stand(tmp_path, manager, path)

    async def end(pieces: int) -> None:
        if pieces == 3:
            await manager.end_by_handle(started.session.handle, EndedBy.REVOKED)
            clock.advance(LOOK_INTERVAL_S * 1_000)

    assert await stand.read(started.secret, end) == 3
    assert not stand.is_whole


async def test_a_download_goes_on_while_its_session_lives(tmp_path: Path, manager: SessionManager, clock: FakeClock, store: Store) -> None:
    """All of it comes, for one look in five seconds; a store that is away meanwhile stops nobody."""
    started, stand = await manager.start("reader@fund.example"), Stand(tmp_path, manager)

    async def second(pieces: int) -> None:
        store.is_away = pieces > 6
        clock.advance(1_000)

    assert await stand.read(started.secret, second) == PIECES
    assert stand.is_whole
    assert store.looks == PIECES // LOOK_INTERVAL_S


async def test_an_open_download_asks_for_no_session(tmp_path: Path, manager: SessionManager, clock: FakeClock, store: Store) -> None:
    """What is open to everybody is sent to whoever has no session, and nobody is looked at."""

    async def minute(_: int) -> None:
        clock.advance(60_000)

    stand = Stand(tmp_path, manager)
    assert await stand.read(None, minute) == PIECES
    assert stand.is_whole
    assert store.looks == 0
