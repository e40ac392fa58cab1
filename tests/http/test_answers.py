"""Answers: what a living session is told, what an ended one is told, and what trouble looks like."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from stillhere.core.policy import Policy, days, hours, minutes, seconds
from stillhere.core.records import EndedBy, Ending
from stillhere.core.rules import open_session
from stillhere.core.spans import in_words
from stillhere.errors import StoreError
from stillhere.http.config import HttpConfig
from stillhere.http.endpoints import SessionEndpoints
from stillhere.http.problems import over, over_sentence
from tests.http.doubles import (
    UNKNOWN_SECRET,
    Web,
    all_of,
    assert_private,
    assert_problem,
    header,
    in_trouble,
    never_asked,
    read,
    request,
)

LISTED: Final = "https://partner.example"


async def test_a_living_session_is_told_how_it_stands() -> None:
    """A beat and a look give the members of the protocol, and the same numbers."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(seconds(30))
    look = await web.ask("GET", "/session", secret=started.secret)
    assert look.status == 200
    assert_private(look)
    assert header(look, "content-type") == "application/json"
    assert read(look) == {
        "state": "active",
        "expiresInMs": minutes(19.5),
        "idleInMs": minutes(19.5),
        "absoluteInMs": hours(24) - seconds(30),
        "warnInMs": minutes(17.5),
        "nextBeatMs": minutes(3),
        "canExtend": True,
        "accessTokenExpiresAt": None,
        "success": True,
    }
    beat = await web.ask("POST", "/session/beat", secret=started.secret, body={"view": "v", "visibleMs": 6_000, "idleMs": 1_000})
    assert read(beat)["idleInMs"] == minutes(20) - 1_000
    assert read(beat)["nextBeatMs"] == seconds(9)


async def test_the_last_two_minutes_are_expiring() -> None:
    """Once the warning is due the state is `expiring` and nothing is left to wait for."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(minutes(18))
    answer = read(await web.ask("GET", "/session", secret=started.secret))
    assert (answer["state"], answer["warnInMs"], answer["expiresInMs"]) == ("expiring", 0, minutes(2))


async def test_a_look_writes_nothing() -> None:
    """However often one looks, also after the end, not one fact changes."""
    web = Web()
    started = await web.sign_in()
    before = web.kept()
    for _ in range(30):
        web.clock.advance(minutes(1))
        for method in ("GET", "HEAD"):
            await web.ask(method, "/session", secret=started.secret)
    assert web.kept() == before
    assert assert_problem(await web.ask("GET", "/session", secret=started.secret), 401)["reason"] == "idle"


async def test_several_beats_are_answered_after_the_last() -> None:
    """A queue of beats gets one answer: how the session stands after all of them."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(minutes(1))
    queue = [{"view": "v", "visibleMs": ms, "idleMs": 0, "ageMs": 60_000 - ms} for ms in (5_000, 15_000, 30_000)]
    answer = read(await web.ask("POST", "/session/beat", secret=started.secret, body={"beats": queue}))
    assert (answer["idleInMs"], answer["nextBeatMs"]) == (minutes(19.5), seconds(30))


ENDS: Final = [
    (EndedBy.IDLE, "The session ended after 20 minutes without activity. Please sign in again."),
    (EndedBy.ABSOLUTE, "The session reached its longest allowed time of 1 day. Please sign in again."),
    (EndedBy.SIGNED_OUT, "You signed out."),
    (EndedBy.REVOKED, "The session was ended from elsewhere. Please sign in again."),
    (EndedBy.REPLACED, "You signed in again, and that ended this session."),
    (EndedBy.TOKEN_REUSE, "The session was ended because its credentials were used twice. Please sign in again."),
    (EndedBy.PROVIDER, "The sign-in service ended the session. Please sign in again."),
]


@pytest.mark.parametrize(("by", "sentence"), ENDS)
@pytest.mark.parametrize(("method", "path"), [("POST", "/session/beat"), ("GET", "/session")])
async def test_an_ended_session_is_told_why_and_when(method: str, path: str, by: EndedBy, sentence: str) -> None:
    """401 is final: reason for machines in body and `WWW-Authenticate`, the sentence twice, when it ended; the cookie is left alone."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(seconds(7))
    await web.manager.end_by_handle(started.session.handle, by)
    web.clock.advance(hours(1))
    answer = await web.ask(method, path, secret=started.secret)
    body = assert_problem(answer, 401)
    assert header(answer, "www-authenticate") == f'Session realm="stillhere", reason="{by}"'
    assert all_of(answer, "set-cookie") == []
    assert body["title"] == "Session over"
    assert body["reason"] == by
    assert body["detail"] == body["message"] == sentence
    assert body["endedAt"] == "2023-11-14T22:13:27.000Z"


async def test_a_lapsed_session_ended_at_its_deadline() -> None:
    """Whoever notices, and however late, `endedAt` is the deadline."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(hours(5))
    body = assert_problem(await web.ask("POST", "/session/beat", secret=started.secret), 401)
    assert (body["reason"], body["endedAt"]) == ("idle", "2023-11-14T22:33:20.000Z")


async def test_no_activity_passes_the_absolute_end() -> None:
    """Beats with fresh input keep a session up to its absolute end and not one millisecond longer; then 401 says so."""
    web = Web(policy=Policy(absolute_timeout=hours(1)))
    started = await web.sign_in()
    for _ in range(11):
        web.clock.advance(minutes(5))
        assert (await web.ask("POST", "/session/beat", secret=started.secret, body={"kind": "extend"})).status == 200
    assert read(await web.ask("GET", "/session", secret=started.secret))["canExtend"] is False
    web.clock.advance(minutes(5))
    body = assert_problem(await web.ask("POST", "/session/beat", secret=started.secret, body={"kind": "extend"}), 401)
    assert (body["reason"], body["detail"]) == ("absolute", "The session reached its longest allowed time of 1 hour. Please sign in again.")


FOREIGN_COOKIES: Final = [
    None,
    "",
    "__Host-session=",
    f"__Host-session={UNKNOWN_SECRET}",
    f"__Host-session={UNKNOWN_SECRET[:42]}",
    f"__Host-session={UNKNOWN_SECRET}A",
    "__Host-session=<script>",
    "__Host-session=" + "x" * 4_000,
    "__Host-session=\xff",
    "__Host-session=' OR 1=1 --",
    f"session={UNKNOWN_SECRET}",
]


@pytest.mark.parametrize(("method", "path"), [("POST", "/session/beat"), ("GET", "/session")])
async def test_no_session_looks_the_same_whatever_was_sent(method: str, path: str) -> None:
    """No cookie, a forged one, an unknown one and one of a wrong shape get the very same answer; nothing is adopted."""
    web = Web()
    await web.sign_in()
    before = web.kept()
    answers = [
        await web.ask(method, path, headers={"x-stillhere": "1", **({"cookie": c} if c is not None else {})}) for c in FOREIGN_COOKIES
    ]
    assert all(answer == answers[0] for answer in answers)
    body = assert_problem(answers[0], 401)
    assert body["reason"] == "no_session"
    assert body["detail"] == body["message"] == "There is no session. Please sign in."
    assert "endedAt" not in body
    assert header(answers[0], "www-authenticate") == 'Session realm="stillhere", reason="no_session"'
    assert web.kept() == before


@pytest.mark.parametrize("cookie", [cookie for cookie in FOREIGN_COOKIES if cookie != f"__Host-session={UNKNOWN_SECRET}"])
async def test_what_cannot_be_an_id_never_reaches_the_store(cookie: str | None) -> None:
    """Without a cookie that could be an id the store is not asked, on any route."""
    endpoints = SessionEndpoints(never_asked())
    headers = {"x-stillhere": "1", **({} if cookie is None else {"cookie": cookie})}
    for method, path, status in (("GET", "/session", 401), ("POST", "/session/beat", 401), ("POST", "/session/end", 200)):
        assert (await endpoints.answer(request(method, path, headers=headers))).status == status


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/session/beat"), ("GET", "/session"), ("HEAD", "/session"), ("POST", "/session/end")]
)
async def test_a_store_in_trouble_signs_nobody_out(method: str, path: str) -> None:
    """Trouble with the store is 503 with Retry-After, never 401; the cookie is kept, and nothing inside is told."""
    answer = await SessionEndpoints(in_trouble()).answer(request(method, path, secret=UNKNOWN_SECRET))
    assert answer.status == 503
    assert_private(answer)
    assert header(answer, "retry-after") == "7"
    assert all_of(answer, "set-cookie") == []
    assert header(answer, "clear-site-data") is None
    assert header(answer, "www-authenticate") is None
    if method != "HEAD":
        assert "Nobody is signed out" in assert_problem(answer, 503)["detail"]
        assert b"disk" not in answer.body


ROWS: Final[list[tuple[int, dict[str, Any]]]] = [
    (200, {"method": "GET", "path": "/session"}),
    (200, {"method": "POST", "path": "/session/beat"}),
    (200, {"method": "POST", "path": "/session/end"}),
    (204, {"method": "OPTIONS", "path": "/session/beat", "headers": {"origin": LISTED}}),
    (400, {"method": "POST", "path": "/session/beat", "body": b"{"}),
    (401, {"method": "GET", "path": "/session", "secret": None}),
    (401, {"method": "POST", "path": "/session/beat", "secret": UNKNOWN_SECRET}),
    (403, {"method": "POST", "path": "/session/end", "headers": {"sec-fetch-site": "cross-site"}}),
    (404, {"method": "GET", "path": "/session/else"}),
    (405, {"method": "DELETE", "path": "/session"}),
    (405, {"method": "POST", "path": "/session/client.js"}),
    (413, {"method": "POST", "path": "/session/beat", "body": b"x" * 65_537}),
    (413, {"method": "GET", "path": "/session", "body": b"x" * 65_537}),
    (415, {"method": "POST", "path": "/session/beat", "body": b"x", "headers": {"x-stillhere": "1", "content-type": "image/png"}}),
    (422, {"method": "POST", "path": "/session/beat", "body": b"[]"}),
    (429, {"method": "POST", "path": "/session/beat"}),
    (503, {"method": "POST", "path": "/session/beat"}),
]


@pytest.mark.parametrize(("status", "asked"), ROWS, ids=[f"{status}-{asked['path']}" for status, asked in ROWS])
async def test_every_status_is_private_and_complete(status: int, asked: dict[str, Any]) -> None:
    """Whatever the status: never cached by anybody, and with the headers that belong to it."""
    web = Web(HttpConfig(allowed_origins=(LISTED,), beats_per_minute=1))
    started = await web.sign_in()
    asked = {"secret": started.secret, **asked}
    if status == 429:
        await web.ask(**asked)
    endpoints = SessionEndpoints(in_trouble()) if status == 503 else web.endpoints
    answer = await endpoints.answer(request(asked.pop("method"), asked.pop("path"), **asked))
    assert answer.status == status
    assert_private(answer)
    assert (header(answer, "retry-after") is not None) == (status in {429, 503})
    assert (header(answer, "www-authenticate") is not None) == (status == 401)
    assert (header(answer, "allow") is not None) == (status == 405)
    if status >= 400:
        assert_problem(answer, status)


async def test_no_answer_tells_the_secret() -> None:
    """Whatever is asked and however it ends, neither the secret id nor its hash is in any header or body, and no log has it."""
    web = Web(HttpConfig(beats_per_minute=1_000))
    started = await web.sign_in()
    for body in (b"", b"{", b"[]", json.dumps({"view": "v", "visibleMs": 1}).encode(), b'{"kind":"nonsense"}'):
        for method in ("GET", "POST", "PUT"):
            for path in ("/session", "/session/beat", "/session/client.js", "/session/end"):
                answer = await web.ask(method, path, secret=started.secret, body=body)
                told = repr(answer)
                assert started.secret not in told
                assert started.session.id_hash not in told


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (days(1), "1 day"),
        (days(30), "30 days"),
        (hours(36), "36 hours"),
        (hours(1), "1 hour"),
        (minutes(90), "90 minutes"),
        (minutes(20), "20 minutes"),
        (seconds(60), "1 minute"),
        (seconds(90), "90 seconds"),
        (1_500, "1 second"),
        (999, "999 milliseconds"),
    ],
)
def test_spans_in_words(span: int, words: str) -> None:
    """A span is written in its largest whole unit, as a person would say it."""
    assert in_words(span) == words


def test_without_an_ending_there_is_no_session() -> None:
    """What is not there and what has not ended are told as no session, with no session's facts."""
    session = open_session("", "", "", {}, policy=Policy(), now=0)
    assert over_sentence(session, None) == over_sentence(None, Ending(at=0, by=EndedBy.IDLE)) == "There is no session. Please sign in."
    assert read(over(None, None))["reason"] == "no_session"


def test_trouble_says_when_to_come_back() -> None:
    """A store error knows its status and a time to wait."""
    assert (StoreError("x").status_hint, StoreError("x").retry_after) == (503, 2)
