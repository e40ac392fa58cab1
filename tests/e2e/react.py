"""The React page of `client/e2e/react.js` in a browser, and what a test does with it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.browser import Browser
    from tests.e2e.stand import Stand

CLIENT = Path(__file__).parents[2] / "client"

HTML = b'<!doctype html><html lang="en"><title>React</title><div id="root"></div><script src="/page.js"></script>'

QUIET = {"push": False}
"""The server's own voice would be told of, too, when it likes: tests that count listen to answers only."""

BADGE = {"kind": "badge", "name": "badge", "options": QUIET}
HEART = {"kind": "heart", "name": "heart", "options": QUIET}


def bundled(dist: Path, react: str, mode: str) -> bytes:
    """Bundle the page with React 18 or 19, for `development`, where strict mode mounts everything twice, or for `production`."""
    outfile = dist.parent / f"page-{react}-{mode}.js"
    subprocess.run(["node", "e2e/bundle.mjs", outfile, react, mode, dist], cwd=CLIENT, check=True, capture_output=True)
    return outfile.read_bytes()


class Page:
    """The page in a browser.

    Attributes:
        expected: what the console may complain of.
    """

    def __init__(self, stand: Stand, browser: Browser) -> None:
        self.stand = stand
        self.expected = "nothing is wrong"
        self.browser = browser
        browser.base = stand.url
        browser.problems()
        self.browser.open("/enter")

    def show(self, *parts: dict[str, Any]) -> None:
        """Mount these parts and take others away, in one commit."""
        self.browser.js("lab.show(arguments[0])", parts)

    def unmount(self) -> None:
        """Take everything away."""
        self.browser.js("lab.unmount()")

    def told(self, name: str, callback: str) -> list[dict[str, Any]]:
        """List how often a part's callback was called."""
        told: list[dict[str, Any]] = self.browser.js("return lab.told")
        return [each for each in told if each["name"] == name and each["callback"] == callback]

    def state(self, name: str = "badge") -> str:
        """Tell what a badge shows."""
        return str(self.browser.js("return document.getElementById(arguments[0]).textContent", name))

    def wait_for_state(self, state: str, name: str = "badge") -> None:
        """Wait until a badge shows a state."""
        self.browser.wait(lambda: self.state(name).startswith(state), f"{state} in {name}")

    def wait_for_messages(self, kind: str, count: int) -> None:
        """Wait until that many messages of a kind arrived."""
        self.browser.wait(lambda: len([m for m in self.stand.messages if m.get("kind") == kind]) >= count, f"{count} messages: {kind}")

    def settle(self) -> None:
        """Wait until whatever the page does at once is done and answered: a message sent after all of that was answered."""
        self.browser.driver.execute_async_script(
            "const done = arguments[0]; setTimeout(() => fetch('/settled', {method: 'POST'}).then(() => setTimeout(done)))"
        )
