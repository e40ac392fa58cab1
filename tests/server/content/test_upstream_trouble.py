"""An application behind the gate that is in trouble: its visitors are told, and stay signed in."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import httpx2
import pytest

from stillhere import SessionManager
from stillhere.errors import SettingsError
from stillhere.server.app import build_app
from stillhere.server.content.upstream import read_origin
from stillhere.server.settings import load_settings
from tests.server.content.folders import NAVIGATES
from tests.server.test_cli import run
from tests.support import serving, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.content.application import Application
    from tests.server.site import Site


@pytest.mark.parametrize(("path", "status"), [("/close", 502), ("/nonsense", 502), ("/slow", 504)])
def test_trouble_is_told_and_signs_nobody_out(hasty: Site, path: str, status: int) -> None:
    """An application that breaks off, speaks nonsense or says nothing is a page for people, a problem for programs; the session lives."""
    visitor = hasty.enter()
    answer = visitor.get(path, headers=NAVIGATES)
    assert answer.status_code == status
    assert "You are still signed in" in answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    answer = visitor.get(path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert visitor.get("/session").json()["state"] == "active"


@pytest.mark.parametrize("path", ["/half", "/pause"])
def test_half_an_answer_is_never_taken_for_a_whole(hasty: Site, path: str) -> None:
    """If the application breaks off, or falls silent, in the middle of an answer, so do we: the browser sees that something is missing."""
    with pytest.raises(httpx2.RemoteProtocolError):
        hasty.enter().get(path)
    assert hasty.enter().get("/page").status_code == 200


def test_a_browser_that_leaves_frees_the_application(hasty: Site, application: Application) -> None:
    """When a browser goes away in the middle, the connection to the application is closed, and the next visitor is served."""
    application.go_on.set()
    with hasty.enter().stream("GET", "/events") as answer:
        assert next(answer.iter_lines()) == "data: first"
    wait_until(application.gone.is_set, what="the stream to end at the application")
    assert hasty.enter().get("/page").status_code == 200


def test_a_slow_upload_is_no_silence(hasty: Site) -> None:
    """An upload that takes longer than the timeout passes, for something comes all the time."""

    def slowly() -> object:
        for _ in range(8):
            time.sleep(0.6)  # slower than the timeout of three seconds as a whole
            yield b"x" * 1_000

    answer = hasty.enter().post("/echo", content=slowly())  # type: ignore[arg-type]  # a generator
    assert answer.json()["size"] == 8_000


def test_an_application_that_is_down(tmp_path: Path) -> None:
    """The gate stands while nothing is behind it, and says 502 until there is."""
    with serving(f"sqlite:///{tmp_path / 'visits.db'}", "--upstream", "http://127.0.0.1:9", log=tmp_path / "log") as program:
        visitor = httpx2.Client(base_url=program.url, headers={"origin": program.url}, timeout=20)
        assert visitor.post("/gate", data={"email": "reader@fund.example"}).headers["location"] == "/"
        answer = visitor.get("/", headers=NAVIGATES)
        assert answer.status_code == 502
        assert "The application cannot be reached" in answer.text
        visitor.close()
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:3000",
        "ftp://a.example",
        "http://",
        "http://a.example/path",
        "http://a.example?x",
        "http://u:p@a.example",
        "http://a:0",
        "http://a:x",
        "http://[::1",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """What is no origin is refused with a sentence that says how to write one."""
    with pytest.raises(SettingsError, match="write it like http://127"):
        read_origin(url)


def test_addresses_that_work() -> None:
    """Scheme, host and port are kept; a slash at the end does not matter."""
    assert read_origin("http://127.0.0.1:3000/") == "http://127.0.0.1:3000"
    assert read_origin("https://app.example") == "https://app.example"
    assert read_origin("http://[::1]:80") == "http://[::1]:80"


def test_what_cannot_work_is_refused_at_start(tmp_path: Path) -> None:
    """A folder in which one of our pages would hide something is refused at start, with a sentence and exit code 1."""
    (tmp_path / "deck" / "admin").mkdir(parents=True)
    told = run("serve", "--store", "memory://", "--folder", str(tmp_path / "deck"))
    assert told.returncode == 1
    assert "would be hidden by the program's own /admin; give it another name" in told.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"folder": "deck", "upstream": "http://127.0.0.1:3000"}, "folder and upstream are both set"),
        ({"folder": "none"}, "there is no folder"),
        ({"folder": "deck"}, "hidden by the program's own /view"),
        ({"upstream": "localhost:3000"}, "is not the address of an application"),
        ({"upstream": "http://127.0.0.1:3000", "prefix": "/gate/session"}, "would hide a page of the program"),
    ],
)
async def test_what_contradicts_itself_is_refused(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    """Two things behind one gate, none that is there, and paths that would hide each other: each is told in a sentence."""
    (tmp_path / "deck" / "view").mkdir(parents=True)
    given = {name: str(tmp_path / value) if name == "folder" else value for name, value in settings.items()}
    async with SessionManager("memory://") as manager:
        with pytest.raises(SettingsError, match=re.escape(sentence)):
            build_app(manager, load_settings(given), admin_token="0123456789abcdef")
