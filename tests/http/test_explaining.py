"""`GET /session?explain=1`: every deadline of one's own session, beside an answer that is otherwise the same."""

from __future__ import annotations

import pytest

from stillhere.core.policy import Policy, hours, minutes, seconds
from stillhere.http.config import HttpConfig
from stillhere.http.endpoints import SessionEndpoints
from stillhere.http.explaining import ToldDeadline
from tests.http.doubles import Web, assert_private, assert_problem, header, in_trouble, read, request
from tests.tokens.made import own_tokens


async def test_the_table_is_added_and_nothing_else_changes() -> None:
    """All members of the plain answer are there unchanged, in their order; then the rows, as `spec/protocol.md` names their members."""
    web = Web(policy=Policy(touch_interval=seconds(30)), tokens=own_tokens())
    secret = (await web.sign_in()).secret
    web.clock.advance(minutes(5))
    plain = await web.ask("GET", "/session", secret=secret)
    answer = await web.ask("GET", "/session", secret=secret, query="explain=1")
    assert (answer.status, answer.headers) == (200, plain.headers)
    assert_private(answer)
    body = read(answer)
    rows = body.pop("deadlines")
    assert list(body.items()) == list(read(plain).items())
    assert all(list(row) == list(ToldDeadline.__struct_encode_fields__) for row in rows)
    assert rows[0] == {
        "name": "idle timeout",
        "setting": "idle_timeout",
        "spanMs": minutes(20),
        "inMs": minutes(15),
        "countsFrom": "last activity",
        "movedBy": "input told by beats, ordinary requests, a choice to stay",
        "then": "the session ends: idle",
        "enforcedBy": "server",
        "endsSession": True,
        "effective": True,
    }
    assert {"access token", "refresh token", "touch interval"} <= {row["name"] for row in rows}


async def test_the_rows_are_of_the_same_instant_as_the_answer() -> None:
    """The effective row leaves what `expiresInMs` leaves; warning, idle and absolute rows agree with their members, to the millisecond."""
    web = Web(policy=Policy(idle_timeout=hours(1), absolute_timeout=minutes(80)))
    secret = (await web.sign_in()).secret
    effective = []
    for _ in range(3):
        web.clock.advance(minutes(25) + 1)
        await web.manager.authenticate(secret)
        body = read(await web.ask("GET", "/session", secret=secret, query="a=b&explain=1"))
        rows = {row["name"]: row for row in body["deadlines"]}
        effective += [row["name"] for row in body["deadlines"] if row["effective"]]
        assert rows[effective[-1]]["inMs"] == body["expiresInMs"]
        assert rows["idle timeout"]["inMs"] == body["idleInMs"]
        assert rows["absolute timeout"]["inMs"] == body["absoluteInMs"]
        assert rows["warning"]["inMs"] == body["warnInMs"]
    assert effective == ["absolute timeout"] * 3


async def test_it_writes_nothing_at_all() -> None:
    """It is a look: no clock of the session moves, whatever is asked how often."""
    web = Web(tokens=own_tokens())
    secret = (await web.sign_in()).secret
    web.clock.advance(minutes(1))
    before = web.kept()
    for _ in range(3):
        await web.ask("GET", "/session", secret=secret, query="explain=1")
    assert web.kept() == before


@pytest.mark.parametrize("query", ["", "explain", "explain=0", "explain=11", "Explain=1", "xexplain=1", "explain%3D1"])
async def test_only_who_asks_is_told(query: str) -> None:
    """Any other query is a plain look."""
    web = Web()
    secret = (await web.sign_in()).secret
    assert "deadlines" not in read(await web.ask("GET", "/session", secret=secret, query=query))


async def test_other_routes_do_not_explain() -> None:
    """The table is the look's, on all its paths; a beat is answered as ever."""
    web = Web(HttpConfig(extra_paths={"look": ("/auth/me",)}))
    secret = (await web.sign_in()).secret
    assert "deadlines" in read(await web.ask("GET", "/auth/me", secret=secret, query="explain=1"))
    assert "deadlines" not in read(await web.ask("POST", "/session/beat", secret=secret, query="explain=1"))


async def test_head_tells_how_long_the_answer_would_be() -> None:
    """As for every `GET`."""
    web = Web()
    secret = (await web.sign_in()).secret
    answer = await web.ask("HEAD", "/session", secret=secret, query="explain=1")
    explained = await web.ask("GET", "/session", secret=secret, query="explain=1")
    assert (answer.body, header(answer, "content-length")) == (b"", str(len(explained.body)))


async def test_what_is_over_or_not_there_is_answered_as_ever() -> None:
    """401 with the same reason and body, asked for an explanation or not."""
    web = Web()
    secret = (await web.sign_in()).secret
    web.clock.advance(minutes(21))
    for who in (secret, None):
        plain = await web.ask("GET", "/session", secret=who)
        assert_problem(plain, 401)
        assert await web.ask("GET", "/session", secret=who, query="explain=1") == plain


async def test_a_store_in_trouble_is_503() -> None:
    """Nobody is signed out for asking."""
    endpoints = SessionEndpoints(in_trouble())
    answer = await endpoints.answer(request("GET", "/session", secret="handle." + "A" * 43, query="explain=1"))
    assert_problem(answer, 503)
