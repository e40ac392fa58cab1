"""Existing scripts beside any stack: the program serves them by its settings alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLAGS = (
    *("--beat-paths", "/api/session-heartbeat,/keepalive", "--look-paths", "/auth/state", "--end-paths", "/auth/logout"),
    *("--client-paths", "/stay.js", "--marker-cookie", "session_record_id", "--bearer", "true"),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the program for scripts that were there before it."""
    folder: Path = tmp_path_factory.mktemp("compatibility")
    with serving(f"sqlite:///{folder / 'visits.db'}", *FLAGS, log=folder / "log") as program:
        yield program.url


def test_a_script_of_ones_own_lives_a_whole_life(url: str) -> None:
    """Past the gate there is a marker to read; its paths beat, look and sign out; then both cookies are gone."""
    with httpx2.Client(base_url=url, headers={"origin": url}, timeout=20) as page:
        entered = page.post("/gate", data={"email": "reader@fund.example"})
        session, marker = entered.headers.get_list("set-cookie")
        assert "HttpOnly" in session
        assert marker == f"session_record_id={page.cookies['session'].partition('.')[0]}; Path=/; SameSite=Lax"
        for path in ("/api/session-heartbeat", "/keepalive", "/session/beat"):
            assert page.post(path).json()["success"] is True
            assert (page.get(path).status_code, page.get(path).headers["allow"]) == (405, "POST")
        assert page.get("/auth/state").json()["state"] == "active"
        assert page.get("/stay.js").content == page.get("/session/client.js").content
        assert page.post("/auth/logout").json() == {"success": True, "reason": "signed_out"}
        assert dict(page.cookies) == {}
        assert page.post("/keepalive").status_code == 401


def test_a_bearer_does_what_the_cookie_does(url: str) -> None:
    """The same id as a bearer, from a program that is no browser and sends nothing else: it beats, looks and signs out."""
    with httpx2.Client(base_url=url, timeout=20) as page:
        page.post("/gate", data={"email": "reader@fund.example"}, headers={"origin": url})
        token = page.cookies["session"]
    with httpx2.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=20) as program:
        assert program.post("/keepalive").json()["success"] is True
        assert program.get("/auth/state").status_code == 200
        ended = program.post("/auth/logout")
        assert ended.json()["reason"] == "signed_out"
        assert "set-cookie" not in ended.headers
        over = program.get("/auth/state")
    assert (over.status_code, over.json()["reason"]) == (401, "signed_out")
    assert over.headers["www-authenticate"].endswith('Bearer realm="stillhere", error="invalid_token"')
