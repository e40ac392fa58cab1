"""The Astro component in a real build with Astro, served under a strict policy to a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.react import CLIENT
from tests.e2e.stand import Stand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillhere import Policy
    from tests.e2e.browser import Browser

SITE = Path(__file__).parent / "astro"


class Scripts(HTMLParser):
    """Reads the script tags of a page.

    Attributes:
        found: the attributes of each, and whether it holds code.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self._is_open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_open = tag == "script"
        if self._is_open:
            self.found.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if self._is_open and data.strip():
            self.found[-1]["inline"] = data


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, dist: Path) -> Path:
    """Install the package into a site and build that; tells where its pages are."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(SITE / "src", site / "src")
    shutil.copy(SITE / "package.json", site)
    modules = site / "node_modules"
    modules.mkdir()
    for module in (SITE / "node_modules").iterdir():
        (modules / module.name).symlink_to(module)
    shutil.copytree(dist, modules / "stillhere" / "dist")
    shutil.copy(CLIENT / "package.json", modules / "stillhere")
    environment = {**os.environ, "ASTRO_TELEMETRY_DISABLED": "1"}
    ended = subprocess.run(
        ["node", "node_modules/astro/astro.js", "build"], cwd=site, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return site / "dist"


@pytest.fixture
def stand(built: Path, policy: Policy) -> Iterator[Stand]:
    """Serve what was built."""
    stand = Stand(policy)
    for name, path in (("index.html", "/"), ("all/index.html", "/all")):
        stand.files[path] = ("text/html; charset=utf-8", (built / name).read_bytes())
    with stand.serving():
        yield stand


def test_the_component_is_one_script_tag_and_nothing_inline(built: Path) -> None:
    """As it comes: the client beside the session routes, deferred; Astro adds no code to the page."""
    (tag,) = Scripts((built / "index.html").read_text("utf-8")).found
    assert tag == {"defer": None, "src": "/session/client.js", "data-endpoint": "/session"}


def test_every_prop_becomes_its_attribute(built: Path) -> None:
    """Interval and debug, ours, and any other attribute of the tag."""
    (tag,) = Scripts((built / "all" / "index.html").read_text("utf-8")).found
    expected = {
        "defer": "",
        "src": "/session/client.js?v=1",
        "data-endpoint": "/session",
        "data-interval": "1000",
        "data-debug": "",
        "data-activity-window": "5000",
        "data-login": "off",
        "data-page": "the cover",
        "data-dialog": "off",
        "data-push": "off",
        "data-notice": "700",
        "data-lang": "de",
        "data-media": "",
    }
    assert {name: value or "" for name, value in tag.items()} == expected


@pytest.mark.parametrize(("path", "page", "beats"), [("/", "/", 1), ("/all", "the cover", 3)])
def test_the_page_beats(stand: Stand, chromium: Browser, path: str, page: str, beats: int) -> None:
    """In a browser, under `default-src 'self'`: the client starts, names its page and beats as often as asked; nothing is complained of."""
    chromium.base = stand.url
    chromium.driver.get("about:blank")  # away from a page whose server is gone, and what it complains of
    chromium.problems()
    chromium.open("/enter")
    chromium.open(path)
    chromium.wait_for_client()
    view = chromium.state()["view"]
    chromium.wait(lambda: len([beat for beat in stand.beats() if beat["view"] == view]) >= beats, "the beats")
    assert {beat["page"] for beat in stand.beats() if beat["view"] == view} == {page}
    assert chromium.problems() == []
