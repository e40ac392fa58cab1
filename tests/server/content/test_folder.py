"""A folder behind the gate: what is shown, and what never is."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote

import pytest
from starlette.exceptions import HTTPException

from stillhere.server.content.folder import Folder
from stillhere.server.content.html import MOST_WHOLE
from stillhere.server.content.safe import Found, Root
from stillhere.server.pages import Pages
from tests.server.content.folders import HOSTILE_NAME, NAVIGATES, PAGE, furnish, headers_of, raw
from tests.server.gates import standing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.site import Site

WAYS_OUT: Final = (
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2E%2Fsecret.txt",
    "/..%2fsecret.txt",
    "/site/../../secret.txt",
    "/site/..%2f..%2fsecret.txt",
    "/%252e%252e/secret.txt",
    "/%252e%252e%252fsecret.txt",
    "/..\\secret.txt",
    "/..%5csecret.txt",
    "/%5c..%5csecret.txt",
    "/....//secret.txt",
    "/.../secret.txt",
    "/..;/secret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/%e0%80%ae./secret.txt",
    "//secret.txt",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "//%2fetc/passwd",
    "/deck.pdf%00.html",
    "/%00",
    "/leak.txt",
    "/out/secret.txt",
    "/out/",
    "/out",
    "/bare.txt",
    "/loop.txt",
    "/.env",
    "/%2eenv",
    "/.git/config",
    "/.git/",
    "/site/./../.env",
    "/view/../secret.txt",
    "/view/..%2f..%2fsecret.pdf",
    "/view/%2e%2e/%2e%2e/secret.pdf/1",
    "/view//etc/passwd.pdf",
    "/view/.hidden.pdf/1",
    "/view/nothing.pdf/1",
    "/view/deck.pdf/0",
    "/view/deck.pdf/01",
    "/view/deck.pdf/1/2",
    "/view/numbers.bin",
    "/gate/static/../../secret.txt",
    "/gate/static/%2e%2e/%2e%2e/app.py",
    "/gate/static/vendor/pdfjs/..%2f..%2f..%2fapp.py",
    "/admin/../secret.txt",
    "/admin/nothing",
    "/site/index.html/",
    "/" + "a" * 300,
    "/" + "a/" * 1_500,
    "/C:%5cWindows%5cwin.ini",
    "/site/%0a",
)


@pytest.mark.parametrize("target", WAYS_OUT)
def test_nothing_leads_out_of_the_folder(room: Site, target: str) -> None:
    """Whatever a path is written like, what is outside, hidden or not there is 404, and says nothing of what it is."""
    status, body = raw(room.enter(), target)
    assert status == 404, body
    assert b"planted" not in body
    assert b"root:" not in body


@pytest.mark.parametrize("path", ["/", "/deck.pdf", "/site/", "/terms", "/view/deck.pdf/2", "/nothing", "/site/style.css"])
def test_a_stranger_is_shown_nothing(room: Site, path: str) -> None:
    """Without a session a page leads to the gate, which knows the way back, and anything else is 401; whether it exists isn't told."""
    visitor = room.visitor()
    answer = visitor.get(f"{path}?x=1&y", headers=NAVIGATES)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/gate?next={quote(path)}%3Fx%3D1%26y")
    answer = visitor.get(path, headers={"accept": "*/*"})
    assert (answer.status_code, answer.json()["reason"]) == (401, "no_session")
    assert visitor.post(path, headers={"accept": "text/html"}).status_code == 401
    assert visitor.head(path, headers={"accept": "text/html"}).status_code == 303


def test_the_gate_leads_to_where_one_came_for(room: Site) -> None:
    """The gate stands at `/gate`, lets in, and goes on to the page asked for, or to the folder."""
    visitor = room.visitor()
    assert "Say who you are" in visitor.get("/gate?next=/deck.pdf").text
    answer = visitor.post("/gate", data={"email": room.name(), "next": "/view/deck.pdf/2"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/view/deck.pdf/2")
    assert room.visitor().post("/gate", data={"email": room.name()}).headers["location"] == "/"
    assert '<a class="button primary" href="/">Continue</a>' in visitor.get("/gate").text


def test_an_ended_session_is_told_why_at_the_gate(room: Site) -> None:
    """Who comes back with a session that is over is led to the gate, which says why."""
    visitor = room.enter()
    secret = visitor.cookies["session"]
    assert visitor.post("/session/end").status_code == 200
    late = room.visitor(cookie=f"session={secret}")
    assert late.get("/deck.pdf", headers=NAVIGATES).status_code == 303
    assert late.get("/deck.pdf").json()["reason"] == "signed_out"
    assert "You signed out." in late.get("/gate").text


def test_the_listing_tells_what_is_there(room: Site) -> None:
    """Folders come first; each file has its kind, size and day; what is hidden or leads out is not listed."""
    page = room.enter().get("/").text
    names = re.findall(r"<bdi>([^<]*)</bdi></a></th>", page)
    assert names[:3] == ["empty", "site", "terms"]
    assert names[3:] == [
        "&#34;&gt;&lt;img src=x onerror=alert(1)&gt; &amp; &#39;it&#39; 100% #1?.txt",
        "deck.pdf",
        "in.csv",
        "numbers.bin",
        "picture.svg",
    ]
    assert 'href="/view/deck.pdf"' in page
    assert "1.0 kB" in page
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\d">\d{1,2} [A-Z][a-z]{2} \d{4}</time>', page)


def test_an_empty_folder_says_so(room: Site) -> None:
    """An empty folder is a page with a sentence and the way back, not a table without rows."""
    page = room.enter().get("/empty/").text
    assert "There is nothing in this folder yet." in page
    assert "<table" not in page
    assert '<a href="/"><bdi>stillhere</bdi></a>' in page


def test_a_hostile_name_is_inert_and_leads_to_its_file(room: Site) -> None:
    """A name that is markup, a query and a fragment at once comes as text, and its link opens that file."""
    visitor = room.enter()
    page = visitor.get("/").text
    assert "<img" not in page
    [href] = re.findall(r'href="(/%22[^"]*)"', page)
    assert href == quote(f"/{HOSTILE_NAME}")
    assert visitor.get(href).text == "harmless"


def test_what_is_behind_the_gate_looks_like_it(tmp_path: Path) -> None:
    """Listing, viewer and error page have the gate's colour, and its picture where it has ours; without either they have ours."""
    (tmp_path / "deck").mkdir()
    furnish(tmp_path / "deck", tmp_path / "secret.txt")
    (tmp_path / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', "utf-8")
    picture, colour = '<img class="logo" src="/gate/brand/logo" alt="">', '<link rel="stylesheet" href="/gate/brand/style.css">'
    brand: dict[str, Any] = {"gate_logo": str(tmp_path / "logo.svg"), "gate_colour": "#ffcc00"}
    for told, count in ((brand, 1), ({}, 0)):
        with standing(tmp_path, gate_code="none", folder=str(tmp_path / "deck"), **told) as stand:
            visitor = stand.visitor()
            assert visitor.post("/gate", data={"email": "reader@fund.example"}).status_code == 303
            listing, viewer, lost = (visitor.get(path, headers=NAVIGATES) for path in ("/empty/", "/view/deck.pdf/1", "/nothing"))
            assert [page.status_code for page in (listing, viewer, lost)] == [200, 200, 404]
            assert [page.text.count(colour) for page in (listing, viewer, lost)] == [count] * 3
            assert [page.text.count(picture) for page in (listing, viewer, lost)] == [count] * 3
            assert [page.text.count('class="mark"') for page in (listing, lost)] == [1 - count] * 2
            # Later than the house's own, or it would change nothing.
            assert count == 0 or all(page.text.index("/base.css") < page.text.index(colour) for page in (listing, viewer, lost))


def test_sub_folders_and_their_index(room: Site) -> None:
    """A folder's address ends in a slash; its index is shown if it has one, else what it holds, with the way up."""
    visitor = room.enter()
    answer = visitor.get("/site")
    assert (answer.status_code, answer.headers["location"]) == (303, "/site/")
    assert "<p>Welcome." in visitor.get("/site/").text
    page = visitor.get("/terms/2025/").text
    assert re.findall(r'<li><a href="([^"]*)">', page) == ["/", "/terms/"]
    assert 'href="/terms/2025/sheet.csv"' in page
    assert visitor.get("/terms/2025/sheet.csv").text == "a,b\n1,2\n"
    assert visitor.get("/in.csv").text == "a,b\n1,2\n"


@pytest.mark.parametrize("path", ["/site/", "/site/index.html"])
def test_pages_of_the_folder_get_the_client(room: Site, path: str) -> None:
    """HTML that lacks the client gets its tag before `</body>`, leads to the gate at the end, and may run scripts of its own."""
    visitor = room.enter()
    answer = visitor.get(path)
    found = re.search(
        r'<script src="(/session/client\.js\?v=\w+)" data-login="/gate" data-heat defer></script>\n</body></html>\Z', answer.text
    )
    assert found is not None
    assert answer.text.replace(found[0], "</body></html>") == PAGE
    assert visitor.get(found[1]).headers["content-type"].startswith("text/javascript")
    assert headers_of(answer, "content-security-policy", "x-content-type-options") == ["frame-ancestors 'self'", "nosniff"]
    assert headers_of(answer, "cache-control", "content-type") == ["private, no-cache", "text/html; charset=utf-8"]


def test_a_page_in_another_encoding_keeps_it(room: Site) -> None:
    """A page that isn't UTF-8 is sent without an encoding in its header, so that its own word counts; it gets the client, too."""
    answer = room.enter().get("/site/old.html")
    assert answer.headers["content-type"] == "text/html"
    assert "Grüße".encode("latin-1") in answer.content
    assert b"client.js" in answer.content


def test_a_long_page_gets_the_client_too(tmp_path: Path) -> None:
    """A page of more than five megabytes has its client, encoding and tag for caches like any other, and is as it is without `inject`."""
    (tmp_path / "deck" / "sub").mkdir(parents=True)
    pages = {}
    for path, encoding in (("/long.html", "utf-8"), ("/sub/", "utf-8"), ("/old.html", "latin-1")):
        pages[path] = f"<!doctype html><body>{'ü' * MOST_WHOLE}</body></html>".encode(encoding)
        (tmp_path / "deck" / f"{path}index.html"[1:] if path.endswith("/") else tmp_path / "deck" / path[1:]).write_bytes(pages[path])
    for inject in ("true", "false"):
        with standing(tmp_path, gate_code="none", folder=str(tmp_path / "deck"), inject=inject) as stand:
            visitor = stand.visitor()
            assert visitor.post("/gate", data={"email": "reader@fund.example"}).status_code == 303
            for path, page in pages.items():
                answer, media_type = visitor.get(path), "text/html" if path == "/old.html" else "text/html; charset=utf-8"
                assert headers_of(answer, "content-type", "content-security-policy") == [media_type, "frame-ancestors 'self'"]
                tag = re.search(
                    rb'<script src="/session/client\.js\?v=\w+" data-login="/gate" data-heat defer></script>\n</body>', answer.content
                )
                assert (tag is not None) == (inject == "true")
                assert page == (answer.content if tag is None else answer.content.replace(tag[0], b"</body>"))
                head = visitor.head(path)
                assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", media_type)
                assert head.headers.get("content-length") != "0"
                assert visitor.get(path, headers={"if-none-match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/site/style.css", "text/css; charset=utf-8"),
        ("/picture.svg", "image/svg+xml; charset=utf-8"),
        ("/numbers.bin", "application/octet-stream"),
        ("/in.csv", "text/csv; charset=utf-8"),
    ],
)
def test_what_is_no_page_cannot_run(room: Site, path: str, media_type: str) -> None:
    """Other files have their type, aren't sniffed for another, and no script in them runs."""
    answer = room.enter().get(path)
    assert headers_of(answer, "content-type", "x-content-type-options") == [media_type, "nosniff"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none';")
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_folder_is_only_read(room: Site, method: str) -> None:
    """Any method but GET and HEAD is 405, and says so."""
    answer = room.enter().request(method, "/deck.pdf")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_the_programs_own_pages_are_still_there(room: Site) -> None:
    """Dashboard, health and style sheets answer as ever; the style sheets have moved out of the folder's way."""
    visitor = room.visitor()
    assert visitor.get("/admin").status_code == 303
    assert visitor.get("/healthz").status_code == 200
    page = visitor.get("/gate").text
    for sheet in re.findall(r'href="(/[^"]*\.css)"', page):
        assert sheet.startswith("/gate/static/")
        assert visitor.get(sheet).status_code == 200
    assert room.operator().get("/admin").status_code == 200


@pytest.mark.parametrize("path", ["/numbers.bin", "/site/", "/terms/"])
async def test_what_is_taken_away_meanwhile_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A file or folder that was there when it was looked for, and can't be read any more, is 404, with nothing said before."""
    (tmp_path / "deck").mkdir()
    furnish(tmp_path / "deck", tmp_path / "secret.txt")
    folder = Folder(tmp_path / "deck", Pages(), site_name="", tag=None, downloads=True)
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    find = Root.find

    def find_and_lose(self: Root, wanted: str) -> Found | None:
        found = find(self, wanted)
        if found is not None and (not found.is_folder or wanted == "/terms/"):
            shutil.rmtree(tmp_path / "deck")
        return found

    async def say_nothing(*_: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(Root, "find", find_and_lose)
    with pytest.raises(HTTPException) as raised:
        await folder(scope, say_nothing, say_nothing)
    assert raised.value.status_code == 404


def test_huge_headers_are_refused_and_harm_nobody(room: Site) -> None:
    """A megabyte of headers is 431; the next visitor is served."""
    visitor = room.enter()
    status, _ = raw(visitor, "/", **{f"X-{n}": "x" * 8_000 for n in range(130)})
    assert status == 431
    assert visitor.get("/").status_code == 200
