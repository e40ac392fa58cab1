"""Heat and bands: whatever a browser wrote, what is read agrees with the view's own totals."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.heat import PARTS, Band, read_bands, read_heat
from tests.support import START

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base_36(number: int) -> str:
    """Write a number as the client does."""
    return DIGITS[number] if number < 36 else base_36(number // 36) + DIGITS[number % 36]


seconds_of_parts = st.lists(st.integers(0, 36**5 - 1), min_size=PARTS, max_size=PARTS)
runs = st.lists(st.tuples(st.sampled_from("aih"), st.integers(0, 36**7 - 1) | st.integers(0, 100_000)), min_size=1, max_size=64)
spans = st.integers(0, 10_000_000)


def heat_of(seconds: list[int]) -> str:
    """Write heat as the client does."""
    return ".".join(map(base_36, seconds))


def test_heat_is_read_from_the_top() -> None:
    """Seconds in base 36 become milliseconds, one span for each twentieth."""
    assert read_heat("1a.0.z" + ".0" * 16 + ".2", 1_000_000) == (46_000, 0, 35_000, *[0] * 16, 2_000)


@given(seconds=seconds_of_parts, visible_ms=spans)
def test_heat_is_never_more_than_visible_time(seconds: list[int], visible_ms: int) -> None:
    """Twenty spans whose sum is what was told, or, where that is too much, visible time but for what rounding takes."""
    read = read_heat(heat_of(seconds), visible_ms)
    told = sum(seconds) * 1_000
    assert len(read) == PARTS
    assert min(told, visible_ms) - PARTS < sum(read) <= min(told, visible_ms)
    assert all(span >= 0 for span in read)


@given(seconds=seconds_of_parts)
def test_heat_that_fits_is_kept_as_it_is(seconds: list[int]) -> None:
    """Where the sum is no more than visible time nothing is scaled."""
    assert read_heat(heat_of(seconds), sum(seconds) * 1_000) == tuple(second * 1_000 for second in seconds)


@given(seconds=seconds_of_parts, visible_ms=spans)
def test_scaling_keeps_the_order_of_the_parts(seconds: list[int], visible_ms: int) -> None:
    """A part that was on screen longer than another is never read as shorter."""
    read = read_heat(heat_of(seconds), visible_ms)
    assert all(read[one] <= read[other] for one in range(PARTS) for other in range(PARTS) if seconds[one] <= seconds[other])


@pytest.mark.parametrize(
    "text", [None, "", "1", "1." * 20, ".".join(["0"] * 21), ".".join(["100000"] * 20), ".".join(["-1"] * 20), "Z" * 20]
)
def test_what_is_no_heat_is_nothing(text: str | None) -> None:
    """Where nothing was measured, or not by this measure, there are no spans, and no error."""
    assert read_heat(text, 1_000) == ()


def test_bands_are_placed_one_after_the_other() -> None:
    """The first begins with the view; an empty one is left out, and two of the same state are one."""
    assert read_bands("aa.i1.i9.h0.h10.a5", START, START + 1_000) == (
        Band("active", START, START + 10),
        Band("idle", START + 10, START + 20),
        Band("hidden", START + 20, START + 56),
        Band("active", START + 56, START + 61),
    )


@given(told=runs, span_ms=spans)
def test_bands_stay_within_their_view(told: list[tuple[str, int]], span_ms: int) -> None:
    """Each begins where another ended, in another state; together they are what was told, up to when the view was last heard of."""
    text = ".".join(letter + base_36(span) for letter, span in told)
    bands = read_bands(text, START, START + span_ms)
    assert sum(band.until_at - band.from_at for band in bands) == min(sum(span for _, span in told), span_ms)
    assert all(band.from_at < band.until_at for band in bands)
    assert all(one.until_at == other.from_at and one.state != other.state for one, other in pairwise(bands))
    if bands:
        assert (bands[0].from_at, bands[-1].until_at <= START + span_ms) == (START, True)


@pytest.mark.parametrize("text", [None, "", "x9", "a", "A5", "9", "a99999999"])
def test_what_is_no_band_is_nothing(text: str | None) -> None:
    """Where nothing was measured, or not by this measure, there are no bands, and no error."""
    assert read_bands(text, START, START + 1_000) == ()


@given(text=st.text() | st.text("aih.0123456789xyz"), visible_ms=spans)
def test_any_text_is_read_without_an_error(text: str, visible_ms: int) -> None:
    """A damaged row shows less, and breaks nothing."""
    assert len(read_heat(text, visible_ms)) in {0, PARTS}
    assert all(START <= band.from_at < band.until_at <= START + visible_ms for band in read_bands(text, START, START + visible_ms))
