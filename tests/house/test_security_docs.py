"""docs/security.md names every requirement once, and tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "docs" / "security.md").read_text("utf-8")

SEC = [f"SEC-{number:02}" for number in range(1, 49)]

ASVS_V7 = [
    f"7.{section}.{item}"
    for section, items in {1: 3, 2: 4, 3: 2, 4: 5, 5: 3, 6: 2}.items()  # OWASP ASVS 5.0, chapter V7, sections and how many items each has
    for item in range(1, items + 1)
]

NO_TEST = "No test: "

_ROW = re.compile(r"^\| (SEC-\S+|\d+\.\d+\.\d+) \|")
_NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)(?:\[[^\]`]+\])?`")


class Row(NamedTuple):
    """A line of the tables."""

    id: str
    asked: str
    met: str
    shown: str


def rows_of(text: str) -> list[Row]:
    """Read the lines of all tables that begin with an id."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if _ROW.match(line)]
    assert {len(row) for row in cells} == {4}
    return [Row(*row) for row in cells]


def named_in(cell: str) -> list[tuple[str, str]]:
    """Read the tests that a cell names: file and function."""
    return [(found[1], found[2]) for found in _NAMED.finditer(cell)]


@cache
def functions_of(file: Path) -> frozenset[str]:
    """Tell the test functions of a file; none if it is not there."""
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def missing_of(cell: str, root: Path) -> list[str]:
    """Tell which tests that a cell names are not there."""
    return [f"{file}::{name}" for file, name in named_in(cell) if name not in functions_of(root / file)]


ROWS = rows_of(TEXT)


def test_every_requirement_is_there_once_and_in_order() -> None:
    """SEC-01 to SEC-48, then each item of OWASP ASVS 5.0 V7: none is left out, none comes twice, and none is made up."""
    assert [row.id for row in ROWS] == [*SEC, *ASVS_V7]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_line_is_shown_by_tests_that_are_there(row: Row) -> None:
    """Each line says what is asked and how it is met, and names tests of this tree, or says why there is none."""
    assert row.asked
    assert row.met
    assert missing_of(row.shown, TESTS) == []
    if named_in(row.shown):
        assert _NAMED.sub("", row.shown).strip() == "", "beside tests there is something that is none"
    else:
        assert row.shown.startswith(NO_TEST)
        assert len(row.shown) > len(NO_TEST) + 20


def test_a_test_that_was_renamed_is_missed(tmp_path: Path) -> None:
    """Were a test that is named renamed, moved or deleted, it would be told."""
    file = tmp_path / "room" / "test_it.py"
    file.parent.mkdir()
    file.write_text("async def test_now() -> None: ...\n", "utf-8")
    assert missing_of("`room/test_it.py::test_now[a-b]`", tmp_path) == []
    assert missing_of("`room/test_it.py::test_then` `room/test_it.py::test_now`", tmp_path) == ["room/test_it.py::test_then"]
    assert missing_of("`room/test_gone.py::test_now`", tmp_path) == ["room/test_gone.py::test_now"]
