"""Base64 for URLs: one text for each run of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.tokens import base64url


@given(raw=st.binary(max_size=99))
def test_what_is_written_is_read(raw: bytes) -> None:
    """Whatever the bytes, they come back."""
    assert base64url.read(base64url.write(raw)) == raw


@given(text=st.text(max_size=20) | st.from_regex(r"[A-Za-z0-9_=+/-]{0,20}"))
def test_there_is_no_second_spelling(text: str) -> None:
    """What is read is what would be written; all else is none."""
    raw = base64url.read(text)
    assert raw is None or base64url.write(raw) == text


@pytest.mark.parametrize(
    "text", ["A", "AAAAA", "AB", "AAB", "AA==", "AAA=", "+A", "/A", "A A", "AA\n", " AA", "\u0410A", "A\ud800", "A\0"], ids=ascii
)
def test_what_bytes_are_not_written_as_is_none(text: str) -> None:
    """Idle bits, padding, the other alphabet, whitespace and letters of elsewhere are refused."""
    assert base64url.read(text) is None
