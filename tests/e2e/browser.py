"""A real Chromium, driven by ChromeDriver, and what a person does in it."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium import webdriver
from selenium.common.exceptions import JavascriptException, NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from urllib3.exceptions import HTTPError

from tests.support import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from selenium.webdriver.remote.webelement import WebElement


FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,900",
)


PASSING = (JavascriptException, NoSuchElementException, StaleElementReferenceException)
"""What is said of a page that is not there yet, or no more."""


class Browser:
    """One Chromium with a profile of its own."""

    def __init__(self, profile: Path, base: str) -> None:
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.base = base
        self.is_alive = True

    def is_as_new(self) -> bool:
        """Close all tabs but a new one, and forget what pages kept; tell whether that could be done."""
        if not self.is_alive:
            return False
        try:
            self._forget()
        except (WebDriverException, HTTPError, OSError, AssertionError):
            return False
        return True

    def _forget(self) -> None:
        driver = self.driver
        driver.switch_to.window(driver.window_handles[0])
        driver.switch_to.new_window("tab")
        kept = driver.current_window_handle
        for handle in driver.window_handles:
            if handle != kept:
                driver.switch_to.window(handle)
                driver.close()
        driver.switch_to.window(kept)
        driver.set_network_conditions(offline=False, latency=0, throughput=-1)
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        if self.base:  # whatever else keeps things keeps them for one port, and the next program has another
            driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": self.base, "storageTypes": "all"})
        self.problems()
        assert driver.window_handles == [kept]

    def open(self, path: str) -> None:
        """Go to a page of the program."""
        self.driver.get(f"{self.base}{path}")

    @property
    def path(self) -> str:
        """Where the tab in front is."""
        return str(self.driver.current_url).removeprefix(self.base)

    def enter(self, email: str, *, then: str = "/confidential") -> None:
        """Pass the gate by its form and go to a page."""
        self.open(f"/?next={then}")
        self.find("input[name=email]").send_keys(email)
        self.find("form[action='/gate'] button[type=submit]").click()
        self.wait_for_path(then)
        self.wait_for_client()

    def find(self, selector: str) -> WebElement:
        """Find an element, once it is there."""
        found: WebElement = self.wait(lambda: self.driver.find_element(By.CSS_SELECTOR, selector), selector)
        return found

    def text(self) -> str:
        """Read what the page says."""
        (said,) = self.wait(lambda: [self.find("body").text], "words")  # the page may go while it is read
        return str(said)

    def js(self, script: str, *arguments: object) -> Any:
        """Run a script in the page and tell what it returns."""
        return self.driver.execute_script(script, *arguments)

    def state(self) -> dict[str, Any]:
        """Ask the client how things stand."""
        found: dict[str, Any] = self.js("return window.stillhere.session.state()")
        return found

    def wait_for_client(self) -> None:
        """Wait until the server has answered the page's first message; on a slow machine the warning may be near by then."""
        try:
            self.wait(lambda: self.js("return window.stillhere?.session?.state()?.state") in {"active", "expiring"}, "the first answer")
        except AssertionError as error:
            told = self.js("return [location.href, document.readyState, document.visibilityState, window.stillhere?.session?.state()]")
            raise AssertionError(f"{error}: {told} {self.problems()}") from error

    def wait_for_path(self, path: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the tab in front is somewhere."""
        self.wait(lambda: self.path.partition("?")[0] == path, f"{path}, while at {self.path}", timeout_s)

    def wait(self, condition: Any, what: str, timeout_s: float = PATIENCE_S) -> Any:
        """Wait for a condition, and tell what it told.

        One page may be giving way to another: then elements are missing, and what scripts ask for.
        """
        told: Any = None
        last: WebDriverException | None = None

        def is_met() -> bool:
            nonlocal told, last
            try:
                told = condition()
            except PASSING as error:
                told, last = None, error
            return bool(told)

        try:
            wait_until(is_met, what=what, timeout_s=timeout_s)
        except AssertionError as error:
            raise error from last
        return told

    def type(self, text: str = "x") -> None:
        """Press keys, as a person does: trusted input."""
        self.driver.switch_to.active_element.send_keys(text)

    def record(self) -> None:
        """Keep every message of this page's client from now on in `window.told`."""
        self.js("window.told = []; window.stillhere.session.on('message', m => window.told.push({at: performance.now(), ...m}))")

    def told(self) -> list[dict[str, Any]]:
        """Tell the messages kept since `record`."""
        found: list[dict[str, Any]] = self.js("return window.told")
        return found

    def hide(self) -> str:
        """Put another tab in front; tells the hidden one's handle."""
        hidden = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        return str(hidden)

    def show(self, handle: str) -> None:
        """Close the tab in front and bring a hidden one back."""
        self.driver.close()
        self.bring(handle)

    def bring(self, handle: str) -> None:
        """Put a tab in front of the others of its window."""
        self.driver.switch_to.window(handle)
        self.driver.execute_cdp_cmd("Target.activateTarget", {"targetId": handle})
        self.wait(lambda: self.js("return document.visibilityState") == "visible", "the tab to be visible again")

    def open_window(self, path: str) -> str:
        """Open a page in a window beside the others, where all are on screen; tells its handle."""
        self.driver.switch_to.new_window("window")
        self.open(path)
        self.wait_for_client()
        return str(self.driver.current_window_handle)

    def in_each(self, handles: Iterable[str], ask: Callable[[], Any]) -> list[Any]:
        """Ask something in each of some tabs or windows."""
        told = []
        for handle in handles:
            self.driver.switch_to.window(handle)
            told.append(ask())
        return told

    def open_in_background(self, path: str) -> str:
        """Open a tab that nobody sees, as a middle click does; tells its handle."""
        made = self.driver.execute_cdp_cmd("Target.createTarget", {"url": f"{self.base}{path}", "background": True})
        return str(made["targetId"])

    def close_tab(self) -> None:
        """Close the tab in front like a person; `pagehide` fires, and until then the page is on screen."""
        blank = self.driver.execute_cdp_cmd("Target.createTarget", {"url": "about:blank", "background": True})["targetId"]
        self.driver.close()
        self.driver.switch_to.window(blank)

    def kill(self) -> None:
        """Kill every process of this Chromium at once: no event fires, no word is said."""
        self.is_alive = False
        driver = self.driver.service.process.pid
        for pid in reversed(_descendants(driver)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def page_processes(self) -> list[int]:
        """List the processes of all pages."""
        pids = _descendants(self.driver.service.process.pid)
        return [pid for pid in pids if "--type=renderer" in _read(Path(f"/proc/{pid}/cmdline"))]

    def kill_pages(self) -> None:
        """Kill the processes of all pages, as a crash or the system does when memory is short; the browser itself lives on."""
        for pid in self.page_processes():
            os.kill(pid, signal.SIGKILL)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Stop the processes of all pages until the block ends, as a sleeping machine does: no event tells them."""
        pids = self.page_processes()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Minimize the window and freeze its page until the block ends, as a phone does with an application that is not in front."""
        cdp = self.driver.execute_cdp_cmd
        window = cdp("Browser.getWindowForTarget", {})["windowId"]
        cdp("Browser.setWindowBounds", {"windowId": window, "bounds": {"windowState": "minimized"}})
        self.wait(lambda: self.js("return document.hidden"), "the page to be hidden")
        cdp("Page.setWebLifecycleState", {"state": "frozen"})
        try:
            yield
        finally:
            # Whoever brings it to the front sees it and thaws it by that.
            cdp("Browser.setWindowBounds", {"windowId": window, "bounds": {"windowState": "normal"}})
            cdp("Page.setWebLifecycleState", {"state": "active"})

    def problems(self) -> list[str]:
        """Tell what the console complains of."""
        log: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # Selenium left it untyped
        return [entry["message"] for entry in log if entry["level"] in {"SEVERE", "WARNING"}]

    def quit(self) -> None:
        """End the browser."""
        self.is_alive = False
        self.driver.quit()


def _read(file: Path) -> str:
    """Read what the system tells of a process or thread; nothing if it has just ended."""
    try:
        return file.read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _descendants(pid: int) -> list[int]:
    children = [int(child) for task in Path(f"/proc/{pid}/task").glob("*") for child in _read(task / "children").split()]
    return children + [grandchild for child in children for grandchild in _descendants(child)]
