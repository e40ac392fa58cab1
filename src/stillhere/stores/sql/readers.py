"""Queries of the archive and other cold reads, in threads beside the writer; and the driver's trouble as `StoreError`."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from stillhere.errors import StoreError, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

Result = TypeVar("Result")

_THREADS: Final = 4


class Readers:
    """Runs queries in a few threads with a connection each.

    Args:
        engine: opens the connections.
        timeout_s: how long one that asks waits, seconds; None waits until the driver gives up.
    """

    def __init__(self, engine: Engine, *, timeout_s: float | None = None) -> None:
        """Start no thread yet."""
        self._engine = engine
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="stillhere-reader")

    async def __call__(self, query: Callable[..., Result], *args: object) -> Result:
        """Run `query(connection, *args)` in a reading thread.

        Raises:
            StoreError: if the database cannot be reached.
        """

        def run() -> Result:
            with self._engine.connect().execution_options(reads=True) as connection:
                return query(connection, *args)

        return await self._run(run)

    async def write(self, work: Callable[..., Result], *args: object) -> Result:
        """Run `work(connection, *args)` in a reading thread, in a transaction that may write: now and then, and little.

        Raises:
            StoreError: if the database cannot be reached. Then nothing of it may be done, or all.
        """

        def run() -> Result:
            with self._engine.begin() as connection:
                return work(connection, *args)

        return await self._run(run)

    async def _run(self, run: Callable[[], Result]) -> Result:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await run_in(self._threads, run)
        except TimeoutError as error:
            raise StoreError("the session store did not answer: it says nothing") from error

    def close(self) -> None:
        """Wait for what runs, then end the threads."""
        self._threads.shutdown()


async def run_in(threads: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    """Run some work on a database in a thread.

    Raises:
        StoreError: if the database did not do it, or the threads have ended.
    """
    try:
        running = threads.submit(work)
    except RuntimeError as error:
        raise StoreError("the session store is closed") from error
    with translated():
        return await asyncio.wrap_future(running)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's trouble into `StoreError`, keeping the cause; no parameters in the text, they may be secret."""
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise StoreRefused(f"the session store refused a record: {str(error.orig).partition(chr(10))[0]}") from error
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        # The first line alone: PostgreSQL's others quote statements and values.
        raise StoreError(f"the session store did not answer: {str(cause).partition(chr(10))[0]}") from error
