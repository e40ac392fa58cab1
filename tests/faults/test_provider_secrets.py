"""A whole life with a provider, and every byte of it looked at: no token is where it does not belong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
import redis
from psycopg import sql

from stillhere.testing import Fault
from tests.faults.token_stand import SCALED, SOON, Browser, Site, Stand, reason_of, standing, until
from tests.services.openid import POST_LOGOUT_REDIRECT_URI, Person
from tests.services.process import free_port
from tests.stores.every import fresh_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class Wire:
    """A connection's way to a worker, on which every byte is written down.

    Attributes:
        url: where it begins.
        sent: all that browsers sent.
        told: all that they were answered.
    """

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self.url = ""
        self.sent = bytearray()
        self.told = bytearray()

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._listening = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        self._listening.close()
        await self._listening.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._to.hostname, self._to.port)
        await asyncio.gather(_copied(reader, back, self.sent), _copied(there, writer, self.told))


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, into: bytearray) -> None:
    try:
        while piece := await reader.read(65_536):
            into += piece
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture(scope="module")
def port() -> int:
    """Give the port to which the provider posts its notices."""
    return free_port()


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Stand]:
    """Run a provider that rotates, and tells of sign-outs."""
    notices = f"http://127.0.0.1:{port}/session/backchannel"
    with standing(tmp_path_factory.mktemp("stand"), backchannel_logout_uri=notices) as stand:
        yield stand


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def site(request: pytest.FixtureRequest, stand: Stand, tmp_path: Path, port: int) -> Iterator[Site]:
    """Run an application on an empty store, of each kind in turn, that logs all there is to log."""
    with stand.site(fresh_url(request.param, tmp_path)) as site:
        site.start(port=port, scaled=SCALED)
        yield site
    stand.provider.heal()


@pytest.fixture
async def wire(site: Site) -> AsyncIterator[Wire]:
    """Write down what goes to the application and comes from it."""
    async with Wire(site.workers[0].url) as wire:
        yield wire


def dump(url: str) -> bytes:
    """Read all that a store keeps, as whoever steals it would."""
    if url.startswith("sqlite"):
        file = Path(urlsplit(url).path.removeprefix("/"))
        return b"".join(Path(f"{file}{end}").read_bytes() for end in ("", "-wal", "-shm") if Path(f"{file}{end}").exists())
    return _rows(url) if url.startswith("postgresql") else _keys(url)


def _rows(url: str) -> bytes:
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [connection.execute(sql.SQL("SELECT {}::text FROM {}").format(*[sql.Identifier(name)] * 2)).fetchall() for (name,) in tables]
    return repr(rows).encode()


def _keys(url: str) -> bytes:
    address, _, prefix = url.partition("?prefix=")
    with redis.Redis.from_url(address) as server:
        read: dict[bytes, Callable[[bytes], object]] = {
            b"string": server.get,
            b"hash": server.hgetall,
            b"set": server.smembers,
            b"zset": lambda key: server.zrange(key, 0, -1, withscores=True),
            b"list": lambda key: server.lrange(key, 0, -1),
            b"stream": server.xrange,
        }
        found = [(key, read[server.type(key)](key), server.dump(key)) for key in server.scan_iter(f"{prefix}*")]
    return repr(found).encode()


class Seen:
    """What a thief of the store saw, at several moments.

    Args:
        url: of the store.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.all = b""

    def look(self) -> None:
        """Look once more."""
        self.all += dump(self._url)


async def live(site: Site, wire: Wire, seen: Seen) -> set[str]:
    """Live a life: in, beats, refreshes, a refresh that hangs, trouble, a lost answer, out; tell which secrets of ours a browser had."""
    provider, worker = site.stand.provider, site.workers[0]
    ours: set[str] = set()
    browser = await entered(site, wire, "first")
    ours |= set(browser.cookies.values())
    await browser.ask(wire.url, "POST", "/issue")
    ours.add(browser.cookies["refresh"])
    assert (await browser.ask(wire.url, "POST", "/session/refresh")).status_code == 200
    ours.add(browser.cookies["refresh"])
    seen.look()

    await browser.until_due()
    held = provider.hold("token", answered=True)
    beating = asyncio.ensure_future(beat(browser, wire))
    await held.arrived()
    seen.look()
    held.release()
    provider.live(SOON)
    assert (await beating) == 200
    assert len((await browser.ask(wire.url, "GET", "/token")).json()) == 64
    await out_of_trouble(browser, wire, seen)

    await browser.until_due()
    provider.next("token", Fault(loses_answer=True))

    async def is_over() -> bool:
        return await beat(browser, wire) == 401

    await until(is_over, what="the loss to be found")
    seen.look()
    assert site.heard("token_lost", browser.handle) == 1
    assert reason_of(await browser.ask(wire.url, "GET", "/session")) == "provider"
    await site.until_gone(browser.handle, worker)
    ours |= await signed_out_there(site, wire)
    seen.look()
    return ours


async def entered(site: Site, wire: Wire, name: str) -> Browser:
    """Sign somebody in on the wire, with tokens that are due soon."""
    site.stand.provider.live(SOON)
    browser = Browser(site)
    async with Person(name) as person:
        await browser.enter(wire.url, person)
    return browser


async def beat(browser: Browser, wire: Wire) -> int:
    """Beat with input, on the wire."""
    body = {"view": "v1", "lifecycle": "active", "idleMs": 0}
    return (await browser.ask(wire.url, "POST", "/session/beat", body)).status_code


async def out_of_trouble(browser: Browser, wire: Wire, seen: Seen) -> None:
    """Meet a provider that is down, answers nonsense and refuses us, until the token is over; then one that is well."""
    provider = browser.site.stand.provider
    await browser.until_due()
    provider.next("token", Fault(html=True), Fault(status=401, error="invalid_client"), Fault(status=500))
    await browser.until_over()
    statuses = set()

    async def is_well() -> bool:
        statuses.add(await beat(browser, wire))
        return not await browser.is_due()

    await until(is_well, what="the provider to be asked often enough")
    assert statuses == {200, 503}
    seen.look()


async def signed_out_there(site: Site, wire: Wire) -> set[str]:
    """Sign two people in: one signs out here, the other at the provider, which tells us; tell which secrets of ours they had."""
    provider = site.stand.provider
    browser = await entered(site, wire, "second")
    ours = set(browser.cookies.values())
    handle = browser.handle
    assert "logoutUrl" in (await browser.ask(wire.url, "POST", "/session/end")).json()
    await site.until_gone(handle, site.workers[0])

    browser = Browser(site)
    async with Person("third") as person:
        await browser.enter(wire.url, person)
        ours |= set(browser.cookies.values())
        url = f"{provider.url}/session/end?client_id=basic&post_logout_redirect_uri={POST_LOGOUT_REDIRECT_URI}"
        await person.sign_out(url)

    async def is_told() -> bool:
        return (await browser.ask(wire.url, "GET", "/session")).status_code == 401

    await until(is_told, what="the provider's notice")
    assert reason_of(await browser.ask(wire.url, "GET", "/session")) == "provider"
    await site.until_gone(browser.handle, site.workers[0])
    return ours


async def test_no_token_is_where_it_does_not_belong(site: Site, wire: Wire) -> None:
    """The provider's tokens: in no byte to a browser or from it, no line of the log, nothing in the store; ours: only in their cookies."""
    seen = Seen(site.store_url)
    ours = await live(site, wire, seen)
    theirs, log = site.stand.provider.secrets, site.logs()
    assert len(theirs) >= 15
    places = {"told": bytes(wire.told), "sent": bytes(wire.sent), "log": log.encode(), "store": seen.all}
    for name, place in places.items():
        found = [token[:12] for token in theirs if token.encode() in place or token.encode() in unquote(place.decode("latin-1")).encode()]
        assert found == [], f"tokens of the provider's in {name}"

    secret_parts = {value.partition(".")[2] or value for value in ours}
    for name in ("log", "store"):
        assert [part[:8] for part in secret_parts if part.encode() in places[name]] == [], f"secrets of ours in {name}"
    without_cookies = b"\r\n".join(line for line in places["told"].split(b"\r\n") if not line.lower().startswith(b"set-cookie:"))
    assert [part[:8] for part in secret_parts if part.encode() in without_cookies] == [], "secrets of ours in a body or another header"
    assert b"set-cookie: session=" in wire.told
    assert "tokens of session" in log
    assert b"v1.one." in seen.all, "the dump shows what is sealed"
