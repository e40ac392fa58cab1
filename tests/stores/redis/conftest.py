"""One server and one cluster for all tests of this folder; each test has keys of its own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from stillhere.stores.redis.store import RedisStore
from tests.services import RedisCluster, RedisServer, redis_cluster, redis_server
from tests.stores.redis.helpers import RIGHTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PREFIXES = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run one server, which knows a user with the rights of the manual, and two with fewer."""
    users = {
        "stillhere": f">password {RIGHTS}",
        "hasty": f">password {RIGHTS} -wait",
        "reader": ">password ~stillhere:* &stillhere:* -@all +@read +info +ping +@scripting",
    }
    with redis_server(tmp_path_factory.mktemp("redis"), users=users) as server:
        yield server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Run one cluster."""
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def url(server: RedisServer) -> str:
    """Name a part of the server that nobody has used."""
    return f"{server.url}?prefix=test{next(PREFIXES)}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[RedisStore]:
    """Open a store that is empty; close it in the end."""
    store = RedisStore(url)
    yield store
    await store.close()


@pytest.fixture
async def marking(url: str) -> AsyncIterator[RedisStore]:
    """Open the same store for somebody who archives; close it in the end."""
    store = RedisStore(url, marks_changes=True)
    yield store
    await store.close()
