"""Real servers for tests, on free ports of loopback, in folders of their own, gone when the block ends."""

from __future__ import annotations

from tests.services.postgresql import Postgresql, postgresql
from tests.services.redis import RedisCluster, RedisSentinel, RedisServer, redis_cluster, redis_sentinel, redis_server

__all__ = [
    "Postgresql",
    "RedisCluster",
    "RedisSentinel",
    "RedisServer",
    "postgresql",
    "redis_cluster",
    "redis_sentinel",
    "redis_server",
]
