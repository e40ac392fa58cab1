"""What streams tell, as bytes: Server-Sent Events, and frames of a WebSocket with the same in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.wire import write_answer
from stillhere.http.problems import over_members

if TYPE_CHECKING:
    from stillhere.streams import Telling

EVENT_STREAM: Final = ("content-type", "text/event-stream; charset=utf-8")

UNBUFFERED: Final = ("x-accel-buffering", "no")
"""Some proxies keep an answer back until it is whole, unless they are told."""

SIGN_OF_LIFE: Final = b":\n\n"
"""A comment: it keeps proxies from cutting a silent line, and no page hears of it."""

ENDED_CODE: Final = 4401
"""With this a WebSocket is closed after `ended`: 401, in the range that is free for applications (RFC 6455 section 7.4.2)."""

COME_BACK_CODE: Final = 1012
"""With this it is closed when the server stops, or knows nothing of the session any more: come back, and see."""

REFUSED_CODE: Final = 1008
TOO_LARGE_CODE: Final = 1009

FIRST_RETRY_MS: Final = 2_000
RETRY_SPREAD_MS: Final = 8_000


def write_retry(number: int) -> bytes:
    """Write when the browser is to come back if the line breaks: spread, so that not all come at once when a server stops.

    Args:
        number: counts the streams.
    """
    return b"retry: %d\n" % (FIRST_RETRY_MS + number * 1_237 % RETRY_SPREAD_MS)


def write_event(telling: Telling, *, touch_ms: int) -> bytes:
    """Write a Server-Sent Event; nothing if a stream is to be closed without a word.

    Args:
        telling: what is to be told.
        touch_ms: the policy's touch interval.
    """
    if telling.event is None:
        return b"" if telling.is_last else SIGN_OF_LIFE
    return b"event: %s\ndata: %s\n\n" % (telling.event.encode(), _data_of(telling, touch_ms))


def write_frame(telling: Telling, *, touch_ms: int) -> str | None:
    """Write the text of a WebSocket's frame; None if there is nothing to send: its server shows by pings that it is alive.

    Args:
        telling: what is to be told.
        touch_ms: the policy's touch interval.
    """
    if telling.event is None:
        return None
    return f'{{"event":"{telling.event}","data":{_data_of(telling, touch_ms).decode()}}}'


def _data_of(telling: Telling, touch_ms: int) -> bytes:
    verdict = telling.verdict
    if verdict.standing is None:
        return msgspec.json.encode(over_members(verdict.session, verdict.ending))
    return write_answer(verdict.standing, verdict.next_beat_ms, touch_ms)
