"""Doubles for the tests of the web half: a small web of memory store and clock, stores in trouble, and ways to read answers."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final, Protocol

from stillhere.core.rules import deadline, ending
from stillhere.errors import StoreError
from stillhere.http.endpoints import SessionEndpoints
from stillhere.http.messages import Request, Response
from stillhere.manager import SessionManager
from stillhere.stores.memory import MemoryStore
from tests.support import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from stillhere.core.policy import Policy
    from stillhere.core.records import Session
    from stillhere.http.config import HttpConfig
    from stillhere.manager import Started
    from stillhere.tokens import Tokens

HOST: Final = "app.example"
OWN: Final = f"https://{HOST}"
"""Our own origin in these tests."""

OURS: Final = {"sec-fetch-site": "same-origin"}
"""Headers of a request from one of our own pages."""

UNKNOWN_SECRET: Final = "handle." + "A" * 43
"""Has the shape of a secret id and names nothing."""


class Web:
    """The session routes over a memory store, with a clock to move.

    Attributes:
        clock: the clock.
        store: what is kept.
        manager: the sessions.
        endpoints: the session routes.
    """

    def __init__(self, config: HttpConfig | None = None, policy: Policy | None = None, tokens: Tokens | None = None) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore()
        self.manager = SessionManager(self.store, policy=policy, clock=self.clock, tokens=tokens)
        self.endpoints = SessionEndpoints(self.manager, config)

    async def sign_in(self, subject: str = "first@fund.example") -> Started:
        """Begin a session."""
        return await self.manager.start(subject)

    def session(self) -> Session:
        """Read the only session there is."""
        (session,) = self.store.sessions.values()
        return session

    def over_at(self) -> int:
        """Tell when the only session is over, or was."""
        session = self.session()
        over = ending(session, now=self.clock())
        return deadline(session) if over is None else over.at

    def kept(self) -> object:
        """Copy all that the store holds, to compare it later."""
        return copy.deepcopy((self.store.sessions, self.store.views, self.store.visits, self.store.grants))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | object = b"",
        secret: str | None = None,
        client: str = "203.0.113.9",
        query: str = "",
    ) -> Response:
        """Send a request from one of our own pages over https, unless `headers` say otherwise."""
        return await self.endpoints.answer(request(method, path, headers=headers, body=body, secret=secret, client=client, query=query))


def request(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | object = b"",
    secret: str | None = None,
    client: str = "203.0.113.9",
    query: str = "",
) -> Request:
    """Build a request that came over https to our own host."""
    cookie = {} if secret is None else {"cookie": f"__Host-session={secret}"}
    return Request(
        method=method,
        path=path,
        query=query,
        headers={"host": HOST, **(OURS if headers is None else {}), **cookie, **(headers or {})},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        client=client,
        scheme="https",
    )


class Trouble:
    """A store that cannot be reached: every verb raises.

    Args:
        error: what it raises. Default: a `StoreError` that asks for 7 s.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error or StoreError("the disk is gone", retry_after=7)

    async def _fail(self, *_: object, **__: object) -> Any:
        raise self._error

    create = beat = get = find = rotate = end = ping = _fail

    async def watch(self) -> AsyncIterator[str | None]:
        """See `Watchable.watch`."""
        await self._fail()
        yield None

    async def close(self) -> None:
        """See `Store.close`."""


def never_asked() -> SessionManager:
    """Give a manager whose store fails the test if it is asked anything."""
    return SessionManager(Trouble(AssertionError("the store was asked")), clock=FakeClock())


def in_trouble() -> SessionManager:
    """Give a manager whose store cannot be reached."""
    return SessionManager(Trouble(), clock=FakeClock())


class _Answer(Protocol):
    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """Names and values."""


def all_of(answer: _Answer, name: str) -> list[str]:
    """Read every header of a name."""
    return [value for key, value in answer.headers if key == name]


def header(answer: _Answer, name: str) -> str | None:
    """Read a header that may be there once."""
    values = all_of(answer, name)
    assert len(values) <= 1, f"{name} came {len(values)} times"
    return values[0] if values else None


def read(answer: Response) -> dict[str, Any]:
    """Read an answer's JSON."""
    body: dict[str, Any] = json.loads(answer.body)
    return body


def assert_private(answer: Response) -> None:
    """Check what every answer of a session route carries, whatever its status."""
    assert header(answer, "cache-control") == "private, no-store"
    assert "Cookie" in (header(answer, "vary") or "")


def assert_problem(answer: Response, status: int) -> dict[str, Any]:
    """Check that an answer is a problem as RFC 9457 has it, private, with a sentence for people; give its members."""
    assert answer.status == status
    assert_private(answer)
    assert header(answer, "content-type") == "application/problem+json"
    assert header(answer, "x-content-type-options") == "nosniff"
    body = read(answer)
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["status"] == status
    assert body["detail"].endswith(".")
    return body
