"""`POST /session/refresh` and `GET /session/jwks.json`: tokens of ours, given once each, to whoever has a right to them."""

from __future__ import annotations

import logging
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec.structs import replace

from stillhere.core.policy import minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.core.wire import MAX_BODY_BYTES
from stillhere.http.config import HttpConfig
from stillhere.tokens import AccessTokens, TokenEvent, TokenNews, Tokens
from stillhere.tokens.access import AccessClaims
from tests.http.doubles import OURS, Web, all_of, assert_private, assert_problem, header, read
from tests.tokens.made import LIFETIME, access_tokens, own_tokens

if TYPE_CHECKING:
    from stillhere.http.messages import Response

BEARER: Final = HttpConfig(bearer=True)


class TokenWeb(Web):
    """A web whose sessions have tokens."""

    def __init__(self, config: HttpConfig | None = None, tokens: Tokens | None = None) -> None:
        super().__init__(config, tokens=own_tokens() if tokens is None else tokens)

    async def first(self) -> str:
        """Sign in; give the first refresh token."""
        credentials = self.manager.credentials
        assert credentials is not None
        issued = await credentials.issue((await self.sign_in()).session)
        assert issued is not None
        assert issued.refresh is not None
        return issued.refresh

    async def refresh(self, token: str | None, *, in_body: bool = False, headers: dict[str, str] | None = None) -> Response:
        """Present a refresh token in its cookie, or in the body."""
        sent = {**OURS, **(headers or {})}
        if token is not None and not in_body:
            sent["cookie"] = f"__Host-refresh={token}"
        return await self.ask("POST", "/session/refresh", headers=sent, body={"refreshToken": token} if in_body else b"")


def cookie_of(answer: Response) -> Any:
    """Read the one cookie that an answer sets."""
    (text,) = all_of(answer, "set-cookie")
    (morsel,) = SimpleCookie(text).values()
    return morsel


async def test_a_refresh_gives_the_next_tokens() -> None:
    """200, how the session stands, an access token with what is left of it, and the next refresh token in its cookie."""
    web = TokenWeb()
    answer = await web.refresh(await web.first())
    assert answer.status == 200
    assert_private(answer)
    body = read(answer)
    assert (body["state"], body["tokenType"], body["success"]) == ("active", "Bearer", True)
    assert LIFETIME - 1_000 < body["accessTokenInMs"] <= LIFETIME
    assert body["accessTokenExpiresAt"].endswith("Z")
    assert body["expiresInMs"] == minutes(20)
    assert "refreshToken" not in body
    claims = access_tokens().read(body["accessToken"], now=web.clock())
    assert isinstance(claims, AccessClaims)
    assert (claims.handle, claims.refresh) == (web.session().handle, 2)


async def test_the_refresh_cookie_is_as_hard_to_steal_as_cookies_can_be() -> None:
    """`__Host-`, Secure, HttpOnly, SameSite=Strict, for the whole host and the browser session (OWASP ASVS 5.0 items 3.3.1 to 3.3.4)."""
    web = TokenWeb(HttpConfig(same_site="lax"))
    morsel = cookie_of(await web.refresh(await web.first()))
    assert morsel.key == "__Host-refresh"
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, True, "Strict", "/")
    assert (morsel["domain"], morsel["max-age"], morsel["expires"]) == ("", "", "")
    assert len(morsel.OutputString()) < 4096


async def test_each_token_is_good_for_one_successor() -> None:
    """Turn after turn works, and the first token is by then theft: the session ends for good, and says why."""
    web = TokenWeb()
    first = await web.first()
    token = first
    for _ in range(3):
        token = cookie_of(await web.refresh(token)).value
    members = assert_problem(await web.refresh(first), 401)
    assert members["reason"] == "token_reuse"
    assert web.session().ended_by is EndedBy.TOKEN_REUSE
    assert assert_problem(await web.refresh(token), 401)["reason"] == "token_reuse"


async def test_theft_ends_one_session_only() -> None:
    """Whoever is signed in elsewhere under the same name stays (Macro-Deck issue 815)."""
    web = TokenWeb()
    first = await web.first()
    elsewhere = await web.sign_in()
    second = cookie_of(await web.refresh(first)).value
    await web.refresh(second)
    await web.refresh(first)
    assert (await web.ask("POST", "/session/beat", secret=elsewhere.secret)).status == 200


async def test_theft_is_told_to_the_application(caplog: pytest.LogCaptureFixture) -> None:
    """One event, and one line of the log, with the public handle and no token."""
    caplog.set_level(logging.INFO, "stillhere")
    told: list[TokenEvent] = []

    async def heard(event: TokenEvent) -> None:
        told.append(event)

    web = TokenWeb(tokens=replace(own_tokens(), on_event=heard))
    tokens = [await web.first()]
    for _ in range(2):
        tokens.append(cookie_of(await web.refresh(tokens[-1])).value)
    for _ in range(2):
        await web.refresh(tokens[0])
    await web.manager.close()
    assert told == [TokenEvent(news=TokenNews.REUSED, handle=web.session().handle)]
    assert caplog.text.count("token_reuse") == 2, "that it was told, and that the session ended"
    assert not any(token.partition(".")[2] in caplog.text for token in tokens)


async def test_a_lost_answer_is_repeated_with_the_same_successor() -> None:
    """The retry of a client that heard nothing gets the token that was lost."""
    web = TokenWeb()
    first = await web.first()
    lost = cookie_of(await web.refresh(first)).value
    assert cookie_of(await web.refresh(first)).value == lost


async def test_a_client_can_keep_its_token_itself() -> None:
    """From the body to the body: no cookie is set, and one that came along is not looked at."""
    web = TokenWeb()
    first = await web.first()
    answer = await web.ask("POST", "/session/refresh", headers={**OURS, "cookie": "__Host-refresh=other"}, body={"refreshToken": first})
    assert answer.status == 200
    assert all_of(answer, "set-cookie") == []
    assert read(await web.refresh(read(answer)["refreshToken"], in_body=True))["refreshToken"] != first


async def test_an_access_token_is_a_bearer_and_judged_by_its_session() -> None:
    """It opens what the session opens, extends as a request does, and is worth nothing from the moment of the sign-out."""
    web = TokenWeb(BEARER)
    token = read(await web.refresh(await web.first()))["accessToken"]
    sent = {**OURS, "authorization": f"Bearer {token}"}
    assert (await web.ask("POST", "/session/beat", headers=sent)).status == 200
    assert (await web.ask("POST", "/session/end", headers=sent)).status == 200
    members = assert_problem(await web.ask("POST", "/session/beat", headers=sent), 401)
    assert members["reason"] == "signed_out"


async def test_an_access_token_says_nothing_where_bearers_do_not_count() -> None:
    """Off is off: without `bearer` the header is not looked at."""
    web = TokenWeb()
    token = read(await web.refresh(await web.first()))["accessToken"]
    answer = await web.ask("POST", "/session/beat", headers={**OURS, "authorization": f"Bearer {token}"})
    assert assert_problem(answer, 401)["reason"] == "no_session"


async def test_a_token_that_is_over_is_no_session_and_ends_none() -> None:
    """An access token past its end opens nothing; the session lives, and the next token opens it again."""
    web = TokenWeb(BEARER)
    refreshed = await web.refresh(await web.first())
    sent = {**OURS, "authorization": f"Bearer {read(refreshed)['accessToken']}"}
    web.clock.advance(LIFETIME)
    assert assert_problem(await web.ask("POST", "/session/beat", headers=sent), 401)["reason"] == "no_session"
    again = await web.refresh(cookie_of(refreshed).value)
    sent = {**OURS, "authorization": f"Bearer {read(again)['accessToken']}"}
    assert (await web.ask("POST", "/session/beat", headers=sent)).status == 200


async def test_a_token_that_is_over_with_its_session_tells_why() -> None:
    """Where access token and session are both over its client hears the session's reason, by a beat and by a look."""
    web = TokenWeb(BEARER)
    body = read(await web.refresh(await web.first()))
    bearer = {"authorization": f"Bearer {body['accessToken']}"}
    web.clock.advance(LIFETIME)
    assert read(await web.ask("POST", "/session/beat", headers=bearer))["reason"] == "no_session"
    web.clock.advance(web.manager.policy.idle_timeout)
    assert read(await web.ask("POST", "/session/beat", headers=bearer))["reason"] == "idle"
    assert read(await web.ask("GET", "/session", headers=bearer))["reason"] == "idle"


async def test_the_use_of_an_access_token_shows_that_the_answer_arrived() -> None:
    """Once a turn's access token was seen the token before it is theft, but for requests that were on their way."""
    web = TokenWeb(BEARER)
    first = await web.first()
    token = read(await web.refresh(first))["accessToken"]
    for _ in range(2):
        await web.ask("POST", "/session/beat", headers={**OURS, "authorization": f"Bearer {token}"})
    await web.manager.credentials.close()  # type: ignore[union-attr]  # what was to be noted is noted
    assert (await web.refresh(first)).status == 200
    web.clock.advance(seconds(10) + 1)
    assert assert_problem(await web.refresh(first), 401)["reason"] == "token_reuse"


async def test_refreshing_keeps_nobody_signed_in() -> None:
    """A client that refreshes and does nothing else is signed out on time, with the reason, and no cookie is touched."""
    web = TokenWeb()
    answer = await web.refresh(await web.first())
    for _ in range(19):
        web.clock.advance(minutes(1))
        answer = await web.refresh(cookie_of(answer).value)
        assert answer.status == 200
    assert read(answer)["state"] == "expiring"
    web.clock.advance(minutes(1))
    over = await web.refresh(cookie_of(answer).value)
    assert assert_problem(over, 401)["reason"] == "idle"
    assert all_of(over, "set-cookie") == []


async def test_access_tokens_say_when_somebody_last_proved_who_they_are() -> None:
    """`auth_time` is the sign-in's, and after a new proof in the same session that one's, also in tokens that are refreshed later."""
    web = TokenWeb(BEARER)
    started, credentials = await web.sign_in(), web.manager.credentials
    assert credentials is not None
    web.clock.advance(minutes(10))
    told = []
    proved = await web.manager.reauthenticated(started.secret)
    assert proved is not None
    for session in (started.session, proved.session):
        issued = await credentials.issue(session)
        assert issued is not None
        assert issued.refresh is not None
        web.clock.advance(minutes(2))
        for text in (issued.access.text, read(await web.refresh(issued.refresh))["accessToken"]):
            claims = access_tokens().read(text, now=web.clock())
            assert isinstance(claims, AccessClaims)
            told.append(claims.signed_in_at)
    # The first was issued for an id that was given up: it opens nothing, and claims no more than the sign-in.
    began = started.session.created_at
    assert told == [began, began + minutes(10), began + minutes(10), began + minutes(10)]


@pytest.mark.parametrize("token", [None, "", "nonsense", "handle." + "A" * 43, "handle." + "A" * 65])
async def test_what_is_no_token_is_no_session(token: str | None) -> None:
    """One answer for all that names nothing, and the session in the cookie is none of its business."""
    web = TokenWeb()
    await web.first()
    members = assert_problem(await web.refresh(token), 401)
    assert members["reason"] == "no_session"
    assert web.session().ended_at is None


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b"[" * 100_000, 413, None),
        (b'{"more": ' + b"[" * 50_000, 400, None),
        (b"[]", 422, "$.refreshToken"),
        (b'{"refreshToken": 7}', 422, "$.refreshToken"),
        (b'{"refreshToken": "' + b"A" * 300 + b'"}', 422, "$.refreshToken"),
        (b"A" * (MAX_BODY_BYTES + 1), 413, None),
    ],
)
async def test_a_body_that_is_none_is_refused(body: bytes, status: int, field: str | None) -> None:
    """4xx that says what is wrong; nothing is turned."""
    web = TokenWeb()
    before = web.kept()
    members = assert_problem(await web.ask("POST", "/session/refresh", body=body), status)
    assert members.get("field") == field
    assert web.kept() == before


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_no_other_site_can_refresh(site: str) -> None:
    """403 before anything is read; the token is still the current one."""
    web = TokenWeb()
    first = await web.first()
    assert_problem(await web.refresh(first, headers={"sec-fetch-site": site}), 403)
    assert (await web.refresh(first)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_a_refresh_is_a_post(method: str) -> None:
    """Whatever follows links or pre-fetches turns no token."""
    web = TokenWeb()
    answer = await web.ask(method, "/session/refresh", headers={**OURS, "cookie": f"__Host-refresh={await web.first()}"})
    assert (answer.status, header(answer, "allow")) == (405, "POST")


async def test_a_token_that_comes_too_often_waits() -> None:
    """429 with `Retry-After`; by the token, so that nobody who knows a handle can use it up."""
    web = TokenWeb(HttpConfig(beats_per_minute=2))
    first = await web.first()
    for _ in range(2):
        assert (await web.refresh(first)).status == 200
    answer = await web.refresh(first)
    assert_problem(answer, 429)
    assert header(answer, "retry-after")


async def test_nobody_can_use_up_what_a_session_may_ask() -> None:
    """Made-up tokens with the right handle are refused by the dozen, and the real one still works."""
    web = TokenWeb(HttpConfig(beats_per_minute=2))
    first = await web.first()
    for number in range(10):
        await web.refresh(f"{web.session().handle}.{number:065}")
    assert (await web.refresh(first)).status == 200


async def test_signing_out_takes_the_refresh_cookie_back() -> None:
    """A sign-out with both cookies deletes both; one without a refresh cookie speaks of none."""
    web = TokenWeb()
    first, started = await web.first(), await web.sign_in()
    both = await web.ask("POST", "/session/end", headers={**OURS, "cookie": f"__Host-session={started.secret}; __Host-refresh={first}"})
    assert [text.partition("=")[0] for text in all_of(both, "set-cookie")] == ["__Host-session", "__Host-refresh"]
    assert all("Max-Age=0" in text for text in all_of(both, "set-cookie"))
    alone = await web.ask("POST", "/session/end", headers={**OURS, "cookie": f"__Host-session={started.secret}"})
    assert [text.partition("=")[0] for text in all_of(alone, "set-cookie")] == ["__Host-session"]


async def test_without_tokens_there_are_no_such_routes() -> None:
    """404, and the store is not asked; access tokens alone have keys and nothing to refresh."""
    for tokens, keys in ((None, 404), (Tokens(access=access_tokens()), 200)):
        web = Web(tokens=tokens)
        assert_problem(await web.ask("POST", "/session/refresh"), 404)
        assert (await web.ask("GET", "/session/jwks.json")).status == keys


async def test_the_keys_are_public_and_may_be_cached() -> None:
    """What others may know of the ring, for five minutes; nothing private is in it."""
    answer = await TokenWeb().ask("GET", "/session/jwks.json", headers={"sec-fetch-site": "cross-site"})
    assert answer.status == 200
    assert header(answer, "cache-control") == "public, max-age=300"
    assert header(answer, "content-type") == "application/jwk-set+json"
    (key,) = read(answer)["keys"]
    assert "d" not in key
    assert key["kid"] == "one"
    bare = await TokenWeb().ask("HEAD", "/session/jwks.json")
    assert (bare.status, bare.body) == (200, b"")


def test_the_ring_is_the_one_that_was_given() -> None:
    """Keys are shown from the very ring that signs."""
    tokens = access_tokens()
    assert isinstance(tokens, AccessTokens)
    assert tokens.keys.find("one") is not None
