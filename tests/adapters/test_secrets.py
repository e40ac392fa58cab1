"""Nothing secret reaches a log or an answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from stillhere.errors import StoreError
from stillhere.http.config import HttpConfig
from stillhere.manager import SessionManager
from tests.adapters.apps import SIGNS_IN, TELLS, browser, wrapped
from tests.http.doubles import Trouble, Web
from tests.support import FakeClock

if TYPE_CHECKING:
    from stillhere.core.records import Session

PATHS = ("/session", "/session/beat", "/session/end", "/session/client.js", "/session/none", TELLS, SIGNS_IN, "/anything")


@pytest.mark.parametrize("is_bearer", [False, True])
async def test_no_log_and_no_answer_tells_a_secret(caplog: pytest.LogCaptureFixture, is_bearer: bool) -> None:  # noqa: FBT001  # one of two ways
    """With logging at its loudest, failing hooks and hostile bodies, the planted id, cookie or bearer, and its hash are told nowhere."""
    caplog.set_level(logging.DEBUG)

    async def failing(session: Session) -> None:
        raise RuntimeError(session.handle)

    web = Web()
    web.manager = SessionManager(web.store, clock=web.clock, on_started=failing, on_ended=failing)
    planted = await web.manager.start("first")
    app = wrapped(web.manager, config=HttpConfig(beats_per_minute=12, bearer=is_bearer, marker_cookie="marker"))
    async with browser(app, cookie=None if is_bearer else planted.secret) as page:
        if is_bearer:
            page.headers["authorization"] = f"Bearer {planted.secret}"
        for path in PATHS:
            for method in ("GET", "POST", "DELETE"):
                for body in (b"", b"{", b'{"view": "v", "visibleMs": -1}', b"x" * 70_000):
                    answer = await page.request(method, path, content=body)
                    told = f"{answer.text} {[pair for pair in answer.headers.items() if pair[0] != 'set-cookie']}"
                    assert planted.secret not in told
                    assert planted.session.id_hash not in told
    await web.manager.close()
    assert "a hook failed" in caplog.text
    assert planted.secret not in caplog.text
    assert planted.session.id_hash not in caplog.text


async def test_what_a_store_says_of_its_trouble_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    """A store's error may name hosts and passwords; the answer does not."""
    caplog.set_level(logging.DEBUG)
    error = StoreError("no route to postgres://root:hunter2@db.internal", retry_after=3)
    manager = SessionManager(Trouble(error), clock=FakeClock())
    async with browser(wrapped(manager), cookie="handle." + "A" * 43) as page:
        for path in PATHS:
            for method in ("GET", "POST"):
                answer = await page.request(method, path)
                assert "hunter2" not in f"{answer.text} {answer.headers}"
    assert "A" * 43 not in caplog.text


@pytest.mark.parametrize("show", [repr, str])
async def test_a_new_session_can_be_shown_without_its_secret(show: type[str]) -> None:
    """Printing what a sign-in gives shows the public handle only."""
    started = await Web().sign_in()
    assert started.secret not in show(started)
    assert started.session.handle in show(started)
