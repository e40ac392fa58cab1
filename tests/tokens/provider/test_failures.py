"""What can go wrong with a provider comes down to four words, and only an explicit refusal ends a session."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.testing import START
from stillhere.tokens.provider.failures import (
    OPERATOR_CODES,
    RETRY_AFTER_LONGEST_S,
    TRANSIENT_CODES,
    Failure,
    ProviderError,
    failure_of,
    failure_of_status,
    read_retry_after,
)

AT_START = "Tue, 14 Nov 2023 22:13:20 GMT"


@given(code=st.text(max_size=20) | st.sampled_from(sorted(OPERATOR_CODES | TRANSIENT_CODES)), status=st.integers(100, 599))
def test_only_one_word_ends_a_session(code: str, status: int) -> None:
    """Whatever a provider says: unless it is `invalid_grant`, and no 5xx or 429, nobody is signed out."""
    failure, why = failure_of(code, status)
    assert failure is not Failure.TERMINAL or code == "invalid_grant"
    assert failure is not Failure.IDENTITY_CHANGED
    assert why in {code, "unknown_error"}
    assert failure_of("invalid_grant", status)[0] is (Failure.TRANSIENT if status in {408, 425, 429} or status >= 500 else Failure.TERMINAL)
    assert failure_of_status(status)[0] in {Failure.OPERATOR, Failure.TRANSIENT}


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("invalid_grant", Failure.TERMINAL),
        ("invalid_client", Failure.OPERATOR),
        ("unauthorized_client", Failure.OPERATOR),
        ("unsupported_grant_type", Failure.OPERATOR),
        ("invalid_scope", Failure.OPERATOR),
        ("invalid_request", Failure.OPERATOR),
        ("never_heard_of", Failure.OPERATOR),
        ("temporarily_unavailable", Failure.TRANSIENT),
        ("server_error", Failure.TRANSIENT),
        ("slow_down", Failure.TRANSIENT),
    ],
)
def test_words_of_the_standards(code: str, failure: Failure) -> None:
    """The person's grant, our settings, or the weather."""
    assert failure_of(code, 400)[0] is failure


@pytest.mark.parametrize(
    ("text", "date", "seconds"),
    [
        (None, None, 5),
        ("7", None, 7),
        (" 7 ", None, 7),
        ("0", None, 1),
        ("86400", None, 300),
        ("9" * 5000, None, 300),
        ("-1", None, 5),
        ("7.5", None, 5),
        ("\u0667", None, 5),
        ("soon", None, 5),
        ("Tue, 14 Nov 2023 22:13:50 GMT", None, 30),
        ("Tue, 14 Nov 2023 22:13:50 GMT", AT_START, 30),
        ("Tue, 14 Nov 2023 22:13:50 GMT", "Tue, 14 Nov 2023 22:13:40 GMT", 10),
        ("Tue, 14 Nov 2023 23:13:30 GMT", "Tue, 14 Nov 2023 23:13:20 GMT", 10),
        ("Tue, 14 Nov 2023 20:00:00 GMT", None, 1),
        ("Tue, 14 Nov 2023 22:13:50 GMT", "yesterday", 30),
        ("Tue, 99 Nov 2023 22:13:50 GMT", None, 5),
        ("Tue, 14 Nov 99999 22:13:50 GMT", None, 5),
    ],
)
def test_how_long_to_wait(text: str | None, date: str | None, seconds: int) -> None:
    """Seconds or a date, the provider's own clock against itself, never nothing and never more than five minutes."""
    assert read_retry_after(text, date, now=START) == seconds


@given(text=st.text(max_size=40), date=st.none() | st.text(max_size=40))
def test_any_header_gives_a_time_to_wait(text: str, date: str | None) -> None:
    """Whatever stands in the header, the next try is between one second and five minutes away."""
    assert 1 <= read_retry_after(text, date, now=START) <= RETRY_AFTER_LONGEST_S


def test_an_error_carries_facts() -> None:
    """Who was asked, what it means, whether the token may be spent, when to try again; and the status to answer."""
    error = ProviderError(Failure.TRANSIENT, endpoint="token", why="timeout", may_be_spent=True)
    assert (error.failure, error.endpoint, error.why, error.status, error.may_be_spent, error.retry_after, error.status_hint) == (
        Failure.TRANSIENT,
        "token",
        "timeout",
        None,
        True,
        5,
        503,
    )
    assert str(error) == "the provider's token endpoint: timeout (transient). Try again later; nobody is signed out meanwhile"
    assert ProviderError.status_hint == 500
    assert [ProviderError(failure, endpoint="token", why="x").status_hint for failure in Failure] == [401, 401, 503, 503]
