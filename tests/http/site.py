"""A site whose people sign in at a provider in memory, and a browser with its cookies."""

from __future__ import annotations

import re
from html import unescape
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from stillhere.tokens import SignIn, Tokens
from tests.http.doubles import OWN, Web, all_of, assert_private, header
from tests.tokens.party import VAULT
from tests.tokens.provider.doubles import Issuer, provider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from stillhere.core.policy import Policy
    from stillhere.http.config import HttpConfig
    from stillhere.http.messages import Response
    from stillhere.tokens.provider.records import Identity

CALLBACK: Final = f"{OWN}/session/callback"
FROM_THERE: Final = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


async def turn_strangers_away(identity: Identity) -> SignIn | None:
    """Welcome one person, under the name that the application has for them."""
    return SignIn(subject="reader@fund.example", attributes={"role": "reader"}) if identity.sub == "person" else None


class Site(Web):
    """A site whose people sign in at a provider, and a browser with its cookies.

    Attributes:
        issuer: the provider.
        cookies: what the browser keeps.
        hooks: called with the subject, once, while the application decides who somebody is.
    """

    def __init__(self, config: HttpConfig | None = None, policy: Policy | None = None, **changes: Any) -> None:
        self.issuer = Issuer()
        self.hooks: list[Callable[[str], Awaitable[object]]] = []
        settings: dict[str, Any] = {"welcome": self._welcome, **changes}
        super().__init__(
            config, policy, tokens=Tokens(provider=provider(redirect_uri=CALLBACK), vault=VAULT, transport=self.issuer, **settings)
        )
        self.cookies: dict[str, str] = {}

    async def _welcome(self, identity: Identity) -> SignIn | None:
        while self.hooks:
            await self.hooks.pop()("reader@fund.example")
        return await turn_strangers_away(identity)

    async def get(self, path: str, query: str = "", headers: Mapping[str, str] | None = None) -> Response:
        """Go somewhere with the browser's cookies, and keep those that come."""
        cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        answer = await self.ask("GET", path, headers={**(headers or FROM_THERE), **cookie}, query=query)
        for text in all_of(answer, "set-cookie"):
            for name, morsel in SimpleCookie(text).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    async def leave(self, wanted: str | None = None) -> str:
        """Begin a login; give where the browser is sent."""
        answer = await self.get("/session/login", "" if wanted is None else urlencode({"next": wanted}), {"sec-fetch-site": "same-origin"})
        assert answer.status == 303
        return header(answer, "location") or ""

    async def arrive(self, url: str, **changes: str | None) -> Response:
        """Come back from the provider."""
        return await self.get("/session/callback", self.issuer.approve(url, **changes))

    async def enter(self, wanted: str | None = None) -> Response:
        """Sign in, from the beginning to the end."""
        return await self.arrive(await self.leave(wanted))

    @property
    def secret(self) -> str:
        """The session cookie's value."""
        return self.cookies["__Host-session"]

    async def notice(self, **claims: Any) -> Response:
        """Have the provider say that somebody signed out there."""
        body = urlencode({"logout_token": self.issuer.logout_token(**claims)}).encode()
        return await self.ask("POST", "/session/backchannel", headers=FORM, body=body)


def assert_page(answer: Response, status: int) -> str:
    """Check that an answer is a page that may do nothing, private, of an address that tells nobody; give its text."""
    assert answer.status == status
    assert_private(answer)
    assert header(answer, "content-type") == "text/html; charset=utf-8"
    assert (header(answer, "content-security-policy") or "").startswith("default-src 'none'")
    assert header(answer, "referrer-policy") == "no-referrer"
    return answer.body.decode()


def went_on_to(answer: Response) -> str:
    """Tell where the page of the callback goes."""
    found = re.search(r'content="0;url=([^"]*)"', assert_page(answer, 200))
    assert found is not None
    return unescape(found[1])
