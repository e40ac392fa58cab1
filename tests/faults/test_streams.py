"""Streams across processes, and while the store is gone: what one records the other tells, and trouble signs nobody out."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from stillhere.core.ids import read_id
from stillhere.stores import open_store
from tests.faults.clients import UNLIMITED, ask, sign_in
from tests.server.listeners import KINDS, Listener, listener, listening
from tests.services import postgresql, redis_server
from tests.stores.every import fresh_url
from tests.support import BUSY_S, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stillhere.core.records import Session
    from tests.services import Postgresql, RedisServer
    from tests.support import Program

SHARED: Final = ("sqlite", "postgresql", "redis", "redis-cluster")

KNOWN_WITHIN_S: Final = 1.0 + BUSY_S
"""An end is to be known in open pages within a second."""

BRIEF: Final = (
    *("--idle-timeout", "10s", "--warning-timeout", "4s", "--beat-interval", "1s", "--activity-window", "1s"),
    *("--sweep-interval", "1h", "--requests-extend", "none"),
)
"""Short lives, and nobody but streams to notice that they are over."""


class Pair(NamedTuple):
    """Two processes on one store."""

    url: str
    first: Program
    second: Program


@contextmanager
def pair_on(url: str, folder: Path, *flags: str) -> Iterator[Pair]:
    """Run two; their logs are to be free of errors."""
    with ExitStack() as running:
        first, second = [running.enter_context(serving(url, *UNLIMITED, *flags, log=folder / f"{name}.log")) for name in ("a", "b")]
        yield Pair(url, first, second)
    for name in ("a", "b"):
        assert "Traceback" not in (folder / f"{name}.log").read_text("utf-8")


def record_of(url: str, cookie: str) -> Session:
    """Read a session's record through a store of our own."""

    async def read() -> Session:
        store, archive = open_store(url)
        named = read_id(cookie.partition("=")[2])
        assert named is not None
        session = await store.get(named[0])
        await archive.close()
        await store.close()
        assert session is not None
        return session

    return asyncio.run(read())


@pytest.mark.parametrize("name", SHARED)
def test_an_end_in_one_process_is_told_by_the_other(name: str, tmp_path: Path) -> None:
    """Within a second of the sign-out, by both kinds of stream; sessions that go on hear nothing."""
    with pair_on(fresh_url(name, tmp_path), tmp_path) as pair, ExitStack() as open_streams:
        stays = open_streams.enter_context(listening("events", pair.second.url, sign_in(pair.first.url, "stays@fund.example")))
        spans = []
        for number in range(6):
            cookie = sign_in(pair.first.url, f"ends{number}@fund.example")
            streams = [open_streams.enter_context(listening(kind, pair.second.url, cookie)) for kind in KINDS]
            began = time.monotonic()
            assert ask(pair.first.url, "POST", "/session/end", cookie)[0] == 200
            for stream in streams:
                ended = stream.wait("ended")
                assert ended.data["reason"] == "signed_out"
                spans.append(ended.at - began)
        assert median(spans) < KNOWN_WITHIN_S, spans
        assert stays.names() == ["state"]


@pytest.mark.parametrize("name", SHARED)
def test_a_lapse_is_told_by_both_and_moves_nothing(name: str, tmp_path: Path) -> None:
    """Nobody beats: both processes warn, one records the end, both tell it within a second; the clocks stand where they stood."""
    url = fresh_url(name, tmp_path)
    with pair_on(url, tmp_path, *BRIEF) as pair, ExitStack() as open_streams:
        cookie = sign_in(pair.first.url, "reader@fund.example")
        streams = [open_streams.enter_context(listening(kind, one.url, cookie)) for one in (pair.first, pair.second) for kind in KINDS]
        ends = [stream.wait("ended") for stream in streams]
        assert [stream.names() for stream in streams] == [["state", "expiring", "ended"]] * 4
        assert {ended.data["reason"] for ended in ends} == {"idle"}
        session = record_of(url, cookie)
        assert (session.last_active_at, session.last_seen_at) == (session.created_at, session.created_at)
        over_at = session.created_at + 10_000
        assert session.ended_at == over_at
        assert all(0 <= ended.at_ms - over_at < KNOWN_WITHIN_S * 1_000 for ended in ends), [ended.at_ms - over_at for ended in ends]


@pytest.mark.parametrize("name", ["sqlite", "redis"])
def test_a_choice_to_stay_in_one_process_is_told_by_the_other(name: str, tmp_path: Path) -> None:
    """A stream of the other process is not told an end that is none: it is warned, and then hears of the later deadline."""
    with pair_on(fresh_url(name, tmp_path), tmp_path, "--idle-timeout", "14s", "--warning-timeout", "10s", *BRIEF[4:]) as pair:
        cookie = sign_in(pair.first.url, "reader@fund.example")
        with listening("events", pair.second.url, cookie) as stream:
            warning = stream.wait("expiring")
            assert ask(pair.first.url, "POST", "/session/beat", cookie, {"kind": "extend"})[0] == 200
            wait_until(lambda: stream.names() == ["state", "expiring", "state"], what="the later deadline", timeout_s=7)
            later = stream.heard[-1]
            assert later.at + later.data["expiresInMs"] / 1_000 > warning.at + warning.data["expiresInMs"] / 1_000 + 3


def _opened(url: str, cookie: str) -> list[Listener]:
    streams = [listener(kind, url, cookie) for kind in KINDS]
    for stream in streams:
        stream.wait_open()
    return streams


@pytest.mark.parametrize("name", ["postgresql", "redis"])
def test_a_store_that_is_killed_ends_no_stream(name: str, tmp_path: Path) -> None:
    """While it is gone open streams stay and are told nothing, new ones are refused with 503; when it is back, ends are told again."""
    with ExitStack() as running:
        server: Postgresql | RedisServer
        if name == "postgresql":
            server = running.enter_context(postgresql(tmp_path / "server"))
            url = server.database("streams")
        else:
            server = running.enter_context(redis_server(tmp_path / "server", durable=True))
            url = server.url
        pair = running.enter_context(pair_on(url, tmp_path, *BRIEF[2:]))
        cookies = [sign_in(pair.first.url, f"reader{number}@fund.example") for number in range(3)]
        streams = [_opened(pair.second.url, cookie) for cookie in cookies]
        server.kill()
        time.sleep(2)  # trouble that lasts a while
        refused = listener("events", pair.second.url, cookies[0])
        refused.wait_closed()
        assert refused.status == 503
        assert int(refused.answer["retry-after"]) > 0
        assert all(stream.closed is None and stream.names() == ["state"] for pairs in streams for stream in pairs)
        server.start()
        wait_until(lambda: ask(pair.first.url, "POST", "/session/end", cookies[0])[0] == 200, what="a sign-out to be recorded")
        for stream in streams[0]:
            assert stream.wait("ended").data["reason"] == "signed_out"
        assert all(stream.closed is None and "ended" not in stream.names() for pairs in streams[1:] for stream in pairs)
        for stream in [stream for pairs in streams for stream in pairs]:
            stream.break_off()


def test_a_store_that_forgot_everything_is_told_of_without_an_end(tmp_path: Path) -> None:
    """A Redis that keeps nothing is restarted empty: no end was recorded, so streams are closed without one, and the answer says why."""
    with redis_server(tmp_path / "server") as server, serving(server.url, *UNLIMITED, log=tmp_path / "log") as program:
        cookie = sign_in(program.url, "reader@fund.example")
        streams = _opened(program.url, cookie)
        server.kill()
        server.start()
        assert [stream.wait_closed() for stream in streams] == [0, 1012]
        assert [stream.names() for stream in streams] == [["state"]] * 2
        again = listener("events", program.url, cookie)
        again.wait_closed()
        assert (again.status, again.problem["reason"]) == (401, "no_session")


def test_a_killed_process_is_left_for_another(tmp_path: Path) -> None:
    """`kill -9` breaks its streams off; opened at the other process, they go on."""
    with pair_on(fresh_url("sqlite", tmp_path), tmp_path) as pair:
        cookie = sign_in(pair.first.url, "reader@fund.example")
        streams = _opened(pair.first.url, cookie)
        pair.first.process.kill()
        assert [stream.wait_closed() for stream in streams] == [-1, -1]
        with listening("events", pair.second.url, cookie) as stream:
            assert stream.heard[0].data["state"] == "active"
