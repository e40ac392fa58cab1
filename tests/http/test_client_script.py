"""The client's script and its parts: the only things under the prefix that may be kept."""

from __future__ import annotations

from gzip import decompress
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from stillhere.http.assets import read_assets
from tests.http.doubles import UNKNOWN_SECRET, Web, header

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = files("stillhere.http").joinpath("static/client.js").read_bytes()


def version(web: Web) -> str:
    """Tell the script's version."""
    return web.endpoints.client_url.partition("?v=")[2]


async def test_the_script_is_served_as_it_is() -> None:
    """The bytes of the package, as JavaScript that no browser will take for anything else, to be asked for anew each time."""
    answer = await Web().ask("GET", "/session/client.js")
    assert answer.status == 200
    assert answer.body == SCRIPT
    assert header(answer, "content-type") == "text/javascript; charset=utf-8"
    assert header(answer, "x-content-type-options") == "nosniff"
    assert header(answer, "cache-control") == "public, no-cache"


@pytest.mark.parametrize("prefix", ["", "a=1&", "v=old&"])
async def test_asked_for_by_version_it_is_kept_for_a_year(prefix: str) -> None:
    """Under the address with its version it never changes, so it may be kept."""
    web = Web()
    answer = await web.ask("GET", "/session/client.js", query=f"{prefix}v={version(web)}")
    assert header(answer, "cache-control") == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("query", ["v=", "v=0000000000000000", "x=1", "v"])
async def test_another_version_is_not_kept(query: str) -> None:
    """An address with an old version answers today's script and is not kept under the old name."""
    answer = await Web().ask("GET", "/session/client.js", query=query)
    assert answer.body == SCRIPT
    assert header(answer, "cache-control") == "public, no-cache"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("pattern", ["{}", "W/{}", '"other", {}', '"other" , W/{} '])
async def test_who_has_it_is_told_so(method: str, pattern: str) -> None:
    """With its ETag in If-None-Match the answer is 304 without a body."""
    web = Web()
    etag = header(await web.ask("GET", "/session/client.js"), "etag") or ""
    answer = await web.ask(method, "/session/client.js", headers={"if-none-match": pattern.format(etag)})
    assert answer.status == 304
    assert answer.body == b""
    assert header(answer, "etag") == etag
    assert header(answer, "cache-control") == "public, no-cache"


@pytest.mark.parametrize("tag", ['"other"', "", "*x", "{}"])
async def test_another_etag_gets_the_script(tag: str) -> None:
    """An ETag of something else gets the whole script."""
    assert (await Web().ask("GET", "/session/client.js", headers={"if-none-match": tag})).body == SCRIPT


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, GZIP ; q=0.5", "identity, gzip;q=1"])
async def test_who_reads_gzip_gets_it_zipped(accepted: str) -> None:
    """It is the same script in less than half the bytes, under a weak ETag, by which it is not sent twice."""
    web = Web()
    answer = await web.ask("GET", "/session/client.js", headers={"accept-encoding": accepted})
    assert (header(answer, "content-encoding"), header(answer, "vary")) == ("gzip", "accept-encoding")
    assert decompress(answer.body) == SCRIPT
    assert len(answer.body) < len(SCRIPT) / 2
    etag = header(answer, "etag") or ""
    assert etag == f'W/"{version(web)}"'
    again = await web.ask("GET", "/session/client.js", headers={"accept-encoding": accepted, "if-none-match": etag})
    assert (again.status, again.body, header(again, "etag"), header(again, "vary")) == (304, b"", etag, "accept-encoding")
    assert header(again, "content-encoding") is None


@pytest.mark.parametrize("accepted", ["", "br", "identity", "*", "gzip;q=0", "gzip; q=0.000", "xgzip", "gzip2, deflate"])
async def test_who_does_not_gets_it_as_it_is(accepted: str) -> None:
    """Without gzip among what is accepted, the bytes are those of the package, and caches know what it depends on."""
    answer = await Web().ask("GET", "/session/client.js", headers={"accept-encoding": accepted})
    assert answer.body == SCRIPT
    assert (header(answer, "content-encoding"), header(answer, "vary")) == (None, "accept-encoding")


async def test_asked_by_head_its_length_is_that_of_what_would_be_sent() -> None:
    """HEAD and GET agree, zipped or not."""
    web = Web()
    for accepted in ("gzip", "identity"):
        whole = await web.ask("GET", "/session/client.js", headers={"accept-encoding": accepted})
        told = await web.ask("HEAD", "/session/client.js", headers={"accept-encoding": accepted})
        assert (header(told, "content-length"), told.body) == (str(len(whole.body)), b"")


async def test_the_script_is_the_same_for_everyone() -> None:
    """It depends on nobody: with any cookie the answer is the same, and it sets none."""
    web = Web()
    started = await web.sign_in()
    answers = [await web.ask("GET", "/session/client.js", secret=secret) for secret in (None, UNKNOWN_SECRET, started.secret)]
    assert answers[0] == answers[1] == answers[2]
    assert header(answers[0], "set-cookie") is None


async def test_every_part_that_is_shipped_is_served() -> None:
    """Each file of the package is answered at its path, as what it is, and nothing else is."""
    web = Web()
    for name, asset in read_assets().items():
        answer = await web.ask("GET", f"/session/{name}")
        assert (answer.status, answer.body, header(answer, "content-type")) == (200, asset.body, asset.media_type)
        assert header(answer, "cache-control") == "public, no-cache"
    for path in ("/session/client", "/session/client/", "/session/client/nothing.js", "/session/client/../client.js"):
        assert (await web.ask("GET", path)).status == 404


def test_parts_go_by_their_path_and_their_kind(tmp_path: Path) -> None:
    """A script is a script, texts are JSON, each with a version that changes with its bytes."""
    (tmp_path / "client").mkdir()
    (tmp_path / "client.js").write_text("1")
    (tmp_path / "client" / "de.json").write_text("{}")
    (tmp_path / "client" / "dot.svg").write_text("<svg/>")
    found = read_assets(tmp_path)
    assert {name: asset.media_type for name, asset in found.items()} == {
        "client.js": "text/javascript; charset=utf-8",
        "client/de.json": "application/json",
        "client/dot.svg": "image/svg+xml",
    }
    before = found["client/de.json"].version
    (tmp_path / "client" / "de.json").write_text('{"a": 1}')
    assert read_assets(tmp_path)["client/de.json"].version != before
