"""The wire format: bytes to beats, answers to bytes. Everything from a browser is hostile until it has passed here."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec.structs import asdict, replace

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

# Text that only `core.heat` reads; numbers are in base 36, five digits of seconds and seven of milliseconds hold a year.
Heat = Annotated[str, msgspec.Meta(max_length=119, pattern=r"^[0-9a-z]{1,5}(?:\.[0-9a-z]{1,5}){19}(?!\n)$")]
Bands = Annotated[str, msgspec.Meta(max_length=575, pattern=r"^[aih][0-9a-z]{1,7}(?:\.[aih][0-9a-z]{1,7}){0,63}(?!\n)$")]


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
    heat: Heat | None = None
    bands: Bands | None = None

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


class TokenAnswer(Answer, frozen=True, kw_only=True, rename="camel", gc=False):
    """What a client is told that presented a refresh token: how its session stands, and its next tokens."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  # RFC 6750
    access_token_in_ms: int
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET


class Presenting(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a client that keeps its refresh token itself."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class Revoking(msgspec.Struct, frozen=True, kw_only=True):
    """The body that says which of one's own sessions are to end: exactly one of the three."""

    handle: Name | None = None
    others: bool = False
    everywhere: bool = False


class Listed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of a person's own sessions, as they are told of it; `spec/protocol.md` says what each member means."""

    handle: str
    current: bool
    created_ago_ms: int
    last_seen_ago_ms: int
    last_active_ago_ms: int
    expires_in_ms: int
    created_at: str
    last_seen_at: str
    last_active_at: str
    device: str | None
    network: str | None


PLAIN: Final = Beat()
"""The message of a request without a body."""

_decoder = msgspec.json.Decoder(Message)
_revoking = msgspec.json.Decoder(Revoking)
_presenting = msgspec.json.Decoder(Presenting)
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


def unseen(beats: list[Beat]) -> list[Beat]:
    """Take what beats say of a page out of them, so that they open no view and no visit: a machine has seen nothing. Evidence stays."""
    return [replace(beat, view=None, visible_ms=None, lifecycle=Lifecycle.HIDDEN) for beat in beats]


def write_answer(standing: Standing, next_beat_ms: int, touch_ms: int = 0, *, access_expires_at: str | None = None) -> bytes:
    """Write the answer to a beat or a look; a touch interval of 0 is not worth a word."""
    return _encoder.encode(_answer(standing, next_beat_ms, touch_ms, access_expires_at))


def _answer(standing: Standing, next_beat_ms: int, touch_ms: int, access_expires_at: str | None) -> Answer:
    return Answer(
        state="expiring" if standing.expiring else "active",
        expires_in_ms=standing.expires_in_ms,
        idle_in_ms=standing.idle_in_ms,
        absolute_in_ms=standing.absolute_in_ms,
        warn_in_ms=standing.warn_in_ms,
        next_beat_ms=next_beat_ms,
        can_extend=standing.can_extend,
        access_token_expires_at=access_expires_at,
        touch_ms=touch_ms or msgspec.UNSET,
    )


def write_tokens(
    standing: Standing,
    next_beat_ms: int,
    *,
    access_token: str,
    access_in_ms: int,
    access_expires_at: str,
    refresh_token: str | None,
) -> bytes:
    """Write the answer to a refresh.

    Args:
        standing: how the session stands.
        next_beat_ms: when the next beat is wanted.
        access_token: the new one.
        access_in_ms: how long it lasts from now.
        access_expires_at: when it ends, for people and existing clients.
        refresh_token: for a client that keeps it itself, or None.
    """
    return _encoder.encode(
        TokenAnswer(
            **asdict(_answer(standing, next_beat_ms, 0, access_expires_at)),
            access_token=access_token,
            access_token_in_ms=access_in_ms,
            refresh_token=refresh_token or msgspec.UNSET,
        ),
    )


def read_presented(body: bytes) -> str | None:
    """Read the refresh token of a request body, or None if it holds none.

    Raises:
        BadBeat: if the body is neither empty nor such a body in JSON.
    """
    if not body:
        return None
    try:
        return _presenting.decode(body).refresh_token
    except msgspec.ValidationError as error:
        raise BadBeat("a refresh token is a text of at most 256 characters", field="$.refreshToken") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBeat("the body must be JSON in UTF-8, or empty") from error


def read_revoking(body: bytes) -> Revoking:
    """Read which sessions are to end.

    Raises:
        BadBeat: if the body is no JSON in UTF-8, or does not say exactly one of the three.
    """
    try:
        revoking = _revoking.decode(body)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).rpartition(" - at `")
        raise BadBeat(problem or str(error), field=path.rstrip("`") if problem else "$") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBeat("the body must be JSON in UTF-8") from error
    if [revoking.handle is not None, revoking.others, revoking.everywhere].count(True) != 1:
        raise BadBeat('say which sessions: one of {"handle": "…"}, {"others": true}, {"everywhere": true}', field="$")
    return revoking


def write_list(sessions: list[Listed]) -> bytes:
    """Write the list of a person's own sessions."""
    return _encoder.encode({"sessions": sessions})
