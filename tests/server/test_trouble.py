"""The program while its store cannot be reached: nobody is signed out, nothing inside is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from stillhere.archive.archive import Archive
from stillhere.archive.memory import MemorySource
from stillhere.manager import SessionManager
from stillhere.server.app import build_app
from stillhere.server.settings import load_settings
from stillhere.stores.memory import MemoryStore
from tests.http.doubles import UNKNOWN_SECRET, Trouble
from tests.server.site import ADMIN_TOKEN
from tests.support import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = "http://localhost:8000"


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    """Give a browser at the program, whose store raises at every verb."""
    manager = SessionManager(Trouble(), archive=Archive(MemorySource(MemoryStore())), clock=FakeClock())
    app = build_app(manager, load_settings({"store": "memory://"}), admin_token=ADMIN_TOKEN, demo=True)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL, headers={"origin": URL}) as browser:
        yield browser


@pytest.mark.parametrize("path", ["/", "/confidential", "/lab", "/nothing", "/session"])
async def test_who_has_a_cookie_keeps_it(browser: httpx2.AsyncClient, path: str) -> None:
    """Any page asked for with a cookie is 503 with Retry-After: never 401, never the gate, and the cookie is left alone."""
    answer = await browser.get(path, headers={"cookie": f"session={UNKNOWN_SECRET}"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["cache-control"] == "private, no-store"
    assert "set-cookie" not in answer.headers
    assert "disk" not in answer.text


async def test_the_gate_says_so(browser: httpx2.AsyncClient) -> None:
    """Who wants to come in gets a page that asks to try again, with Retry-After; strangers' pages need no store."""
    assert (await browser.get("/")).status_code == 200
    answer = await browser.post("/gate", data={"email": "first@fund.example"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["retry-after"] == "7"
    assert "set-cookie" not in answer.headers
    assert "disk" not in answer.text


async def test_the_dashboard_says_so(browser: httpx2.AsyncClient) -> None:
    """The operator, whose own session is not in that store, stays signed in and is told 503."""
    answer = await browser.post("/admin/login", data={"token": ADMIN_TOKEN})
    assert answer.status_code == 303
    ended = await browser.post("/admin/api/sessions/abc/end")
    assert (ended.status_code, ended.headers["retry-after"]) == (503, "7")
    assert (await browser.get("/admin")).status_code == 200


async def test_health_and_readiness_differ(browser: httpx2.AsyncClient) -> None:
    """The process is alive, so it is not killed; it is not ready, so it gets no visitors."""
    assert (await browser.get("/healthz")).status_code == 200
    answer = await browser.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert answer.headers["retry-after"]
