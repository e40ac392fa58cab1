"""Looks at Redis once, at start, so that whatever cannot work is told in one clear sentence."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from stillhere.errors import StoreError
from stillhere.stores.facts import StoreFacts
from stillhere.stores.redis import scripts
from stillhere.stores.redis.connect import ANSWER_TIMEOUT_S, read_url
from stillhere.stores.redis.layout import VERSION, Layout
from stillhere.stores.redis.routes import routes_to
from stillhere.stores.redis.servers import Command, NotReplicated, connect, script

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from stillhere.stores.redis.connect import Target
    from stillhere.stores.redis.routes import Routes

logger = logging.getLogger("stillhere")

Answer = TypeVar("Answer")

OLDEST: Final = (6, 2)
"""The oldest Redis that is tested; Valkey counts on from Redis 7.2."""

TRIES: Final = 3
"""So often it is asked at start who has what: where everything starts at once, servers are slow to answer for a moment."""

_NOTHING_IS_LOGGED: Final = (
    "its appendonly is off: a crash of it loses everything since its last snapshot, sign-outs too; set appendonly to yes "
    "(docs/redis.md, What is durable)"
)

_NO_RIGHT_IN_SCRIPT: Final = ("ACL failure", "user executing the script")
"""What servers of different age say when a script may not do something."""


def check(url: str) -> None:
    """Connect, and see that this store can work there.

    Args:
        url: the store's.

    Raises:
        SettingsError: if the URL cannot be one.
        StoreError: if the store cannot be reached, or not be used.
    """
    target = read_url(url)
    _waited_for(lambda: _check(target))


def look_at(url: str) -> StoreFacts:
    """See what is there, without opening it as a store: nothing is written.

    Args:
        url: the store's.

    Raises:
        SettingsError: if the URL cannot be one.
        StoreError: if the store cannot be reached, or not be used.
    """
    target = read_url(url)
    return _waited_for(lambda: _looked_at(target))


def _waited_for(work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    # In a thread of its own: there may be an event loop in this one already.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


async def _looked_at(target: Target) -> StoreFacts:
    routes = routes_to(target)
    try:
        parts = [await _facts_of(routes, part) for part in await _parts(routes)]
        for facts in parts:
            _refuse(target, facts)
        (version,) = await _told(routes, Command(0, (b"GET", Layout(target.prefix).version)), writes=False)
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreError(_sentence(target, error)) from error
    finally:
        await routes.close()
    first = parts[0]
    microseconds = int(first.get("server_time_usec", "0"))
    return StoreFacts(
        software=f"Valkey {first['valkey_version']}" if "valkey_version" in first else f"Redis {first['redis_version']}",
        revision=None if version is None else version.decode(),
        newest=str(VERSION),
        clock_at=microseconds // 1000 or None,
        problems=tuple(dict.fromkeys(problem for facts in parts for problem in (*_of_memory(facts), *_of_durability(facts)))),
    )


async def _facts_of(routes: Routes, part: int) -> dict[str, str]:
    (told,) = await _told(routes, Command(part, (b"INFO",)), writes=False)
    return dict(line.split(":", 1) for line in told.decode().splitlines() if ":" in line)


async def _check(target: Target) -> None:
    routes = routes_to(target)
    layout = Layout(target.prefix)
    try:
        for part in await _parts(routes):
            judge(target, await _facts_of(routes, part))
            await _told(routes, script(part, scripts.CHECK, layout.checks[part], layout.channel))
        await _check_channel(routes, layout)
        await _check_layout(routes, layout)
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreError(_sentence(target, error)) from error
    finally:
        await routes.close()


async def _parts(routes: Routes) -> list[int]:
    for _ in range(TRIES - 1):
        with suppress(RedisConnectionError):
            return await routes.parts()
    return await routes.parts()


async def _told(routes: Routes, *commands: Command, writes: bool = True) -> list[Any]:
    answers = await routes.run(commands, writes=writes)
    for n, answer in enumerate(answers):
        if isinstance(answer, NotReplicated):
            # A replica may come later, and whoever only looks needs none.
            logger.warning("%s", answer)
            answers[n] = answer.answer
        elif isinstance(answer, Exception):
            raise answer
    return answers


def _sentence(target: Target, error: Exception) -> str:
    told, _, _ = target.without_secrets(error).partition(" script: ")
    if isinstance(error, AuthenticationError):
        return f"the session store does not know this user and password: {told}"
    if isinstance(error, NoPermissionError) or any(words in told for words in _NO_RIGHT_IN_SCRIPT):
        return f"the session store's user has not all the rights it needs: {told} (docs/redis.md has a line that gives them)"
    if isinstance(error, ReadOnlyError):
        return "the session store is a replica, which takes no writes; name its primary, or write redis+sentinel://"
    return f"the session store did not answer: {told}"


def judge(target: Target, facts: dict[str, str]) -> None:
    """Refuse a server that is too old or of another kind than the URL says; warn of one that drops sessions.

    Args:
        target: what the URL says.
        facts: what the server says of itself (`INFO`).

    Raises:
        StoreError: if it cannot be used.
    """
    _refuse(target, facts)
    for problem in _of_memory(facts):
        logger.warning("the session store: %s", problem)


def _of_memory(facts: dict[str, str]) -> tuple[str, ...]:
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return ()
    return (f"its maxmemory-policy is {policy}: when its memory is full it drops sessions, which signs people out; set it to noeviction",)


def _of_durability(facts: dict[str, str]) -> tuple[str, ...]:
    if facts.get("aof_enabled", "1") != "0":
        return ()
    return (_NOTHING_IS_LOGGED,)


def _refuse(target: Target, facts: dict[str, str]) -> None:
    version = facts.get("redis_version", "0")
    if tuple(int(number) for number in version.split(".")[:2]) < OLDEST:
        raise StoreError(f"the session store is Redis {version}; it takes {OLDEST[0]}.{OLDEST[1]} or newer, or Valkey")
    mode = facts.get("redis_mode") or facts.get("server_mode", "standalone")
    if mode == "sentinel":
        raise StoreError("the session store's URL leads to a sentinel; write redis+sentinel://host:port/name-of-the-primary")
    if (mode == "cluster") != (target.kind == "cluster"):
        wanted = "redis+cluster" if mode == "cluster" else "redis"
        raise StoreError(
            f"the session store runs as {mode}; write {wanted}:// (with TLS {wanted.replace('redis', 'rediss')}://) in its URL"
        )


async def _check_channel(routes: Routes, layout: Layout) -> None:
    connection = (await routes.server_of(0)).make()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await connect(connection)
            await connection.send_command(b"SUBSCRIBE", layout.channel)
            await connection.read_response(disable_decoding=True)
    finally:
        await connection.disconnect(nowait=True)


async def _check_layout(routes: Routes, layout: Layout) -> None:
    found, _ = await _told(routes, Command(0, (b"GET", layout.version)), Command(0, (b"SETNX", layout.version, VERSION)))
    known = VERSION if found is None else int(found)
    if known < VERSION:  # older releases may not read what is written from now on
        await _told(routes, Command(0, (b"SET", layout.version, VERSION)))
    if known > VERSION:
        raise StoreError(f"the session store was written by a newer release (layout {known}, this one knows {VERSION}): upgrade stillhere")
