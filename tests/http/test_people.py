"""`GET /session/list` and `POST /session/revoke`: people see and end their own sessions, and nobody else's."""

from __future__ import annotations

from typing import Any, Final, cast

import pytest

from stillhere.core.policy import Policy, hours, minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.core.wire import MAX_BODY_BYTES
from stillhere.http.config import HttpConfig
from stillhere.http.endpoints import SessionEndpoints
from stillhere.http.people import LONGEST_LIST
from tests.http.doubles import (
    OURS,
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

LONG_FRESH: Final = Policy(fresh_timeout=hours(24))


async def listed(web: Web, secret: str) -> list[dict[str, Any]]:
    """Ask for the list."""
    answer = await web.ask("GET", "/session/list", secret=secret)
    assert answer.status == 200
    assert_private(answer)
    sessions: list[dict[str, Any]] = read(answer)["sessions"]
    return sessions


async def revoke(web: Web, secret: str | None, **what: object) -> Any:
    """Ask for an end."""
    return await web.ask("POST", "/session/revoke", secret=secret, body=what)


async def test_people_see_their_own_sessions() -> None:
    """The one that asks first, then the most recently seen, each with how long ago and what it was remembered by; nobody else's."""
    web = Web()
    facts = {"stillhere": {"device": "Firefox on Windows", "network": "203.0.113.0/24"}, "role": "reader"}
    phone = await web.manager.start("first@fund.example", attributes=facts)
    web.clock.advance(seconds(60))
    older = await web.sign_in()
    await web.sign_in("other@fund.example")
    web.clock.advance(seconds(5))
    await web.manager.authenticate(older.secret, extends=False)
    web.clock.advance(1)
    newest = await web.sign_in()
    web.clock.advance(seconds(2) - 1)
    sessions = await listed(web, phone.secret)
    assert [session["handle"] for session in sessions] == [one.session.handle for one in (phone, newest, older)]
    assert [session["current"] for session in sessions] == [True, False, False]
    assert sessions[0] == {
        "handle": phone.session.handle,
        "current": True,
        "createdAgoMs": 67_000,
        "lastSeenAgoMs": 67_000,
        "lastActiveAgoMs": 67_000,
        "expiresInMs": minutes(20) - 67_000,
        "createdAt": "2023-11-14T22:13:20.000Z",
        "lastSeenAt": "2023-11-14T22:13:20.000Z",
        "lastActiveAt": "2023-11-14T22:13:20.000Z",
        "device": "Firefox on Windows",
        "network": "203.0.113.0/24",
    }
    assert (sessions[2]["lastSeenAgoMs"], sessions[2]["lastActiveAgoMs"], sessions[2]["createdAgoMs"]) == (2_000, 7_000, 7_000)
    assert (sessions[2]["device"], sessions[2]["network"]) == (None, None)


async def test_the_list_holds_no_secret_and_nothing_of_the_application() -> None:
    """Public handles only: no secret id, no hash, no attribute of the application's."""
    web = Web()
    mine = await web.manager.start("first@fund.example", attributes={"plan": "gold-plan"})
    answer = await web.ask("GET", "/session/list", secret=mine.secret)
    for secret in (mine.secret.encode(), mine.session.id_hash.encode(), b"gold-plan"):
        assert secret not in answer.body


async def test_looking_at_the_list_is_not_living() -> None:
    """It moves no clock and records no end, with GET or HEAD; sessions that lapsed are not in it."""
    web = Web()
    await web.sign_in()
    web.clock.advance(minutes(10))
    mine = await web.sign_in()
    web.clock.advance(minutes(10))
    before = web.kept()
    assert len(await listed(web, mine.secret)) == 1
    bare = await web.ask("HEAD", "/session/list", secret=mine.secret)
    assert (bare.status, bare.body) == (200, b"")
    assert web.kept() == before


async def test_a_long_list_has_an_end() -> None:
    """Never more than 200, and one's own is always among them."""
    web = Web()
    mine = await web.sign_in()
    web.clock.advance(1)
    for _ in range(LONGEST_LIST + 5):
        await web.sign_in()
    sessions = await listed(web, mine.secret)
    assert len(sessions) == LONGEST_LIST
    assert sessions[0]["current"] is True


@pytest.mark.parametrize(("method", "path"), [("GET", "/session/list"), ("POST", "/session/revoke")])
@pytest.mark.parametrize("secret", [None, "wrong-shape", UNKNOWN_SECRET])
async def test_nobody_has_no_sessions(method: str, path: str, secret: str | None) -> None:
    """401 for whoever is not signed in, before a body is read; without an id the store is not asked."""
    web = Web()
    await web.sign_in()
    members = assert_problem(await web.ask(method, path, secret=secret, body=b"{" if method == "POST" else b""), 401)
    assert members["reason"] == "no_session"
    if secret != UNKNOWN_SECRET:
        asked = request(method, path, secret=secret)
        assert (await SessionEndpoints(never_asked()).answer(asked)).status == 401


async def test_a_session_that_is_over_sees_and_ends_nothing() -> None:
    """401 and why; the others stay."""
    web = Web()
    mine, other = await web.sign_in(), await web.sign_in()
    await web.manager.end(mine.secret)
    assert assert_problem(await web.ask("GET", "/session/list", secret=mine.secret), 401)["reason"] == "signed_out"
    assert assert_problem(await revoke(web, mine.secret, everywhere=True), 401)["reason"] == "signed_out"
    assert (await web.manager.look(other.secret)).is_alive


async def test_one_of_ones_own_is_ended() -> None:
    """It is over at once, with `revoked`; oneself and the rest stay; once more changes nothing."""
    web = Web()
    mine, lost, third = [await web.sign_in() for _ in range(3)]
    answer = await revoke(web, mine.secret, handle=lost.session.handle)
    assert (answer.status, read(answer)) == (200, {"success": True, "ended": 1, "signedOut": False})
    assert_private(answer)
    assert all_of(answer, "set-cookie") == []
    assert assert_problem(await web.ask("POST", "/session/beat", secret=lost.secret), 401)["reason"] == "revoked"
    again = await revoke(web, mine.secret, handle=lost.session.handle)
    assert (again.status, read(again)["ended"]) == (200, 0)
    assert web.store.sessions[lost.session.handle].ended_by is EndedBy.REVOKED
    assert len(await listed(web, third.secret)) == 2


async def test_the_pages_of_it_are_told() -> None:
    """A stream of the session that was ended hears of it."""
    web = Web()
    mine, lost = await web.sign_in(), await web.sign_in()
    since = await web.manager.push.ready()
    stream = web.manager.push.follow(lost.session, lambda: None, since=since)
    stream.take()
    await revoke(web, mine.secret, handle=lost.session.handle)
    told = stream.take()
    assert told is not None
    stream.close()
    await web.manager.close()


async def test_a_foreign_session_looks_like_none() -> None:
    """404 with the same body, and it stays."""
    web = Web()
    mine, foreign = await web.sign_in(), await web.sign_in("other@fund.example")
    answers = [await revoke(web, mine.secret, handle=handle) for handle in (foreign.session.handle, "nobody")]
    for answer in answers:
        assert_problem(answer, 404)
    assert answers[0].body == answers[1].body
    assert (await web.manager.look(foreign.secret)).is_alive


async def test_all_others_are_ended() -> None:
    """Oneself stays, and so does everybody else."""
    web = Web()
    mine, *_ = [await web.sign_in() for _ in range(4)]
    foreign = await web.sign_in("other@fund.example")
    answer = await revoke(web, mine.secret, others=True)
    assert read(answer) == {"success": True, "ended": 3, "signedOut": False}
    assert [session["current"] for session in await listed(web, mine.secret)] == [True]
    assert (await web.manager.look(foreign.secret)).is_alive
    assert read(await revoke(web, mine.secret, others=True))["ended"] == 0


@pytest.mark.parametrize("config", [HttpConfig(), HttpConfig(clear_site_data=())])
async def test_everything_is_ended(config: HttpConfig) -> None:
    """The others with `revoked`, one's own as a sign-out, with the cookies taken back as there."""
    web = Web(config)
    mine, other = await web.sign_in(), await web.sign_in()
    answer = await revoke(web, mine.secret, everywhere=True)
    assert read(answer) == {"success": True, "ended": 2, "signedOut": True}
    (cookie,) = all_of(answer, "set-cookie")
    assert cookie.startswith("__Host-session=; Max-Age=0")
    assert (header(answer, "clear-site-data") is None) == (not config.clear_site_data)
    assert web.store.sessions[mine.session.handle].ended_by is EndedBy.SIGNED_OUT
    assert web.store.sessions[other.session.handle].ended_by is EndedBy.REVOKED


async def test_ones_own_by_its_handle_is_a_sign_out() -> None:
    """Also long after the sign-in: whoever holds a session may end it."""
    web = Web(policy=Policy(fresh_timeout=1))
    mine = await web.sign_in()
    web.clock.advance(minutes(5))
    answer = await revoke(web, mine.secret, handle=mine.session.handle)
    assert read(answer) == {"success": True, "ended": 1, "signedOut": True}
    assert web.session().ended_by is EndedBy.SIGNED_OUT


@pytest.mark.parametrize("what", [{"others": True}, {"everywhere": True}, {"handle": "nobody"}], ids=repr)
async def test_ending_others_asks_for_a_fresh_sign_in(what: dict[str, object]) -> None:
    """403 with `reauthenticate` and the challenge of RFC 9470; nothing is ended or told; after a new proof it works, under a new id."""
    web = Web()
    mine, other = await web.sign_in(), await web.sign_in()
    if "handle" in what:
        what = {"handle": other.session.handle}
    web.clock.advance(minutes(15))
    assert (await revoke(web, mine.secret, handle="nobody")).status == 404, "just in time"
    web.clock.advance(1)
    before = web.kept()
    answer = await revoke(web, mine.secret, **what)
    members = assert_problem(answer, 403)
    assert (members["reason"], members["maxAgeMs"]) == ("reauthenticate", minutes(15))
    assert header(answer, "www-authenticate") == 'Session realm="stillhere", error="insufficient_user_authentication", max_age="900"'
    assert (await revoke(web, mine.secret, handle="nobody")).status == 403, "whoever may not ask learns nothing"
    assert web.kept() == before
    proved = await web.manager.reauthenticated(mine.secret)
    assert proved is not None
    assert (await revoke(web, mine.secret, **what)).status == 401, "the old id is worth nothing any more"
    assert (await revoke(web, proved.secret, **what)).status == 200
    assert web.store.sessions[other.session.handle].ended_by is EndedBy.REVOKED


async def test_a_bearer_is_challenged_too() -> None:
    """Where bearers count the challenge names that scheme, as RFC 9470 has it."""
    web = Web(HttpConfig(bearer=True))
    mine = await web.sign_in()
    web.clock.advance(minutes(16))
    answer = await web.ask("POST", "/session/revoke", headers={**OURS, "authorization": f"Bearer {mine.secret}"}, body={"others": True})
    assert 'Bearer error="insufficient_user_authentication", max_age="900"' in (header(answer, "www-authenticate") or "")


async def test_a_policy_can_ask_nobody() -> None:
    """With a `fresh_timeout` as long as a session can last every session is fresh."""
    web = Web(policy=LONG_FRESH)
    mine = await web.sign_in()
    for _ in range(30):
        web.clock.advance(minutes(15))
        await web.manager.authenticate(mine.secret)
    assert (await revoke(web, mine.secret, others=True)).status == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b'{"more": ' + b"[" * 50_000, 400, None),
        (b"[]", 422, "$"),
        (b"{}", 422, "$"),
        (b'{"others": false}', 422, "$"),
        (b'{"others": true, "everywhere": true}', 422, "$"),
        (b'{"handle": "a", "others": true}', 422, "$"),
        (b'{"handle": 7}', 422, "$.handle"),
        (b'{"handle": ""}', 422, "$.handle"),
        (b'{"handle": "../a"}', 422, "$.handle"),
        (b'{"others": "yes"}', 422, "$.others"),
        (b"A" * (MAX_BODY_BYTES + 1), 413, None),
    ],
)
async def test_a_body_that_says_nothing_clear_is_refused(body: bytes, status: int, field: str | None) -> None:
    """4xx that says what is wrong; nobody is ended."""
    web = Web()
    mine = await web.sign_in()
    before = web.kept()
    members = assert_problem(await web.ask("POST", "/session/revoke", secret=mine.secret, body=body), status)
    assert members.get("field") == field
    assert web.kept() == before


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_no_other_site_can_end_sessions(site: str) -> None:
    """403 before anything is read, and without a reason of the session's."""
    web = Web()
    mine, other = await web.sign_in(), await web.sign_in()
    sent = {"sec-fetch-site": site, "cookie": f"__Host-session={mine.secret}"}
    members = assert_problem(await web.ask("POST", "/session/revoke", headers=sent, body={"others": True}), 403)
    assert "reason" not in members
    assert (await web.manager.look(other.secret)).is_alive


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("POST", "/session/list", "GET, HEAD"), ("DELETE", "/session/list", "GET, HEAD")]
    + [(method, "/session/revoke", "POST") for method in ("GET", "HEAD", "PUT", "DELETE")],
)
async def test_other_methods_are_refused(method: str, path: str, allow: str) -> None:
    """Whatever follows links ends nobody."""
    answer = await Web().ask(method, path)
    assert (answer.status, header(answer, "allow")) == (405, allow)


@pytest.mark.parametrize(("method", "path"), [("GET", "/session/list"), ("POST", "/session/revoke")])
async def test_they_are_limited_like_other_messages(method: str, path: str) -> None:
    """429 with `Retry-After`, for each session."""
    web = Web(HttpConfig(beats_per_minute=2))
    mine, other = await web.sign_in(), await web.sign_in()
    for _ in range(2):
        assert (await web.ask(method, path, secret=mine.secret)).status in {200, 400}
    answer = await web.ask(method, path, secret=mine.secret)
    assert_problem(answer, 429)
    assert header(answer, "retry-after")
    assert (await web.ask(method, path, secret=other.secret)).status in {200, 400}


@pytest.mark.parametrize(("method", "path"), [("GET", "/session/list"), ("POST", "/session/revoke")])
async def test_a_store_in_trouble_is_503(method: str, path: str) -> None:
    """Never a false 401, and nobody is told that something was ended."""
    answer = await SessionEndpoints(in_trouble()).answer(request(method, path, secret=UNKNOWN_SECRET, body={"others": True}))
    assert_problem(answer, 503)
    assert header(answer, "retry-after") == "7"


async def test_a_store_that_cannot_list_says_so() -> None:
    """404 for the list and for ending others; one's own session can still be ended."""
    web = Web()
    mine = await web.sign_in()
    web.manager.store = web.manager.people._store = cast("Any", OnlyVerbs(web.store))
    assert_problem(await web.ask("GET", "/session/list", secret=mine.secret), 404)
    assert_problem(await revoke(web, mine.secret, others=True), 404)
    assert (await revoke(web, mine.secret, handle=mine.session.handle)).status == 200


class OnlyVerbs:
    """A store that has the verbs every store has, and no ability."""

    def __init__(self, store: Any) -> None:
        for verb in ("create", "beat", "get", "rotate", "end", "ping", "close"):
            setattr(self, verb, getattr(store, verb))
