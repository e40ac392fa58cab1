"""The gate with codes, as a person meets it in a real browser: an address, a mail, a code, and in."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e.react import CLIENT
from tests.services.mail import Post, post_office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.browser import Browser
    from tests.e2e.conftest import House, StartBrowser, StartHouse

READER = "reader@fund.example"


@pytest.fixture
def post() -> Iterator[Post]:
    """Run a mail server."""
    with post_office() as running:
        yield running


@pytest.fixture
def house(start_house: StartHouse, post: Post, tmp_path: Path) -> House:
    """Run the program with everything that a gate can ask."""
    (tmp_path / "terms.txt").write_text("What you read here stays with you.\n", "utf-8")
    return start_house(
        *("--gate-code", "email", "--mail-url", post.url, "--mail-from", "Data room <room@fund.example>", "--site-name", "Data room"),
        *("--gate-access-code", "open sesame", "--gate-terms", str(tmp_path / "terms.txt"), "--gate-colour", "#ffb000"),
        *("--gate-welcome", "The numbers of the last year, for those who were asked.", "--gate-deny", "@evil.example"),
    )


def keys(browser: Browser, *pressed: str) -> None:
    """Press keys, wherever the focus is."""
    browser.driver.switch_to.active_element.send_keys(*pressed)


def focused(browser: Browser) -> str:
    """Tell the name of what has the focus."""
    return str(browser.js("return document.activeElement.name || document.activeElement.textContent.trim()"))


def wait_for_focus(browser: Browser, name: str) -> None:
    """Wait until a field has the focus: a page that has just loaded may need a moment to give it."""
    browser.wait(lambda: focused(browser) == name, f"the focus on {name}")


def findings(browser: Browser) -> list[str]:
    """Let axe-core look at the whole page; tells what it finds. It must have looked at words and links."""
    browser.js((CLIENT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    browser.driver.set_script_timeout(30)
    script = "axe.run(document).then(({violations, passes}) => arguments[0]([violations, passes]))"
    violations, passes = browser.driver.execute_async_script(script)
    assert {"color-contrast", "link-name"} <= {rule["id"] for rule in passes}
    return [f"{rule['id']}: {node['html']}" for rule in violations for node in rule["nodes"]]


def look(browser: Browser, width: int, scheme: str) -> None:
    """Dress the browser as a phone or a desk, light or dark."""
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    metrics: dict[str, Any] = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def fits(browser: Browser) -> bool:
    """Tell whether nothing is wider than the window."""
    return bool(browser.js("return document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_reader_enters_by_keyboard_alone(browser: Browser, house: House, post: Post) -> None:
    """An address, the access code, a tick, Enter; the code of the mail, Enter; and the page that was wanted is there."""
    browser.open("/?next=/confidential")
    wait_for_focus(browser, "email")
    keys(browser, READER, Keys.TAB, "open sesame", Keys.TAB, Keys.SPACE, Keys.ENTER)
    browser.wait_for_path("/gate/code")
    wait_for_focus(browser, "code")
    assert READER in browser.text()
    keys(browser, "0000 0000", Keys.ENTER)
    browser.wait(lambda: "That is not the code" in browser.text(), "the word that it is wrong")
    wait_for_focus(browser, "code")
    assert browser.find("#code").get_attribute("aria-invalid") == "true"
    keys(browser, post.code_for(READER), Keys.ENTER)
    browser.wait_for_path("/confidential")
    browser.wait_for_client()
    attributes = json.loads(house.session_of(READER)["attributes"])
    assert attributes["verified"] is True
    assert attributes["terms"]["version"].startswith("sha256:")
    assert len(post.mails) == 1
    assert [problem for problem in browser.problems() if "422" not in problem] == []


def test_back_and_reload_lose_nothing(browser: Browser, post: Post) -> None:
    """A reload of the page for the code sends no form again, and Back leads to the form."""
    browser.open("/")
    wait_for_focus(browser, "email")
    keys(browser, READER, Keys.TAB, "open sesame", Keys.TAB, Keys.SPACE, Keys.ENTER)
    browser.wait_for_path("/gate/code")
    code = post.code_for(READER)
    browser.driver.refresh()
    browser.wait_for_path("/gate/code")
    browser.driver.back()
    browser.wait_for_path("/")
    browser.driver.forward()
    browser.wait_for_path("/gate/code")
    browser.find("#code").send_keys(code, Keys.ENTER)
    browser.wait_for_path("/confidential")
    assert len(post.mails) == 1


def test_who_may_not_enter_sees_the_same(start_browser: StartBrowser, house: House, post: Post) -> None:
    """Side by side, a reader and somebody on a list see the same words at every step; one of them gets no mail."""
    words = []
    for email in (READER, "reader@evil.example"):
        with ExitStack() as closing:
            browser = start_browser(house)
            closing.callback(browser.quit)
            browser.open("/")
            wait_for_focus(browser, "email")
            keys(browser, email, Keys.TAB, "open sesame", Keys.TAB, Keys.SPACE, Keys.ENTER)
            browser.wait_for_path("/gate/code")
            wait_for_focus(browser, "code")
            seen = [browser.text()]
            keys(browser, "00000000", Keys.ENTER)
            browser.wait(lambda browser=browser: "That is not the code" in browser.text(), "the word that it is wrong")
            words.append([text.replace(email, "…") for text in (*seen, browser.text())])
    assert words[0] == words[1]
    post.code_for(READER)
    assert post.to("reader@evil.example") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_every_page_of_it_is_accessible(browser: Browser, post: Post, width: int, scheme: str) -> None:
    """Form, form with errors, code, wrong code and terms: axe finds nothing, nothing is wider than the window, focus is where it helps."""
    look(browser, width, scheme)
    long = f"{'a-rather-long-name-of-somebody' * 2}@fund.example"
    browser.open("/")
    for step in ("the form", "the form with errors", "the code", "the wrong code"):
        assert findings(browser) == [], step
        assert fits(browser), step
        if step == "the form":
            browser.find("#email").send_keys(long, Keys.TAB, "wrong sesame", Keys.TAB, Keys.SPACE, Keys.ENTER)
            browser.wait(lambda: browser.driver.find_elements(By.CSS_SELECTOR, "#access-code-error"), "the errors")
            wait_for_focus(browser, "access_code")
        elif step == "the form with errors":
            keys(browser, "open sesame", Keys.ENTER)  # the terms are ticked still
            browser.wait_for_path("/gate/code")
            wait_for_focus(browser, "code")
        elif step == "the code":
            keys(browser, "00000000", Keys.ENTER)
            browser.wait(lambda: browser.driver.find_elements(By.CSS_SELECTOR, "#code-error"), "the error")
    browser.open("/gate/terms")
    assert "stays with you" in browser.text()
    assert findings(browser) == []
    assert fits(browser)
    assert post.code_for(long)
