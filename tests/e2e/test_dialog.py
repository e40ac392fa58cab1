"""What people see, hear and press when a session is about to end: the dialog and the toast themselves, under the strictest policy."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.faces import ENTER, ESCAPE, HTML, STRICT, TAB, Faces, create_stand, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browser import Browser
    from tests.e2e.stand import Stand

OVER = {"reason": "idle", "detail": "The session ended after 20 minutes without activity. Please sign in again."}

LOOKS = {
    "light": {"prefers_color_scheme": "light"},
    "dark": {"prefers_color_scheme": "dark"},
    "phone": {"width": 390, "height": 844},
    "contrast": {"forced_colors": "active"},
}


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """Serve the pages under the strictest policy."""
    stand = create_stand()
    stand.csp = STRICT
    with stand.serving():
        yield stand


@pytest.fixture
def faces(stand: Stand, chromium: Browser) -> Iterator[Faces]:
    """Give a page that shows what it is told to; at the end, the console may not complain."""
    chromium.base = stand.url
    chromium.problems()
    faces = Faces(chromium)
    yield faces
    faces.undress()
    assert chromium.problems() == []


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(faces: Faces, look: str, language: str) -> None:
    """Nor at the warning, nor at the final one, nor at the toast, nor at the toast over what is not saved."""
    faces.dress(**LOOKS[look])  # type: ignore[arg-type]  # sizes and preferences
    faces.create(lang=language)
    if language == "ar":
        faces.browser.wait(lambda: faces.browser.js("faces.warn(90000); return faces.root().querySelector('#card').dir") == "rtl", "Arabic")
    for show in ("warn(90000)", "warn(90000, true, 1)", "warn(30000, false)", "notice(arguments[0])", "notice(arguments[0], true)"):
        faces.browser.js(f"faces.{show}", OVER)
        assert faces.audit() == [], show


def test_axe_finds_what_is_wrong(faces: Faces) -> None:
    """A button and a dialog without a name: whoever breaks these is told."""
    faces.create()
    faces.warn(90_000)
    faces.browser.js("faces.root().querySelector('#secondary').textContent = ''")
    faces.browser.js("faces.root().querySelector('dialog').removeAttribute('aria-labelledby')")
    assert {found.partition(":")[0] for found in faces.audit()} == {"aria-dialog-name", "button-name"}


CONTRAST = """
const root = faces.root(), canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
const luminance = () => {
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(n => (n /= 255) <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
const paint = (color, opacity = 1) => {
  Object.assign(canvas, { fillStyle: color, globalAlpha: opacity }).fillRect(0, 0, 1, 1)
  return luminance()
}
const shown = [...root.querySelectorAll("h2, p, button, #dial")].filter(element => element.textContent && element.checkVisibility())
return shown.map(element => {
  const within = []
  for (let one = element; one; one = one.parentElement) within.unshift(getComputedStyle(one))
  for (const { backgroundColor } of within) paint(backgroundColor)
  const behind = luminance(), { color, opacity } = within.at(-1), before = paint(color, Number(opacity))
  return [element.id, (Math.max(behind, before) + 0.05) / (Math.min(behind, before) + 0.05)]
})
"""
"""How much each text differs from what it stands on: WCAG 2.2, 1.4.3. axe can't tell in a shadow root's top layer."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_words_stand_out(faces: Faces, scheme: str) -> None:
    """In either theme each text has a contrast of 4.5 to 1 at least, in the warning and in the toast; a pale one would be found."""
    faces.dress(prefers_color_scheme=scheme)
    faces.create()
    for show in ("warn(90000, true, 1)", "warn(30000, false)", "notice(arguments[0])", "notice(arguments[0], true)"):
        faces.browser.js(f"faces.{show}", OVER)
        found = dict(faces.browser.js(CONTRAST))
        assert {"title", "body", "primary"} <= found.keys()
        assert min(found.values()) >= 4.5, found
    faces.browser.js("faces.root().querySelector('#body').style.color = 'gray'")
    assert dict(faces.browser.js(CONTRAST))["body"] < 4.5


def test_everything_can_be_done_by_keyboard(faces: Faces) -> None:
    """The focus is on staying, Tab goes round within the dialog, and it is given back to where it was."""
    faces.create()
    faces.browser.find("#notes").click()
    faces.warn(90_000)
    assert faces.focused() == "primary"
    faces.press(TAB)
    seen = {faces.focused()}
    faces.press(TAB)
    seen.add(faces.focused())
    assert "notes" not in seen
    faces.browser.js("faces.root().querySelector('#secondary').focus()")
    faces.press(ENTER)
    faces.browser.js("faces.root().querySelector('#primary').focus()")
    faces.press(ENTER)
    assert faces.said() == ["end", "stay"]
    faces.browser.js("faces.ui.hide()")
    assert faces.focused() == "notes"


def test_closing_means_stay(faces: Faces) -> None:
    """Escape is an answer; pressed again it closes nothing before the server has agreed."""
    faces.create()
    faces.warn(90_000)
    faces.press(ESCAPE)
    assert set(faces.said()) == {"stay"}
    faces.press(ESCAPE)
    faces.press(ESCAPE)
    faces.browser.wait(lambda: faces.browser.js("return faces.root().querySelector('dialog').open"), "the dialog to be there still")
    assert set(faces.said()) == {"stay"}


def test_announcements_are_paced(faces: Faces) -> None:
    """A voice tells each minute, and each twenty seconds in the last one; the seconds that tick are hidden from it."""
    faces.create()
    faces.call("still")
    faces.warn(179_500)
    assert faces.call("listen", 178) == ["3 minutes", "2 minutes", "60 seconds", "40 seconds", "20 seconds"]
    assert faces.browser.js("return faces.root().querySelector('#spoken').ariaLive") == "polite"
    tree = faces.browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    heard = [str(node.get("name", {}).get("value", "")) for node in tree if not node.get("ignored")]
    assert "20 seconds" in heard
    assert not any(re.fullmatch(r"\d:\d\d", name) for name in heard)


def test_the_final_warning_has_other_words(faces: Faces) -> None:
    """When nothing can be extended any more, people are told to save their work, and need only take note."""
    faces.create()
    faces.warn(90_000)
    faces.warn(60_000, can_extend=False)
    assert "save your work" in faces.text("#body")
    assert faces.text("#primary") == "OK"
    faces.press(ENTER)
    assert faces.said() == ["dismiss"]


def test_trouble_is_told_while_it_lasts(faces: Faces) -> None:
    """While the server can't be reached the warning says so."""
    faces.create()
    faces.warn(90_000, failures=1)
    assert "Trying again" in faces.text("#status")
    faces.warn(80_000)
    assert faces.text("#status") == ""


@pytest.mark.parametrize(("width", "zoom"), [(320, 1), (640, 2), (1280, 4)])
def test_nothing_is_cut_off_on_small_screens_and_large_type(faces: Faces, width: int, zoom: float) -> None:
    """At 320 CSS pixels, and at 200 and 400 %, all of it is there, with no scrolling sideways."""
    faces.dress(width=width, height=568 * int(zoom), zoom=zoom)
    for language in ("de", "en"):
        faces.create(lang=language)
        for show in ("warn(90000)", "notice(arguments[0], true)"):
            faces.browser.js(f"faces.{show}", OVER)
            left, right, wide = faces.browser.js(
                """const surface = faces.root().querySelector('#card').parentElement, box = surface.getBoundingClientRect()
                return [box.left, innerWidth - box.right, surface.scrollWidth - surface.clientWidth]"""
            )
            assert left >= 0
            assert right >= 0
            assert wide <= 0


def test_motion_is_reduced_where_that_is_preferred(faces: Faces) -> None:
    """Nothing moves for those who don't want it."""
    animated = "faces.warn(90000); return getComputedStyle(faces.root().querySelector('dialog')).animationName"
    for preference, name in (("reduce", "none"), ("no-preference", "rise")):
        faces.dress(prefers_reduced_motion=preference)
        faces.create()
        assert faces.browser.js(animated) == name


def test_the_page_cannot_be_read_or_used_behind_the_toast(faces: Faces) -> None:
    """What belonged to the old session is blurred and inert, and comes back as it was."""
    faces.create()
    faces.call("notice", OVER)
    assert faces.browser.js("return [document.body.inert, document.body.style.filter]") == [True, "blur(2em)"]
    assert faces.text("#body") == OVER["detail"]
    assert faces.focused() == "primary"
    faces.press(ENTER)
    assert faces.browser.js("return faces.left") == 1
    faces.browser.js("faces.ui.hide()")
    assert faces.browser.js("return [document.body.inert, document.body.style.filter]") == [False, ""]


def test_the_toast_can_be_used_above_a_dialog_of_the_application(faces: Faces) -> None:
    """A modal dialog makes all the rest of a page inert; the toast shows within it."""
    faces.create()
    faces.browser.js(
        """const own = document.createElement('dialog'), p = document.createElement('p'); p.textContent = 'Secret'
        own.append(p); document.body.append(own); own.showModal()"""
    )
    faces.call("notice", OVER)
    faces.press(ENTER)
    assert faces.browser.js("return [faces.left, document.querySelector('dialog p').inert]") == [1, True]


def test_hints_tell_who_looks_elsewhere(faces: Faces) -> None:
    """Without focus the title begins with the time left and the icon is a dot; both come back, and so does a title set meanwhile."""
    faces.create()
    icons = "return [...document.querySelectorAll('link')].map(link => [link.getAttribute('rel'), link.getAttribute('href')])"
    faces.browser.js(
        """document.hasFocus = () => true  // whether a headless window has the focus is anybody's guess
        const icon = document.createElement('link')
        icon.setAttribute('rel', 'shortcut icon'); icon.setAttribute('href', '/own.png'); document.head.append(icon)"""
    )
    before = faces.browser.js(icons)
    faces.call("still")
    faces.warn(90_000)
    assert faces.browser.js("return document.title") == "Terms"
    faces.browser.js("document.hasFocus = () => false; faces.pass(1000)")
    assert faces.browser.js("return document.title") == "(1:29) Terms"
    assert faces.browser.js("return faces.ui.title()") == "Terms"
    assert faces.browser.js(icons) == [["", "/own.png"], ["icon", "/session/client/dot.svg"]]
    faces.browser.js("document.title = '(1) Terms'; faces.pass(1000)")
    assert faces.browser.js("return document.title") == "(1:28) (1) Terms"
    faces.browser.js("document.title = '(2) Terms'; faces.ui.hide()")
    assert faces.browser.js("return document.title") == "(2) Terms"
    assert faces.browser.js(icons) == before
    faces.browser.problems()  # the policy forbids the icon that this test put there


def test_a_hidden_tab_hints(faces: Faces) -> None:
    """In a tab that nobody sees the title counts, without anybody coming by; once looked at, it is the page's own again."""
    faces.create()
    faces.browser.js(
        """document.hasFocus = () => !document.hidden  // whether a headless window has the focus is anybody's guess
        window.titles = []
        new MutationObserver(() => titles.push(document.title)).observe(document.querySelector('title'), {childList: true})"""
    )
    faces.warn(90_000)
    hidden = faces.browser.hide()
    time.sleep(5)  # what the hidden tab does in it is what is tested
    faces.browser.show(hidden)
    faces.browser.wait(lambda: faces.browser.js("return document.title") == "Terms", "the page's own title")
    titles = faces.browser.js("return titles")
    assert len([title for title in titles if title.startswith("(1:") and title.endswith(") Terms")]) >= 2


@pytest.mark.parametrize(
    ("language", "stay", "spoken", "ended"),
    [
        ("de", "Angemeldet bleiben", "2 Minuten", "nicht aktiv"),
        ("fr-CA", "Rester connecté", "2 minutes", "inactivité"),
        ("es-MX", "Mantener la sesión", "2 minutos", "inactividad"),
        ("zh", "保持登录", "2分钟", "没有操作"),
        ("ar", "البقاء متصلاً", "دقيقتان", "عدم النشاط"),
    ],
)
def test_it_speaks_the_language_of_the_page(faces: Faces, stand: Stand, language: str, stay: str, spoken: str, ended: str) -> None:
    """In five more languages, whole sentences and numbers included; English is there until the others have come."""
    stand.files["/faces"] = page_of('<script type="module" src="/faces.js"></script>', lang=language)
    try:
        faces.create()
        faces.warn(119_000)
        faces.browser.wait(lambda: faces.text("#primary") == stay, stay)
        faces.call("pass", 1_000)
        assert faces.text("#spoken") == spoken
        faces.call("notice", OVER)
        assert ended in faces.text("#body")
    finally:
        stand.files["/faces"] = page_of('<script type="module" src="/faces.js"></script>')


def test_a_language_that_cannot_be_had_is_english(faces: Faces) -> None:
    """Where the texts are missing, nothing waits for them and English is spoken; a refusal in JSON is no text."""
    for endpoint in ("/nowhere", "/session/nowhere"):
        faces.create(lang="de", endpoint=endpoint)
        faces.warn(119_000)
        faces.browser.wait(faces.browser.problems, "the file to be missing")
        faces.call("pass", 1_000)
        assert (faces.text("#title"), faces.text("#primary"), faces.text("#spoken")) == (
            "Are you still here?",
            "Stay signed in",
            "2 minutes",
        )


def test_every_text_can_be_replaced(faces: Faces) -> None:
    """Words of one's own win over those of any language, and say which language they are; then none is asked for."""
    faces.create(texts={"lang": "it", "stay": "Resta", "idle": "Tempo scaduto."})
    faces.warn(119_000)
    assert (faces.text("#primary"), faces.text("#spoken")) == ("Resta", "2 minuti")
    faces.call("notice", OVER)
    assert faces.text("#body") == "Tempo scaduto."


def test_the_page_of_the_tests_is_under_the_strictest_policy(stand: Stand, faces: Faces) -> None:
    """All of the above ran without a style, an image or a script that such a policy forbids: it is in force."""
    stand.files["/inline"] = (HTML, b"<!doctype html><title>x</title><script>window.ran = 1</script>")
    faces.browser.open("/inline")
    assert faces.browser.js("return window.ran") is None
    assert "Content Security Policy" in str(faces.browser.problems())
