"""Signing in at a real provider in a real browser, by its development pages, and an example that has one to sign in at."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from stillhere.testing import FaultyProvider
from tests.e2e.examples import example
from tests.services.openid import SECRET, OpenIdServer
from tests.services.process import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House

WHO = "somebody"
"""Who signs in."""


class Home(NamedTuple):
    """An application at `http://localhost`, and the provider that its people sign in at, at `http://127.0.0.1`: another site."""

    house: House
    provider: FaultyProvider

    @property
    def url(self) -> str:
        """Where the application is."""
        return self.house.url

    @property
    def refreshes(self) -> int:
        """How often the provider was asked for the next tokens: all but the login's one."""
        return self.provider.calls["token"] - 1


@contextmanager
def at_a_provider(
    folder: Path, changes: Mapping[str, Mapping[str, str]], *, access_lifetime: int = 20, refresh_lifetime: int = 120
) -> Iterator[Home]:
    """Serve `activity_gated_refresh` with a real provider whose calls are counted; its lifetimes are seconds."""
    port = free_port()
    home = f"http://localhost:{port}/"
    with ExitStack() as stack:
        provider = stack.enter_context(FaultyProvider())
        server = OpenIdServer(
            folder / "provider",
            issuer=provider.url,
            access_lifetime=access_lifetime,
            refresh_lifetime=refresh_lifetime,
            redirect_uris=(f"{home}session/callback",),
            post_logout_redirect_uris=(home,),
        )
        stack.enter_context(running(server))
        provider.upstream = server.url
        named = {"PROVIDER_ISSUER": provider.url, "PROVIDER_CLIENT_ID": "basic", "PROVIDER_CLIENT_SECRET": SECRET}
        environment = {"PORT": str(port), **named}
        served = example("activity_gated_refresh", folder, database="sessions.db", changes=changes, environment=environment)
        yield Home(stack.enter_context(served), provider)


def sign_in(browser: Browser, home: str) -> None:
    """Go through the provider's pages, from the application's gate until a page of the application's comes up."""
    browser.find("a").click()
    browser.wait(lambda: browser.driver.find_elements("name", "login"), "the provider's sign-in")
    assert not str(browser.driver.current_url).startswith(home)
    browser.find("[name=login]").send_keys(WHO)
    browser.find("[name=password]").send_keys("anything will do")
    browser.find("[type=submit]").click()
    browser.wait(
        lambda: browser.js("return document.querySelector('[name=login]') === null && document.querySelector('[type=submit]') !== null"),
        "the provider's question",
    )
    browser.find("[type=submit]").click()
    browser.wait(lambda: browser.driver.current_url == f"{home}/", "the application")
    browser.problems()  # the provider's own: its pages ask for fonts from elsewhere
