"""Where everything is, whatever the settings: no page leads nowhere, no session route hides a page."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from stillhere import SessionManager
from stillhere.server.app import build_app
from stillhere.server.settings import load_settings
from tests.server.test_cli import run
from tests.support import serving

if TYPE_CHECKING:
    from pathlib import Path

OURS = {"X-Stillhere": "1"}


def status_of(person: urllib.request.OpenerDirector, url: str) -> int:
    """Open an address and tell its status."""
    try:
        with person.open(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize(
    ("flags", "hidden"),
    [
        (["--prefix", "/gate"], "/gate"),
        (["--prefix", "/admin"], "/admin"),
        (["--beat-paths", "/"], "is not a path"),
        (["--beat-paths", "/healthz"], "/healthz"),
        (["--look-paths", "/admin/api/now"], "/admin/api/now"),
        (["--beat-paths", "/session/end"], "two session routes at once"),
        (["--prefix", "/"], "is not a path"),
    ],
)
def test_a_session_route_that_would_hide_a_page_is_refused(flags: list[str], hidden: str) -> None:
    """Gate, dashboard, health and sign-out can't be taken over by a setting; the sentence names the path."""
    shown = run("serve", "--store", "memory://", "--port", "0", *flags)
    assert shown.returncode == 1
    assert hidden in shown.stderr


@pytest.mark.parametrize(("verb", "start"), [("serve", "/"), ("demo", "/confidential"), ("demo", "/lab")])
@pytest.mark.parametrize("prefix", ["/session", "/auth/liveness"])
def test_no_link_of_a_signed_in_page_leads_nowhere(tmp_path: Path, verb: str, start: str, prefix: str) -> None:
    """Every link, script and style sheet of the pages is there, also under another prefix."""
    with serving("memory://", "--prefix", prefix, verb=verb, log=tmp_path / "log") as program:
        person = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        person.open(urllib.request.Request(f"{program.url}/gate", b"email=reader%40studio.example", OURS)).close()
        with person.open(f"{program.url}{start}") as answer:
            html = answer.read().decode()
        targets = {target for target in re.findall(r'(?:href|src|data-end)="(/[^"]*)"', html) if not target.startswith("//")}
        assert len(targets) > 2
        for target in targets:
            # The sign-out route is there; it only takes POST.
            assert status_of(person, f"{program.url}{target}") == (405 if target == f"{prefix}/end" else 200), target


def test_every_route_is_in_the_documents() -> None:
    """Whatever the program answers stands in docs/program.md or spec/protocol.md."""
    from tests.house.test_docs import PROTOCOL, ROOT  # noqa: PLC0415  # the documents are read when that module loads

    app = build_app(SessionManager("memory://"), load_settings({}), admin_token="a token for tests", demo=True)
    site = app._app._app  # type: ignore[attr-defined]  # headers, middleware, site
    documents = (ROOT / "docs" / "program.md").read_text("utf-8") + PROTOCOL
    for route in site.routes:
        path = route.path.removesuffix("/{rest:path}")  # what follows there is for the dashboard's page to read
        assert f"`{path}" in documents, route.path
