"""What is written for people: spans and visits in plain words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.policy import days, hours, minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.words import ENDED, clock_span, even_span, left_span, told


@pytest.mark.parametrize(
    ("span_ms", "words"),
    [
        (0, "0 s"),
        (999, "0 s"),
        (seconds(40), "40 s"),
        (minutes(12) + seconds(40), "12 m 40 s"),
        (minutes(12), "12 m"),
        (hours(2), "2 h"),
        (hours(2) + seconds(59), "2 h"),
        (hours(2) + minutes(5) + seconds(59), "2 h 5 m"),
        (days(3) + hours(1) + minutes(59), "3 d 1 h"),
    ],
)
def test_a_span_has_its_two_largest_units(span_ms: int, words: str) -> None:
    """Seconds are whole, a unit of which there is none is left out, and what is smaller than the second unit, too."""
    assert clock_span(span_ms) == words


@pytest.mark.parametrize(
    ("span_ms", "words", "left"),
    [
        (0, "0 s", "0 s"),
        (1, "0 s", "1 s"),
        (seconds(40) + 999, "40 s", "41 s"),
        (minutes(1) - 1, "59 s", "1 m 00 s"),
        (minutes(47), "47 m 00 s", "47 m 00 s"),
        (hours(1) - 1, "59 m 59 s", "1 h 00 m"),
        (hours(2) + minutes(5) + seconds(59), "2 h 05 m", "2 h 05 m"),
        (days(3) + hours(1) + minutes(59), "3 d 01 h", "3 d 01 h"),
    ],
)
def test_spans_of_a_column(span_ms: int, words: str, left: str) -> None:
    """Both units are always there, as in the dashboard; only what is left is rounded up, so that 0 means that nothing is."""
    assert even_span(span_ms) == words
    assert left_span(span_ms) == left


@given(span_ms=st.integers(0, days(400)))
def test_every_span_is_written_and_never_longer_than_it_is(span_ms: int) -> None:
    """One or two numbers with their units, which together are no more than the span and short of it by less than the smaller unit."""
    sizes = {"d": days(1), "h": hours(1), "m": minutes(1), "s": seconds(1)}
    parts = re.findall(r"(\d+) ([dhms])", clock_span(span_ms))
    assert 1 <= len(parts) <= 2
    written = sum(int(count) * sizes[unit] for count, unit in parts)
    assert written <= span_ms < written + (hours(1) if span_ms >= days(1) else minutes(1) if span_ms >= hours(1) else seconds(1))


def test_a_visit_is_told_in_a_sentence() -> None:
    """How long, what may be missing if anything is worth a word, and how it ended or that it goes on."""
    long_ms = minutes(12) + seconds(40)
    assert told(long_ms, seconds(15), "leave") == "12 m 40 s, at most 15 s missing, ended by leave"
    assert told(long_ms, 0, "leave") == "12 m 40 s, ended by leave"
    assert told(long_ms, 999, "signed_out") == "12 m 40 s, ended by sign-out"
    assert told(long_ms, 14_001, "lost") == "12 m 40 s, at most 15 s missing, ended in silence"
    assert told(long_ms, hours(1) + 1, "lost") == "12 m 40 s, at most 1 h 1 m missing, ended in silence"
    assert told(long_ms, 0, None) == "12 m 40 s, still here"
    assert told(long_ms, 0, "magic") == "12 m 40 s, ended by magic"


def test_every_way_to_end_has_its_words() -> None:
    """What ends a session, and what ends a visit besides."""
    assert ENDED.keys() == {*EndedBy, "leave", "away", "lost"}
