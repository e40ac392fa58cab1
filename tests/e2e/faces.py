"""Pages for the tests of what people see: one that shows dialog and toast when it is told to, one that anybody might have written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from stillhere import Policy, seconds
from tests.e2e.stand import Stand

if TYPE_CHECKING:
    from tests.e2e.browser import Browser

CLIENT = Path(__file__).parents[2] / "client"

STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'"

POLICY = Policy(
    idle_timeout=seconds(600),
    absolute_timeout=seconds(6_000),
    warning_timeout=seconds(60),
    beat_interval=seconds(10),
    activity_window=seconds(10),
)

MAIN = """<main><h1>Terms of the round</h1><p>Confidential. For the eyes of those who were invited.</p>
<form id="form"><label>Notes <textarea id="notes"></textarea></label><label>Agree <input id="agree" type="checkbox"></label>
<button id="before">Send</button></form><label>Scratch <input id="scratch" data-stillhere-saved></label>
<div id="rich" contenteditable role="textbox" aria-label="Draft" tabindex="0">Dear all</div></main>"""

HTML = "text/html; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"


def page_of(script: str, *, lang: str = "en", head: str = "") -> tuple[str, bytes]:
    """Write a page.

    Args:
        script: what comes at its end.
        lang: its language.
        head: what comes into its head.
    """
    meta = '<meta name="viewport" content="width=device-width">'
    return HTML, f'<!doctype html><html lang="{lang}"><title>Terms</title>{meta}{head}{MAIN}{script}'.encode()


def create_stand() -> Stand:
    """Create the application with both pages and the client's own modules."""
    stand = Stand(POLICY)
    stand.files |= {f"/src/{file.name}": (SCRIPT, file.read_bytes()) for file in (CLIENT / "src").glob("*.js")}
    stand.files |= {
        "/faces.js": (SCRIPT, (CLIENT / "e2e/faces.js").read_bytes().replace(b"../src/", b"/src/")),
        "/faces": page_of('<script type="module" src="/faces.js"></script>'),
        "/login": page_of(""),
    }
    return stand


class Faces:
    """The page that shows what it is told to."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def create(self, **options: object) -> None:
        """Open the page and create the dialog with these options."""
        self.browser.open("/faces")
        self.browser.wait(lambda: self.browser.js("return !!window.faces"), "the page's script")
        self.browser.js("faces.create(arguments[0])", options)

    def call(self, name: str, *arguments: object) -> Any:
        """Call one of the page's functions."""
        return self.browser.js(f"return faces.{name}(...arguments)", *arguments)

    def warn(self, expires_in_ms: int, *, can_extend: bool = True, failures: int = 0) -> None:
        """Show the warning."""
        self.browser.js("faces.warn(...arguments)", expires_in_ms, can_extend, failures)

    def text(self, selector: str) -> str:
        """Read what stands in the dialog or toast."""
        return str(self.call("text", selector))

    def said(self) -> list[str]:
        """List what was chosen."""
        found: list[str] = self.browser.js("return faces.said")
        return found

    def focused(self) -> str:
        """Tell which element has the focus, in the dialog or else in the page."""
        return str(self.browser.js("return (faces.root()?.activeElement ?? document.activeElement).id"))

    def press(self, *keys: str) -> None:
        """Press keys, whatever has the focus, and also while it is on its way elsewhere."""
        for key in keys:
            ActionChains(self.browser.driver).send_keys(key).perform()

    def dress(self, *, width: int = 1280, height: int = 860, zoom: float = 1, **media: str) -> None:
        """Set the size of the page, its scale, and what the reader prefers."""
        metrics = {"width": int(width / zoom), "height": int(height / zoom), "deviceScaleFactor": zoom, "mobile": False}
        self.browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def undress(self) -> None:
        """Go back to the size and the preferences of every day."""
        self.browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def audit(self) -> list[str]:
        """Let axe-core look at dialog and toast; tells what it finds. It must have looked at the buttons and the words in them."""
        self.browser.js((CLIENT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
        script = "axe.run('stillhere-dialog').then(({violations, passes}) => arguments[0]([violations, passes]))"
        found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = self.browser.driver.execute_async_script(script)
        looked_at = {each["id"]: " ".join(node["html"] for node in each["nodes"]) for rules in found for each in rules}
        assert "primary" in looked_at["button-name"]
        return [f"{each['id']}: {node['html']} {node['failureSummary']}" for each in found[0] for node in each["nodes"]]


ESCAPE = Keys.ESCAPE
TAB = Keys.TAB
ENTER = Keys.ENTER
