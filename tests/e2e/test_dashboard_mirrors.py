"""The mirrors in the dashboard: how far each has come, its dead letters, what an operator does about them, and what a viewer cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.board import OPERATOR, VIEWER, Board
from tests.e2e.browser import Browser
from tests.services.nocodb import FULL, DoubleTable, settings_of
from tests.support import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE: Final = "<img src=x onerror=alert(1)> says: Record not found"

FACTS: Final = """
const facts = [...document.querySelectorAll('.mirror .facts div')]
return Object.fromEntries(facts.map(fact => [...fact.children].map(part => part.textContent)))
"""

LETTERS: Final = "return [...document.querySelectorAll('.letters-table tbody tr')].map(row => row.textContent)"

BUTTONS: Final = "return [...document.querySelectorAll('#view button')].map(button => button.textContent)"


@pytest.fixture
def table() -> Iterator[DoubleTable]:
    """Give a table that is as strict as a NocoDB server."""
    table = DoubleTable(FULL)
    yield table
    table.close()


@pytest.fixture
def board(table: DoubleTable, tmp_path: Path) -> Iterator[Board]:
    """Start the program with that mirror, and sign in."""
    environment = {f"STILLHERE_{name.upper()}": value for name, value in settings_of(table).items()}
    file, tokens = tmp_path / "mirrors.db", ("--admin-token", OPERATOR, "--viewer-token", VIEWER)
    browser = Browser(tmp_path / "chromium", "")
    try:
        with serving(f"sqlite:///{file}", *tokens, log=tmp_path / "log", environment=environment) as program:
            board = Board(program, file, browser)
            board.dress("desk", "light")
            board.sign_in()
            yield board
            assert board.complaints() == []
    finally:
        browser.quit()


def mirror_of(board: Board) -> dict[str, Any]:
    """Ask how the mirror is."""
    (mirror,) = board.ask("mirrors")["mirrors"]
    return dict(mirror)


def refuse(board: Board, table: DoubleTable, who: str) -> str:
    """Let somebody's visit be refused, for its row is gone over there; tell the letter's id."""
    board.arrive(who)
    board.browser.wait(table.rows, "the row")
    (row,) = table.rows()
    board.browser.wait(lambda: mirror_of(board)["pending"] == 0, "it to be told")
    table.delete(int(row["Id"]))
    (session,) = [one["session"] for one in board.ask("now")["here"] if one["visitor"] == who]
    assert board.post(f"sessions/{session}/end") == 200
    board.browser.wait(lambda: mirror_of(board)["dead"] == 1, "a dead letter")
    (letter,) = board.ask("mirrors/nocodb/dead")["letters"]
    return str(letter["id"])


def press(board: Board, label: str) -> None:
    """Press the button that is called so, once it is there."""
    script = "const one = [...document.querySelectorAll('#view button')].find(button => button.textContent === arguments[0])"
    board.browser.wait(lambda: board.browser.js(f"{script}; one?.click(); return !!one", label), f"a button {label}")


def test_a_mirror_that_is_well(board: Board, table: DoubleTable) -> None:
    """Its name and state, what waits, how much was sent and when: the API's, in light and dark, and nothing to press."""
    board.arrive("investor@fund.example")
    board.browser.wait(lambda: table.rows() and mirror_of(board)["state"] == "well", "the row")
    board.open("/admin/mirrors")
    board.wait_for("up to date")
    facts = board.browser.js(FACTS)
    assert (facts["Waiting"], facts["Sent"], facts["Dead letters"]) == ("0", str(mirror_of(board)["sent"]), "0")
    assert facts["Last sent"] != "\N{EN DASH}"
    assert board.browser.js(BUTTONS).count("Try again now") == 0
    assert board.faults() == []


def test_dead_letters_are_shown_and_seen_to(board: Board, table: DoubleTable) -> None:
    """Which visit, how often and why, whatever the other side says, and the row stays; sent again it arrives; deeds are in the log."""
    table.double.not_found = HOSTILE
    letter = refuse(board, table, "investor@fund.example")
    board.open("/admin/mirrors")
    board.wait_for("some letters were refused")
    (shown,) = board.browser.wait(lambda: board.browser.js(LETTERS), "the letter")
    assert letter in shown
    assert HOSTILE in shown
    assert HOSTILE in board.browser.js("return document.querySelector('#view .notice').textContent")
    board.browser.js("window.row = document.querySelector('.letters-table tbody tr')")
    board.browser.js("window.asked = performance.getEntriesByType('resource').filter(one => one.name.endsWith('/dead')).length")
    again = "return performance.getEntriesByType('resource').filter(one => one.name.endsWith('/dead')).length > window.asked"
    board.browser.wait(lambda: board.browser.js(again), "it to be asked for again")
    assert board.browser.js("return window.row.isConnected"), "the row was made anew"
    assert board.intruders() == 0
    assert board.browser.js(FACTS)["Dead letters"] == "1"
    assert board.faults() == []
    press(board, "Send again")
    board.browser.wait(lambda: len(table.rows()) == 1, "the row to be made anew")
    board.wait_for("up to date")
    assert board.browser.js(LETTERS) == []
    assert [(one["action"], one["target"]) for one in board.ask("audit")["entries"]].count(("retry letter", f"nocodb/{letter}")) == 1


def test_a_letter_is_given_up(board: Board, table: DoubleTable) -> None:
    """The operator is asked first, and may keep it; a viewer sees it and has nothing to press."""
    letter = refuse(board, table, "partner@vc.example")
    board.sign_in(VIEWER)
    board.open("/admin/mirrors")
    board.browser.wait(lambda: board.browser.js(LETTERS), "the letter")
    assert not {"Send again", "Give up", "Send all letters again"} & set(board.browser.js(BUTTONS))
    assert board.post(f"mirrors/nocodb/dead/{letter}/drop") == 403
    board.sign_in()
    board.open("/admin/mirrors")
    board.browser.wait(lambda: board.browser.js(LETTERS), "the letter")
    press(board, "Give up")
    assert "will not reach nocodb" in board.browser.find("#confirm").text
    assert board.axe() == []
    board.browser.find("#confirm-no").click()
    assert mirror_of(board)["dead"] == 1
    press(board, "Give up")
    board.browser.find("#confirm-yes").click()
    board.browser.wait(lambda: mirror_of(board)["dead"] == 0, "it to be given up")
    board.browser.wait(lambda: board.browser.js(LETTERS) == [], "the table to go")
    assert table.rows() == []
    told = [one["action"] for one in board.ask("audit")["entries"]]
    assert told.count("drop letter") == 1
    assert any("refused" in action for action in told)


def test_all_letters_are_sent_again(board: Board, table: DoubleTable) -> None:
    """One press for all that were refused."""
    refuse(board, table, "investor@fund.example")
    board.open("/admin/mirrors")
    board.browser.wait(lambda: board.browser.js(LETTERS), "the letter")
    press(board, "Send all letters again")
    board.browser.wait(lambda: len(table.rows()) == 1, "the row to be made anew")
    board.wait_for("up to date")
    assert "retry mirror" in [one["action"] for one in board.ask("audit")["entries"]]
