"""The session routes over real sockets and a real file."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest

from tests.server.site import secret_of
from tests.support import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.site import Site

VIEW: Final = {"view": "v1", "visibleMs": 1, "idleMs": 0, "lifecycle": "active"}


def spoken(site: Site, text: bytes, *, hangs_up: bool = False) -> bytes:
    """Say something to the program by hand and listen until it closes the line; or hang up first."""
    host, port = site.url.removeprefix("http://").split(":")
    heard = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(text)
        if hangs_up:
            connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65_536):
            heard += piece
    return heard


def test_a_whole_life(site: Site) -> None:
    """Enter, beat, look, say last words by beacon, sign out: each is answered as the protocol says and is in the file."""
    visitor = site.enter()
    beat = visitor.post("/session/beat", json=VIEW)
    assert (beat.status_code, beat.json()["state"]) == (200, "active")
    assert visitor.get("/session").json().keys() == beat.json().keys()
    beacon = visitor.post(
        "/session/beat", content=b'{"kind":"leave","view":"v1","visibleMs":2}', headers={"content-type": "text/plain;charset=UTF-8"}
    )
    assert beacon.status_code == 200
    end = visitor.post("/session/end")
    assert end.json() == {"success": True, "reason": "signed_out"}
    assert end.headers["clear-site-data"] == '"cache", "storage"'
    assert end.headers["set-cookie"] == "session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
    assert "session" not in visitor.cookies


def test_an_id_is_worth_nothing_after_sign_out(site: Site) -> None:
    """Replaying the cookie after the end gives 401 with the reason, for ever."""
    visitor = site.enter()
    replay = site.visitor(cookie=f"session={secret_of(visitor)}")
    visitor.post("/session/end")
    for answer in (replay.get("/session"), replay.post("/session/beat", json={"kind": "extend"}), replay.get("/session")):
        assert (answer.status_code, answer.json()["reason"]) == (401, "signed_out")
        assert answer.headers["cache-control"] == "private, no-store"
        assert 'reason="signed_out"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413), (1_000_000, 413)])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_largest_body(site: Site, size: int, status: int, is_chunked: bool) -> None:  # noqa: FBT001  # one of two cases
    """65,536 bytes pass, more do not, with and without Content-Length."""
    body = b'{"padding":"' + b"x" * (size - 14) + b'"}'
    assert len(body) == size

    def pieces() -> Any:
        yield from (body[at : at + 9_000] for at in range(0, size, 9_000))

    answer = site.enter().post("/session/beat", content=pieces() if is_chunked else body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path", ["/session/beat", "/session/end"])
@pytest.mark.parametrize("framing", [b"Content-Length: 500\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n4e\r\n"])
def test_a_client_that_hangs_up_changes_nothing(site: Site, path: str, framing: bytes) -> None:
    """A message that breaks off is never taken in: not a row of the file differs, and nothing is logged."""
    visitor = site.enter()
    visitor.post("/session/beat", json=VIEW)
    before = site.kept()
    spoken(
        site,
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Stillhere: 1\r\nCookie: session={secret_of(visitor)}\r\n".encode()
        + framing
        + b'{"view":"v1","visibleMs":100000,"idleMs":0}',
        hangs_up=True,
    )
    assert visitor.get("/session").status_code == 200
    assert site.kept() == before
    assert "Traceback" not in site.log()


@pytest.mark.parametrize(
    "text",
    [
        b"GET /session HTTP/1.1\r\nHost: localhost\r\nCookie: session=\xff\xfe\x80\r\nConnection: close\r\n\r\n",
        b"GET /session HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /session HTTP/1.1\r\nHost: \xff\xff\r\nConnection: close\r\n\r\n",
        b"GET /session?\xff=\xfe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%ff%00%fe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"POST /gate HTTP/1.1\r\nHost: a\r\nX-Stillhere: 1\r\nContent-Length: -5\r\n\r\n",
        b"POST /gate HTTP/1.1\r\nHost: a\r\nX-Stillhere: 1\r\nContent-Length: 1_0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: \xff, ,,\r\nX-Forwarded-Proto: \xff\r\nConnection: close\r\n\r\n",
    ],
)
def test_bytes_that_no_browser_sends(site: Site, text: bytes) -> None:
    """Nonsense below HTTP's own rules is answered as a client's mistake, never as ours."""
    heard = spoken(site, text)
    assert heard.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4"))
    assert site.visitor().get("/healthz").status_code == 200


def test_head_has_no_body(site: Site) -> None:
    """HEAD tells the length that GET would have, and nothing more."""
    visitor = site.enter()
    for path in ("/session", "/session/client.js"):
        heard = spoken(
            site, f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nCookie: session={secret_of(visitor)}\r\nConnection: close\r\n\r\n".encode()
        )
        assert heard.startswith(b"HTTP/1.1 200")
        assert heard.endswith(b"\r\n\r\n")
        assert heard.count(b"content-length: ") == 1


def test_the_limit_of_a_session_over_the_wire(tmp_path: Path) -> None:
    """The program's own limits hold: per session, and per address whatever a stranger writes into X-Forwarded-For."""
    flags = ("--beats-per-minute", "3")
    environment = {"STILLHERE_MESSAGES_PER_MINUTE": "8"}
    with serving(f"sqlite:///{tmp_path / 'visits.db'}", *flags, log=tmp_path / "log", environment=environment) as program:
        statuses = post_each(program.url, [f"10.0.0.{n}" for n in range(10)])
    assert statuses == [200, 200, 200, 429, 429, 429, 429, 429, 429, 429]


def post_each(url: str, forwarded: list[str]) -> list[int]:
    """Send a beat from each invented address, within one session; check the 429s."""
    with httpx2.Client(base_url=url, headers={"origin": url}, timeout=20) as visitor:
        assert visitor.post("/gate", data={"email": "first@fund.example"}).status_code == 303
        answers = [visitor.post("/session/beat", headers={"x-forwarded-for": address}) for address in forwarded]
    for answer in answers:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["cache-control"] == "private, no-store"
    assert "This session" in answers[3].json()["detail"]
    assert "This address" in answers[9].json()["detail"]
    return [answer.status_code for answer in answers]


def test_the_script_is_cached_as_it_should(site: Site) -> None:
    """By ETag it is not sent twice, and by version it is kept for a year."""
    visitor = site.visitor()
    first = visitor.get("/session/client.js")
    assert first.headers["cache-control"] == "public, no-cache"
    again = visitor.get("/session/client.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    kept = visitor.get(f"/session/client.js?v={first.headers['etag'].removeprefix('W/').strip(chr(34))}")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
