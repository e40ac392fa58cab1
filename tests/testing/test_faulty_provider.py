"""The provider that goes wrong: what passes, what is spoiled and how, what is held and counted."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from stillhere.testing import Fault, FaultyProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KEY = ECKey.generate_key("P-256", parameters={"kid": "first"})
CLAIMS: dict[str, Any] = {"iss": "x", "sub": "first", "iat": 1_700_000_000, "exp": 1_700_000_300}


class Upstream:
    """A small provider behind it: says what it is, has keys and gives tokens.

    Attributes:
        url: where it listens.
        heard: what came.
    """

    def __init__(self) -> None:
        heard = self.heard = list[tuple[str, str, dict[str, str], bytes]]()
        self.revocation = True
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                heard.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                status, said = upstream.answer(self.path, self.headers["host"])
                written = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("set-cookie", "a=b")
                self.send_header("set-cookie", "c=d")
                self.send_header("content-length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, host: str) -> tuple[int, Any]:
        """Say what a provider says."""
        if path == "/.well-known/openid-configuration":
            said = {"jwks_uri": f"http://{host}/keys", "token_endpoint": f"http://{host}/oauth/token?x=1"}
            return 200, {**said, "revocation_endpoint": f"http://{host}/revoke"} if self.revocation else said
        if path == "/keys":
            return 200, {"keys": [KEY.as_dict(private=False)]}
        if path.startswith("/oauth/token"):
            token = jwt.encode({"alg": "ES256", "kid": "first"}, CLAIMS, KEY)
            return 200, {"access_token": "a", "refresh_token": "r", "id_token": token}
        return 404, {"path": path}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Run the small provider."""
    upstream = Upstream()
    threading.Thread(target=upstream.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield upstream
    upstream.server.shutdown()
    upstream.server.server_close()


@pytest.fixture
def faulty(upstream: Upstream) -> Iterator[FaultyProvider]:
    """Run the one that goes wrong before it."""
    upstream.heard.clear()
    with FaultyProvider(upstream.url) as faulty:
        yield faulty


@pytest.fixture
async def client(faulty: FaultyProvider) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of it."""
    async with httpx2.AsyncClient(base_url=faulty.url, trust_env=False, timeout=20) as client:
        yield client


async def test_everything_passes_as_it_is(faulty: FaultyProvider, client: httpx2.AsyncClient, upstream: Upstream) -> None:
    """Without faults both hear each other to the letter; what the provider says of itself leads here, and calls are counted."""
    answer = await client.get("/page?a=b", headers={"x-asked": "yes"})
    assert (answer.status_code, answer.json(), answer.headers.get_list("set-cookie")) == (404, {"path": "/page?a=b"}, ["a=b", "c=d"])
    assert upstream.heard[-1][2]["x-asked"] == "yes"
    told = (await client.get("/.well-known/openid-configuration")).json()
    assert told["token_endpoint"] == f"{faulty.url}/oauth/token?x=1"
    await client.post("/oauth/token?x=1", content=b"code=1")
    assert upstream.heard[-1][::3] == ("POST", b"code=1")
    await client.post("/revoke")
    assert faulty.calls == {"other": 1, "discovery": 1, "token": 1, "revocation": 1}
    httpx2.get(f"{faulty.url}/page", trust_env=False, timeout=20)
    assert "cookie" not in upstream.heard[-1][2], "cookies are the caller's"


async def test_a_provider_without_revocation(faulty: FaultyProvider, client: httpx2.AsyncClient, upstream: Upstream) -> None:
    """An endpoint that the provider does not name is none."""
    upstream.revocation = False
    try:
        await client.post("/revoke")
    finally:
        upstream.revocation = True
    assert faulty.calls == {"other": 1}


@pytest.mark.parametrize(
    ("fault", "status", "headers", "body"),
    [
        (Fault(status=429, retry_after="7"), 429, {"retry-after": "7", "content-type": "text/html"}, None),
        (Fault(status=302, location="https://elsewhere.example"), 302, {"location": "https://elsewhere.example"}, None),
        (Fault(status=400, error="invalid_grant"), 400, {"content-type": "application/json"}, '{"error":"invalid_grant"}'),
        (Fault(html=True), 200, {"content-type": "text/html"}, None),
    ],
)
async def test_answers_in_the_providers_place(  # fixtures, and columns of the table
    faulty: FaultyProvider,
    client: httpx2.AsyncClient,
    upstream: Upstream,
    fault: Fault,
    status: int,
    headers: dict[str, str],
    body: str | None,
) -> None:
    """The provider hears nothing, unless it is to hear all the same."""
    await client.get("/keys")
    upstream.heard.clear()
    faulty.next("token", fault)
    answer = await client.post("/oauth/token")
    assert answer.status_code == status
    assert headers.items() <= dict(answer.headers).items()
    assert body is None or answer.text == body
    assert upstream.heard == []

    faulty.always("token", Fault(status=504, is_heard=True))
    assert (await client.post("/oauth/token")).status_code == 504
    assert [path for _, path, _, _ in upstream.heard] == ["/oauth/token"]


async def test_answers_that_are_spoiled(faulty: FaultyProvider, client: httpx2.AsyncClient) -> None:
    """Members go, change, or stay; a body is cut or grows; a header says something else."""
    faulty.next(
        "token",
        Fault(without=("refresh_token",), members={"expires_in": 7}),
        Fault(cuts=5),
        Fault(pads=1_000),
        Fault(content_type="text/html"),
        Fault(),
    )
    said = (await client.post("/oauth/token")).json()
    assert (set(said), said["expires_in"]) == ({"access_token", "id_token", "expires_in"}, 7)
    assert len((await client.post("/oauth/token")).content) == 5
    assert len((await client.post("/oauth/token")).content) > 1_000
    assert (await client.post("/oauth/token")).headers["content-type"] == "text/html"
    assert set((await client.post("/oauth/token")).json()) == {"access_token", "refresh_token", "id_token"}


async def test_tokens_of_somebody_else(faulty: FaultyProvider, client: httpx2.AsyncClient) -> None:
    """A changed ID token is signed by a key that is among the provider's; a spoiled one by none; a clock that is off shows everywhere."""
    keys = {key["kid"]: ECKey.import_key(key) for key in (await client.get("/keys")).json()["keys"]}
    assert set(keys) == {"first", "faulty-provider"}
    faulty.next("token", Fault(claims={"sub": "second"}), Fault(skew=-60_000), Fault(unsigned=True), Fault())

    changed = (await client.post("/oauth/token")).json()["id_token"]
    assert jwt.decode(changed, keys["faulty-provider"], algorithms=["ES256"]).claims == {**CLAIMS, "sub": "second"}
    skewed = await client.post("/oauth/token")
    assert jwt.decode(skewed.json()["id_token"], keys["faulty-provider"], algorithms=["ES256"]).claims["iat"] == CLAIMS["iat"] - 60
    spoiled = (await client.post("/oauth/token")).json()["id_token"]
    right = await client.post("/oauth/token")
    assert spoiled.rpartition(".")[2] == "A" * 86
    assert jwt.decode(right.json()["id_token"], keys["first"], algorithms=["ES256"]).claims == CLAIMS
    assert skewed.headers["date"] < right.headers["date"] or skewed.headers["date"][:16] != right.headers["date"][:16]

    faulty.next("discovery", Fault(members={"issuer": "x"}, skew=1_000))
    assert (await client.get("/.well-known/openid-configuration")).json()["issuer"] == "x"


async def test_answers_that_do_not_come(faulty: FaultyProvider, client: httpx2.AsyncClient, upstream: Upstream) -> None:
    """The provider has heard, and the connection breaks; or the answer waits."""
    faulty.next("token", Fault(loses_answer=True), Fault(delay=300))
    with pytest.raises(httpx2.HTTPError):
        await client.post("/oauth/token")
    assert upstream.heard[-1][1] == "/oauth/token"
    begun = asyncio.get_running_loop().time()
    await client.post("/oauth/token")
    assert asyncio.get_running_loop().time() - begun >= 0.3


async def test_calls_that_are_held(faulty: FaultyProvider, client: httpx2.AsyncClient, upstream: Upstream) -> None:
    """One is held before the provider hears it, another after; either goes on when it is let go, and only once."""
    await client.get("/keys")
    for answered in (False, True):
        upstream.heard.clear()
        held = faulty.hold("token", answered=answered)
        asking = asyncio.ensure_future(client.post("/oauth/token"))
        await held.arrived()
        assert len(upstream.heard) == answered
        assert not asking.done()
        held.release()
        held.release()
        assert (await asking).status_code == 200


def test_a_test_that_is_not_async(faulty: FaultyProvider) -> None:
    """It can wait for a call, too, and what nobody lets go goes when all is healed."""
    held = faulty.hold("other")
    statuses: list[int] = []
    asking = threading.Thread(target=lambda: statuses.append(httpx2.get(f"{faulty.url}/page", trust_env=False, timeout=20).status_code))
    asking.start()
    held.wait()
    assert statuses == []
    faulty.always("other", Fault(status=500))
    held.release()
    asking.join(20)
    assert statuses == [404]
    assert httpx2.get(f"{faulty.url}/page", trust_env=False, timeout=20).status_code == 500
    faulty.always("other", None)
    faulty.always("other", None)
    assert httpx2.get(f"{faulty.url}/page", trust_env=False, timeout=20).status_code == 404
    faulty.next("other", Fault(status=500))
    faulty.hold("other")
    faulty.heal()
    assert httpx2.get(f"{faulty.url}/page", trust_env=False, timeout=20).status_code == 404


async def test_nobody_lets_go(faulty: FaultyProvider, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is forgotten goes on after a while, so that a test fails instead of hanging; as does waiting for one that never comes."""
    monkeypatch.setattr("stillhere.testing.faulty_provider.LONGEST_WAIT_S", 0.2)
    faulty.hold("other")
    assert (await client.get("/page")).status_code == 404
    with pytest.raises(TimeoutError):
        await faulty.hold("token").arrived()
    with pytest.raises(TimeoutError):
        faulty.hold("token").wait()


async def test_a_provider_that_is_away() -> None:
    """Then it answers as a gateway does; and names no endpoint before it could ask."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with FaultyProvider(f"http://127.0.0.1:{nobody.getsockname()[1]}") as faulty:
            async with httpx2.AsyncClient(base_url=faulty.url, trust_env=False, timeout=20) as client:
                assert (await client.post("/oauth/token")).status_code == 502
            assert faulty.calls == {"other": 1}


@pytest.mark.parametrize(
    "said", [b"", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000]
)
async def test_what_is_no_request(faulty: FaultyProvider, said: bytes) -> None:
    """The connection ends, and it serves on."""
    host, port = faulty.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    writer.write_eof()
    with pytest.raises(ConnectionError):
        raise ConnectionError(await reader.read())
    writer.close()
    assert faulty.calls == {}


def test_it_stops_with_calls_on_their_way(upstream: Upstream) -> None:
    """Whatever is still asked when the block ends is cut off."""
    with FaultyProvider(upstream.url) as faulty:
        faulty.always("other", Fault(delay=20_000))
        host, port = faulty.url.removeprefix("http://").split(":")
        asking = socket.create_connection((host, int(port)))
        asking.sendall(b"GET /page HTTP/1.1\r\nhost: x\r\n\r\n")
        while not faulty.calls:
            os.sched_yield()
    assert asking.recv(10) == b""
    asking.close()


def test_a_port_that_is_taken(faulty: FaultyProvider) -> None:
    """Whoever asks for a port that somebody has is told so."""
    port = int(faulty.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"), FaultyProvider(port=port):
        pass
