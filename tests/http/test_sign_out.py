"""Signing out: idempotent, last words first, nothing left in the browser."""

from __future__ import annotations

import pytest

from stillhere.core.policy import hours, seconds
from stillhere.core.records import EndedBy
from stillhere.http.config import HttpConfig
from tests.http.doubles import OURS, UNKNOWN_SECRET, Web, all_of, assert_private, header, read

LAST_WORDS = {"kind": "leave", "view": "v", "visibleMs": 9_000, "activeMs": 4_000, "lifecycle": "active"}


async def test_signing_out_ends_the_session_and_cleans_the_browser() -> None:
    """200 with the reason, the cookie deleted with its own attributes, cache and storage cleared; afterwards the id is worth nothing."""
    web = Web()
    started = await web.sign_in()
    answer = await web.ask("POST", "/session/end", secret=started.secret)
    assert answer.status == 200
    assert_private(answer)
    assert read(answer) == {"success": True, "reason": "signed_out"}
    assert header(answer, "set-cookie") == "__Host-session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert header(answer, "clear-site-data") == '"cache", "storage"'
    assert web.session().ended_by is EndedBy.SIGNED_OUT
    assert (await web.ask("GET", "/session", secret=started.secret)).status == 401


async def test_signing_out_twice_is_no_error() -> None:
    """The second time is answered like the first, and changes nothing."""
    web = Web()
    started = await web.sign_in()
    first = await web.ask("POST", "/session/end", secret=started.secret)
    kept = web.kept()
    web.clock.advance(seconds(5))
    assert await web.ask("POST", "/session/end", secret=started.secret) == first
    assert web.kept() == kept


@pytest.mark.parametrize("secret", [None, "", "short", UNKNOWN_SECRET])
async def test_signing_out_without_a_session(secret: str | None) -> None:
    """Without a session it is 200 too, says so, and still cleans the browser."""
    answer = await Web().ask("POST", "/session/end", secret=secret)
    assert answer.status == 200
    assert read(answer) == {"success": True, "reason": "no_session"}
    assert len(all_of(answer, "set-cookie")) == 1


@pytest.mark.parametrize("by", [by for by in EndedBy if by is not EndedBy.SIGNED_OUT])
async def test_the_first_reason_stays_and_is_told(by: EndedBy) -> None:
    """A session that had ended before keeps its reason and its end."""
    web = Web()
    started = await web.sign_in()
    await web.manager.end_by_handle(started.session.handle, by)
    before = web.session()
    web.clock.advance(hours(30))
    assert read(await web.ask("POST", "/session/end", secret=started.secret))["reason"] == by
    assert web.session() == before


async def test_signing_out_too_late_is_told_as_idle() -> None:
    """A session that lapsed before the sign-out ended at its deadline, not now."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(hours(1))
    assert read(await web.ask("POST", "/session/end", secret=started.secret))["reason"] == "idle"


async def test_last_words_count() -> None:
    """Totals in the message are taken in before the session ends."""
    web = Web()
    started = await web.sign_in()
    await web.ask("POST", "/session/beat", secret=started.secret, body={"view": "v", "visibleMs": 1, "lifecycle": "active"})
    web.clock.advance(seconds(10))
    await web.ask("POST", "/session/end", secret=started.secret, body=LAST_WORDS)
    (visits,) = web.store.visits.values()
    assert (visits[0].visible_ms, visits[0].active_ms) == (9_000, 4_000)
    assert web.session().ended_at == web.clock()


async def test_a_marked_sign_out_ends_but_tells_nothing() -> None:
    """`X-Heartbeat: true` takes the words from the message, as everywhere; ending is no extension, so it ends all the same."""
    web = Web()
    started = await web.sign_in()
    await web.ask("POST", "/session/beat", secret=started.secret, body={"view": "v", "visibleMs": 1, "lifecycle": "active"})
    web.clock.advance(seconds(10))
    told = (web.store.views, web.store.visits)
    before = repr(told)
    answer = await web.ask("POST", "/session/end", secret=started.secret, headers={**OURS, "x-heartbeat": "true"}, body=LAST_WORDS)
    assert read(answer)["reason"] == "signed_out"
    assert repr(told) == before


async def test_a_sign_out_without_a_body_opens_no_view() -> None:
    """No body on this route is no beat: it is nobody's presence."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(seconds(10))
    await web.ask("POST", "/session/end", secret=started.secret)
    assert web.store.visits == {}


@pytest.mark.parametrize(("kinds", "sent"), [((), None), (("cookies",), '"cookies"'), (("*",), '"*"')])
async def test_what_is_cleared_is_configurable(kinds: tuple[str, ...], sent: str | None) -> None:
    """Clear-Site-Data is what was configured, or is not sent."""
    answer = await Web(HttpConfig(clear_site_data=kinds)).ask("POST", "/session/end")
    assert header(answer, "clear-site-data") == sent
