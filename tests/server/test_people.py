"""A person's own sessions, at the running program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.http.test_devices import FIREFOX
from tests.support import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.site import Site


def listed(visitor: httpx2.Client) -> list[dict[str, Any]]:
    """Ask for the list."""
    answer = visitor.get("/session/list")
    assert answer.status_code == 200
    sessions: list[dict[str, Any]] = answer.json()["sessions"]
    return sessions


def test_somebody_ends_a_session_they_do_not_know(site: Site) -> None:
    """At the gate device and network are remembered; the list shows them; what is ended is over at once, in its own browser."""
    email = site.name()
    mine, strange = site.visitor(**{"user-agent": FIREFOX}), site.visitor()
    for visitor in (mine, strange):
        assert visitor.post("/gate", data={"email": email}).status_code == 303
    first, second = listed(mine)
    assert (first["current"], first["device"]) == (True, "Firefox on Windows")
    assert first["network"].endswith(".0/24")
    assert (second["current"], second["device"]) == (False, None)
    assert mine.post("/session/revoke", json={"handle": second["handle"]}).json()["ended"] == 1
    assert strange.post("/session/beat").json()["reason"] == "revoked"
    answer = mine.post("/session/revoke", json={"everywhere": True})
    assert answer.json() == {"success": True, "ended": 1, "signedOut": True}
    assert mine.get("/session").status_code == 401


@pytest.mark.parametrize(("by", "status"), [("refuse", 409), ("evict_oldest", 303)])
def test_the_limit_is_a_setting(by: str, status: int, tmp_path: Path) -> None:
    """The second sign-in gets a page that says why, or the first one is out."""
    flags = ("--session-limit", "1", "--session-limit-by", by, "--fresh-timeout", "1h", "--remember-network", "false")
    with serving(f"sqlite:///{tmp_path}/visits.db", *flags, verb="demo", log=tmp_path / "log") as program:
        browsers = [httpx2.Client(base_url=program.url, headers={"origin": program.url}, timeout=20) for _ in range(2)]
        answers = [browser.post("/gate", data={"email": "you@company.example"}) for browser in browsers]
        assert [answer.status_code for answer in answers] == [303, status]
        assert listed(browsers[0 if by == "refuse" else 1])[0]["network"] is None
        assert ("end one first" in answers[1].text) == (by == "refuse")
        for browser in browsers:
            browser.close()
