"""Login at a provider over the session routes: there and back, a browser's cookies, and nothing of the provider's in them."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stillhere.core.policy import Policy, SessionLimitBy, minutes
from stillhere.core.records import EndedBy
from tests.http.doubles import Web, all_of, assert_private, assert_problem, header, read
from tests.http.site import CALLBACK, Site, went_on_to
from tests.tokens.provider.doubles import ISSUER


async def test_a_login_goes_there_and_back() -> None:
    """303 to the provider, a sealed cookie meanwhile; back with a session of one's own, and on to where one wanted to go."""
    site = Site()
    url = await site.leave("/work?tab=1&x=%22#top")
    assert url.startswith(f"{ISSUER}/authorize?")
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [CALLBACK]
    answer = await site.arrive(url)
    assert went_on_to(answer) == "/work?tab=1&x=%22#top"
    assert list(site.cookies) == ["__Host-session"]
    session = site.session()
    assert (session.subject, session.attributes) == ("reader@fund.example", {"role": "reader", "stillhere": {"network": "203.0.113.0/24"}})
    beat = await site.ask("POST", "/session/beat", secret=site.secret)
    assert read(beat)["accessTokenExpiresAt"] is not None


async def test_the_cookie_of_a_login_is_sealed_and_comes_back_from_another_site() -> None:
    """`Lax`, or it would not come back; HttpOnly, Secure, for this host, for as long as a login may take; it shows nothing."""
    site = Site()
    answer = await site.get("/session/login", headers={"sec-fetch-site": "none"})
    assert_private(answer)
    ((name, morsel),) = SimpleCookie(all_of(answer, "set-cookie")[0]).items()
    assert name.startswith("__Host-login-")
    assert (morsel["samesite"], morsel["httponly"], morsel["secure"], morsel["path"]) == ("Lax", True, True, "/")
    assert morsel["max-age"] == str(minutes(15) // 1000)
    assert len(morsel.OutputString()) < 4096
    asked = parse_qs(urlsplit(header(answer, "location") or "").query)
    assert asked["state"][0] not in morsel.value
    assert morsel.value.startswith("v1.one.")


async def test_nothing_of_the_provider_reaches_the_browser() -> None:
    """No token of theirs is in any answer, header or cookie, from the login to the sign-out; nor in what the store holds."""
    site = Site()
    answers = [await site.enter("/work")]
    site.clock.advance(minutes(4))
    site.issuer.now = site.clock()
    answers.append(await site.ask("POST", "/session/beat", secret=site.secret, body={"lifecycle": "active", "idleMs": 0}))
    answers.append(await site.ask("GET", "/session", secret=site.secret))
    answers.append(await site.ask("POST", "/session/end", secret=site.secret))
    await site.manager.close()
    shown = repr(answers) + repr(site.kept())
    assert len(site.issuer.calls("/token")) == 2
    assert "planted" not in shown
    assert "eyJ" not in shown


async def test_whoever_was_signed_in_before_is_replaced() -> None:
    """Ids rotate at login (ASVS 7.2.4): the session that the browser had ends, also if its cookie was `Strict` and stayed at home."""
    for cookie_comes_along in (True, False):
        site = Site()
        site.cookies["__Host-session"] = (await site.sign_in("earlier@fund.example")).secret
        before = site.session().handle
        url = await site.leave()
        if not cookie_comes_along:
            del site.cookies["__Host-session"]
        await site.arrive(url)
        assert site.store.sessions[before].ended_by is EndedBy.REPLACED
        assert site.secret.split(".")[0] != before


async def test_who_signs_in_again_is_not_one_more() -> None:
    """Where one session is allowed and more are refused, the one that the browser had gives way, also if its cookie stayed at home."""
    site = Site(policy=Policy(session_limit=1, session_limit_by=SessionLimitBy.REFUSE))
    site.cookies["__Host-session"] = (await site.sign_in("reader@fund.example")).secret
    url = await site.leave()
    del site.cookies["__Host-session"]
    assert (await site.arrive(url)).status == 200


async def test_a_handle_that_somebody_made_up_a_secret_for_ends_nobody() -> None:
    """Handles are public: whoever begins a login with another's handle replaces nothing, and learns nothing at a sign-out."""
    site = Site()
    await site.enter()
    victim = site.session()
    made_up = f"{victim.handle}.{'A' * 43}"
    assert "logoutUrl" not in read(await site.ask("POST", "/session/end", secret=made_up))
    site.cookies = {"__Host-session": made_up}
    site.issuer.claims = {"sub": "person"}
    await site.enter()
    assert site.store.sessions[victim.handle].ended_at is None


async def test_many_logins_of_a_browser_do_not_fill_its_header() -> None:
    """The oldest of more than a few are forgotten, so that its requests stay short enough for servers."""
    site = Site()
    for _ in range(30):
        await site.leave()
    assert len(site.cookies) == 5
    assert sum(len(name) + len(value) for name, value in site.cookies.items()) < 4096


async def test_a_way_back_that_no_cookie_could_hold_is_left_out() -> None:
    """A path so long that the browser would drop the login's cookie is no way back; the login works."""
    site = Site()
    url = await site.leave("/" + "a" * 1_499)
    ((name, value),) = site.cookies.items()
    assert len(name) + len(value) + 1 < 4096
    assert went_on_to(await site.arrive(url)) == "/" + "a" * 1_499
    assert went_on_to(await site.enter("/" + "a" * 1_500)) == "/"


@pytest.mark.parametrize(("wanted", "asked"), [("0", ["0"]), ("300", ["300"]), ("-1", None), ("1e3", None), ("12345678", None), ("", None)])
async def test_a_page_can_ask_for_a_fresh_proof(wanted: str, asked: list[str] | None) -> None:
    """`max_age`, in whole seconds, goes to the provider, and the login is held to it; anything else is left out."""
    site = Site()
    answer = await site.get("/session/login", f"max_age={wanted}", {"sec-fetch-site": "same-origin"})
    url = header(answer, "location") or ""
    assert parse_qs(urlsplit(url).query).get("max_age") == asked
    site.issuer.claims = {"auth_time": site.clock() // 1000 - 3_600}
    assert (await site.arrive(url)).status == (200 if asked is None else 400)


async def test_several_logins_of_a_browser_do_not_disturb_each_other() -> None:
    """Two tabs at the provider at once both come to a good end."""
    site = Site()
    first, second = await site.leave("/one"), await site.leave("/two")
    site.issuer.approve(second)
    assert went_on_to(await site.arrive(first)) == "/one"
    assert went_on_to(await site.arrive(second)) == "/two"
    assert list(site.cookies) == ["__Host-session"]


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/%5c%5cevil.example", "work"]
)
async def test_nobody_is_sent_to_another_site(wanted: str) -> None:
    """Whatever `next` says, the way on is a path of ours (RFC 9700 section 4.11)."""
    assert went_on_to(await Site().enter(wanted)) == "/"


async def test_a_path_that_looks_like_html_is_text() -> None:
    """What was wanted is written so that it can be nothing but an address."""
    text = (await Site().enter("/a?b='c'&d=&lt;")).body.decode()
    assert 'href="/a?b=&#x27;c&#x27;&amp;d=&amp;lt;"' in text


async def test_without_a_word_of_the_application_everybody_is_their_sub() -> None:
    """The default asks nobody: the subject is what the provider calls them, which never changes."""
    site = Site(welcome=None)
    await site.enter()
    assert site.session().subject == "person"


async def test_signing_out_says_where_to_sign_out_there() -> None:
    """The provider's page, without any token in its address; and its tokens are revoked whether anybody goes there or not."""
    site = Site()
    await site.enter()
    answer = await site.ask("POST", "/session/end", secret=site.secret)
    url = read(answer)["logoutUrl"]
    assert url.startswith(f"{ISSUER}/end?")
    assert parse_qs(urlsplit(url).query) == {"client_id": ["app"]}
    await site.manager.close()
    assert [form["token"] for form in map(_form, site.issuer.calls("/revoke"))] == ["planted-refresh-1", "planted-access-1"]


def _form(call: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode()).items()}


async def test_who_signed_in_otherwise_has_nowhere_to_sign_out_there() -> None:
    """A session that holds nothing of the provider ends without its address; so does none at all."""
    site = Site()
    started = await site.sign_in()
    for secret in (started.secret, None):
        assert "logoutUrl" not in read(await site.ask("POST", "/session/end", secret=secret))


async def test_a_login_that_is_under_way_shows_nothing_when_it_is_printed() -> None:
    """Neither the address nor what is sealed gets into a log by accident."""
    site = Site()
    assert site.manager.credentials is not None
    assert site.manager.credentials.signing_in is not None
    under_way = await site.manager.credentials.signing_in.begin(return_to=None, replaces=None)
    assert under_way.sealed not in repr(under_way)
    assert under_way.url not in repr(under_way)


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
@pytest.mark.parametrize("path", ["/session/login", "/session/callback"])
async def test_a_login_is_a_navigation(path: str, method: str) -> None:
    """GET only; anything else is 405."""
    answer = await Site().ask(method, path)
    assert (answer.status, header(answer, "allow")) == (405, "GET")


@pytest.mark.parametrize(("method", "path"), [("GET", "/session/login"), ("GET", "/session/callback"), ("POST", "/session/backchannel")])
async def test_without_a_provider_there_are_no_such_routes(method: str, path: str) -> None:
    """404 where nobody signs in at a provider."""
    assert_problem(await Web().ask(method, path), 404)
