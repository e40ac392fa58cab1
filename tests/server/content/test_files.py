"""Files as answers: parts of them, and whether the browser has them already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from stillhere.server.content.files import is_known, media_type_of, range_of
from stillhere.server.content.listing import size_in_words
from tests.server.content.folders import NAVIGATES, headers_of, pdf

if TYPE_CHECKING:
    from tests.server.site import Site

WHOLE: Final = bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-", range(1_024)),
        ("bytes=1000-5000", range(1_000, 1_024)),
        ("bytes=-24", range(1_000, 1_024)),
        ("bytes=-5000", range(1_024)),
        ("bytes=100-199", range(100, 200)),
    ],
)
def test_a_part_is_what_was_asked_for(room: Site, asked: str, given: range) -> None:
    """One range of bytes comes as 206 with exactly these bytes, and says where they lie in the whole."""
    answer = room.enter().get("/numbers.bin", headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == WHOLE[given.start : given.stop]
    assert headers_of(answer, "content-range", "content-length") == [f"bytes {given.start}-{given.stop - 1}/1024", str(len(given))]


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=99999999999-", "bytes=2000-3000", "bytes=-0"])
def test_a_part_that_is_not_there(room: Site, asked: str) -> None:
    """A range past the end is 416, and tells how long the file is."""
    answer = room.enter().get("/numbers.bin", headers={"range": asked})
    assert (answer.status_code, answer.headers["content-range"], answer.content) == (416, "bytes */1024", b"")


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,3-4",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(3_000)),
        "bytes=5-2",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes=0-1-2",
        "bytes=" + "9" * 40 + "-",
        "lines=0-1",
        "bytes 0-1",
        "bytes=0 -1",
        "bytes=\u0660-\u0661".encode().decode("latin-1"),
        "",
    ],
)
def test_ranges_that_are_abuse_or_nonsense_get_the_whole(room: Site, asked: str) -> None:
    """Thousands of ranges cost what one answer does: many at once, or what cannot be read, is answered with the whole, once."""
    answer = room.enter().get("/numbers.bin", headers={b"range": asked.encode("latin-1")})
    assert (answer.status_code, answer.content) == (200, WHOLE)
    assert "content-range" not in answer.headers


def test_a_browser_that_has_it_is_told_so(room: Site) -> None:
    """The same version is 304 without a body, for files and pages; another one is sent."""
    visitor = room.enter()
    for path in ("/numbers.bin", "/site/", "/deck.pdf"):
        tag = visitor.get(path).headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            answer = visitor.get(path, headers={"if-none-match": known})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
            assert answer.headers["cache-control"] == "private, no-cache"
        assert visitor.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_a_part_is_of_the_version_one_began_with(room: Site) -> None:
    """With `If-Range` a part comes only of the version named; of another one the whole comes."""
    visitor = room.enter()
    tag = visitor.get("/numbers.bin").headers["etag"]
    assert visitor.get("/numbers.bin", headers={"range": "bytes=0-1", "if-range": tag}).status_code == 206
    for other in ('"other"', f"W/{tag}", "Thu, 01 Jan 2026 00:00:00 GMT"):
        assert visitor.get("/numbers.bin", headers={"range": "bytes=0-1", "if-range": other}).status_code == 200


def test_a_head_tells_without_sending(room: Site) -> None:
    """HEAD has the headers of the whole and no body."""
    answer = room.enter().head("/numbers.bin")
    assert headers_of(answer, "content-length", "accept-ranges", "content-type") == ["1024", "bytes", "application/octet-stream"]
    assert answer.content == b""


def test_a_person_who_goes_to_a_document_gets_the_viewer(room: Site) -> None:
    """A navigation to a PDF goes to the viewer; the viewer itself, or a program, gets the file."""
    visitor = room.enter()
    answer = visitor.get("/deck.pdf", headers=NAVIGATES)
    assert (answer.status_code, answer.headers["location"]) == (303, "/view/deck.pdf")
    answer = visitor.get("/view/deck.pdf")
    assert (answer.status_code, answer.headers["location"]) == (303, "/view/deck.pdf/1")
    answer = visitor.get("/deck.pdf", headers={"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"})
    assert (answer.status_code, answer.content) == (200, pdf(3))


def test_a_download_is_kept_not_shown(room: Site) -> None:
    """With `?download` a file comes to be kept, under its own name, however that is written."""
    answer = room.enter().get("/deck.pdf?download", headers=NAVIGATES)
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''deck.pdf"
    assert answer.content == pdf(3)


@pytest.mark.parametrize("shown", [("--download", "false", "--inject", "false")], indirect=True)
def test_without_downloads_and_without_the_client(room: Site) -> None:
    """Where downloads are off, a person who wants the file gets the viewer, which doesn't offer it; `inject=false` leaves pages alone."""
    visitor = room.enter()
    assert visitor.get("/deck.pdf?download", headers=NAVIGATES).headers["location"] == "/view/deck.pdf"
    assert "?download" not in visitor.get("/view/deck.pdf/1").text
    assert "client.js" not in visitor.get("/site/").text


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.PDF", "application/pdf"),
        ("a.tar.gz", "application/gzip"),
        ("a.svgz", "application/gzip"),
        ("a", "application/octet-stream"),
        ("a.exotic", "application/octet-stream"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.md", "text/plain; charset=utf-8"),
        ("html", "application/octet-stream"),
        ("a.htm", "text/html"),
    ],
)
def test_types_are_the_same_on_every_machine(name: str, media_type: str) -> None:
    """A file's type follows from its name alone."""
    assert media_type_of(name) == media_type


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 kB"), (12_345, "12 kB"), (999_960, "1.0 MB"), (5 * 10**15, "5000 TB")],
)
def test_sizes_are_told_in_words(size: int, words: str) -> None:
    """A size has two figures, or as many as it needs."""
    assert size_in_words(size) == words


def test_an_empty_file_has_no_parts() -> None:
    """A range of an empty file is never there."""
    assert range_of("bytes=0-", 0) == range(0)
    assert range_of("bytes=-5", 0) == range(0)
    assert range_of(None, 0) is None
    assert not is_known('"a"', None)
