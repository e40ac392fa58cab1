"""Signing in to the dashboard at a real OpenID provider, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from stillhere.errors import SettingsError
from stillhere.server.admin.openid import openid_of
from stillhere.server.settings import load_settings
from stillhere.tokens.provider.records import Identity
from tests.server.site import counted_out
from tests.services.openid import SECRET, OpenIdServer, Person, openid_server
from tests.services.process import free_port
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLBACK: Final = "/admin/login/callback"


class Dashboard:
    """The program, and the provider at which its operators sign in.

    Args:
        url: the program's.
        provider: the provider.
    """

    def __init__(self, url: str, provider: OpenIdServer) -> None:
        self.url = url
        self.provider = provider
        self._numbers = itertools.count(1)

    def browser(self) -> httpx2.Client:
        """Open a browser at an address of its own."""
        sent = {"origin": self.url, "x-forwarded-for": f"192.0.2.{next(self._numbers)}"}
        return httpx2.Client(base_url=self.url, headers=sent, timeout=20)

    def back_from_provider(self, browser: httpx2.Client, name: str, following: str = "/admin/visits?visitor=a%40b.example") -> str:
        """Begin a login and sign in at the provider; give the address that it sends the browser back to."""
        begun = browser.get("/admin/login/openid", params={"next": following})
        assert begun.status_code == 303
        query = asyncio.run(self._sign_in(begun.headers["location"], name))
        return f"{CALLBACK}?{query}"

    async def _sign_in(self, url: str, name: str) -> str:
        async with Person(name) as person:
            return await person.sign_in(url, until=f"{self.url}{CALLBACK}")

    def audited(self, *actions: str) -> list[dict[str, Any]]:
        """List what the audit log has of these actions, the latest first."""
        with self.browser() as browser:
            browser.get(self.back_from_provider(browser, "auditor"))
            entries = browser.get("/admin/api/audit").json()["entries"]
        return [entry for entry in entries if entry["action"] in actions and "auditor" not in entry["operator"]]


@pytest.fixture(scope="module", params=[False, True], ids=["in-the-token", "by-userinfo"])
def dashboard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Run a provider, which tells addresses in one way or the other, and the program as one of its clients, without any token."""
    folder, port = tmp_path_factory.mktemp("openid"), free_port()
    uris = (f"http://127.0.0.1:{port}{CALLBACK}",)
    with ExitStack() as stack:
        provider = stack.enter_context(openid_server(folder / "oidc", redirect_uris=uris, conforms=request.param))
        environment = {
            "STILLHERE_ADMIN_ISSUER": provider.issuer,
            "STILLHERE_ADMIN_CLIENT_ID": "basic",
            "STILLHERE_ADMIN_CLIENT_SECRET": SECRET,
            "STILLHERE_ADMIN_OPERATORS": "chief@fund.example,unverified@fund.example",
            "STILLHERE_ADMIN_VIEWERS": "viewer@fund.example,auditor@fund.example,unverified2@fund.example",
        }
        program = stack.enter_context(
            serving("memory://", "--trusted-proxies", "127.0.0.1/32", log=folder / "log", port=port, environment=environment)
        )
        yield Dashboard(program.url, provider)
    text = (folder / "log").read_text("utf-8")
    assert "Traceback" not in text
    assert SECRET not in text
    assert "admin token" not in text


@pytest.mark.parametrize(("name", "role"), [("chief", "operator"), ("viewer", "viewer")])
def test_signing_in_at_the_provider(dashboard: Dashboard, name: str, role: str) -> None:
    """Who is on a list gets a session of the role, by a page of ours that goes on to where they wanted to go; and the log knows."""
    with dashboard.browser() as browser:
        door = browser.get("/admin/login?next=/admin/visits")
        assert 'href="/admin/login/openid?next=/admin/visits"' in door.text
        assert 'name="token"' not in door.text
        came = browser.get(dashboard.back_from_provider(browser, name))
        assert came.status_code == 200, came.text
        assert 'content="0;url=/admin/visits?visitor=a%40b.example"' in came.text
        assert (came.headers["referrer-policy"], came.headers["cache-control"]) == ("no-referrer", "private, no-cache")
        set_by = [re.sub(r"=[^;]*", "", cookie, count=1) for cookie in came.headers.get_list("set-cookie")]
        assert set_by[0] == "operator; Path=/; HttpOnly; SameSite=Strict"
        assert "Max-Age=0" in set_by[1]
        me = browser.get("/admin/api/me").json()
        assert (me["operator"], me["role"], me["signOut"]) == (f"{name}@fund.example", role, "/admin/logout")
        ended = browser.post("/admin/api/sessions/abc/end")
        assert ended.status_code == (404 if role == "operator" else 403)
    found = dashboard.audited("sign-in")
    assert (f"{name}@fund.example", f"OpenID: sub {name}") in [(entry["operator"], entry["detail"]) for entry in found]


@pytest.mark.parametrize("name", ["stranger", "unverified", "unverified2"])
def test_who_is_on_no_list_is_turned_away(dashboard: Dashboard, name: str) -> None:
    """An account of the provider is not enough, nor is an address that it has not verified: 403, no cookie, a line in the log."""
    with dashboard.browser() as browser:
        answer = browser.get(dashboard.back_from_provider(browser, name))
        assert answer.status_code == 403
        assert "no place for that account" in answer.text
        assert 'href="/admin/login"' in answer.text
        assert not any(cookie.startswith("operator=") for cookie in answer.headers.get_list("set-cookie"))
        assert browser.get("/admin/api/now").status_code == 401
    (entry,) = [entry for entry in dashboard.audited("sign-in refused") if entry["target"] == f"{name}@fund.example"]
    assert (entry["operator"], entry["detail"]) == ("nobody from 192.0.2.0/24", f"OpenID: sub {name}")


def test_the_request_is_bound_to_its_browser(dashboard: Dashboard) -> None:
    """The login has PKCE, state and nonce, asks for no more than who somebody is, and is remembered in a cookie out of reach of scripts."""
    with dashboard.browser() as browser:
        begun = browser.get("/admin/login/openid")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == ("code", "S256", "openid email")
    assert asked["redirect_uri"] == f"{dashboard.url}{CALLBACK}"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) == 43
    (cookie,) = begun.headers.get_list("set-cookie")
    assert re.fullmatch(r"operator-login-[A-Za-z0-9_-]{8}=[^;]+; Max-Age=900; Path=/; HttpOnly; SameSite=Lax", cookie)
    assert asked["state"] not in cookie.partition("=")[2]
    assert begun.headers["referrer-policy"] == "no-referrer"


def test_a_login_is_good_once_and_in_its_own_browser(dashboard: Dashboard) -> None:
    """The address that somebody comes back to opens nothing in another browser, and not twice."""
    with dashboard.browser() as browser, dashboard.browser() as thief:
        back = dashboard.back_from_provider(browser, "chief")
        cookies = dict(browser.cookies)
        assert thief.get(back).status_code == 400
        assert browser.get(back).status_code == 200
        thief.cookies.update({name: value for name, value in cookies.items() if name.startswith("operator-login")})
        answer = thief.get(back)
        assert answer.status_code == 400
        assert "finished before" in answer.text
        assert thief.get("/admin/api/now").status_code == 401


@pytest.mark.parametrize("change", ["state", "iss", "nothing", "error", "code"])
def test_a_redirect_that_is_not_the_providers_is_refused(dashboard: Dashboard, change: str) -> None:
    """A changed state, another issuer, no query, a refusal, a made-up code: a page that says what to do, and nobody is signed in."""
    with dashboard.browser() as browser:
        back = dashboard.back_from_provider(browser, "chief")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        changed = {
            "state": {**asked, "state": asked["state"][:-1] + ("A" if asked["state"][-1] != "A" else "B")},
            "iss": {**asked, "iss": "https://evil.example"},
            "nothing": {},
            "error": {"state": asked["state"], "iss": asked["iss"], "error": "access_denied"},
            "code": {**asked, "code": "made-up"},
        }[change]
        answer = browser.get(CALLBACK, params=changed)
        assert answer.status_code == (403 if change == "error" else 400)
        assert "Begin again" in answer.text
        assert "made-up" not in answer.text
        assert browser.get("/admin/api/now").status_code == 401


def test_signing_in_again_replaces_the_operators_session(dashboard: Dashboard) -> None:
    """The session that the browser had ends, though its cookie did not come with the way back."""
    with dashboard.browser() as browser, dashboard.browser() as old:
        browser.get(dashboard.back_from_provider(browser, "chief"))
        old.cookies.set("operator", browser.cookies["operator"])
        back = dashboard.back_from_provider(browser, "chief")
        browser.cookies.delete("operator")
        browser.get(back)
        assert browser.get("/admin/api/me").status_code == 200
        assert old.get("/admin/api/me").status_code == 401


def test_no_token_opens_a_dashboard_without_one(dashboard: Dashboard) -> None:
    """Where operators sign in at a provider and no token was set, none was made."""
    with dashboard.browser() as browser:
        for token in ("", "None", "x" * 32):
            assert browser.post("/admin/login", data={"token": token}).status_code == 403


def test_beginning_is_counted(dashboard: Dashboard) -> None:
    """Twenty logins begun in a minute from one address; then a page says to wait, and the provider is left alone."""
    with dashboard.browser() as browser:
        (answer,) = counted_out(lambda: [browser.get("/admin/login/openid") for _ in range(21)][-1:])
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert len([name for name in browser.cookies if name.startswith("operator-login-")]) <= 5


@pytest.mark.parametrize("name", ["localhost.evil.example", "evil.example"])
def test_another_name_of_the_program_is_not_safe(dashboard: Dashboard, name: str) -> None:
    """By plain http a login begins at a loopback address only, whatever the request says its host is."""
    with dashboard.browser() as browser:
        assert browser.get("/admin/login/openid", headers={"host": name}).status_code == 403


def test_the_provider_is_away(tmp_path: Path) -> None:
    """While the provider cannot be asked, beginning is 503 with Retry-After, and a page that says so."""
    environment = {
        "STILLHERE_ADMIN_ISSUER": f"http://127.0.0.1:{free_port()}",
        "STILLHERE_ADMIN_CLIENT_ID": "basic",
        "STILLHERE_ADMIN_CLIENT_SECRET": SECRET,
        "STILLHERE_ADMIN_OPERATORS": "chief@fund.example",
    }
    with serving("memory://", log=tmp_path / "log", environment=environment) as program:
        answer = httpx2.get(f"{program.url}/admin/login/openid", timeout=20)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "Nothing is wrong with your account" in answer.text


FULL: Final = {
    "admin_issuer": "https://login.example",
    "admin_client_id": "stillhere",
    "admin_client_secret": "a secret of theirs",
    "admin_operators": "@firm.example",
}


def test_the_settings_are_read() -> None:
    """Without a provider there is none; with one, lists and secret are read, and the secret is in no print."""
    assert openid_of(load_settings({})) is None
    settings = load_settings({**FULL, "admin_viewers": "guest@other.example"})
    access = openid_of(settings)
    assert access is not None
    assert access.operators.patterns == ("@firm.example",)
    assert access.provider("https://app.example").redirect_uri == "https://app.example/admin/login/callback"
    assert FULL["admin_client_secret"] not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"admin_issuer": None}, "admin_issuer, admin_client_id and admin_client_secret are needed"),
        ({"admin_client_secret": None}, "admin_issuer, admin_client_id and admin_client_secret are needed"),
        ({"admin_operators": None}, "say who may in admin_operators or admin_viewers"),
        ({"admin_operators": "firm"}, "'firm' is no address and no domain"),
        ({"admin_issuer": "http://login.example"}, "issuer"),
        ({"admin_issuer": None, "admin_client_id": None, "admin_client_secret": None}, "admin_issuer, which is not set"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, str | None], said: str) -> None:
    """What is missing or contradicts itself stops the start with a sentence that names it."""
    told = {name: value for name, value in {**FULL, **changes}.items() if value is not None}
    with pytest.raises(SettingsError, match=said):
        openid_of(load_settings(told))


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"email": "a@firm.example", "email_verified": True}, "operator"),
        ({"email": "A@FIRM.example", "email_verified": True}, "operator"),
        ({"email": "guest@other.example", "email_verified": True}, "viewer"),
        ({"email": "a@firm.example", "email_verified": False}, None),
        ({"email": "a@firm.example", "email_verified": "true"}, None),
        ({"email": "a@firm.example"}, None),
        ({"email": "a@sub.firm.example", "email_verified": True}, None),
        ({"email": "a@firm.example, b@evil.example", "email_verified": True}, None),
        ({"email": ["a@firm.example"], "email_verified": True}, None),
        ({"email_verified": True, "preferred_username": "a@firm.example"}, None),
    ],
)
def test_who_is_admitted(claims: dict[str, object], role: str | None) -> None:
    """A verified address on a list admits, in the higher role where it is on both; nothing else does."""
    access = openid_of(load_settings({**FULL, "admin_viewers": "guest@other.example,@firm.example"}))
    assert access is not None
    admitted = access.admits(Identity(iss="https://login.example", sub="1", sid=None, claims=claims))
    assert (None if admitted is None else admitted.role) == role
