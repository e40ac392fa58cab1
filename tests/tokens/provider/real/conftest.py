"""A real provider behind one that goes wrong, and this application as it knows it."""

from __future__ import annotations

import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs

import pytest

from stillhere.clock import system_clock
from stillhere.testing import FaultyProvider
from stillhere.tokens.provider.config import Provider
from stillhere.tokens.provider.party import RelyingParty
from tests.services.openid import OpenIdServer, Person, openid_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from stillhere.tokens.provider.login import Login


PATIENCE: Final = {"connect_timeout": 20_000, "read_timeout": 20_000, "total_timeout": 20_000}
HASTE: Final[dict[str, Any]] = {"connect_timeout": 2_500, "read_timeout": 2_500, "total_timeout": 2_500}
"""Less than a late answer takes, in milliseconds; for tests of such answers only, for on a busy machine any may take so long."""


class Stand(NamedTuple):
    """What the tests of a file share.

    Attributes:
        faulty: the issuer.
        server: the real provider behind it.
        notices: logout tokens that it posted.
    """

    faulty: FaultyProvider
    server: OpenIdServer
    notices: queue.Queue[str]

    def provider(self, client: str = "basic", **changes: Any) -> Provider:
        """Give the settings of a client there, with patience."""
        return Provider(**self.server.client(client, **{**PATIENCE, **changes}))


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Run a provider that rotates, behind one that goes wrong, and a receiver of its logout tokens."""
    notices: queue.Queue[str] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(200)
            self.end_headers()
            notices.put(posted["logout_token"][0])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver, FaultyProvider() as faulty:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{receiver.server_port}/logout"
        with openid_server(tmp_path_factory.mktemp("openid"), issuer=faulty.url, backchannel_logout_uri=uri) as server:
            faulty.upstream = server.url
            yield Stand(faulty, server, notices)
        receiver.shutdown()


@pytest.fixture(autouse=True)
def healed(stand: Stand) -> Iterator[None]:
    """Leave no fault behind."""
    yield
    stand.faulty.heal()


@pytest.fixture
def now() -> int:
    """Tell the time, once: what a test asks for happens now."""
    return system_clock()()


@pytest.fixture
async def party(stand: Stand) -> AsyncIterator[RelyingParty]:
    """Give this application as the provider knows it."""
    party = RelyingParty(stand.provider(), random_bytes=os.urandom)
    yield party
    await party.close()


@pytest.fixture
async def login(party: RelyingParty, now: int) -> Login:
    """Sign somebody in."""
    return await sign_in(party, now)


async def sign_in(party: RelyingParty, now: int, person: Person | None = None) -> Login:
    """Sign somebody in, in a browser of their own unless they have one."""
    begun = await party.begin(return_to="/work?item=1", now=now)
    async with person or Person() as who:
        return await party.finish(await who.sign_in(begun.url), begun.transaction, now=now)
