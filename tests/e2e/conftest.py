"""The program with short timeouts, and browsers to visit it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from stillhere import Policy, seconds
from tests.e2e.application import Application
from tests.e2e.between import Between, between
from tests.e2e.board import boards
from tests.e2e.browser import Browser
from tests.e2e.react import CLIENT, HTML, Page
from tests.e2e.stand import Stand
from tests.support import Program, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.board import Boards

TOKEN = "a token for the tests only"

SHORT = (
    *("--idle-timeout", "5m", "--absolute-timeout", "20m", "--warning-timeout", "20s"),
    *("--beat-interval", "20s", "--activity-window", "20s", "--sweep-interval", "1s", "--admin-token", TOKEN),
)
"""Beats as in the demo; whoever waits for an end says when."""


class House:
    """The program under test and the file it keeps."""

    def __init__(self, program: Program, file: Path) -> None:
        self.program = program
        self.file = file

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.program.url

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Read a table as it is on disk."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM stillhere_{table}")]  # noqa: S608  # a name from the test

    def visit_of(self, visitor: str) -> dict[str, Any]:
        """Read a visitor's only visit."""
        found = [row for row in self.rows("visits") if row["subject"] == visitor]
        assert len(found) == 1, f"{len(found)} visits of {visitor}"
        return found[0]

    def wait_for_visit(self, visitor: str, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until a visitor's only visit meets a condition."""
        wait_until(lambda: any(row["subject"] == visitor and condition(row) for row in self.rows("visits")), what=what)
        return self.visit_of(visitor)

    def session_of(self, visitor: str) -> dict[str, Any]:
        """Read a visitor's latest session."""
        return max((row for row in self.rows("sessions") if row["subject"] == visitor), key=lambda row: row["created_at"])

    def end_from_elsewhere(self, visitor: str) -> None:
        """End a visitor's session by the command an operator would use."""
        operator = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        headers = {"X-Stillhere": "1", "Content-Type": "application/x-www-form-urlencoded"}
        login = urllib.request.Request(f"{self.url}/admin/login", f"token={TOKEN.replace(' ', '+')}".encode(), headers)
        operator.open(login).close()
        handle = self.session_of(visitor)["handle"]
        with operator.open(urllib.request.Request(f"{self.url}/admin/api/sessions/{handle}/end", b"", headers)) as answer:
            assert json.load(answer) == {"ended": True}


StartHouse = Callable[..., House]
StartBrowser = Callable[[House | Between], Browser]
Visit = Callable[..., Application]


@pytest.fixture
def start_house(tmp_path: Path) -> Iterator[StartHouse]:
    """Start the program as often as a test likes, on one file."""
    with ExitStack() as running:

        def start(*arguments: str, port: int = 0) -> House:
            file = tmp_path / "visits.db"
            program = running.enter_context(
                serving(f"sqlite:///{file}", *SHORT, *arguments, verb="demo", log=tmp_path / "program.log", port=port),
            )
            return House(program, file)

        yield start


@pytest.fixture
def house(start_house: StartHouse, request: pytest.FixtureRequest) -> House:
    """Start the program once, with the settings a test names."""
    return start_house(*getattr(request, "param", ()))


@pytest.fixture
def sky(house: House) -> Iterator[Between]:
    """Put a proxy before the program."""
    with between(house.url) as proxy:
        yield proxy


class Browsers:
    """Browsers that are used again when they are as new: a start takes longer than many a test.

    Args:
        folder: for their profiles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: list[Browser] = []
        self._started = 0

    @contextmanager
    def lent(self, base: str) -> Iterator[Browser]:
        """Give one until the block ends."""
        if self._idle:
            browser = self._idle.pop()
        else:
            self._started += 1
            browser = Browser(self._folder / f"profile-{self._started}", base)
        browser.base = base
        try:
            yield browser
        finally:
            if browser.is_as_new():
                self._idle.append(browser)
            else:
                browser.quit()

    def quit(self) -> None:
        """End them all."""
        for browser in self._idle:
            browser.quit()


@pytest.fixture(scope="session")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    """Keep browsers until the tests are over."""
    browsers = Browsers(tmp_path_factory.mktemp("browsers"))
    yield browsers
    browsers.quit()


@pytest.fixture
def start_browser(browsers: Browsers) -> Iterator[StartBrowser]:
    """Lend browsers, and take them back when the test is over."""
    with ExitStack() as lent:
        yield lambda at: lent.enter_context(browsers.lent(at.url))


@pytest.fixture
def browser(house: House, start_browser: StartBrowser) -> Browser:
    """Start a browser at the program."""
    return start_browser(house)


@pytest.fixture(scope="module")
def start_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boards]:
    """Start programs with a dashboard, and one browser, for the whole module."""
    with boards(tmp_path_factory.mktemp("boards")) as board:
        yield board


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build what npm ships."""
    folder = tmp_path_factory.mktemp("package") / "dist"
    subprocess.run(["node", "build.mjs", "--dist", folder], cwd=CLIENT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def chromium(browsers: Browsers) -> Iterator[Browser]:
    """Lend one browser to a whole module."""
    with browsers.lent("") as browser:
        yield browser


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Start somebody's application on an origin of its own, with short timeouts, sign in and go to a page of it."""
    chromium.driver.switch_to.new_window("tab")
    with ExitStack() as running:

        def start(path: str, pages: dict[str, str], **policy: Any) -> Application:
            spans: dict[str, Any] = {
                "idle_timeout": 8_000,
                "warning_timeout": 2_000,
                "beat_interval": 3_000,
                "activity_window": 4_000,
                **policy,
            }
            application = Application(Policy(**spans), pages)
            running.enter_context(application.serving())
            chromium.base = application.url
            chromium.problems()
            chromium.open(f"/enter?then={path}")
            chromium.wait_for_client()
            return application

        yield start
        # Tabs are left as they come, but for one without a page, so that the next test begins with nothing.
        first, *others = chromium.driver.window_handles
        for handle in others:
            chromium.driver.switch_to.window(handle)
            chromium.driver.close()
        chromium.driver.switch_to.window(first)
        chromium.driver.get("about:blank")


@pytest.fixture
def policy() -> Policy:
    """Give the shortest timeouts a warning can be waited for with."""
    return Policy(idle_timeout=seconds(20), warning_timeout=seconds(10), beat_interval=seconds(10), activity_window=seconds(10))


@pytest.fixture
def stand(bundle: bytes, policy: Policy) -> Iterator[Stand]:
    """Serve the React page, as the module's `bundle` has it."""
    stand = Stand(policy)
    stand.files |= {"/": ("text/html; charset=utf-8", HTML), "/page.js": ("text/javascript; charset=utf-8", bundle)}
    with stand.serving():
        yield stand


@pytest.fixture
def page(stand: Stand, chromium: Browser) -> Iterator[Page]:
    """Sign in and open the React page; at the end, the console may not complain."""
    page = Page(stand, chromium)
    yield page
    assert [problem for problem in chromium.problems() if page.expected not in problem] == []
    chromium.driver.get("about:blank")
