"""Secrets: in the cookie and nowhere else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stillhere.core.ids import hash_secret
from stillhere.core.policy import hours
from stillhere.core.wire import PLAIN, Beat
from stillhere.manager import SessionManager
from tests.manager.doubles import dump, memory_of

if TYPE_CHECKING:
    import pytest

    from stillhere.core.records import Session
    from tests.support import FakeClock


async def test_a_secret_is_in_no_repr(manager: SessionManager) -> None:
    """What a debugger, a traceback or an f-string shows of any of our objects holds no secret."""
    started = await manager.start("reader")
    rotated = await manager.rotate(started.secret)
    assert rotated is not None
    verdict = await manager.beat(rotated.secret, [Beat(view="v", visible_ms=1)])
    shown = f"{started!r} {started} {rotated!r} {rotated.session!r} {verdict!r} {manager!r} {vars(manager)!r}"
    assert repr(started) == f"Started(session={started.session.handle!r})"
    assert started.secret not in shown
    assert rotated.secret not in shown


async def test_the_store_never_sees_a_secret(manager: SessionManager) -> None:
    """Whoever reads the whole store finds hashes, and none of them opens anything."""
    started = await manager.start("reader")
    await manager.beat(started.secret, [Beat(view="v", visible_ms=1)])
    kept = dump(memory_of(manager))
    assert started.secret not in kept
    assert hash_secret(started.secret) in kept
    assert (await manager.look(hash_secret(started.secret))).session is None


async def test_no_log_line_holds_a_secret(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A whole life is lived at the most talkative level, failing hooks included, and no line betrays it."""
    caplog.set_level(logging.DEBUG)

    async def fail(session: Session) -> None:
        raise ValueError(repr(session))

    async with SessionManager("memory://", clock=clock, on_started=fail, on_ended=fail) as manager:
        started = await manager.start("reader")
        await manager.authenticate(started.secret)
        await manager.beat(started.secret, [PLAIN])
        rotated = await manager.rotate(started.secret)
        assert rotated is not None
        clock.advance(hours(1))
        await manager.sweep()
        await manager.end(rotated.secret)
    assert "a hook failed" in caplog.text
    assert started.secret not in caplog.text
    assert rotated.secret not in caplog.text
