"""The dashboard's door: a token, few tries, a cookie of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.server.site import ADMIN_TOKEN, counted_out

if TYPE_CHECKING:
    import httpx2

    from tests.server.site import Site

PAGES: Final = ("/admin", "/admin/visits", "/admin/visits/abc.1", "/admin/visitors/a@fund.example", "/admin/wall", "/admin/visits.csv")
CALLS: Final = (
    ("GET", "/admin/api/me"),
    ("GET", "/admin/api/now"),
    ("GET", "/admin/api/audit"),
    ("GET", "/admin/api/visits"),
    ("GET", "/admin/api/visits/abc.1"),
    ("GET", "/admin/api/visitors"),
    ("POST", "/admin/api/sessions/abc/end"),
)


def test_the_right_token_opens(site: Site) -> None:
    """The token gives a cookie of its own: strict, out of reach of scripts, and not the token."""
    answer = site.visitor().post("/admin/login", data={"token": f" {ADMIN_TOKEN} "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    assert re.fullmatch(r"operator=[a-z2-7]{20}\.[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Strict", answer.headers["set-cookie"])
    assert site.operator().get("/admin").status_code == 200


def test_behind_tls_the_cookie_is_locked_to_the_host(site: Site) -> None:
    """Over https it is `__Host-operator` and Secure; on plain http elsewhere there is none."""
    safe = {"host": "app.example", "origin": "https://app.example", "x-forwarded-proto": "https"}
    answer = site.visitor(**safe).post("/admin/login", data={"token": ADMIN_TOKEN})
    assert answer.headers["set-cookie"].startswith("__Host-operator=")
    assert "; Secure;" in answer.headers["set-cookie"]
    answer = site.visitor(host="app.example", origin="http://app.example").post("/admin/login", data={"token": ADMIN_TOKEN})
    assert answer.status_code == 403
    assert "use https" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("token", ["", " ", "wrong", ADMIN_TOKEN[:-1], ADMIN_TOKEN + "x", ADMIN_TOKEN.upper(), "\x00", "é" * 50])
def test_a_wrong_token_is_told_so(site: Site, token: str) -> None:
    """Any other token is 403 with the form, without a cookie, and is not repeated on the page."""
    answer = site.visitor().post("/admin/login", data={"token": token})
    assert answer.status_code == 403
    assert "That is not the token" in answer.text
    assert "set-cookie" not in answer.headers
    assert len(token) < 2 or token not in answer.text


def test_guessing_is_slow(site: Site) -> None:
    """Ten tries a minute from one address; then even the right token waits, and other addresses go on."""

    def too_often() -> list[httpx2.Response]:
        visitor = site.visitor()
        assert [visitor.post("/admin/login", data={"token": f"guess {n}"}).status_code for n in range(10)] == [403] * 10
        return [visitor.post("/admin/login", data={"token": ADMIN_TOKEN})]

    (answer,) = counted_out(too_often)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "set-cookie" not in answer.headers
    assert site.operator().get("/admin").status_code == 200


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}])
@pytest.mark.parametrize("path", ["/admin/login", "/admin/logout"])
def test_forms_of_other_sites_are_refused(site: Site, path: str, headers: dict[str, str]) -> None:
    """Neither in nor out by a foreign form."""
    operator = site.operator()
    answer = operator.post(path, data={"token": ADMIN_TOKEN}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text
    assert operator.get("/admin/api/now").status_code == 200


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"token=" + b"x" * 8_192, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"f%d=1" % n for n in range(50)), "application/x-www-form-urlencoded", 400),
        (b'{"token": "x"}', "application/json", 400),
        (b"\xff\xfe", "multipart/form-data; boundary=x; charset=punycode", 400),
    ],
)
def test_what_is_not_the_form_is_refused(site: Site, content: bytes, media_type: str, status: int) -> None:
    """Anything but a small form of our own is refused with a page."""
    answer = site.visitor().post("/admin/login", content=content, headers={"content-type": media_type})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "cookie", [None, "operator=", "operator=handle." + "A" * 43, "operator=short", "__Host-operator=handle." + "A" * 43]
)
def test_the_api_is_for_operators(site: Site, method: str, path: str, cookie: str | None) -> None:
    """Without an operator every call is 401 as a problem, private, with `WWW-Authenticate`."""
    answer = site.visitor(**({} if cookie is None else {"cookie": cookie})).request(method, path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["www-authenticate"] == 'Session realm="operator", Bearer realm="operator"'
    assert answer.json()["detail"] == "Sign in at /admin/login first."


@pytest.mark.parametrize("path", PAGES)
def test_pages_lead_to_the_door(site: Site, path: str) -> None:
    """A browser without an operator is sent to the sign-in page."""
    answer = site.visitor().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].partition("?")[0] == "/admin/login"
    assert answer.headers["cache-control"] == "private, no-store"


def test_a_visitor_is_no_operator(site: Site) -> None:
    """A visitor's session opens nothing here, not even under the operator's name."""
    visitor = site.enter()
    assert visitor.get("/admin/api/now").status_code == 401
    assert site.visitor(cookie=f"operator={visitor.cookies['session']}").get("/admin/api/now").status_code == 401


def test_signing_out(site: Site) -> None:
    """The operator's session ends in the server, not only in the browser; once more is no error."""
    operator = site.operator()
    secret = operator.cookies["operator"]
    for _ in range(2):
        answer = operator.post("/admin/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin/login")
        assert answer.headers["set-cookie"].startswith("operator=; Max-Age=0")
    assert site.visitor(cookie=f"operator={secret}").get("/admin/api/now").status_code == 401


def test_signing_in_again_replaces_the_operators_session(site: Site) -> None:
    """Ids rotate at login here too."""
    operator = site.operator()
    old = operator.cookies["operator"]
    operator.post("/admin/login", data={"token": ADMIN_TOKEN})
    assert site.visitor(cookie=f"operator={old}").get("/admin/api/now").status_code == 401
    assert operator.get("/admin/api/now").status_code == 200


def test_the_token_is_in_no_answer_and_no_log(site: Site) -> None:
    """Whatever is shown, the token is not."""
    operator = site.operator()
    for path in ("/", "/admin", "/admin/login", "/admin/api/now", "/admin/api/visits", "/openapi.json", "/nothing"):
        assert ADMIN_TOKEN not in operator.get(path).text
    assert ADMIN_TOKEN not in site.log()
