"""A real OpenID provider, and a browser's part in signing in and out there, without a browser."""

from __future__ import annotations

import contextlib
import json
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urljoin, urlsplit

import httpx2
from joserfc.jwk import ECKey

from tests.services.process import Server, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent / "oidc"

REDIRECT_URI: Final = "http://127.0.0.1/callback"
POST_LOGOUT_REDIRECT_URI: Final = "http://127.0.0.1/goodbye"

SECRET: Final = "s+cr%t of t/e client:&="
"""With what has to be written as in a form."""

MOST_STEPS: Final = 20


class OpenIdServer(Server):
    """One oidc-provider. It forgets everything when it stops.

    Clients are `basic`, `post` (both with `SECRET`) and `signed` (with `key`), by how they prove themselves. Whoever signs in is who they
    say.

    Args:
        folder: for its log.
        issuer: its name, if it is reached through a proxy. Default: where it listens.
        rotates: every refresh gives a new refresh token, and one that is used twice ends its grant.
        access_lifetime: of access tokens, in seconds.
        refresh_lifetime: of refresh tokens, in seconds.
        redirect_uris: where its clients may send people back to.
        post_logout_redirect_uris: and after a sign-out.
        backchannel_logout_uri: where it posts logout tokens; None for nowhere.
        conforms: it tells addresses when it is asked for them, and not in ID tokens.

    Attributes:
        url: where it listens.
        issuer: its name.
        key: private key of the client `signed`.
    """

    def __init__(  # noqa: PLR0913  # options of a server
        self,
        folder: Path,
        *,
        issuer: str | None = None,
        rotates: bool = True,
        access_lifetime: int = 20,
        refresh_lifetime: int = 120,
        redirect_uris: tuple[str, ...] = (REDIRECT_URI,),
        post_logout_redirect_uris: tuple[str, ...] = (POST_LOGOUT_REDIRECT_URI,),
        backchannel_logout_uri: str | None = None,
        conforms: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.issuer = issuer or self.url
        self.key = ECKey.generate_key("P-256", parameters={"kid": "ours", "use": "sig", "alg": "ES256"})
        options = {
            "port": port,
            "issuer": self.issuer,
            "secret": SECRET,
            "publicKey": self.key.as_dict(private=False),
            "rotates": rotates,
            "accessLifetime": access_lifetime,
            "refreshLifetime": refresh_lifetime,
            "grantLifetime": 3600,
            "redirectUris": redirect_uris,
            "postLogoutRedirectUris": post_logout_redirect_uris,
            "backchannelLogoutUri": backchannel_logout_uri,
            "conforms": conforms,
        }
        command = ["node", str(HERE / "provider.mjs"), json.dumps(options)]
        super().__init__(command, folder / "oidc-provider.log", port=port, is_ready=self._answers)

    def client(self, name: str = "basic", **changes: Any) -> dict[str, Any]:
        """Tell what `Provider` has to be told to be one of its clients."""
        proof: dict[str, dict[str, Any]] = {
            "basic": {"client_secret": SECRET},
            "post": {"client_secret": SECRET, "client_authentication": "client_secret_post"},
            "signed": {"private_key": self.key.as_pem(private=True).decode(), "private_key_id": "ours"},
        }
        return {
            "issuer": self.issuer,
            "client_id": name,
            "redirect_uri": REDIRECT_URI,
            "post_logout_redirect_uri": POST_LOGOUT_REDIRECT_URI,
            # Without it this provider gives no refresh token (OpenID Connect Core section 11).
            "authorize_parameters": {"prompt": "consent"},
            **proof[name],
            **changes,
        }

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/.well-known/openid-configuration", timeout=2, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False


class Person:
    """Somebody with a browser, as far as a provider's development pages need one: cookies, redirects, forms.

    Args:
        name: what they sign in as.
    """

    def __init__(self, name: str = "first") -> None:
        self.name = name
        self._browser = httpx2.AsyncClient(trust_env=False, timeout=20)

    async def __aenter__(self) -> Self:
        """Open the browser."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self._browser.aclose()

    async def sign_in(self, url: str, *, until: str = REDIRECT_URI) -> str:
        """Go to an address, sign in and agree.

        Args:
            url: where the login begins.
            until: where it is to end.

        Returns:
            The query of the address at which it ended.
        """
        return await self._go(url, until)

    async def sign_out(self, url: str, *, until: str = POST_LOGOUT_REDIRECT_URI) -> str:
        """Go to an address, and agree to be signed out.

        Args:
            url: where the sign-out begins.
            until: where it is to end.

        Returns:
            The query of the address at which it ended.
        """
        return await self._go(url, until)

    async def _go(self, url: str, until: str) -> str:
        answer = await self._browser.get(url)
        for _ in range(MOST_STEPS):
            if answer.is_redirect:
                url = urljoin(url, answer.headers["location"])
                if url.startswith(until):
                    return urlsplit(url).query
                answer = await self._browser.get(url)
                continue
            assert answer.status_code == 200, f"{url} answers {answer.status_code}: {answer.text[:500]}"
            action, fields = self._form(answer.text)
            url = urljoin(url, action)
            answer = await self._browser.post(url, data=fields)
        raise AssertionError(f"{MOST_STEPS} steps did not lead to {until}")

    def _form(self, page: str) -> tuple[str, dict[str, str]]:
        """Fill the page's first form in: with a name where one is asked for, with yes where there is a button."""
        form = re.search(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page, re.DOTALL)
        assert form is not None, f"there is no form in {page[:500]}"
        fields: dict[str, str] = {}
        for field in re.findall(r"<(?:input|button)[^>]*>", form[2]):
            named = dict(re.findall(r'(name|value)="([^"]*)"', field))
            if "name" in named:
                fields.setdefault(named["name"], unescape(named.get("value", "")) or self.name)
        if 'form="op.logoutForm"' in page:
            fields["logout"] = "yes"
        return unescape(form[1]), fields


@contextlib.contextmanager
def openid_server(folder: Path, **options: Any) -> Iterator[OpenIdServer]:
    """Run a provider until the block ends; options as of `OpenIdServer`."""
    server = OpenIdServer(folder, **options)
    with running(server):
        yield server
