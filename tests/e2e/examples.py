"""The applications in `examples/`, run as their readers run them, only in less time."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.e2e.conftest import House
from tests.support import running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.browser import Browser

ROOT = Path(__file__).parents[2]

HASTE = "warning_timeout=seconds(1), beat_interval=seconds(2), activity_window=seconds(2)"
"""The other spans of a policy whose idle timeout is seconds."""


@contextmanager
def example(
    name: str,
    folder: Path,
    *,
    database: str,
    changes: Mapping[str, Mapping[str, str]],
    environment: Mapping[str, str] | None = None,
    modules: Path | None = None,
) -> Iterator[House]:
    """Copy an example, set its constants to shorter times, bundle its page if it has one to bundle, and serve it.

    Args:
        name: of its folder.
        folder: to copy it to.
        database: file that it keeps its sessions in.
        changes: for each file what is replaced by what, each found exactly once: times, nothing else.
        environment: more variables. Default: a free port.
        modules: what is installed for its own programs, if it has any.
    """
    copy = folder / name
    shutil.copytree(
        ROOT / "examples" / name, copy, ignore=shutil.ignore_patterns("*.db*", "*.jwk", "*.key", "built", "__pycache__", "node_modules")
    )
    for file, replacements in changes.items():
        text = (copy / file).read_text("utf-8")
        for old, new in replacements.items():
            assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}/{file}"
            text = text.replace(old, new)
        (copy / file).write_text(text, "utf-8")
    if (copy / "page.tsx").exists():
        subprocess.run(["node", ROOT / "client" / "example.mjs", copy], check=True)
    if modules is not None:
        (copy / "node_modules").symlink_to(modules)
    told = {"PORT": "0", **(environment or {})}
    with ExitStack() as stack:
        program = stack.enter_context(
            running(f"{name}.py", log=folder / "example.log", says="running on", asked="/", environment=told, folder=copy),
        )
        yield House(program, copy / database)


class Sent(msgspec.Struct, frozen=True):
    """A request that a page made: when, in the page's own milliseconds, where to, and how it was answered; 0 if it was not."""

    at: float
    path: str
    status: int
    is_marked: bool


_RECORDER = """
window.sent = []
window.turns = []
document.addEventListener("visibilitychange", () => window.turns.push(performance.now()))
const really = window.fetch
window.fetch = async (url, init) => {
  const { pathname: path } = new URL(url, location.href)
  const request = { at: performance.now(), path, status: 0, is_marked: new Headers(init?.headers).get("x-heartbeat") === "true" }
  window.sent.push(request)
  const answer = await really(url, init)
  request.status = answer.status
  return answer
}
"""


def watch(browser: Browser) -> None:
    """Note every `fetch` of the pages that are opened from now on, and when they turn hidden and visible.

    The browser's own list of requests leaves out those whose answer nobody reads.
    """
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _RECORDER})


def sent(browser: Browser, path: str) -> list[Sent]:
    """Tell what this page sent to a path."""
    return [request for request in msgspec.convert(browser.js("return window.sent"), list[Sent]) if request.path == path]


def hand_on(browser: Browser) -> None:
    """Let pages that are opened from now on leave what they sent to the next one, for those that go by themselves."""
    script = "addEventListener('pagehide', () => { sessionStorage.sent = JSON.stringify(window.sent) })"
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})


def sent_before(browser: Browser, path: str) -> list[Sent]:
    """Tell what the page before this one sent to a path."""
    return [request for request in msgspec.json.decode(browser.js("return sessionStorage.sent"), type=list[Sent]) if request.path == path]
