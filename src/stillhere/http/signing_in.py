"""The routes of a login at a provider: to it, back from it, and its own word that somebody signed out there.

The session cookie may be `SameSite=Strict`, and whoever comes back from a provider comes from another site, so that a redirect from here
would not carry the new cookie yet (Gokapi issue 408, oauth2-proxy issue 1663, and many more). The callback answers with a small page of
ours instead, and that one goes on: a navigation within the site.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from stillhere.core.paths import local_path
from stillhere.core.records import EndedBy
from stillhere.errors import InsecureTransport, SettingsError, SignInRefused, StoreError
from stillhere.http.cookies import (
    delete_login_cookie,
    login_cookies,
    read_login_cookie,
    read_secret,
    refuse_unsafe_way,
    set_cookies,
    set_login_cookie,
)
from stillhere.http.devices import remembered
from stillhere.http.messages import Response
from stillhere.http.origin import peer_of
from stillhere.http.problems import problem
from stillhere.tokens.provider.failures import LoginRefused, NoticeRefused, ProviderError

if TYPE_CHECKING:
    from stillhere.http.config import HttpConfig, Route
    from stillhere.http.messages import Headers, Request
    from stillhere.http.origin import Peer
    from stillhere.manager import SessionManager
    from stillhere.tokens.signing_in import Arrived, SigningIn

FORM: Final = "application/x-www-form-urlencoded"

MOST_LOGINS: Final = 4
"""Logins of one browser beside a new one. More would fill the header in which all its cookies travel, and servers refuse a long one."""

_MAX_AGE: Final = re.compile(r"[0-9]{1,7}\Z")

LINK_TIMEOUT_S: Final = 2
"""How long a sign-out waits to learn where people sign out at the provider."""


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{refresh}<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{sentence}</p>
<p><a href="{link}">{label}</a></p>
</main>
</body>
</html>
"""

_HTML: Final[Headers] = (
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
)

_NO_REFERRER: Final = ("referrer-policy", "no-referrer")
"""The address may hold a code that is good once."""


def refuse_lost_callback(redirect_uri: str, routes: dict[str, Route]) -> None:
    """Refuse a provider that sends people back to where nobody answers.

    Raises:
        SettingsError: that names both.
    """
    path = urlsplit(redirect_uri).path
    if routes.get(path) != "callback":
        own = ", ".join(where for where, route in routes.items() if route == "callback")
        raise SettingsError(f"redirect_uri leads to {path!r}, and the login comes back to {own}; change it here and at the provider")


async def begun(manager: SessionManager, request: Request, peer: Peer, config: HttpConfig) -> Response:
    """Send somebody to the provider, and have their browser remember it.

    `?next=` says where they want to go afterwards, `?max_age=` how many seconds ago they may have proven there who they are.
    """
    signing_in = None if manager.credentials is None else manager.credentials.signing_in
    if signing_in is None:
        return _not_here()
    asked = parse_qs(request.query)
    wanted = asked.get("next", [None])[0]
    max_age = _MAX_AGE.match(asked.get("max_age", [""])[0])
    before = await manager.find(read_secret(request, peer, config))  # proven: anybody can name a handle
    try:
        refuse_unsafe_way(peer)
        under_way = await signing_in.begin(
            return_to=wanted,
            replaces=None if before is None else before.handle,
            max_age=None if max_age is None else int(max_age[0]) * 1000,
        )
    except InsecureTransport as error:
        return problem(error.status_hint, f"{error}.")
    except ProviderError as error:
        return _away(error.retry_after, wanted, config)
    cookies = set_login_cookie(under_way.name, under_way.sealed, under_way.lasts, peer, config)
    for name in login_cookies(request, peer, config)[:-MOST_LOGINS]:
        cookies += delete_login_cookie(name, peer, config)
    return Response(status=303, headers=(("location", under_way.url), _NO_REFERRER, *cookies))


async def finished(manager: SessionManager, request: Request, peer: Peer, config: HttpConfig) -> Response:
    """Take somebody in who comes back from the provider: a new session with its tokens, and a page of ours that goes on from here."""
    signing_in = None if manager.credentials is None else manager.credentials.signing_in
    if signing_in is None:
        return _not_here()
    name = signing_in.name_of(request.query)
    sealed = None if name is None else read_login_cookie(request, peer, config, name)
    forget = () if name is None or sealed is None else delete_login_cookie(name, peer, config)
    try:
        arrived = await signing_in.finish(request.query, sealed)
    except LoginRefused as error:
        return _page(_REFUSED.get(error.why, _REFUSED["state"]), _again(None, config), status=error.status_hint, headers=forget)
    except ProviderError as error:
        return _away(error.retry_after, None, config)
    if arrived is None:
        return _page(_UNWELCOME, _again(None, config), status=403, headers=forget)
    try:
        response = await _taken_in(manager, signing_in, arrived, request, config)
    except SignInRefused as error:
        await signing_in.give_back(arrived.login)
        response = _page(_REFUSED[error.reason], _again(None, config), status=error.status_hint)
    except BaseException:
        await signing_in.give_back(arrived.login)  # whatever went wrong: nobody holds them
        raise
    return msgspec.structs.replace(response, headers=(*response.headers, *forget))


async def _taken_in(manager: SessionManager, signing_in: SigningIn, arrived: Arrived, request: Request, config: HttpConfig) -> Response:
    sign_in, peer = arrived.sign_in, peer_of(request, config)
    attributes = {**sign_in.attributes, **remembered(request, peer, config)}
    if arrived.replaces is not None:
        # A cookie that is `Strict` did not come with this request; the browser had it when the login began. It counts to the limit: first.
        await manager.end_by_handle(arrived.replaces, EndedBy.REPLACED)
    fence = await manager.people.fence_since(sign_in.subject, arrived.began_at)
    started = await manager.start(sign_in.subject, attributes=attributes, replaces=read_secret(request, peer, config), fence=fence)
    try:
        is_kept = await signing_in.keep(started.session, arrived.login)
    except StoreError:
        with suppress(StoreError):
            await manager.end_by_handle(started.session.handle)
        raise
    if not is_kept:
        await signing_in.give_back(arrived.login)
        return _page(_REFUSED["state"], _again(None, config), status=400)
    go_on = _Link(url=arrived.login.return_to, label="Go on")
    return _page(_WELCOME, go_on, headers=set_cookies(started.secret, peer, config), goes_on=True)


async def signed_out_there(manager: SessionManager, request: Request) -> Response:
    """Take a provider's word that somebody signed out there (OpenID Connect Back-Channel Logout 1.0 sections 2.5 to 2.8)."""
    signing_in = None if manager.credentials is None else manager.credentials.signing_in
    if signing_in is None:
        return _not_here()
    try:
        token = parse_qs(request.body.decode("ascii"), strict_parsing=True, max_num_fields=10)["logout_token"][0]
    except (KeyError, ValueError):
        return _notice_refused("The body must be a form with the field logout_token.")
    try:
        await signing_in.logged_out(token)
    except NoticeRefused as error:
        return _notice_refused(f"{error}.")
    except ProviderError as error:
        return problem(503, "The provider's keys cannot be had; send it again.", headers=(("retry-after", str(error.retry_after)),))
    return Response(status=200)


async def logout_link(manager: SessionManager, secret: str | None) -> str | None:
    """Tell where somebody who is about to sign out here signs out at the provider, too. A sign-out never waits long for the provider.

    Raises:
        StoreError: if the store cannot be reached.
    """
    signing_in = None if manager.credentials is None else manager.credentials.signing_in
    session = None if signing_in is None else await manager.find(secret)
    if signing_in is None or session is None:
        return None
    try:
        return await asyncio.wait_for(signing_in.logout_url(session.handle), LINK_TIMEOUT_S)
    except (ProviderError, TimeoutError):
        return None


class _Link(msgspec.Struct, frozen=True):
    url: str
    label: str


class _Words(msgspec.Struct, frozen=True):
    title: str
    sentence: str


_WELCOME: Final = _Words("You are signed in", "One moment, it goes on from here.")
_UNWELCOME: Final = _Words("No access", "You signed in at the sign-in service, but this application has no place for that account.")
_AWAY: Final = _Words("The sign-in service cannot be reached", "Nothing is wrong with your account. Please try again in a moment.")
_REFUSED: Final = {
    "state": _Words("That did not work", "The sign-in could not be finished. Please begin again."),
    "transaction": _Words(
        "This sign-in is over", "It was begun in another browser, finished before, or took too long. Please begin again."
    ),
    "expired": _Words("This sign-in took too long", "Please begin again."),
    "ended_everywhere": _Words("You were signed out everywhere", "That was done while you were signing in. Please sign in once more."),
    "session_limit": _Words(
        "Signed in too often", "You are signed in in as many places as are allowed. Please sign out in one of them first."
    ),
    "denied": _Words("No access", "The sign-in was cancelled, or the sign-in service said no."),
}


def _again(wanted: str | None, config: HttpConfig) -> _Link:
    query = "" if local_path(wanted) is None else f"?{urlencode({'next': wanted or ''})}"
    return _Link(f"{config.prefix}/login{query}", "Sign in")


def _away(retry_after: int, wanted: str | None, config: HttpConfig) -> Response:
    return _page(_AWAY, _again(wanted, config), status=503, headers=(("retry-after", str(retry_after)),))


def _page(words: _Words, link: _Link, *, status: int = 200, headers: Headers = (), goes_on: bool = False) -> Response:
    url = escape(link.url)
    refresh = f'<meta http-equiv="refresh" content="0;url={url}">\n' if goes_on else ""
    body = _PAGE.format(refresh=refresh, title=escape(words.title), sentence=escape(words.sentence), link=url, label=escape(link.label))
    return Response(status=status, headers=(*_HTML, _NO_REFERRER, *headers), body=body.encode())


def _notice_refused(detail: str) -> Response:
    """Answer 400 as section 2.8 has it: `error` and `error_description` are what a provider's log shows."""
    body = msgspec.json.encode({"error": "invalid_request", "error_description": detail})
    return Response(status=400, headers=(("content-type", "application/json"),), body=body)


def _not_here() -> Response:
    return problem(404, "Nobody signs in at a provider here.")
