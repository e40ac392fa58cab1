"""Bearer or cookie: the secret id in an `Authorization` header, where that is allowed, and never both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from stillhere.core.policy import BeatsExtend, Policy, minutes
from stillhere.core.records import EndedBy
from stillhere.http.bearer import bearer_of
from stillhere.http.config import HttpConfig
from stillhere.http.endpoints import SessionEndpoints
from tests.http.doubles import OURS, OWN, UNKNOWN_SECRET, Web, all_of, assert_problem, header, never_asked, read, request

if TYPE_CHECKING:
    from stillhere.http.messages import Response

LISTED: Final = "https://partner.example"
ON: Final = HttpConfig(bearer=True)
ROUTES: Final = (("POST", "/session/beat"), ("GET", "/session"))


def bearer(secret: str, **headers: str) -> dict[str, str]:
    """Write the headers of a request from one of our pages with a bearer."""
    return {**OURS, "authorization": f"Bearer {secret}", **headers}


def challenge(answer: Response) -> str | None:
    """Check that an answer is a 401 problem; give its challenge."""
    assert_problem(answer, 401)
    return header(answer, "www-authenticate")


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (None, None),
        ("", None),
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("Bearer a, Bearer b", "a, Bearer b"),
        ("Bearerabc", None),
        ("Basic Zm9v", None),
        ("Basic Zm9v, Bearer abc", None),
        (" Bearer abc", None),
    ],
)
def test_reading_an_authorization_header(sent: str | None, found: str | None) -> None:
    """Only the scheme Bearer counts, in any case; an empty one, or two at once, is one that names nothing."""
    headers = {} if sent is None else {"authorization": sent}
    assert bearer_of(request("GET", "/", headers=headers), ON) == found
    assert bearer_of(request("GET", "/", headers=headers), HttpConfig()) is None


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_bearer_is_as_good_as_a_cookie(method: str, path: str) -> None:
    """Where it is allowed, the secret id as a bearer gets the very answer that the cookie gets."""
    web = Web(ON)
    started = await web.sign_in()
    by_bearer = await web.ask(method, path, headers=bearer(started.secret))
    assert by_bearer.status == 200
    assert by_bearer == await web.ask(method, path, secret=started.secret)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_the_setting_a_bearer_is_nothing(method: str, path: str) -> None:
    """By default the header is not looked at: the cookie counts if there is one, and the challenge names no bearer."""
    web = Web()
    started = await web.sign_in()
    assert (await web.ask(method, path, headers=bearer(UNKNOWN_SECRET), secret=started.secret)).status == 200
    refused = await web.ask(method, path, headers=bearer(started.secret))
    assert challenge(refused) == 'Session realm="stillhere", reason="no_session"'


@pytest.mark.parametrize("wrong", ["", "short", UNKNOWN_SECRET, "another"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_request_with_a_bearer_is_judged_by_it_alone(method: str, path: str, wrong: str) -> None:
    """The cookie of a request with a bearer is not looked at: neither where the bearer is another session's, nor where it names nothing."""
    web = Web(ON)
    started, other = await web.sign_in(), await web.sign_in("second@fund.example")
    await web.manager.end_by_handle(other.session.handle)
    web.clock.advance(1_000)
    before = web.kept()
    answer = await web.ask(method, path, headers=bearer(other.secret if wrong == "another" else wrong), secret=started.secret)
    reason = "revoked" if wrong == "another" else "no_session"
    assert challenge(answer) == f'Session realm="stillhere", reason="{reason}", Bearer realm="stillhere", error="invalid_token"'
    assert web.kept() == before


async def test_where_a_bearer_counts_the_challenge_says_so() -> None:
    """Without any credential a 401 names both ways, and tells of no error (RFC 6750 section 3)."""
    answer = await Web(ON).ask("GET", "/session")
    assert challenge(answer) == 'Session realm="stillhere", reason="no_session", Bearer realm="stillhere"'


@pytest.mark.parametrize("token", ["", "short", "Bearer", "a" * 60])
async def test_a_bearer_that_cannot_be_an_id_asks_no_store(token: str) -> None:
    """What has not the shape of an id is refused without a store call."""
    endpoints = SessionEndpoints(never_asked(), ON)
    for method, path in ROUTES:
        assert (await endpoints.answer(request(method, path, headers=bearer(token)))).status == 401


@pytest.mark.parametrize("extends", list(BeatsExtend))
async def test_a_marked_request_with_a_bearer_extends_nothing(extends: BeatsExtend) -> None:
    """`X-Heartbeat: true` withholds from a bearer as from a cookie."""
    web = Web(ON, Policy(beats_extend=extends))
    started = await web.sign_in()
    before = web.over_at()
    web.clock.advance(minutes(5))
    headers = bearer(started.secret, **{"x-heartbeat": "true"})
    assert (await web.ask("POST", "/session/beat", headers=headers, body={"idleMs": 0})).status == 200
    assert web.over_at() == before


async def test_signing_out_by_bearer_touches_no_cookie() -> None:
    """The bearer's session ends; a cookie that the browser also has may be another session's, so it is neither ended nor taken back."""
    web = Web(ON)
    started, other = await web.sign_in(), await web.sign_in("second@fund.example")
    answer = await web.ask("POST", "/session/end", headers=bearer(started.secret), secret=other.secret)
    assert read(answer) == {"success": True, "reason": "signed_out"}
    assert all_of(answer, "set-cookie") == []
    ends = {session.subject: session.ended_by for session in web.store.sessions.values()}
    assert ends == {"first@fund.example": EndedBy.SIGNED_OUT, "second@fund.example": None}
    assert (await web.ask("GET", "/session", headers=bearer(started.secret))).status == 401


@pytest.mark.parametrize(
    ("config", "headers", "status"),
    [
        (ON, {}, 200),
        (ON, {"origin": OWN}, 200),
        (ON, {"sec-fetch-site": "same-origin"}, 200),
        (ON, {"sec-fetch-site": "cross-site"}, 403),
        (ON, {"sec-fetch-site": "same-site"}, 403),
        (ON, {"sec-fetch-site": "none"}, 403),
        (ON, {"origin": "https://evil.example"}, 403),
        (ON, {"origin": "null"}, 403),
        (HttpConfig(), {}, 403),
        (HttpConfig(bearer=True, allowed_origins=(LISTED,)), {"origin": LISTED, "sec-fetch-site": "cross-site"}, 200),
    ],
)
async def test_a_bearer_stands_for_a_header_of_our_own(config: HttpConfig, headers: dict[str, str], status: int) -> None:
    """A client that is no browser needs no other header than its bearer; what a browser says of another site still refuses."""
    web = Web(config)
    started = await web.sign_in()
    answer = await web.ask("POST", "/session/beat", headers={"authorization": f"Bearer {started.secret}", **headers})
    assert answer.status == status


async def test_another_scheme_stands_for_nothing() -> None:
    """A browser adds Basic by itself, so it proves nothing: a POST that tells nothing else is refused."""
    web = Web(ON)
    started = await web.sign_in()
    answer = await web.ask("POST", "/session/beat", headers={"authorization": "Basic Zm9v"}, secret=started.secret)
    assert_problem(answer, 403)


@pytest.mark.parametrize("is_on", [True, False])
async def test_a_preflight_allows_a_bearer_only_where_it_counts(is_on: bool) -> None:  # noqa: FBT001  # one of two cases
    """A page of a listed origin may send `Authorization` if a bearer counts, and only then."""
    config = HttpConfig(bearer=is_on, allowed_origins=(LISTED,))
    answer = await Web(config).ask("OPTIONS", "/session/beat", headers={"origin": LISTED, "access-control-request-method": "POST"})
    allowed = set((header(answer, "access-control-allow-headers") or "").split(", "))
    assert allowed >= {"cache-control", "content-type", "expires", "pragma", "x-heartbeat"}, "what existing clients send besides"
    assert ("authorization" in allowed) is is_on
