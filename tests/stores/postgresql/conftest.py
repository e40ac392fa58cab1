"""Gives every test here a real PostgreSQL, an empty schema in it, and a store in that."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from stillhere.stores.postgresql.store import PostgresqlStore
from tests.services import postgresql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.services import Postgresql

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    """Run one server for all tests of this folder. Nothing but them reads and writes its tables."""
    with postgresql(tmp_path_factory.mktemp("postgresql"), autovacuum="off") as server:
        yield server


@pytest.fixture
def url(server: Postgresql) -> str:
    """Make a schema of the test's own, which is a hundred times faster than a database; its owner is an ordinary role."""
    name = f"test{next(_numbers)}"
    server.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION stillhere").format(sql.Identifier(name)), database="stillhere")
    return f"{server.url}?options=-csearch_path%3D{name}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresqlStore]:
    """Open a store in an empty database; close it in the end."""
    store = PostgresqlStore(url)
    yield store
    await store.close()


@pytest.fixture
def other(url: str, store: PostgresqlStore) -> Iterator[psycopg.Connection]:  # after the store, which makes the tables
    """Give somebody else's connection to the same database."""
    del store
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
