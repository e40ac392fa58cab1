"""What really was on screen: the browser's own record of it, which the client has no part in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import BUSY_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.browser import Browser

Span = tuple[float, float]

SPANS = """
const [page] = performance.getEntriesByType("navigation")
const turns = performance.getEntriesByType("visibility-state")
const scripts = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/client.js"))
const begun = Math.max(page.domInteractive, ...scripts.map(({ responseEnd }) => responseEnd))
return turns
  .map(({ name, startTime }, n) => [name, Math.max(startTime, begun), turns[n + 1]?.startTime ?? performance.now()])
  .filter(([name, from, to]) => name === "visible" && to > from)
  .map(([_, from, to]) => [from + performance.timeOrigin, to + performance.timeOrigin])
"""
"""A deferred script, as the client is, begins when the page is interactive and the script is there."""

LATE = f"""
const asked = performance.getEntriesByType("resource").filter(({{ name }}) => name.endsWith("/session/beat"))
const [[from] = []] = (() => {{ {SPANS} }})()
const first = asked.find(({{ responseEnd }}) => responseEnd + performance.timeOrigin > from)
const known = first ? first.responseEnd + performance.timeOrigin - from : 0
return Math.max(known, ...asked.map(({{ duration }}) => duration))
"""


def on_screen(browser: Browser) -> list[Span]:
    """Tell when the page in front was on screen, in milliseconds since 1970, until now."""
    return [(start, end) for start, end in browser.js(SPANS)]


def late_ms(browser: Browser) -> float:
    """Tell how long the slowest message of the page in front took, or the server did not know of it, ms, up to what a busy machine adds.

    The server credits no more than it saw pass: of one that took longer than the next, so much is missing.
    """
    return min(float(browser.js(LATE)), 1_000 * BUSY_S)


def union_ms(spans: Iterable[Span]) -> float:
    """Add up spans, what overlaps once."""
    total, until = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
