"""Takes the pictures of the documents: `make pictures`. Every page, light and dark, on a desk and on a phone."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stillhere import EndedBy, Policy, SessionManager, minutes
from stillhere.clock import system_clock
from stillhere.core.records import Lifecycle
from stillhere.core.wire import Beat, Kind
from tests.e2e import pictures_of_dashboard
from tests.e2e.browser import Browser
from tests.services.mail import post_office
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.mail import Post

IMAGES = Path(__file__).parents[2] / "docs" / "images"
TOKEN = "a token for pictures only"
LOOKS = {"light": (1280, 860, "light"), "dark": (1280, 860, "dark"), "phone": (390, 844, "light"), "rtl": (1280, 860, "light")}
RTL = ("warning", "ending", "unsaved")
"""Pictures of what has texts in Arabic."""

HISTORY = (
    ("investor@fund.example", 26.2, 47, 41, 30, EndedBy.SIGNED_OUT),
    ("partner@ventures.example", 25.1, 22, 20, 9, None),
    ("analyst@corp.example", 6.4, 45, 31, 22, EndedBy.IDLE),
    ("investor@fund.example", 4.2, 8, 8, 5, None),
    ("counsel@law.example", 2.1, 3, 2, 1, EndedBy.REVOKED),
    ("analyst@corp.example", 1.3, 17, 12, 11, EndedBy.SIGNED_OUT),
)
"""Visitor, hours ago, minutes open, visible, active, how it ended."""


def main() -> None:
    """Take them all, or those whose names begin with the arguments."""
    wanted = tuple(sys.argv[1:])
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/visits.db"
        asyncio.run(_remember(store))
        flags = (
            "--admin-token",
            TOKEN,
            "--idle-timeout",
            "40s",
            "--warning-timeout",
            "30s",
            "--beat-interval",
            "10s",
            "--activity-window",
            "5s",
        )
        pictures_of_dashboard.take(Path(folder), wanted, _keep)
        with post_office() as post, serving(store, *flags, verb="demo", log=Path(folder) / "log") as program:
            _take_codes(Path(folder), post, wanted)
            reader = Browser(Path(folder) / "reader", program.url)
            try:
                reader.enter("counsel@law.example")
                for look in LOOKS:
                    _take_all(look, Browser(Path(folder) / look, program.url), reader, wanted)
            finally:
                reader.quit()


def _take_all(look: str, browser: Browser, reader: Browser, wanted: tuple[str, ...]) -> None:
    """Take every picture in one look, while somebody reads in another browser."""
    try:
        _dress(browser, look)
        for name, take in PICTURES.items():
            if (name.startswith(wanted) or not wanted) and (look != "rtl" or name in RTL):
                reader.type()
                take(browser)
                _keep(browser, f"{name}-{look}")
    finally:
        browser.quit()


def _take_codes(folder: Path, post: Post, wanted: tuple[str, ...]) -> None:
    """Take the gate of a data room that asks for a code."""
    if wanted and not "gate-code".startswith(wanted):
        return
    (folder / "terms.txt").write_text("What you read here stays with you.", "utf-8")
    flags = (
        *("--gate-code", "email", "--mail-url", post.url, "--mail-from", "room@firm.example", "--site-name", "Data room"),
        *("--gate-terms", str(folder / "terms.txt"), "--gate-welcome", "The numbers of the last year, for those who were asked."),
    )
    with serving(f"sqlite:///{folder}/codes.db", *flags, log=folder / "codes.log") as program:
        for look in ("light", "dark", "phone"):
            browser = Browser(folder / f"codes-{look}", program.url)
            _dress(browser, look)
            try:
                browser.open("/")
                browser.find("#email").send_keys(f"investor@{look}.example")
                browser.find("#terms").click()
                browser.find("form[action='/gate'] button[type=submit]").click()
                browser.wait_for_path("/gate/code")
                browser.find("#code").send_keys(post.code_for(f"investor@{look}.example"))
                _keep(browser, f"gate-code-{look}")
            finally:
                browser.quit()


def _keep(browser: Browser, name: str) -> None:
    time.sleep(0.6)  # let transitions end
    browser.driver.save_screenshot(str(IMAGES / f"{name}.png"))
    print(f"docs/images/{name}.png")  # noqa: T201  # says what it does


async def _remember(store: str) -> None:
    """Fill the archive with visits of the last days."""
    real = system_clock()
    for visitor, hours_ago, open_for, visible, active, by in HISTORY:
        at = real() - round(hours_ago * 3_600_000)
        now = [at]
        async with SessionManager(store, policy=Policy(idle_timeout=minutes(60)), clock=lambda now=now: now[0]) as sessions:  # type: ignore[misc]  # mypy cannot infer a default's type
            started = await sessions.start(visitor)
            await sessions.beat(started.secret, [Beat(view="v", tab="t", page="/confidential", lifecycle=Lifecycle.ACTIVE, idle_ms=0)])
            now[0] = at + minutes(open_for)
            last = Beat(
                kind=Kind.LEAVE, view="v", visible_ms=minutes(visible), active_ms=minutes(active), scroll_pct=80, lifecycle=Lifecycle.HIDDEN
            )
            await sessions.beat(started.secret, [last])
            if by is EndedBy.IDLE:
                now[0] += minutes(90)
            elif by is not None:
                await sessions.end_by_handle(started.session.handle, by)


def _dress(browser: Browser, look: str) -> None:
    width, height, scheme = LOOKS[look]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1.5 if look == "phone" else 1, "mobile": look == "phone"},
    )

    if look == "rtl":
        script = "document.addEventListener('readystatechange', () => Object.assign(document.documentElement, {lang: 'ar', dir: 'rtl'}))"
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})


def _gate(browser: Browser) -> None:
    browser.open("/?next=/confidential")


def _page(browser: Browser) -> None:
    browser.enter("reader@studio.example")
    time.sleep(3)


def _lab(browser: Browser) -> None:
    browser.enter("reader@studio.example", then="/lab")
    for _ in range(3):
        browser.type()
        browser.js("window.stillhere.session.beat()")
        time.sleep(1.2)
    browser.js("window.stillhere.session.check()")


def _warning(browser: Browser) -> None:
    browser.enter("reader@studio.example")
    browser.wait(lambda: browser.state()["state"] == "expiring", "the warning", 60)
    time.sleep(2)


def _ending(browser: Browser) -> None:
    browser.enter("reader@studio.example", then="/lab")
    _end(browser)


def _unsaved(browser: Browser) -> None:
    browser.enter("reader@studio.example", then="/lab")
    browser.js(
        """const note = document.createElement('textarea')
        note.rows = 4
        note.setAttribute('aria-label', 'Notes')
        document.querySelector('main').prepend(note)
        note.focus()"""
    )
    browser.type("Ask for the cap table before Thursday.")
    _end(browser)


def _end(browser: Browser) -> None:
    browser.js("fetch('/lab/end', {method: 'POST', headers: {'X-Stillhere': '1'}}).then(() => window.stillhere.session.check())")
    browser.wait(lambda: browser.js("return !!document.querySelector('stillhere-dialog')"), "the notice")


def _signin(browser: Browser) -> None:
    browser.wait_for_path("/")


PICTURES: dict[str, Callable[[Browser], None]] = {
    "gate": _gate,
    "page": _page,
    "lab": _lab,
    "warning": _warning,
    "ending": _ending,
    "unsaved": _unsaved,
    "ended": _signin,
}

if __name__ == "__main__":
    main()
