"""Makes sure, before anything is measured, that a server does what the row says: otherwise its number means nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.measure import BenchmarkError

if TYPE_CHECKING:
    from benchmarks.measure import Side
    from tests.services import RedisServer

SHORT_S = 100
"""A life that no peer gives a session; one that was touched has another."""


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: Any


def ask(side: Side, method: str, path: str, body: str | None = None, *, person: int = 0, timeout_s: float = 10) -> Answer:
    """Send one request of one of the people signed in, as the load does."""
    cookie = side.cookies.read_text("ascii").splitlines()[person]
    origin = f"http://127.0.0.1:{side.server.port}"
    headers = {"Cookie": cookie, "Origin": origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", side.server.port, timeout=timeout_s)) as client:
        client.request(method, path, body, headers)
        answer = client.getresponse()
        text = answer.read()
    if answer.status != 200:
        raise BenchmarkError(f"{side.name}: {method} {path} answered {answer.status}: {text[:200]!r}")
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(text))


def touches(side: Side) -> None:
    """Demand that a beat moves the session's deadline in the store, as a look before and after it sees.

    Raises:
        BenchmarkError: if it does not.
    """
    for person in (0, -1):
        before = ask(side, "GET", "/session", person=person).body["idleInMs"]
        time.sleep(0.02)  # the deadline comes nearer, unless the session is touched
        beat = ask(side, "POST", "/session/beat", '{"idleMs":0}', person=person).body["idleInMs"]
        after = ask(side, "GET", "/session", person=person).body["idleInMs"]
        if not (before < beat and before < after <= beat):
            raise BenchmarkError(f"{side.name}: {before} ms were left, a beat answered {beat}, and then {after} were left")


def counts(side: Side) -> None:
    """Demand that a page's beats make the time grow that the archive tells of.

    Raises:
        BenchmarkError: if they do not.
    """
    beat = '{"tab":"t1","view":"v0","seq":%d,"page":"/","visibleMs":%d,"idleMs":0,"lifecycle":"active"}'
    before = ask(side, "GET", "/bench/visible").body
    ask(side, "POST", "/session/beat", beat % (0, 0))
    time.sleep(0.02)
    ask(side, "POST", "/session/beat", beat % (1, 600_000))
    after = ask(side, "GET", "/bench/visible").body
    if after < before + 20:
        raise BenchmarkError(f"{side.name}: {before} ms were visible before twenty more, and {after} after them")


def answers_alike(bare: Side, ours: Side) -> None:
    """Demand that the bare application answers with the headers and, but for the numbers, the bytes of ours."""
    theirs, our = ask(bare, "POST", "/session/beat", '{"idleMs":0}'), ask(ours, "POST", "/session/beat", '{"idleMs":0}')
    ignored = {"date", "content-length"}
    same_headers = all(theirs.headers.get(name) == our.headers.get(name) for name in (theirs.headers | our.headers).keys() - ignored)
    if not same_headers or theirs.body.keys() != our.body.keys():
        raise BenchmarkError(f"the bare application answers {theirs}, ours {our}")


def extends(side: Side, redis: RedisServer, method: str, path: str) -> None:
    """Demand that a peer's request makes the life of exactly one session in Redis longer.

    Raises:
        BenchmarkError: if it does not.
    """
    with redis.client() as client:
        keys = list(client.scan_iter())
        for key in keys:
            client.expire(key, SHORT_S)
        answer = ask(side, method, path)
        if not str(answer.body.get("user", "person")).startswith("person"):
            raise BenchmarkError(f"{side.name} does not know who is signed in: {answer.body}")
        extended = sum(client.ttl(key) > SHORT_S for key in keys)
    if extended != 1:
        raise BenchmarkError(f"{side.name}: one request extended {extended} sessions of {len(keys)}")


def greets(side: Side) -> None:
    """Demand that a page knows who is signed in, and that asking for it moves the deadline in the store."""
    before = ask(side, "GET", "/session").body["idleInMs"]
    time.sleep(0.02)
    if not ask(side, "GET", "/hello").body["user"].startswith("person"):
        raise BenchmarkError(f"{side.name} does not know who is signed in")
    if ask(side, "GET", "/session").body["idleInMs"] <= before:
        raise BenchmarkError(f"{side.name}: an ordinary request did not extend the session")
