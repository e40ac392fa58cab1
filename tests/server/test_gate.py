"""The gate of the running program: who comes in, and where they land."""

from __future__ import annotations

import re
import socket
from html import unescape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

import pytest

from tests.server.site import counted_out, secret_of

if TYPE_CHECKING:
    import httpx2

    from tests.server.site import Site

HOSTILE: Final = (
    "//evil.example",
    "///evil.example",
    "////evil.example/%2e%2e",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "/a\\..\\..\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "HTTPS://evil.example",
    "http:///evil.example",
    "ftp://evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "evil.example",
    ".evil.example",
    "@evil.example",
    ":80@evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    "/\r\nSet-Cookie: a=b",
    "/\r/evil.example",
    " //evil.example",
    " https://evil.example",
    "/ /evil.example",
    "\x00//evil.example",
    "/\x00/evil.example",
    "\u3000//evil.example",
    "/\u2028/evil.example",
    "/\uff0fevil.example",
    "\uff0f\uff0fevil.example",
    "/é",
    "/" + "a" * 2_048,
)

ODD_BUT_OURS: Final = (
    "/lab",
    "/confidential?x=1#top",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "/..//evil.example",
    "/.//evil.example",
    "/a//b",
    "/@evil.example",
    "/:80",
    "/;//evil.example",
    "/?u=https://evil.example",
    "/a?b=%0d%0aSet-Cookie:x",
    "/<script>",
)

BAD_ADDRESSES: Final = (
    "",
    " ",
    "nobody",
    "a@",
    "@b.example",
    "a@b@c.example",
    "a b@c.example",
    "a@b..example",
    "a@-b.example",
    "a@b-.example",
    "a@.example",
    "a@b.example.",
    "a@b_c.example",
    "a@b.example\nBcc: x@y.example",
    "a\x00@b.example",
    "<a@b.example>",
    '"a"@b.example',
    "a,b@c.example",
    "a@[127.0.0.1]",
    "a@b/c.example",
    "x" * 65 + "@b.example",
    "a@" + "b" * 254,
    "a@" + "ü" * 80 + ".example",
    "a@xn--\ud7ff.example",
)

PART: Final = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n%b\r\n--x--\r\n'


def lands_here(url: str, location: str) -> bool:
    """Resolve an address as a browser does, which drops tabs and line ends and takes a backslash for a slash."""
    seen = re.sub(r"[\t\r\n]", "", location).strip("\x00\x01\x02\x1f ").replace("\\", "/")
    return urlsplit(urljoin(f"{url}/gate", seen))[:2] == urlsplit(url)[:2]


def way_back(page: httpx2.Response) -> str:
    """Read the hidden field that carries the way back."""
    found = re.search(r'name="next" value="([^"]*)"', page.text)
    assert found is not None
    return unescape(found[1])


@pytest.mark.parametrize("path", ["/", "/?next=/lab", "/confidential", "/lab", "/gate", "/session", "/admin"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_opens_nothing(site: Site, method: str, path: str) -> None:
    """A link scanner leaves no trace: no GET starts a session, sets a cookie or writes a row."""
    before = site.kept()
    answer = site.visitor().request(method, path)
    assert "set-cookie" not in answer.headers
    assert site.kept() == before


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("/gate", "/"),
        ("/gate?next=/lab%3Fa=1", "/?next=%2Flab%3Fa%3D1"),
        ("/gate?next=//evil.example&reason=idle", "/?reason=idle"),
        ("/gate?next=https://evil.example&email=a@b.example", "/"),
    ],
)
def test_who_opens_the_gates_address_comes_to_where_it_asks(site: Site, asked: str, leads_to: str) -> None:
    """With the way back and the reason, and with nothing else that was in the address."""
    answer = site.visitor().get(asked)
    assert (answer.status_code, answer.headers["location"]) == (303, leads_to)


def test_a_post_begins_a_session_and_goes_on(site: Site) -> None:
    """An address opens the gate: a session cookie, and on to where the visitor came for."""
    visitor, email = site.visitor(), site.name()
    assert visitor.get("/lab").headers["location"] == "/?next=/lab"
    answer = visitor.post("/gate", data={"email": f"  {email} ", "next": "/lab"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/lab")
    assert answer.headers["cache-control"] == "private, no-store"
    assert re.fullmatch(r"session=[a-z2-7]{20}\.[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Lax", answer.headers["set-cookie"])
    assert email in visitor.get("/lab").text
    assert visitor.get("/session").json()["state"] == "active"
    assert site.sessions_of(email) == 1


def test_without_a_way_back_the_visitor_lands_on_the_first_page(site: Site) -> None:
    """Who came for nothing in particular is sent to the page that was configured."""
    assert site.visitor().post("/gate", data={"email": site.name()}).headers["location"] == "/confidential"


def test_entering_again_replaces_the_session(site: Site) -> None:
    """Ids rotate at every sign-in: the old id is worth nothing afterwards, and says why."""
    visitor = site.enter()
    old = secret_of(visitor)
    assert visitor.post("/gate", data={"email": site.name()}).status_code == 303
    assert secret_of(visitor) != old
    answer = site.visitor(cookie=f"session={old}").get("/session")
    assert (answer.status_code, answer.json()["reason"]) == (401, "replaced")


@pytest.mark.parametrize("cookie", ["session=handle." + "A" * 43, "session=x", "__Host-session=handle." + "A" * 43])
def test_a_prepared_cookie_is_never_adopted(site: Site, cookie: str) -> None:
    """Whatever cookie a visitor was made to bring, the gate gives another id (session fixation)."""
    answer = site.visitor(cookie=cookie).post("/gate", data={"email": site.name()})
    assert "A" * 43 not in answer.headers["set-cookie"]


@pytest.mark.parametrize("typed", BAD_ADDRESSES)
def test_what_is_no_address_is_told_on_the_page(site: Site, typed: str) -> None:
    """A bad address is 422 with the form and a sentence, begins nothing and keeps the way back."""
    before = site.kept()
    answer = site.visitor().post("/gate", data={"email": typed, "next": "/lab"})
    assert answer.status_code == 422
    assert "Please enter an e-mail address" in answer.text
    assert way_back(answer) == "/lab"
    assert "set-cookie" not in answer.headers
    assert site.kept() == before


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("First.Reader+x@Fund.Example", "First.Reader+x@fund.example"),
        ("o'brien@fund.example", "o'brien@fund.example"),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("root@localhost", "root@localhost"),
        ("a@1.2", "a@1.2"),
    ],
)
def test_addresses_are_kept_in_one_spelling(site: Site, typed: str, kept: str) -> None:
    """The domain is kept in lower case and ASCII, so that one person is one visitor; the rest stays as typed."""
    before = site.sessions_of(kept)
    assert site.visitor().post("/gate", data={"email": typed}).status_code == 303
    assert site.sessions_of(kept) == before + 1


def test_what_was_typed_is_shown_harmlessly(site: Site) -> None:
    """An address that is markup comes back as text."""
    answer = site.visitor().post("/gate", data={"email": '"><script>alert(1)</script>', "next": '/"><script>'})
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert '"><script>' not in answer.text


@pytest.mark.parametrize("wanted", HOSTILE)
def test_a_hostile_way_back_never_leaves_the_site(site: Site, wanted: str) -> None:
    """Whatever `next` says, the gate goes on to our own page, and the form does not carry it either."""
    answer = site.visitor().post("/gate", data={"email": site.name(), "next": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, "/confidential")
    assert [name for name in answer.headers if name == "set-cookie"] == ["set-cookie"]
    shown = site.visitor().get(f"/?next={quote(wanted, safe='')}")
    assert (shown.status_code, way_back(shown)) == (200, "")


@pytest.mark.parametrize("wanted", ODD_BUT_OURS)
def test_an_odd_way_back_stays_on_the_site(site: Site, wanted: str) -> None:
    """A path that only looks dangerous is followed, and resolves to this host as a browser reads it."""
    location = site.visitor().post("/gate", data={"email": site.name(), "next": wanted}).headers["location"]
    assert location.startswith("/")
    assert lands_here(site.url, location)
    assert way_back(site.visitor().get(f"/?next={quote(wanted, safe='')}")) == wanted


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_a_form_of_another_site_is_refused(site: Site, headers: dict[str, str]) -> None:
    """Login CSRF: a foreign form begins no session, and the page says what to do."""
    email = site.name()
    answer = site.visitor().post("/gate", data={"email": email}, headers=headers)
    assert answer.status_code == 403
    assert "sent from another site" in answer.text
    assert site.sessions_of(email) == 0


def test_a_form_that_says_nothing_of_its_origin_is_refused(site: Site) -> None:
    """Without any header that tells where it comes from a form is foreign."""
    visitor = site.visitor()
    del visitor.headers["origin"]
    assert visitor.post("/gate", data={"email": site.name()}).status_code == 403


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"email=a%40b.example&x=" + b"x" * 8_192, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"f%d=1" % n for n in range(50)) + b"&email=a%40b.example", "application/x-www-form-urlencoded", 400),
        (b'{"email": "a@b.example"}', "application/json", 400),
        (b"email=a%40b.example", "text/plain", 400),
        (b"email=a%40b.example", "", 400),
        (PART % b"\\ud800", "multipart/form-data; boundary=x; charset=unicode_escape", 400),
        (PART % b"\xff-\xff", "multipart/form-data; boundary=x; charset=punycode", 400),
        (b"--x", "multipart/form-data", 400),
        (b"", "application/x-www-form-urlencoded", 422),
        (b"%%%=%zz&email=%ff%fe@b.example%00", "application/x-www-form-urlencoded; charset=utf-16", 422),
    ],
)
def test_what_is_not_our_form_is_refused_with_a_page(site: Site, content: bytes, media_type: str, status: int) -> None:
    """A form that is too large, of another type or unreadable gets a page that says so, and begins nothing."""
    before = site.kept()
    answer = site.visitor().post("/gate", content=content, headers={"content-type": media_type} if media_type else {})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "set-cookie" not in answer.headers
    assert site.kept() == before


def test_a_form_of_unknown_length_is_too_large(site: Site) -> None:
    """A form without Content-Length, which no browser sends, is not read at all."""

    def pieces() -> Any:
        yield b"email=a%40b.example"

    answer = site.visitor().post("/gate", content=pieces(), headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 413


def test_a_form_that_breaks_off_begins_nothing(site: Site) -> None:
    """A visitor who leaves in the middle of the form leaves no trace and no error in the log."""
    before, host, port = site.kept(), *site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /gate HTTP/1.1\r\nHost: localhost\r\nX-Stillhere: 1\r\nX-Forwarded-For: " + site.address().encode() + b"\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 40\r\n\r\nemail=a%40b.example"
        )
        connection.shutdown(socket.SHUT_WR)
        assert b"set-cookie" not in connection.recv(10_000).lower()
    assert site.kept() == before
    assert "Traceback" not in site.log()


def test_too_many_tries_from_one_address(site: Site) -> None:
    """Sixty forms a minute pass; the next is 429 with Retry-After and a page, and other addresses go on."""

    def too_often() -> list[httpx2.Response]:
        visitor = site.visitor()
        assert [visitor.post("/gate", data={"email": "no"}).status_code for _ in range(60)] == [422] * 60
        forged = {"x-forwarded-for": f"1.2.3.4, {visitor.headers['x-forwarded-for']}"}
        return [visitor.post("/gate", data={"email": site.name()}), visitor.post("/gate", data={"email": "no"}, headers=forged)]

    answers = counted_out(too_often)
    assert [answer.status_code for answer in answers] == [429, 429]
    assert 1 <= int(answers[0].headers["retry-after"]) <= 60
    assert "Too many tries" in answers[0].text
    assert site.visitor().post("/gate", data={"email": "no"}).status_code == 422


def test_no_session_begins_on_an_unsafe_way(site: Site) -> None:
    """On plain http to another host the gate refuses with a page that says what to do; behind a trusted TLS proxy it opens."""
    email = site.name()
    unsafe = {"host": "app.example", "origin": "http://app.example"}
    answer = site.visitor(**unsafe).post("/gate", data={"email": email})
    assert answer.status_code == 403
    assert "use https" in answer.text
    assert site.sessions_of(email) == 0
    safe = {"host": "app.example", "origin": "https://app.example", "x-forwarded-proto": "https"}
    answer = site.visitor(**safe).post("/gate", data={"email": email})
    assert answer.status_code == 303
    assert re.fullmatch(
        r"__Host-session=[a-z2-7]{20}\.[A-Za-z0-9_-]{43}; Path=/; Secure; HttpOnly; SameSite=Lax", answer.headers["set-cookie"]
    )


def test_the_page_says_why_the_last_session_ended(site: Site) -> None:
    """Who comes back after the end is told why, from the session itself or from the way back; nonsense is told nothing."""
    visitor = site.enter()
    visitor.post("/lab/end")
    assert "ended from elsewhere" in visitor.get("/").text
    assert "ended after 2 hours without activity" in site.visitor().get("/?reason=idle").text
    for nonsense in ("nonsense", "", "<script>", "no_session"):
        assert "notice" not in site.visitor().get("/", params={"reason": nonsense}).text


def test_who_is_signed_in_already_may_go_on(site: Site) -> None:
    """The gate tells a visitor who they are, and keeps the way back."""
    email = site.name()
    page = site.enter(email).get("/?next=/lab")
    assert email in page.text
    assert 'href="/lab"' in page.text
