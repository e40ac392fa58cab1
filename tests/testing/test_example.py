"""The store in `examples/third_party_store` keeps every promise, by the test that it brings itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "no:stillhere", "-p", "stillhere.testing.plugin", "-p", "no:randomly", "-p", "no:asyncio")

EXAMPLE = Path(__file__).parents[2] / "examples" / "third_party_store"


def test_the_example_passes_its_own_test(pytester: pytest.Pytester) -> None:
    """Copied somewhere else, with nothing but stillhere and pytest, all of its tests pass; what is left out is said."""
    for file in EXAMPLE.iterdir():
        if file.is_file():
            shutil.copy(file, pytester.path)
    ran = pytester.runpytest_inprocess(*PLUGIN, "-rs")
    assert ran.ret == 0
    counts = ran.parseoutcomes()
    assert set(counts) == {"passed", "skipped"}
    assert counts["skipped"] == 37
    ran.stdout.fnmatch_lines(["*the store has no `living` and `count`", "*the store has no `watch`"])
