"""A site's own colour at the gate: readable on light and on dark."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.server.gate.colours import DARK, LIGHT, READABLE, accents, contrast


def parts(colour: str) -> tuple[int, int, int]:
    """Read `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@given(st.integers(0, 0xFFFFFF))
def test_every_colour_becomes_readable(number: int) -> None:
    """Whatever colour a site has, links and buttons in it can be read on our papers, and what stands on them too."""
    found = re.findall(r"--accent: (#\w{6}); --on-accent: (#\w{6})", accents(f"#{number:06X}"))
    for (accent, on_accent), papers in zip(found, (LIGHT, DARK), strict=True):
        for paper in (*papers, parts(on_accent)):
            assert contrast(parts(accent), paper) >= READABLE


@pytest.mark.parametrize(("one", "other", "differs"), [("#000000", "#ffffff", 21), ("#ffffff", "#ffffff", 1), ("#777777", "#ffffff", 4.48)])
def test_contrast_is_that_of_wcag(one: str, other: str, differs: float) -> None:
    """Contrast is counted as WCAG counts it, in either order."""
    assert contrast(parts(one), parts(other)) == contrast(parts(other), parts(one)) == pytest.approx(differs, abs=0.005)


def test_a_colour_that_can_be_read_stays() -> None:
    """Our own green is dark enough on light, and lightened on dark."""
    style = accents("#0f6b50")
    assert "--accent: #0f6b50" in style
    assert style.count("--accent:") == 2
