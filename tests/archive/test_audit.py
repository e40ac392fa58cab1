"""The audit log is kept alike by every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.archive.audit import AuditEntry, AuditLog, MemoryLog, read_audit_cursor
from stillhere.errors import BadCursor
from stillhere.stores.redis import audit as redis_audit
from tests.support import START

if TYPE_CHECKING:
    from stillhere.archive.archive import Archive
    from tests.stores.every import FullStore


def entry_of(number: int, *, at: int | None = None) -> AuditEntry:
    """Make an entry."""
    letters = "".join("abcdefghij"[int(digit)] for digit in f"{number:04}")
    at = START + number if at is None else at
    return AuditEntry(at=at, id=letters, operator="token:admin", action="end", target=f"handle-{number}", detail=None)


async def listed(log: AuditLog, *, limit: int) -> list[AuditEntry]:
    """Go through the whole log, so many at a time."""
    found: list[AuditEntry] = []
    while page := await log.entries(before=found[-1].place if found else None, limit=limit):
        assert len(page) <= limit
        found += page
    return found


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_entries_come_back_once_and_the_latest_first(kept: tuple[FullStore, Archive], limit: int) -> None:
    """Whatever the page's size the list comes past every entry once, also past those of the same moment, with all they say."""
    log = kept[1].audit
    assert await log.entries(before=None, limit=limit) == []
    entries = [
        *(entry_of(number) for number in range(4)),
        *(entry_of(number, at=START + 9) for number in (7, 5, 6)),
        AuditEntry(at=START + 8, id="zz", operator="grüße@firm.example", action="erase", target="見る\ufffd", detail='{"subject":"x"}'),
    ]
    for entry in entries:
        await log.append(entry)
    assert await listed(log, limit=limit) == sorted(entries, key=lambda entry: entry.place, reverse=True)


async def test_the_oldest_are_forgotten_first(kept: tuple[FullStore, Archive]) -> None:
    """Forgetting takes the oldest from before an instant, so many at a time, and nothing from then on."""
    log = kept[1].audit
    for number in range(6):
        await log.append(entry_of(number))
    assert await log.forget(before=START + 4, limit=3) == 3
    assert await listed(log, limit=9) == [entry_of(5), entry_of(4), entry_of(3)]
    assert await log.forget(before=START + 4, limit=3) == 1
    assert await log.forget(before=START + 4, limit=3) == 0
    assert await listed(log, limit=9) == [entry_of(5), entry_of(4)]


async def test_a_log_in_memory_is_bounded() -> None:
    """The log of a process keeps the latest entries."""
    log = MemoryLog(most=2)
    for number in range(3):
        await log.append(entry_of(number))
    assert log.kept == [entry_of(1), entry_of(2)]


@pytest.mark.parametrize("kept", ["redis", "redis-cluster"], indirect=True)
async def test_a_log_in_redis_is_bounded(kept: tuple[FullStore, Archive], monkeypatch: pytest.MonkeyPatch) -> None:
    """The log in Redis alone keeps the latest entries."""
    monkeypatch.setattr(redis_audit, "MOST", 2)
    log = kept[1].audit
    for number in range(4):
        await log.append(entry_of(number))
    assert await listed(log, limit=9) == [entry_of(3), entry_of(2)]


def test_a_cursor_comes_back_as_the_place() -> None:
    """What an entry gives as cursor is read as its place; anything else is refused."""
    entry = entry_of(1)
    assert read_audit_cursor(entry.cursor) == entry.place
    with pytest.raises(BadCursor):
        read_audit_cursor(f"{entry.cursor}.x")
