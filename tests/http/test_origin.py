"""Cross-site requests: who may change something, and what foreign origins are told."""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest

from stillhere.http.config import HttpConfig
from stillhere.http.messages import Request
from stillhere.http.origin import is_navigation, peer_of
from tests.http.doubles import OWN, Web, all_of, assert_problem, header

LISTED: Final = "https://partner.example"
CONFIG: Final = HttpConfig(allowed_origins=(LISTED,), trusted_proxies=("10.0.0.0/8",))

SITES: Final = (None, "same-origin", "same-site", "cross-site", "none", "", "Same-Origin")
ORIGINS: Final = (
    None,
    OWN,
    LISTED,
    "null",
    "",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.evil.example",
    "https://sister.example",
    "https://partner.example.evil.example",
    "http://partner.example",
)
OWN_HEADERS: Final[tuple[dict[str, str], ...]] = ({}, {"x-heartbeat": "true"}, {"x-stillhere": "1"}, {"x-heartbeat": "false"})


def passes(site: str | None, origin: str | None, own: dict[str, str]) -> bool:
    """Decide as the section on cross-site requests of `spec/protocol.md` does, rule by rule."""
    if origin == LISTED:
        return True
    if site is not None:
        return site == "same-origin"
    if origin is not None:
        return origin == OWN
    return bool(own)


@pytest.mark.parametrize(("site", "origin"), list(product(SITES, ORIGINS)))
async def test_the_whole_matrix_of_headers(site: str | None, origin: str | None) -> None:
    """A POST passes exactly if the protocol's three rules say so; a refused one is 403 and changes nothing."""
    web = Web(CONFIG)
    started = await web.sign_in()
    for own, path in product(OWN_HEADERS, ("/session/beat", "/session/end")):
        sent = {"sec-fetch-site": site, "origin": origin}
        web.clock.advance(1_000)
        before = web.kept()
        answer = await web.ask("POST", path, headers={**{k: v for k, v in sent.items() if v is not None}, **own}, secret=started.secret)
        if passes(site, origin, own):
            assert answer.status in {200, 401}
            started = await web.sign_in() if path == "/session/end" else started
        else:
            assert_problem(answer, 403)
            assert all_of(answer, "set-cookie") == []
            assert web.kept() == before


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": OWN}])
async def test_a_beacon_needs_no_header_of_ours(headers: dict[str, str]) -> None:
    """`sendBeacon` sets no headers; as text/plain with what the browser itself says, it passes and counts."""
    web = Web()
    started = await web.sign_in()
    web.clock.advance(9_000)
    opened = {"view": "v1", "visibleMs": 5_000, "lifecycle": "active"}
    assert (await web.ask("POST", "/session/beat", secret=started.secret, body=opened)).status == 200
    last = {"kind": "leave", "view": "v1", "visibleMs": 7_000, "lifecycle": "hidden"}
    beacon = {**headers, "content-type": "text/plain;charset=UTF-8"}
    web.clock.advance(2_000)
    assert (await web.ask("POST", "/session/beat", secret=started.secret, headers=beacon, body=last)).status == 200
    (visits,) = web.store.visits.values()
    assert visits[0].visible_ms == 7_000


async def test_a_foreign_form_without_any_header_fails() -> None:
    """A body-less POST that tells nothing of where it comes from is refused: only our client can say `X-Heartbeat` or `X-Stillhere`."""
    web = Web()
    started = await web.sign_in()
    assert_problem(await web.ask("POST", "/session/beat", headers={}, secret=started.secret), 403)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
@pytest.mark.parametrize(("path", "method"), [("/session", "GET"), ("/session", "HEAD"), ("/session/client.js", "GET")])
async def test_reading_is_not_judged_by_site(site: str, path: str, method: str) -> None:
    """A look and the script change nothing, so they answer; a foreign page gets no CORS header and cannot read them."""
    web = Web(CONFIG)
    started = await web.sign_in()
    answer = await web.ask(method, path, headers={"sec-fetch-site": site, "origin": "https://evil.example"}, secret=started.secret)
    assert answer.status == 200
    assert [name for name, _ in answer.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("path", ["/session", "/session/beat", "/session/end"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_a_listed_origin_gets_cors_answers_whatever_the_status(path: str, method: str) -> None:
    """Every answer to a listed origin names that exact origin, allows credentials and shows Retry-After; never a star."""
    web = Web(CONFIG)
    for secret in (None, (await web.sign_in()).secret):
        answer = await web.ask(method, path, headers={"origin": LISTED, "sec-fetch-site": "cross-site"}, secret=secret)
        assert header(answer, "access-control-allow-origin") == LISTED
        assert header(answer, "access-control-allow-credentials") == "true"
        assert header(answer, "access-control-expose-headers") == "retry-after"
        assert "Origin" in (header(answer, "vary") or "")


@pytest.mark.parametrize("origin", [origin for origin in ORIGINS if origin != LISTED])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_nobody_else_ever_gets_a_cors_header(origin: str | None, method: str) -> None:
    """Not our own origin, not `null`, not one that merely looks like a listed one."""
    answer = await Web(CONFIG).ask(method, "/session/beat", headers={} if origin is None else {"origin": origin})
    assert [name for name, _ in answer.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/session/beat", "POST"), ("/session/end", "POST"), ("/session", "GET, HEAD"), ("/session/client.js", "GET, HEAD")],
)
async def test_a_preflight_of_a_listed_origin(path: str, methods: str) -> None:
    """A preflight is answered 204 with the route's methods and our headers, and is never cached by anybody between."""
    sent = {"origin": LISTED, "access-control-request-method": "POST", "access-control-request-headers": "content-type,x-heartbeat"}
    answer = await Web(CONFIG).ask("OPTIONS", path, headers=sent)
    assert answer.status == 204
    assert answer.body == b""
    assert header(answer, "access-control-allow-origin") == LISTED
    assert header(answer, "access-control-allow-credentials") == "true"
    assert header(answer, "access-control-allow-methods") == methods
    assert header(answer, "access-control-allow-headers") == "cache-control, content-type, expires, pragma, x-heartbeat, x-stillhere"
    assert header(answer, "cache-control") == "private, no-store"
    assert "Origin" in (header(answer, "vary") or "")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_preflight_of_anybody_else_is_refused(site: str) -> None:
    """To all others OPTIONS is a wrong method."""
    answer = await Web(CONFIG).ask("OPTIONS", "/session/beat", headers={"origin": "https://evil.example", "sec-fetch-site": site})
    assert_problem(answer, 405)


@pytest.mark.parametrize(
    ("client", "headers", "scheme", "origin"),
    [
        ("203.0.113.9", {"host": "App.Example"}, "http", "http://app.example"),
        ("203.0.113.9", {"host": "app.example", "x-forwarded-proto": "https"}, "http", "http://app.example"),
        ("10.1.2.3", {"host": "app.example", "x-forwarded-proto": "https"}, "http", "https://app.example"),
        ("10.1.2.3", {"host": "app.example", "x-forwarded-proto": "http, HTTPS"}, "http", "https://app.example"),
        ("10.1.2.3", {"host": "app.example", "x-forwarded-proto": "https, http"}, "https", "http://app.example"),
        ("10.1.2.3", {"host": "app.example", "x-forwarded-proto": "gopher"}, "https", "https://app.example"),
        ("10.1.2.3", {"host": "app.example:8443"}, "https", "https://app.example:8443"),
        (None, {}, "http", "http://"),
    ],
)
def test_our_own_origin(client: str | None, headers: dict[str, str], scheme: str, origin: str) -> None:
    """Our origin is what the browser addressed; only a trusted proxy may say that it was https, and the nearest one counts."""
    peer = peer_of(Request(method="POST", path="/", headers=headers, client=client, scheme=scheme), CONFIG)
    assert peer.origin == origin
    assert peer.scheme == origin.partition(":")[0]
    assert peer.address == (client or "")


@pytest.mark.parametrize(
    ("headers", "went"),
    [
        ({"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, True),
        ({"sec-fetch-mode": "navigate"}, True),
        ({"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, False),
        ({"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, False),
        ({"sec-fetch-dest": "document"}, False),
        ({}, False),
    ],
)
def test_going_somewhere(headers: dict[str, str], went: bool) -> None:  # noqa: FBT001  # a column of the table
    """Only a navigation of the whole page is a person going somewhere."""
    assert is_navigation(Request(method="GET", path="/", headers=headers)) is went
