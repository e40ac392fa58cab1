"""The databases of the benchmark: started when first asked for, on the core of the load, gone at the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Self

from tests.services import RedisCluster, postgresql, redis_cluster, redis_server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.services import Postgresql, RedisServer
    from tests.services.process import Server


DURABLE: Final = ("sqlite", "redis", "postgresql")
STORES: Final = ("memory", *DURABLE)
CLUSTER: Final = "redis cluster"


class Services:
    """Hands out fresh stores.

    Args:
        folder: for data and logs.
    """

    def __init__(self, folder: Path) -> None:
        """Start nothing yet."""
        self._folder = folder
        self._running = contextlib.ExitStack()
        self._postgresql: Postgresql | None = None
        self._count = 0

    def __enter__(self) -> Self:
        """Hand them out; leaving stops every server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every server."""
        self._running.close()

    def redis(self) -> RedisServer:
        """Start one more Redis. It keeps nothing on disk, for us and for the peers alike."""
        return self._running.enter_context(redis_server(self._new_folder()))

    def store(self, kind: str) -> tuple[str, Sequence[Server]]:
        """Make a fresh store of a kind; tell its URL and the servers that keep it."""
        if kind == "memory":
            return "memory://", ()
        if kind == "sqlite":
            return f"sqlite:///{self._new_folder()}/sessions.db", ()
        if kind == "redis":
            server = self.redis()
            return server.url, [server]
        if kind == CLUSTER:
            cluster: RedisCluster = self._running.enter_context(redis_cluster(self._new_folder()))
            return cluster.url, cluster.nodes
        if self._postgresql is None:
            self._postgresql = self._running.enter_context(postgresql(self._new_folder()))
        self._count += 1
        return self._postgresql.database(f"bench{self._count}"), [self._postgresql]

    def _new_folder(self) -> Path:
        self._count += 1
        folder = self._folder / f"service{self._count}"
        folder.mkdir()
        return folder
