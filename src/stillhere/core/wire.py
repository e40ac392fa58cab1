"""The wire format: bytes to beats, answers to bytes. Everything from a browser is hostile until it has passed here."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from stillhere.core.records import Lifecycle, Standing
from stillhere.errors import BadBeat

MAX_BODY_BYTES: Final = 65_536
"""What a browser lets a page have in flight as beacons; nothing larger is honest."""

LONGEST_MS: Final = 31_536_000_000
"""A year. A longer total is a mistake or a lie."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Span = Annotated[int, msgspec.Meta(ge=0, le=LONGEST_MS)]
# `$` alone would let a line feed through at the end, in Python though not in a browser.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+(?!\n)$")]
_PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f]*(?!\n)$"
"""No control characters: they could disturb a terminal, a log or a database."""


class Kind(StrEnum):
    """What a message is for."""

    BEAT = "beat"
    CHECK = "check"
    EXTEND = "extend"
    LEAVE = "leave"


class Beat(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One message from one tab, as it came; `spec/protocol.md` says what each member means."""

    kind: Kind | None = Kind.BEAT
    seq: Count | None = None
    tab: Name | None = None
    view: Name | None = None
    page: Annotated[str, msgspec.Meta(max_length=1024, pattern=_PRINTABLE)] | None = None
    title: Annotated[str, msgspec.Meta(max_length=300, pattern=_PRINTABLE)] | None = None
    visible_ms: Span | None = None
    active_ms: Span | None = None
    scroll_pct: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    idle_ms: Span | None = None
    lifecycle: Lifecycle | None = None
    age_ms: Span | None = None

    @property
    def is_plain(self) -> bool:
        """It says nothing of view, visibility or input, as a message without a body does: presence, and no more."""
        return self is PLAIN or (self.view is None and self.lifecycle is None and self.visible_ms is None and self.idle_ms is None)


class Message(Beat, frozen=True, kw_only=True, gc=False):
    """A body: one beat, or several that were kept back."""

    beats: Annotated[list[Beat], msgspec.Meta(min_length=1, max_length=100)] | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What a living session's client is told; `spec/protocol.md` says what each member means."""

    state: str
    expires_in_ms: int
    idle_in_ms: int
    absolute_in_ms: int
    warn_in_ms: int
    next_beat_ms: int
    can_extend: bool
    access_token_expires_at: str | None = None
    touch_ms: int | msgspec.UnsetType = msgspec.UNSET
    success: bool = True


PLAIN: Final = Beat()
"""The message of a request without a body."""

_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


def read_beats(body: bytes) -> list[Beat]:
    """Read the beats of a request body; none means one plain beat.

    Raises:
        BadBeat: if it is not JSON in UTF-8, or a member has the wrong type or is out of range; `field` names that member.
    """
    if not body:
        return [PLAIN]
    try:
        message = _decoder.decode(body)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).rpartition(" - at `")
        raise BadBeat(problem or str(error), field=path.rstrip("`") if problem else "$") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadBeat(f"the body must be JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise BadBeat("the body is nested too deeply") from error
    return [message] if message.beats is None else message.beats


def write_answer(standing: Standing, next_beat_ms: int, touch_ms: int = 0) -> bytes:
    """Write the answer to a beat or a look; a touch interval of 0 is not worth a word."""
    return _encoder.encode(
        Answer(
            state="expiring" if standing.expiring else "active",
            expires_in_ms=standing.expires_in_ms,
            idle_in_ms=standing.idle_in_ms,
            absolute_in_ms=standing.absolute_in_ms,
            warn_in_ms=standing.warn_in_ms,
            next_beat_ms=next_beat_ms,
            can_extend=standing.can_extend,
            touch_ms=touch_ms or msgspec.UNSET,
        ),
    )
