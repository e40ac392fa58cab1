"""Every route and every method."""

from __future__ import annotations

from typing import Final

import pytest

from stillhere.http.config import HttpConfig
from tests.http.doubles import UNKNOWN_SECRET, Web, all_of, assert_private, assert_problem, header

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "")
ROUTES: Final = {
    "/session/beat": ("POST",),
    "/session": ("GET", "HEAD"),
    "/session/end": ("POST",),
    "/session/client.js": ("GET", "HEAD"),
    "/keepalive": ("POST",),
    "/auth/me": ("GET", "HEAD"),
    "/auth/logout": ("POST",),
    "/stay.js": ("GET", "HEAD"),
}
CONFIG: Final = HttpConfig(
    extra_paths={"beat": ("/keepalive",), "look": ("/auth/me",), "end": ("/auth/logout",), "client": ("/stay.js",)},
)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ROUTES)
async def test_each_route_answers_its_methods_only(path: str, method: str) -> None:
    """The right methods are answered; each other one gets 405 with `Allow`, changes nothing and counts as nothing."""
    web = Web(CONFIG)
    started = await web.sign_in()
    web.clock.advance(1_000)
    before = web.kept()
    answer = await web.ask(method, path, secret=started.secret)
    if method in ROUTES[path]:
        assert answer.status == 200
        return
    assert answer.status == 405
    assert header(answer, "allow") == ", ".join(ROUTES[path])
    assert all_of(answer, "set-cookie") == []
    assert web.kept() == before
    if method != "HEAD":
        assert_problem(answer, 405)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/session/", "/session/beat/", "/session/nothing", "/SESSION", "/", ""])
async def test_any_other_path_is_404(path: str, method: str) -> None:
    """What is no session route is a private 404, whatever the method."""
    answer = await Web().ask(method, path, secret=UNKNOWN_SECRET)
    assert answer.status == 404
    assert_private(answer)


@pytest.mark.parametrize("path", [*ROUTES, "/session/nothing"])
@pytest.mark.parametrize("is_signed_in", [True, False])
async def test_head_is_get_without_a_body(path: str, is_signed_in: bool) -> None:  # noqa: FBT001  # one of two cases
    """HEAD is answered wherever GET is: the same status and headers, the length of the body, and no body."""
    web = Web(CONFIG)
    secret = (await web.sign_in()).secret if is_signed_in else None
    full = await web.ask("GET", path, secret=secret)
    bare = await web.ask("HEAD", path, secret=secret)
    assert bare.body == b""
    assert bare.status == full.status
    assert header(bare, "content-length") == str(len(full.body))
    assert [pair for pair in bare.headers if pair[0] != "content-length"] == list(full.headers)


async def test_another_prefix_moves_every_route() -> None:
    """Under another prefix the routes are there, and the old ones are gone."""
    web = Web(HttpConfig(prefix="/api/presence"))
    started = await web.sign_in()
    assert (await web.ask("POST", "/api/presence/beat", secret=started.secret)).status == 200
    assert (await web.ask("GET", "/api/presence", secret=started.secret)).status == 200
    assert (await web.ask("POST", "/session/beat", secret=started.secret)).status == 404
    assert web.endpoints.client_url.startswith("/api/presence/client.js?v=")
