"""The ladder of errors: facts on attributes, a status for the web, and what to do in the text."""

from __future__ import annotations

import pytest

from stillhere.errors import (
    BadBeat,
    BadCursor,
    EndedEverywhere,
    InsecureTransport,
    MailError,
    PolicyError,
    SessionExists,
    SettingsError,
    StillhereError,
    StoreError,
    TooManySessions,
    Unsealable,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StillhereError(""), 500),
        (PolicyError(""), 500),
        (SettingsError(""), 500),
        (BadBeat(""), 400),
        (BadBeat("", field="$.seq"), 422),
        (SessionExists("h"), 500),
        (MailError("", is_transient=True), 503),
        (StoreError(""), 503),
        (Unsealable(""), 503),
        (BadCursor("x"), 422),
        (InsecureTransport("http://a"), 403),
        (EndedEverywhere(), 409),
        (TooManySessions(3), 409),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_is_one_of_ours_and_hints_at_a_status(error: StillhereError, status: int) -> None:
    """One `except` catches them all, and nobody needs to read messages."""
    assert isinstance(error, StillhereError)
    assert error.status_hint == status


def test_bad_input_is_a_value_error_too() -> None:
    """Who knows nothing of us catches what they know."""
    assert all(issubclass(kind, ValueError) for kind in (PolicyError, SettingsError, BadBeat, BadCursor))


def test_errors_keep_their_facts() -> None:
    """Handle, field, cursor, origin and the time to wait are attributes, and a reader finds them in the text."""
    assert BadBeat("no", field="$.seq").field == "$.seq"
    assert BadBeat("no").field is None
    assert (StoreError("down").retry_after, StoreError("full", retry_after=5).retry_after) == (2, 5)
    assert (Unsealable("why", key_id="k").key_id, Unsealable("why").key_id, Unsealable("why").retry_after) == ("k", None, 60)
    mail = MailError("down", is_transient=True)
    assert (mail.is_transient, mail.is_recipient, mail.retry_after) == (True, False, 30)
    assert (SessionExists("h-1").handle, BadCursor("c-1").cursor) == ("h-1", "c-1")
    assert InsecureTransport("http://a.example").origin == "http://a.example"
    assert (EndedEverywhere().reason, TooManySessions(3).reason, TooManySessions(3).limit) == ("ended_everywhere", "session_limit", 3)
    assert "h-1" in str(SessionExists("h-1"))
    assert "c-1" in str(BadCursor("c-1"))
    assert "http://a.example" in str(InsecureTransport("http://a.example"))


def test_one_precise_refusal_does_not_change_the_next() -> None:
    """The status of a message that names its field is its own."""
    assert BadBeat("", field="$").status_hint == 422
    assert BadBeat("").status_hint == BadBeat.status_hint == 400
