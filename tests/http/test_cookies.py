"""The cookie: as hard to steal, fix or cross sites with as browsers allow; and what of a `Cookie` header is believed."""

from __future__ import annotations

from typing import Literal

import pytest

from stillhere.errors import InsecureTransport
from stillhere.http.config import HttpConfig
from stillhere.http.cookies import cookie_name, delete_cookies, read_secret, set_cookies
from stillhere.http.messages import Request, read_cookie
from stillhere.http.origin import Peer, peer_of
from tests.http.doubles import UNKNOWN_SECRET, Web, all_of, request

CONFIG = HttpConfig()
LOOPBACKS = ("localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000", "LOCALHOST:8000")
ELSEWHERE = (
    "app.example",
    "app.example:80",
    "10.0.0.1",
    "localhost.example",
    "evil-localhost",
    "127.0.0.1.example",
    "[2001:db8::1]:80",
    "",
)


def peer_at(scheme: str, host: str) -> Peer:
    """Tell the peer of a request to a host."""
    return peer_of(Request(method="GET", path="/", headers={"host": host}, scheme=scheme, client="203.0.113.9"), CONFIG)


@pytest.mark.parametrize("host", ["app.example", *LOOPBACKS])
def test_over_https_the_cookie_is_locked_to_this_host(host: str) -> None:
    """Over https: `__Host-`, Secure, HttpOnly, SameSite, Path=/, no Domain, gone with the browser session."""
    assert set_cookies("abc", peer_at("https", host), CONFIG) == (
        ("set-cookie", "__Host-session=abc; Path=/; Secure; HttpOnly; SameSite=Lax"),
    )


@pytest.mark.parametrize("host", LOOPBACKS)
def test_on_http_on_loopback_the_cookie_is_plain(host: str) -> None:
    """On http on a loopback address browsers take no `__Host-` cookie, so it is `session` without Secure."""
    assert set_cookies("abc", peer_at("http", host), CONFIG) == (("set-cookie", "session=abc; Path=/; HttpOnly; SameSite=Lax"),)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_on_http_elsewhere_no_cookie_is_set(host: str) -> None:
    """On plain http to anything but loopback no id is given out; the error says where and what to do."""
    with pytest.raises(InsecureTransport, match="use https") as caught:
        set_cookies("abc", peer_at("http", host), CONFIG)
    assert caught.value.origin == f"http://{host}"
    assert caught.value.status_hint == 403


@pytest.mark.parametrize(("scheme", "host"), [("http", "app.example"), ("https", "app.example"), ("http", "localhost")])
def test_deleting_works_on_every_way(scheme: str, host: str) -> None:
    """A cookie can be taken back wherever it is found, with the attributes that it was set with."""
    peer = peer_at(scheme, host)
    [(_, value)] = delete_cookies(request("POST", "/"), peer, CONFIG)
    assert value.startswith(f"{cookie_name(peer, CONFIG)}=; Max-Age=0; Path=/")
    assert ("Secure" in value) == (host != "localhost")


@pytest.mark.parametrize("same_site", ["lax", "strict"])
def test_same_site_as_configured(same_site: Literal["lax", "strict"]) -> None:
    """`SameSite` is what was chosen."""
    [(_, value)] = set_cookies("abc", peer_at("https", "app.example"), HttpConfig(same_site=same_site))
    assert value.endswith(f"SameSite={same_site.capitalize()}")


def test_a_cookie_is_far_below_what_browsers_keep() -> None:
    """Name, value and attributes stay below 4,096 bytes (OWASP ASVS 5.0 item 3.3.5)."""
    assert len(set_cookies(UNKNOWN_SECRET, peer_at("https", "app.example"), CONFIG)[0][1]) < 4096


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (None, None),
        ("", None),
        ("other=1", None),
        ("session", None),
        ("xsession=1", None),
        ("session=", ""),
        ("session=a", "a"),
        ("a=1; session=b; c=2", "b"),
        (" session = b ", "b"),
        ('session="quoted"', "quoted"),
        ("session=a=b", "a=b"),
        ("session=first; session=second", "first"),
        ("a=session; session=b", "b"),
        (";;;session=b;;", "b"),
        ("session=\xff\xfe", "\xff\xfe"),
    ],
)
def test_reading_a_cookie_header(sent: str | None, found: str | None) -> None:
    """Of several cookies of a name the first counts; a header that cannot be read holds none."""
    assert read_cookie(sent, "session") == found


def test_each_way_reads_only_its_own_name() -> None:
    """A plain `session` cookie, which a sister domain could set, is not read over https, nor the other way round."""
    sent = request("GET", "/", headers={"cookie": "session=weak"})
    assert read_secret(sent, peer_at("https", "app.example"), CONFIG) is None
    assert read_secret(sent, peer_at("http", "localhost"), CONFIG) == "weak"


@pytest.mark.parametrize(("first_is_ours", "status"), [(True, 200), (False, 401)])
async def test_of_several_cookies_the_first_counts_on_a_route(first_is_ours: bool, status: int) -> None:  # noqa: FBT001  # a row of the table
    """Several cookies of one name are no way to smuggle: only the first is ever looked up."""
    web = Web()
    started = await web.sign_in()
    pair = [started.secret, UNKNOWN_SECRET] if first_is_ours else [UNKNOWN_SECRET, started.secret]
    cookie = "; ".join(f"__Host-session={secret}" for secret in pair)
    answer = await web.ask("GET", "/session", headers={"cookie": cookie})
    assert answer.status == status


@pytest.mark.parametrize("path", ["/session", "/session/beat", "/session/client.js", "/session/nothing"])
async def test_only_signing_out_touches_the_cookie(path: str) -> None:
    """No route but the sign-out sends Set-Cookie, whatever it answers."""
    web = Web()
    started = await web.sign_in()
    for method in ("GET", "POST", "PUT"):
        for secret in (None, UNKNOWN_SECRET, started.secret):
            assert all_of(await web.ask(method, path, secret=secret), "set-cookie") == []


@pytest.mark.parametrize(
    "forwarded", [{"x-forwarded-proto": "https"}, {"x-forwarded-for": "203.0.113.5"}, {"forwarded": "for=203.0.113.5"}]
)
def test_a_proxy_that_nobody_named_makes_no_address_a_loopback(forwarded: dict[str, str]) -> None:
    """A proxy that passes `Host: 127.0.0.1` on gets no cookie without Secure: no session begins, and the error says why."""
    headers = {"host": "127.0.0.1:8000", **forwarded}
    asked = Request(method="POST", path="/gate", headers=headers, client="127.0.0.1")
    with pytest.raises(InsecureTransport, match="trusted_proxies"):
        set_cookies("abc", peer_of(asked, CONFIG), CONFIG)


def test_a_proxy_that_was_named_tells_the_way() -> None:
    """Named, its word for https counts, and the cookie is the locked one."""
    config = HttpConfig(trusted_proxies=("127.0.0.1",))
    headers = {"host": "127.0.0.1:8000", "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.5"}
    asked = Request(method="POST", path="/gate", headers=headers, client="127.0.0.1")
    assert set_cookies("abc", peer_of(asked, config), config)[0][1].startswith("__Host-session=abc; Path=/; Secure")


def test_a_session_that_began_safely_is_known_through_a_proxy_that_nobody_named() -> None:
    """Headers that a stranger adds on the way sign nobody out."""
    headers = {"host": "127.0.0.1:8000", "cookie": "session=abc", "x-forwarded-for": "203.0.113.5"}
    asked = Request(method="POST", path="/session/beat", headers=headers, client="127.0.0.1")
    assert read_secret(asked, peer_of(asked, CONFIG), CONFIG) == "abc"
