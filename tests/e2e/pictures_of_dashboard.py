"""Takes the dashboard's pictures, over the sample data of `stillhere demo --sample`."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Final

from tests.e2e.board import OPERATOR, Board
from tests.e2e.browser import Browser
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOKS: Final = {"light": ("desk", "light"), "dark": ("desk", "dark"), "phone": ("phone", "light")}

MONTH: Final = "document.querySelector('[data-preset=\"30d\"]').click()"

PICTURES: Final = {
    "dashboard": ("/admin", ("light", "dark", "phone")),
    "dashboard-visit": ("/admin/visits/{visit}", ("light", "phone")),
    "dashboard-visitor": ("/admin/visitors/{visitor}", ("light",)),
    "dashboard-pages": ("/admin/pages", ("light", "dark")),
    "dashboard-time": ("/admin/time", ("light", "dark")),
    "dashboard-wall": ("/admin/wall", ("dark",)),
}
"""Name, address, and the looks it is taken in."""


def take(folder: Path, wanted: tuple[str, ...], keep: Callable[[Browser, str], None]) -> None:
    """Take those whose names begin with one of some words, or all.

    Args:
        folder: for the program's file and the browser's profile.
        wanted: the words.
        keep: saves a picture under a name.
    """
    names = [name for name in PICTURES if not wanted or name.startswith(wanted)]
    if not names:
        return
    flags = ("--sample", "--admin-token", OPERATOR)
    with serving(f"sqlite:///{folder}/sample.db", *flags, verb="demo", log=folder / "sample.log") as program:
        browser = Browser(folder / "dashboard", program.url)
        try:
            board = Board(program, folder / "sample.db", browser)
            board.sign_in()
            browser.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            richest = max(_ask(board, "visits?limit=200&min=2m")["visits"], key=lambda visit: (visit["views"], visit["id"]))
            for name in names:
                address, looks = PICTURES[name]
                for look in looks:
                    board.dress(*LOOKS[look])
                    board.open(address.format(visit=richest["id"], visitor=richest["visitor"]))
                    if name == "dashboard-time":
                        browser.js(MONTH)
                        browser.wait(lambda: "from=" in browser.path, "the month")
                        board.wait_until_shown()
                    keep(browser, f"{name}-{look}")
        finally:
            browser.quit()


def _ask(board: Board, question: str) -> dict[str, list[dict[str, str]]]:
    request = urllib.request.Request(f"{board.program.url}/admin/api/{question}", headers={"Authorization": f"Bearer {OPERATOR}"})
    with urllib.request.urlopen(request) as answer:
        found: dict[str, list[dict[str, str]]] = json.load(answer)
        return found
