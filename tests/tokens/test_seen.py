"""That a turn is in use is noted once, and noted for sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhere.errors import StoreError
from stillhere.manager import SessionManager
from tests.tokens.made import own_tokens

if TYPE_CHECKING:
    import pytest


async def test_a_turn_that_could_not_be_noted_is_noted_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is away a use goes unnoticed; the next one does not."""
    manager = SessionManager("memory://", tokens=own_tokens())
    credentials = manager.credentials
    assert credentials is not None
    assert credentials.refresh is not None
    issued = await credentials.issue((await manager.start("reader@fund.example")).session)
    assert issued is not None
    seen = list[tuple[str, int]]()

    async def fail(handle: str, turn: int) -> None:
        seen.append((handle, turn))
        if len(seen) == 1:
            raise StoreError("away")

    monkeypatch.setattr(credentials.refresh, "see", fail)
    for _ in range(3):
        assert credentials.named(issued.access.text) is not None
        await credentials.close()
    assert len(seen) == 2
    await manager.close()


async def test_an_access_token_of_a_session_that_is_forgotten_outlived_nothing() -> None:
    """What is not there any more has no reason to be told."""
    manager = SessionManager("memory://", tokens=own_tokens())
    credentials = manager.credentials
    assert credentials is not None
    issued = await credentials.issue((await manager.start("reader@fund.example")).session)
    assert issued is not None
    manager.store.sessions.clear()  # type: ignore[attr-defined]  # as `forget` does
    assert await credentials.outlived(issued.access.text) is None
    await manager.close()
