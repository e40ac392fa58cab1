"""Looks at Redis once, at start, so that whatever cannot work is told in one clear sentence."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError, RedisError

from stillhere.errors import StoreError
from stillhere.stores.redis import scripts
from stillhere.stores.redis.connect import ANSWER_TIMEOUT_S, read_url
from stillhere.stores.redis.layout import VERSION, Layout
from stillhere.stores.redis.routes import routes_to
from stillhere.stores.redis.servers import Command, NotReplicated, connect, script

if TYPE_CHECKING:
    from stillhere.stores.redis.connect import Target
    from stillhere.stores.redis.routes import Routes

logger = logging.getLogger("stillhere")

OLDEST: Final = (6, 2)
"""The oldest Redis that is tested; Valkey counts on from Redis 7.2."""

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
    # In a thread of its own: there may be an event loop in this one already.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(_check(target))).result()


async def _check(target: Target) -> None:
    routes = routes_to(target)
    layout = Layout(target.prefix)
    try:
        for part in await routes.parts():
            (told,) = await _told(routes, Command(part, (b"INFO",)), writes=False)
            judge(target, dict(line.split(":", 1) for line in told.decode().splitlines() if ":" in line))
            await _told(routes, script(part, scripts.CHECK, layout.checks[part], layout.channel))
        await _check_channel(routes, layout)
        await _check_layout(routes, layout)
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreError(_sentence(target, error)) from error
    finally:
        await routes.close()


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
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        logger.warning(
            "the session store's maxmemory-policy is %s: when its memory is full it drops sessions, which signs people out; "
            "set it to noeviction",
            policy,
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
    if found is not None and int(found) > VERSION:
        raise StoreError(
            f"the session store was written by a newer release (layout {int(found)}, this one knows {VERSION}): upgrade stillhere"
        )
