"""Signs many people in at once, past HTTP: through the store, or in bulk where it is SQL."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bulk import copy_rows, insert_rows
from stillhere.core.ids import HANDLE_BYTES, SECRET_BYTES, hash_secret, write_handle, write_id
from stillhere.core.records import Session
from stillhere.manager import SessionManager

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine


AT_ONCE = 200
IN_BULK = 50_000

HOUR = 3_600_000


async def sign_in(manager: SessionManager, stored: int, *, people: int, lapsed: int = 0, cookies: Path) -> None:
    """Put sessions into an empty store, and write the cookies of some of them to a file.

    Args:
        manager: the sessions.
        stored: how many living ones.
        people: how many of those get a cookie, evenly spread over all; no more than there are.
        lapsed: how many more that lapsed half an hour ago, and nobody noticed.
        cookies: file for the cookies, a line each.
    """
    now, people = manager.clock(), min(people, stored)
    with cookies.open("w", encoding="ascii") as file:

        def living() -> Iterator[Session]:
            for n in range(stored):
                secret, session = _session(manager, n, now)
                if (n + 1) * people // stored > n * people // stored:
                    file.write(f"session={secret}\n")
                yield session

        await _store(manager, living())
    await _store(manager, (_session(manager, stored + n, now - HOUR)[1] for n in range(lapsed)))


def _session(manager: SessionManager, n: int, at: int) -> tuple[str, Session]:
    handle = write_handle(os.urandom(HANDLE_BYTES))
    secret = write_id(handle, os.urandom(SECRET_BYTES))
    policy = manager.policy
    # As `core.rules.open_session` does, but for the checks that a million times the same subject do not need.
    session = Session(
        handle=handle,
        id_hash=hash_secret(secret),
        subject=f"person{n:06}@example.org",
        created_at=at,
        last_active_at=at,
        last_seen_at=at,
        absolute_end_at=at + policy.absolute_timeout,
        idle_timeout=policy.idle_timeout,
    )
    return secret, session


async def _store(manager: SessionManager, sessions: Iterator[Session]) -> None:
    # No public verb creates in bulk, for no application needs one: this reaches behind two of the stores.
    store: Any = manager.store
    if hasattr(store, "readers"):
        await _store_in_sql(store._engine, sessions)
    elif hasattr(store, "run"):
        await _store_in_redis(store, sessions)
    else:
        for session in sessions:
            await store.create(session)


async def _store_in_sql(engine: Engine, sessions: Iterator[Session]) -> None:
    from stillhere.stores.sql.keeping import columns_of  # noqa: PLC0415  # only where it is SQL
    from stillhere.stores.sql.schema import sessions as table  # noqa: PLC0415  # only where it is SQL

    while some := list(islice(sessions, IN_BULK)):
        rows = [tuple((columns_of(session) | {"attributes": "{}"}).values()) for session in sorted(some, key=lambda one: one.handle)]
        with engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            put = insert_rows if engine.dialect.name == "sqlite" else copy_rows
            put(driver, table.name, list(columns_of(some[0])), rows)


async def _store_in_redis(store: Any, sessions: Iterator[Session]) -> None:  # noqa: ANN401  # its type loads only where it is used
    """Let the store write its commands as ever, but send those of many sessions at once."""
    send, waiting = store.run, list[Any]()

    async def collect(commands: Sequence[Any], *, writes: bool) -> list[int]:  # noqa: ARG001  # the signature is the store's
        waiting.extend(commands)
        return [1] * len(commands)

    store.run = collect
    while some := list(islice(sessions, AT_ONCE)):
        for session in some:
            await store.create(session)
        await send(waiting, writes=True)
        waiting.clear()
    store.run = send


async def _main(url: str, stored: str, people: str, lapsed: str, cookies: str) -> None:
    async with SessionManager(url) as manager:
        await sign_in(manager, int(stored), people=int(people), lapsed=int(lapsed), cookies=Path(cookies))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
