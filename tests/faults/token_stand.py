"""A real provider behind one that goes wrong, applications on one store in processes of their own, and browsers at them."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs, quote_plus

import httpx2
import msgspec

from stillhere.core.refreshing import PROVIDER, Holding
from stillhere.stores import open_store
from stillhere.testing import Fault, FaultyProvider
from stillhere.tokens.provider.records import ProviderTokens
from stillhere.tokens.vault import Vault, read_vault_key
from tests.faults.token_worker import VAULT_KEY, Options
from tests.services.openid import SECRET, OpenIdServer, Person, openid_server
from tests.support import PATIENCE_S, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from stillhere.core.grants import Held
    from stillhere.testing.altered import Answer
    from stillhere.testing.faulty_provider import Endpoint
    from tests.stores.every import FullStore
    from tests.support import Program

CALLBACK: Final = "http://127.0.0.1/session/callback"
"""Where people come back to. Nobody listens there: a test takes the answer to whichever worker it likes."""

OURS: Final = {"X-Stillhere": "1", "Content-Type": "application/json"}

SCALED: Final = {"LEASE_MS": 3_000, "REVOKE_AGAIN_MS": 300, "LONGEST_PAUSE_MS": 1_000}
"""What is waited for in tests: a lease that runs out, a pause, the next try to take tokens back. A machine may be busy that long."""

SOON: Final = 2
"""Seconds that an access token lives which is to be due in one."""

LATER: Final = 600
"""Seconds that one lives which is to be due in no test."""

_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once: to read the system's authorities for each of many clients would take longer than what they do."""

EAGER: Final = {"refresh_margin": 0.5, "least_margin": 0, "connect_timeout": 15_000, "read_timeout": 15_000, "total_timeout": 15_000}


class Recorder(FaultyProvider):
    """A faulty provider that knows which tokens there are, whoever heard of them.

    Attributes:
        given: answers of the real provider's token endpoint, in order.
        spent: refresh tokens that reached the real provider, in order.
        refused: how often it said that one is worth nothing.
        revoked: tokens that were taken back there, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: list[dict[str, Any]] = []
        self.spent: list[str] = []
        self.refused = 0
        self.revoked: list[str] = []

    async def _pass_on(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        answer = await super()._pass_on(method, target, headers, body)
        path = target.partition("?")[0]
        form = parse_qs(body.decode()) if path in self._paths else {}
        if self._paths.get(path) == "token":
            said = msgspec.json.decode(answer.body)
            self.spent += form.get("refresh_token", [])
            self.given += [said] if answer.status == 200 else []
            self.refused += said.get("error") == "invalid_grant"
        elif self._paths.get(path) == "revocation" and answer.status == 200:
            self.revoked += form["token"]
        return answer

    def live(self, lifetime_s: int) -> None:
        """Let the access tokens that are given from now on end after so many seconds, as far as anybody is told."""
        self.always("token", Fault(members={"expires_in": lifetime_s}))

    @property
    def secrets(self) -> set[str]:
        """All tokens that were given."""
        return {answer[name] for answer in self.given for name in ("access_token", "refresh_token", "id_token") if name in answer}

    async def accepts(self, refresh_token: str) -> bool:
        """Try a refresh token at the real provider; if it is good it is spent now."""
        answer = await self._ask("token", {"grant_type": "refresh_token", "refresh_token": refresh_token})
        assert answer.status_code in {200, 400}, answer.text
        return answer.status_code == 200

    async def take_back(self, refresh_token: str) -> None:
        """Revoke a refresh token at the real provider, as somebody there does."""
        assert (await self._ask("revocation", {"token": refresh_token})).status_code == 200

    async def _ask(self, endpoint: Endpoint, form: dict[str, str]) -> httpx2.Response:
        path = next(path for path, name in self._paths.items() if name == endpoint)
        async with httpx2.AsyncClient(trust_env=False, timeout=20, verify=_NO_TLS) as client:
            return await client.post(f"{self.upstream}{path}", data=form, auth=httpx2.BasicAuth("basic", quote_plus(SECRET)))


class Stand:
    """What the tests of a file share: the provider, and from it on whatever a test builds.

    Attributes:
        provider: the issuer.
        server: the real provider behind it.
    """

    def __init__(self, provider: Recorder, server: OpenIdServer, folder: Path) -> None:
        self.provider = provider
        self.server = server
        self._folder = folder
        self._numbers = itertools.count()

    @contextmanager
    def site(self, store: str) -> Iterator[Site]:
        """Run applications on a store until the block ends."""
        with ExitStack() as running_ones:
            yield Site(self, store, running_ones, self._folder / f"site{next(self._numbers)}")


@contextmanager
def standing(folder: Path, **options: Any) -> Iterator[Stand]:
    """Run the provider until the block ends; options as of `OpenIdServer`."""
    lives: dict[str, Any] = {"access_lifetime": 600, "refresh_lifetime": 3600, "redirect_uris": (CALLBACK,), **options}
    with Recorder() as provider, openid_server(folder / "openid", issuer=provider.url, **lives) as server:
        provider.upstream = server.url
        yield Stand(provider, server, folder)


class Site:
    """Applications on one store.

    Attributes:
        stand: the provider's.
        store_url: where all keep their sessions.
        workers: the processes, in the order in which they began.
    """

    def __init__(self, stand: Stand, store_url: str, running_ones: ExitStack, folder: Path) -> None:
        self.stand = stand
        self.store_url = store_url
        self.workers: list[Program] = []
        self._running = running_ones
        self._folder = folder
        folder.mkdir()

    def start(self, count: int = 1, **changes: Any) -> list[Program]:
        """Start so many more; changes as of `Options`, `provider` being what is changed of it."""
        provider = self.stand.server.client(redirect_uri=CALLBACK, **{**EAGER, **changes.pop("provider", {})})
        options = Options(store=self.store_url, provider=provider, **changes)
        command = ("-m", "tests.faults.token_worker", msgspec.json.encode(options).decode())
        logs = [self._folder / f"worker{len(self.workers) + number}.log" for number in range(count)]
        opened = [running(*command, log=log, says="listening at", asked="/session/client.js") for log in logs]
        with ThreadPoolExecutor(count) as starting:  # Python takes its time to start
            begun = list(starting.map(self._running.enter_context, opened))
        self.workers += begun
        return begun

    def logs(self) -> str:
        """Give all that the workers wrote."""
        return "".join(worker.log.read_text() for worker in self.workers)

    def heard(self, news: str, handle: str) -> int:
        """Tell how often the workers told a piece of news of a session."""
        return self.logs().count(f"tokens of session {handle}: {news} ")

    async def sign_in(self, worker: Program, name: str = "person", *, lifetime_s: int = SOON) -> Browser:
        """Sign somebody in, at the provider and back, in a browser of their own."""
        self.stand.provider.live(lifetime_s)
        browser = Browser(self)
        async with Person(name) as person:
            await browser.enter(worker.url, person)
        self.stand.provider.live(LATER)
        return browser

    async def held(self, handle: str) -> Held:
        """Look at what a session holds of the provider, from a process of its own: this one."""
        store = cast("FullStore", open_store(self.store_url)[0])
        try:
            return await store.held(handle, PROVIDER)
        finally:
            await store.close()

    async def tokens(self, handle: str) -> ProviderTokens:
        """Open what a session holds."""
        grant = (await self.held(handle)).grant
        assert grant is not None
        sealed = msgspec.json.decode(grant.document, type=Holding).sealed
        opened = Vault([read_vault_key(VAULT_KEY)]).open(sealed, bound_to=(handle, PROVIDER))
        return msgspec.json.decode(opened, type=ProviderTokens)

    async def until_gone(self, handle: str, worker: Program) -> None:
        """Have a worker do the upkeep until a session holds nothing any more."""

        async def is_gone() -> bool:
            await ask(worker.url, "POST", "/sweep")
            return (await self.held(handle)).grant is None

        await until(is_gone, what="the grant to be gone")


class Browser:
    """A browser with its cookies, that can go to any worker.

    Attributes:
        site: where it goes.
        cookies: by their names.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._seq = 0
        self.cookies: dict[str, str] = {}

    @property
    def handle(self) -> str:
        """Public name of the session."""
        return self.cookies["session"].partition(".")[0]

    async def enter(self, url: str, person: Person) -> None:
        """Sign in at the provider."""
        begun = await self.ask(url, "GET", "/session/login?next=/work")
        assert begun.status_code == 303, begun.text
        query = await person.sign_in(begun.headers["location"], until=CALLBACK)
        assert (await self.ask(url, "GET", f"/session/callback?{query}")).status_code == 200

    async def ask(self, url: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Ask for a page or a route, and keep the cookies that come."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await ask(url, method, path, body, {**({"Cookie": cookie} if cookie else {}), **(headers or {})})
        for text in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(text).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        return answer

    async def beat(self, worker: Program, *, active: bool = True) -> httpx2.Response:
        """Beat with input of just now, or without any."""
        self._seq += 1
        body = {"view": "v1", "seq": self._seq, "lifecycle": "active", **({"idleMs": 0} if active else {})}
        return await self.ask(worker.url, "POST", "/session/beat", body)

    async def holding(self) -> Holding:
        """Look at what the session holds."""
        grant = (await self.site.held(self.handle)).grant
        assert grant is not None
        return msgspec.json.decode(grant.document, type=Holding)

    async def is_due(self) -> bool:
        """Tell whether it is time for the next access token."""
        return time.time() * 1000 >= (await self.holding()).refresh_at

    async def until_due(self) -> None:
        """Wait until it is time for that."""
        await _until((await self.holding()).refresh_at)

    async def until_over(self) -> None:
        """Wait until the access token is over."""
        await _until((await self.holding()).access_expires_at)


async def _until(instant: int) -> None:
    await asyncio.sleep(max(0, instant / 1000 + 0.02 - time.time()))


async def ask(url: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    """Send one request on a connection of its own."""
    content = b"" if body is None else json.dumps(body).encode()
    async with httpx2.AsyncClient(trust_env=False, timeout=40, verify=_NO_TLS) as client:
        return await client.request(method, f"{url}{path}", content=content, headers={**OURS, **(headers or {})})


async def until(condition: Callable[[], Awaitable[bool]], *, what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait for a condition, looking often; fail with a sentence if it does not come."""
    end = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < end, f"waited {timeout_s} s in vain for {what}"
        await asyncio.sleep(0.05)


def reason_of(answer: httpx2.Response) -> str:
    """Read why a session is over, of an answer 401."""
    assert answer.status_code == 401, (answer.status_code, answer.text)
    return str(answer.json()["reason"])


def killed(worker: Program) -> None:
    """Kill a worker as a power cut would, and wait until it is gone."""
    worker.process.kill()
    worker.process.wait(timeout=PATIENCE_S)


def dead(worker: Program) -> None:
    """Wait until a worker has killed itself."""
    wait_until(lambda: worker.process.poll() is not None, what="the worker to die")
    assert worker.process.returncode == -9
