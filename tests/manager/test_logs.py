"""What is logged of sessions: that they begin and end, and why; nothing that opens one, and not whose they are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stillhere import SessionManager

if TYPE_CHECKING:
    import pytest

    from tests.support import FakeClock


async def test_starts_and_ends_are_logged_by_handle(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A start and an end each leave one line with the public handle and the reason, without secret and without subject."""
    caplog.set_level(logging.INFO, logger="stillhere")
    async with SessionManager("memory://", clock=clock) as sessions:
        started = await sessions.start("investor@fund.example")
        await sessions.end(started.secret)
        await sessions.end(started.secret)
    handle = started.session.handle
    assert [record.getMessage() for record in caplog.records] == [f"session {handle} started", f"session {handle} ended: signed_out"]
    assert started.secret not in caplog.text
    assert "investor" not in caplog.text
