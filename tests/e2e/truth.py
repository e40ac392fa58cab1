"""What really was on screen: the browser's own record of it, which the client has no part in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.browser import Browser

Span = tuple[float, float]

SPANS = """
const [page] = performance.getEntriesByType("navigation")
const turns = performance.getEntriesByType("visibility-state")
return turns
  .map(({ name, startTime }, n) => [name, Math.max(startTime, page.domInteractive), turns[n + 1]?.startTime ?? performance.now()])
  .filter(([name, from, to]) => name === "visible" && to > from)
  .map(([_, from, to]) => [from + performance.timeOrigin, to + performance.timeOrigin])
"""
"""A deferred script, as the client is, begins when the page is interactive."""


def on_screen(browser: Browser) -> list[Span]:
    """Tell when the page in front was on screen, in milliseconds since 1970, until now."""
    return [(start, end) for start, end in browser.js(SPANS)]


def union_ms(spans: Iterable[Span]) -> float:
    """Add up spans, what overlaps once."""
    total, until = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
