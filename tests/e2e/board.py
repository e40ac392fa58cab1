"""The dashboard of the real program, over a file that is filled in one go, and a browser before it."""

from __future__ import annotations

import itertools
import json
import random
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, insert, text

from stillhere.core.people import REMEMBERED
from stillhere.stores.sql.schema import sessions, views, visits
from tests.e2e.browser import Browser
from tests.support import PATIENCE_S, serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.support import Program

OPERATOR: Final = "an operator's token for tests"
VIEWER: Final = "a viewer's token for tests"

AXE: Final = Path(__file__).parents[2] / "client" / "node_modules" / "axe-core" / "axe.min.js"

AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
"""A person's browser: what looks like a machine is no visit."""

SIZES: Final = {"desk": (1280, 900), "phone": (390, 844)}

LOOKS: Final = (("desk", "light"), ("desk", "dark"), ("phone", "light"), ("phone", "dark"))

PAGES: Final = (
    ("/", "The data room"),
    ("/prospectus", "Prospectus"),
    ("/financials", "Financial statements, audited"),
    ("/team", None),
    ("/contracts/master", "Master agreement with its annexes"),
)

LINE: Final = """
const row = [...document.querySelectorAll('.here-table tbody tr')].find(row => row.textContent.includes(arguments[0]))
const cell = name => row.querySelector(`[data-label="${name}"]`).textContent
return row && { dot: row.querySelector('.dot').className, visible: cell('Visible'), last: cell('Last action'), words: row.textContent }
"""

_DAY_MS: Final = 86_400_000

Row = dict[str, Any]


def rows(
    count: int,
    *,
    until_at: int,
    names: Sequence[str] = (),
    pages: Sequence[tuple[str, str | None]] = PAGES,
    here: int = 0,
    device: str | None = None,
) -> Iterator[tuple[Row, Row, Row]]:
    """Make visits of the last eleven months, each with its session and one view.

    Args:
        count: how many.
        until_at: when the last one ended, ms since 1970.
        names: whose. Default: a hundredth as many visitors as visits.
        pages: what they saw.
        here: how many of the latest have not ended.
        device: what is remembered of whose browser they use.
    """
    lots = random.Random(count)  # noqa: S311  # sample data, the same each time
    who = names or [f"visitor{number}@fund{number % 7}.example" for number in range(max(1, count // 100))]
    step = 330 * _DAY_MS // max(1, count)
    for number in range(count):
        ended_at = until_at - max(0, number - here + 1) * step
        visible = int(min(2_400_000, lots.lognormvariate(10.8, 1.2)))
        attributes = {} if device is None else {REMEMBERED: {"device": device}}
        made = _visit(number, who[number % len(who)], pages[lots.randrange(len(pages))], ended_at, visible, is_here=number < here)
        made[0]["attributes"] = attributes
        yield made


def _visit(number: int, subject: str, page: tuple[str, str | None], ended_at: int, visible: int, *, is_here: bool) -> tuple[Row, Row, Row]:
    started_at = ended_at - visible - 30_000
    handle = f"bulk{number:012d}"
    shared = {"handle": handle, "visible_ms": visible, "active_ms": visible // 2, "last_seen_at": ended_at}
    half = _base36(visible // 2)
    session = {
        "handle": handle,
        "id_hash": f"{number:043d}",
        "subject": subject,
        "created_at": started_at,
        "last_active_at": ended_at,
        "last_seen_at": ended_at,
        "absolute_end_at": started_at + _DAY_MS,
        "idle_timeout": 1_200_000,
        "attributes": {},
        "ended_at": None if is_here else ended_at,
        "ended_by": None if is_here else "signed_out",
        "due_at": ended_at + 1_200_000,
    }
    left = {"left_at": None if is_here else ended_at}
    visit = {**shared, **left, "number": 1, "subject": subject, "started_at": started_at, "covered_until_at": ended_at}
    view = {
        **shared,
        "view": "v",
        "visit": 1,
        "tab": "t",
        "page": page[0],
        "title": page[1],
        "opened_at": started_at,
        "seq": 3,
        "scroll_pct": number % 101,
        "lifecycle": "active" if is_here else "hidden",
        "heat": ".".join("a5210" * 4),
        "bands": f"a{half}.i{half}.h{_base36(30_000)}.",
    }
    return session, visit, view


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return digits[number] if number < len(digits) else _base36(number // 36) + digits[number % 36]


def fill(file: Path, made: Iterable[tuple[Row, Row, Row]]) -> None:
    """Put rows into the program's file, some thousand at a time."""
    engine = create_engine(f"sqlite:///{file}")
    try:
        with engine.begin() as connection:
            waiting = iter(made)
            while some := list(itertools.islice(waiting, 5_000)):
                for table, kind in zip((sessions, visits, views), zip(*some, strict=True), strict=True):
                    connection.execute(insert(table), list(kind))
    finally:
        engine.dispose()


class Board:
    """The dashboard in one browser.

    Args:
        program: the program.
        file: its file.
        browser: looks at it.
    """

    def __init__(self, program: Program, file: Path, browser: Browser) -> None:
        self.program = program
        self.file = file
        self.browser = browser
        self._cookies: dict[str, Any] = {}
        browser.base = program.url

    def sign_in(self, token: str = OPERATOR) -> None:
        """Sign in by the form; a second time, with the cookie of the first, for the form may not be tried too often."""
        driver = self.browser.driver
        driver.delete_all_cookies()
        if token in self._cookies:
            self.browser.open("/healthz")
            for cookie in self._cookies[token]:
                driver.add_cookie(cookie)
            return
        self.browser.open("/admin/login")
        self.browser.find("input[name=token]").send_keys(token)
        self.browser.find("form[action='/admin/login'] button").click()
        self.wait_until_shown()
        self._cookies[token] = driver.get_cookies()

    def open(self, path: str) -> None:
        """Go to a view and wait until it is there."""
        self.browser.open(path)
        self.wait_until_shown()

    def wait_until_shown(self) -> None:
        """Wait until the view has what it asked for."""
        script = "const v = document.getElementById('view'); return v?.getAttribute('aria-busy') === 'false' && !!v.querySelector('h1')"
        self.browser.wait(lambda: self.browser.js(script), "the view")

    def follow(self, selector: str) -> None:
        """Follow a link within the dashboard."""
        self.browser.js(
            "document.getElementById('view').setAttribute('aria-busy', 'true'); document.querySelector(arguments[0]).click()", selector
        )
        self.wait_until_shown()

    def text(self) -> str:
        """Read what the view says, also where it is cut off."""
        return str(self.browser.js("return document.getElementById('view').textContent"))

    def wait_for(self, words: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the view says something."""
        self.browser.wait(lambda: words in self.text(), f"“{words}” in the view", timeout_s)

    def line_of(self, who: str) -> dict[str, str]:
        """Read somebody's line of who is here now."""
        return dict(self.browser.wait(lambda: self.browser.js(LINE, who), f"the line of {who}"))

    def ask(self, question: str) -> Any:  # whatever the API answers
        """Ask the API as the dashboard does."""
        return self.browser.js("return fetch('/admin/api/' + arguments[0]).then(answer => answer.json())", question)

    def post(self, deed: str) -> int:
        """Ask the API to do something, as the dashboard does; tells the status."""
        script = "return fetch('/admin/api/' + arguments[0], {method: 'POST', headers: {'X-Stillhere': '1'}}).then(answer => answer.status)"
        return int(self.browser.js(script, deed))

    def ask_to_export(self, choice: str) -> None:
        """Open the dialog that exports, and choose a list or a form in it."""
        script = "[...document.querySelectorAll('.view-head button')].find(button => button.textContent.startsWith('Export')).click()"
        self.browser.js(f"{script}; document.querySelector('#export input[value={choice}]').click()")

    def intruders(self) -> int:
        """Tell how many elements are in the view that only what strangers write could have put there."""
        return int(
            self.browser.js(
                "return document.querySelectorAll('#view img, #view script, #view iframe, #view [onmouseover], #view [onerror]').length"
            )
        )

    def dress(self, size: str, scheme: str) -> None:
        """Look at it on a desk or a phone, in the light or in the dark."""
        width, height = SIZES[size]
        cdp = self.browser.driver.execute_cdp_cmd
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}, still]})
        cdp("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"})

    def axe(self) -> list[str]:
        """Let axe-core look at the page; tells what it finds."""
        if not self.browser.js("return !!window.axe"):
            self.browser.js(AXE.read_text(encoding="utf-8"))
        script = """const done = arguments[0]
        axe.run(document, {resultTypes: ['violations']}).then(({violations}) => done(violations.map(v => `${v.id}: ${v.nodes[0].html}`)))"""
        return list(self.browser.driver.execute_async_script(script))

    def overhang(self) -> int:
        """Tell how many pixels the page is wider than the screen."""
        return int(self.browser.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def faults(self) -> list[str]:
        """Look at the page on a desk and a phone, in light and dark; tells what axe finds, and what sticks out."""
        found: list[str] = []
        for size, scheme in LOOKS:
            self.dress(size, scheme)
            found += [f"{size}, {scheme}: {problem}" for problem in self.axe()]
            if self.overhang() > 0:
                found.append(f"{size}: sticks out by {self.overhang()} px")
        return found

    def complaints(self) -> list[str]:
        """Tell what the console complains of, but for the answers that are no success."""
        return [problem for problem in self.browser.problems() if "Failed to load resource" not in problem]

    def arrive(self, email: str, **said: object) -> urllib.request.OpenerDirector:
        """Let somebody pass the gate and see a page."""
        visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        visitor.addheaders = [("User-Agent", AGENT)]
        headers = {"Origin": self.program.url, "Content-Type": "application/x-www-form-urlencoded"}
        visitor.open(urllib.request.Request(f"{self.program.url}/gate", urllib.parse.urlencode({"email": email}).encode(), headers)).close()
        self.beat(visitor, **said)
        return visitor

    def beat(self, visitor: urllib.request.OpenerDirector, **said: object) -> None:
        """Let somebody's page say how it is."""
        body = {"view": "v1", "tab": "t1", "page": "/prospectus", "title": "Prospectus", "visibleMs": 1, "lifecycle": "active", **said}
        headers = {"Origin": self.program.url, "Content-Type": "application/json"}
        visitor.open(urllib.request.Request(f"{self.program.url}/session/beat", json.dumps(body).encode(), headers)).close()

    @contextmanager
    def broken_store(self) -> Iterator[None]:
        """Take a table away until the block ends, as a disk or a migration that went wrong does."""
        engine = create_engine(f"sqlite:///{self.file}")
        try:
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE stillhere_visits RENAME TO stillhere_gone"))
            yield
        finally:
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE stillhere_gone RENAME TO stillhere_visits"))
            engine.dispose()


Boards = Callable[..., Board]
"""Starts the board of a name, with visits on it, or gives it again."""


@contextmanager
def boards(folder: Path, *flags: str) -> Iterator[Boards]:
    """Start boards, each size once, before one browser."""
    with ExitStack() as running:
        browser = Browser(folder / "chromium", "")
        running.callback(browser.quit)
        started: dict[str, Board] = {}

        def board(name: str, made: Iterable[tuple[Row, Row, Row]] = ()) -> Board:
            if name not in started:
                file = folder / f"{name}.db"
                tokens = ("--admin-token", OPERATOR, "--viewer-token", VIEWER)
                program = running.enter_context(serving(f"sqlite:///{file}", *tokens, *flags, log=folder / f"{name}.log"))
                fill(file, made)
                started[name] = Board(program, file, browser)
            browser.base = started[name].program.url
            return started[name]

        yield board


def now_ms() -> int:
    """Tell the time, ms since 1970."""
    return round(time.time() * 1000)
