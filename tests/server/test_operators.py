"""Who may do what in the dashboard: operators and viewers, with a browser or with a token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from stillhere.server.admin.pages import way_back
from tests.server.site import ADMIN_TOKEN, VIEWER_TOKEN, counted_out
from tests.server.test_dashboard import opened, person

if TYPE_CHECKING:
    import httpx2

    from tests.server.site import Site

READS: Final = ("me", "now", "visits", "visitors", "audit")
FOREIGN: Final = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


@pytest.mark.parametrize(("role", "operator"), [("operator", "token:admin"), ("viewer", "token:viewer")])
def test_operators_are_told_who_they_are(site: Site, role: str, operator: str) -> None:
    """`me` names who is signed in, with which role, and how to sign out; a program that comes with a token has nothing to sign out of."""
    browser = site.operator() if role == "operator" else site.viewer()
    told = browser.get("/admin/api/me").json()
    assert told == {"operator": operator, "role": role, "signOut": "/admin/logout", "zone": "UTC", "siteName": "stillhere"}
    program = site.program_with(ADMIN_TOKEN if role == "operator" else VIEWER_TOKEN)
    assert program.get("/admin/api/me").json() == {**told, "signOut": None}


@pytest.mark.parametrize("way", ["browser", "program"])
def test_a_viewer_sees_everything_and_changes_nothing(site: Site, way: str) -> None:
    """A viewer reads every list, and is refused with 403 whatever they try to do."""
    email = site.name()
    visitor = opened(site, email, "v1")
    viewer = site.viewer() if way == "browser" else site.program_with(VIEWER_TOKEN)
    assert [viewer.get(f"/admin/api/{name}").status_code for name in READS] == [200] * len(READS)
    assert viewer.get("/admin/visits.csv").status_code == 200
    handle = person(viewer, email)["session"]
    answer = viewer.post(f"/admin/api/sessions/{handle}/end")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert "Sign in as an operator" in answer.json()["detail"]
    assert visitor.get("/session").status_code == 200


def test_every_deed_needs_its_role(site: Site) -> None:
    """Whatever the document says changes something is refused to a viewer, and everything to who has not signed in."""
    viewer, stranger = site.viewer(), site.visitor()
    paths = {path: methods for path, methods in stranger.get("/openapi.json").json()["paths"].items() if path.startswith("/admin/api/")}
    deeds, questions = ([re.sub("{[^}]+}", "x", path) for path, how in paths.items() if method in how] for method in ("post", "get"))
    assert len(deeds) > 3  # some
    assert {viewer.post(path).status_code for path in deeds} == {403}
    assert {stranger.post(path).status_code for path in deeds} == {401}
    assert {stranger.get(path).status_code for path in questions} == {401}


def test_a_program_operates_with_a_token(site: Site) -> None:
    """With the token in `Authorization: Bearer` a session is ended from no page at all: no browser adds that header by itself."""
    email = site.name()
    visitor = opened(site, email, "v1")
    program = site.program_with(ADMIN_TOKEN)
    answer = program.post(f"/admin/api/sessions/{person(program, email)['session']}/end")
    assert (answer.status_code, answer.json()) == (200, {"ended": True})
    assert "set-cookie" not in answer.headers
    assert visitor.get("/session").status_code == 401


@pytest.mark.parametrize("token", ["wrong", ADMIN_TOKEN[:-1], f"{ADMIN_TOKEN}x", "é" * 40])
def test_a_wrong_bearer_opens_nothing(site: Site, token: str) -> None:
    """A bearer that is no token is 401, also beside a cookie that would open: a request is judged by what it says on purpose."""
    cookie = f"operator={site.operator().cookies['operator']}"
    sent = {b"authorization": f"Bearer {token}".encode(), b"cookie": cookie.encode()}
    for path in ("/admin/api/now", "/admin", "/admin/visits.csv"):
        answer = site.visitor().get(path, headers=sent)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="operator", error="invalid_token"'
        assert answer.headers["cache-control"] == "private, no-store"
        assert len(token) < 4 or token not in answer.text


def test_guessing_bearers_is_slow(site: Site) -> None:
    """Ten wrong bearers from one address; then even the right one waits a while, and other addresses go on."""

    def too_often() -> list[httpx2.Response]:
        guesser = site.program_with("guess")
        assert [guesser.get("/admin/api/now").status_code for _ in range(10)] == [401] * 10
        return [guesser.get("/admin/api/now", headers={"authorization": f"Bearer {ADMIN_TOKEN}"})]

    (answer,) = counted_out(too_often)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert site.program_with(ADMIN_TOKEN).get("/admin/api/now").status_code == 200


def test_right_bearers_are_not_counted(site: Site) -> None:
    """A program asks as often as it likes."""
    program = site.program_with(VIEWER_TOKEN)
    assert {program.get("/admin/api/me").status_code for _ in range(30)} == {200}


@pytest.mark.parametrize("path", ["/admin", "/admin/visits", "/admin/visits/abc.1?zone=UTC", "/admin/visitors/a@b.example", "/admin/wall"])
def test_the_way_to_a_page_goes_through_the_door_and_on(site: Site, path: str) -> None:
    """Whoever asks for a page of the dashboard without being signed in gets there after it; all of them are one page."""
    browser = site.visitor()
    answer = browser.get(path)
    assert answer.status_code == 303
    form = browser.get(answer.headers["location"])
    wanted = path.replace("&", "&amp;")
    assert f'name="next" value="{wanted}"' in form.text
    answer = browser.post("/admin/login", data={"token": VIEWER_TOKEN, "next": path})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert browser.get(path).text == browser.get("/admin").text


@pytest.mark.parametrize(
    "asked",
    [
        *(None, "", "/", "/lab", "//evil.example/admin", "https://evil.example/admin", "/admin/login", "/admin/logout", "/admin/api/now"),
        *("/admin/visits/../../x", "/admin/visits/..", "/admin/visits/./x", "/admin/visits/%2e%2E/..%2fx", "/admin/visits/.%2e?a=b#c"),
        *("/admin/../lab", "/adminx", "/admin\\evil", "/admin/visits.csv", "/admin/visits\r\nx: y", "/admin//evil.example", "javascript:1"),
    ],
)
def test_the_way_on_leads_to_the_dashboard_only(asked: str | None) -> None:
    """Anything but a page of the dashboard leads to its front page."""
    assert way_back(asked) == "/admin"


@pytest.mark.parametrize(
    "asked", ["/admin/visitors/a..b@fund.example", "/admin/visits/...", "/admin/pages/site%2Fdeck.pdf?from=../x#/../y"]
)
def test_dots_that_lead_nowhere_are_no_way_out(asked: str) -> None:
    """A name with dots in it, and whatever stands after the path, is left as it is."""
    assert way_back(asked) == asked


@pytest.mark.parametrize("size", [16_385, 100_000])
def test_what_comes_with_an_action_is_small(site: Site, size: int) -> None:
    """More than 16 KiB with something to do is 413, and nothing is done."""
    answer = site.program_with(ADMIN_TOKEN).post("/admin/api/sessions/abc/end", content=b"x" * size)
    assert answer.status_code == 413
    pieces = (b"x" for _ in range(2))
    assert site.program_with(ADMIN_TOKEN).post("/admin/api/sessions/abc/end", content=pieces).status_code == 413


def test_neither_token_is_in_an_answer_or_the_log(site: Site) -> None:
    """Tokens of both roles come in and never go out."""
    browser = site.viewer()
    site.program_with(VIEWER_TOKEN).get("/admin/api/me")
    for path in ("/admin", "/admin/login", *(f"/admin/api/{name}" for name in READS)):
        assert VIEWER_TOKEN not in browser.get(path).text
    assert VIEWER_TOKEN not in site.log()


def test_a_page_of_another_site_asks_for_nothing_with_a_cookie(site: Site) -> None:
    """With the cookie alone a foreign page does nothing; origins that may call the session routes operate nothing either."""
    operator, email = site.operator(), site.name()
    visitor = opened(site, email, "v1")
    answer = operator.post(f"/admin/api/sessions/{person(operator, email)['session']}/end", headers=FOREIGN)
    assert (answer.status_code, answer.json()["detail"]) == (403, "This request came from another site.")
    assert visitor.get("/session").status_code == 200
