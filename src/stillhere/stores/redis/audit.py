"""The audit log in Redis, for sites that keep nothing elsewhere: the latest entries, in one sorted set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.archive.audit import AuditEntry
from stillhere.stores.redis.layout import LITTER_MS
from stillhere.stores.redis.servers import Command

if TYPE_CHECKING:
    from typing import Any

    from stillhere.stores.redis.store import RedisStore

MOST: Final = 10_000
"""Entries that are kept; with one more the oldest goes."""

SLACK: Final = 100
"""Entries that are read beyond those asked for: of the same millisecond, or because some were deleted meanwhile."""

_PART: Final = 0
"""Of the layout, in which the log is."""

_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(AuditEntry).decode


class RedisLog:
    """Keeps the latest entries.

    Args:
        store: the store.
    """

    def __init__(self, store: RedisStore) -> None:
        """Keep the store."""
        self._store = store
        self._key = store.layout.audit

    async def append(self, entry: AuditEntry) -> None:
        """See `AuditLog.append`."""
        added = Command(_PART, (b"ZADD", self._key, entry.at, _write(entry)))
        kept = Command(_PART, (b"PEXPIRE", self._key, LITTER_MS))
        *_, surplus = await self._store.run([added, kept, Command(_PART, (b"ZRANGE", self._key, 0, -MOST - 1))], writes=True)
        await self._remove(surplus)

    async def entries(self, *, before: tuple[int, str] | None, limit: int) -> list[AuditEntry]:
        """See `AuditLog.entries`."""
        until = b"+inf" if before is None else before[0]
        (count,) = await self._store.run([Command(_PART, (b"ZCOUNT", self._key, b"-inf", until))])
        if not count:
            return []
        first = max(0, count - limit - SLACK)
        (found,) = await self._store.run([Command(_PART, (b"ZRANGE", self._key, first, count - 1))])
        entries = sorted(map(_read, found), key=lambda entry: entry.place, reverse=True)
        return [entry for entry in entries if before is None or entry.place < before][:limit]

    async def forget(self, *, before: int, limit: int) -> int:
        """See `AuditLog.forget`."""
        (old,) = await self._store.run([Command(_PART, (b"ZRANGEBYSCORE", self._key, b"-inf", f"({before}", b"LIMIT", 0, limit))])
        return await self._remove(old)

    async def _remove(self, members: list[Any]) -> int:
        if not members:
            return 0
        (removed,) = await self._store.run([Command(_PART, (b"ZREM", self._key, *members))], writes=True)
        return int(removed)
