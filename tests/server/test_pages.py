"""Every page of the site: its headers, its errors, its methods."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.server.site import secret_of

if TYPE_CHECKING:
    from tests.server.site import Site

ANSWERS: Final = (
    ("GET", "/", 200),
    ("GET", "/?next=/lab&reason=idle", 200),
    ("GET", "/gate", 303),
    ("POST", "/gate", 400),
    ("GET", "/confidential", 303),
    ("GET", "/lab", 303),
    ("GET", "/lab/cover", 200),
    ("POST", "/lab/end", 200),
    ("GET", "/admin", 303),
    ("GET", "/admin/login", 200),
    ("PUT", "/admin/login", 405),
    ("GET", "/admin/logout", 405),
    ("GET", "/admin/api/now", 401),
    ("GET", "/admin/api/nothing", 404),
    ("GET", "/nothing", 404),
    ("POST", "/nothing", 404),
    ("GET", "/static/base.css", 200),
    ("GET", "/static/nothing.css", 404),
    ("GET", "/static/../server/app.py", 404),
    ("GET", "/static/%2e%2e/app.py", 404),
    ("POST", "/static/base.css", 405),
    ("GET", "/healthz", 200),
    ("POST", "/healthz", 405),
    ("GET", "/readyz", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/session", 401),
    ("GET", "/session/client.js", 200),
    ("DELETE", "/session/beat", 405),
)


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer_carries_the_security_headers(site: Site, method: str, path: str, status: int) -> None:
    """Whatever the address and the status: a strict policy, no sniffing, no framing, no referrer to others; each header once."""
    answer = site.visitor().request(method, path)
    assert answer.status_code == status
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(
        policy[0].split("; ")
    )
    assert "unsafe" not in policy[0]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("referrer-policy") == ["same-origin"]
    assert answer.headers.get_list("cross-origin-opener-policy") == ["same-origin"]
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", {"GET", "HEAD"}),
        ("/gate", {"GET", "HEAD", "POST"}),
        ("/admin/login", {"GET", "HEAD", "POST"}),
        ("/admin/logout", {"POST"}),
        ("/admin", {"GET", "HEAD"}),
        ("/admin/visits.csv", {"GET", "HEAD"}),
        ("/admin/api/now", {"GET", "HEAD"}),
        ("/admin/api/sessions/x/end", {"POST"}),
        ("/lab/end", {"POST"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/openapi.json", {"GET", "HEAD"}),
        ("/session", {"GET", "HEAD"}),
        ("/session/beat", {"POST"}),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_a_wrong_method_is_told_the_right_ones(site: Site, method: str, path: str, methods: set[str]) -> None:
    """405 with `Allow` naming every method of the address."""
    answer = site.visitor().request(method, path)
    assert answer.status_code == 405
    assert {allowed.strip() for allowed in answer.headers["allow"].split(",")} == methods


@pytest.mark.parametrize("path", ["/", "/confidential", "/lab", "/lab/cover", "/admin", "/admin/login", "/nothing"])
def test_pages_keep_to_their_own_policy(site: Site, path: str) -> None:
    """No page has a script, a style or a handler of its own in it, which the policy would refuse; none is kept by caches between."""
    browser = site.operator()
    browser.post("/gate", data={"email": site.name()})
    answer = browser.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == ("private, no-cache" if answer.status_code == 200 else "private, no-store")
    assert answer.headers["vary"] == "Cookie"
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", answer.text))
    assert re.search(r"<style|\sstyle=|\son\w+=|javascript:", answer.text) is None
    assert re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text) is None


@pytest.mark.parametrize("path", ["/nothing", "/lab/end", "/admin/logout"])
def test_an_error_page_says_what_to_do(site: Site, path: str) -> None:
    """An error is a page in the site's own look, with a title and a way on."""
    answer = site.visitor().get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert re.search(r"<h1>[^<]+</h1>", answer.text)
    assert 'href="/"' in answer.text


@pytest.mark.parametrize("path", ["/confidential", "/lab"])
def test_gated_pages_send_strangers_to_the_gate_and_back(site: Site, path: str) -> None:
    """Without a session a page leads to the gate, which knows the way back; with one it is shown."""
    answer = site.visitor().get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?next={path}")
    assert answer.headers["cache-control"] == "private, no-store"
    assert site.enter().get(path).status_code == 200


def test_ending_from_elsewhere(site: Site) -> None:
    """The laboratory ends its own session as an operator would; nobody else's page can, and a stranger has nothing to end."""
    visitor = site.enter()
    assert visitor.post("/lab/end", headers={"origin": "https://evil.example"}).status_code == 403
    assert visitor.get("/session").status_code == 200
    assert visitor.post("/lab/end").json() == {"ended": True}
    assert visitor.get("/session").json()["reason"] == "revoked"
    assert visitor.post("/lab/end").json() == {"ended": False}


@pytest.mark.parametrize(("path", "leads_to"), [("/admin/nothing", "/admin"), ("/nothing", "/")])
def test_what_is_not_there_leads_to_where_one_was(site: Site, path: str, leads_to: str) -> None:
    """Below the dashboard's address an operator is led to the dashboard, elsewhere everybody to the start."""
    for browser in (site.operator(), site.visitor()):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert f'<a class="button primary" href="{leads_to}">' in answer.text


def test_health(site: Site) -> None:
    """The process says that it is up, and that its store answers; neither is cached."""
    visitor = site.visitor()
    assert visitor.get("/healthz").text == "ok\n"
    assert visitor.get("/readyz").json() == {"ready": True}
    assert visitor.get("/readyz").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/static/base.css", "/lab/cover", "/admin/login"])
def test_what_needs_no_session_does_not_keep_one_alive(site: Site, path: str) -> None:
    """Static files, health checks and the dashboard are nobody's presence."""
    visitor = site.enter()
    before = site.kept()
    visitor.get(path)
    assert site.kept() == before


def test_a_session_cookie_is_in_no_page(site: Site) -> None:
    """The secret id is in the cookie and nowhere else: in no page, no script answer, no log."""
    visitor = site.enter()
    secret = secret_of(visitor)
    for path in ("/", "/confidential", "/lab", "/nothing", "/session", "/session/client.js", "/openapi.json"):
        assert secret not in visitor.get(path).text
    assert secret not in site.log()
