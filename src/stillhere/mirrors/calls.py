"""One call to another system, and what its answer means for those who send."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlencode

import msgspec

from stillhere.tokens.provider.transport import Call, NoReply, Reply, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONNECT_TIMEOUT: Final = 5_000
TOTAL_TIMEOUT: Final = 20_000
"""How long a call may take, milliseconds."""

LONGEST_ANSWER: Final = 4_000_000
"""Bytes of an answer that are read."""

BLOCKED_MS: Final = 30_000
"""How long to leave a system alone that says it is called too often (429), if it does not say how long itself."""

REFUSED_MS: Final = 300_000
"""How long to leave one alone that needs a person: a wrong token, a table that is not there."""

LONGEST_PAUSE_S: Final = 3_600
"""Nobody is left alone for longer at their word."""

NOBODY_THERE: Final = frozenset({408, 425, 502, 503, 504})
"""What is answered for another side that takes nothing at present, often by a gateway before it: whether it arrived is not known."""

_LONGEST_WHY: Final = 200

_TELLING: Final = ("error", "message", "msg")


class Trouble(Exception):
    """A call came to nothing.

    Attributes:
        why: what is wrong, for people; no secret is in it.
        in_doubt: what was sent may have had its effect all the same.
        pause_ms: how long to leave the other side alone at least.
        status: of HTTP, if there was an answer.
    """

    def __init__(self, why: str, *, in_doubt: bool = True, pause_ms: int = 0, status: int | None = None) -> None:
        """Keep the facts."""
        super().__init__(why)
        self.why = why
        self.in_doubt = in_doubt
        self.pause_ms = pause_ms
        self.status = status


class Away(Trouble):
    """The other side takes nothing at present."""


class Refused(Trouble):
    """It refused what it was sent, for what it is."""


class Broken(Trouble):
    """It broke over what it was sent, or just broke."""


Method = Literal["GET", "POST", "PATCH", "DELETE"]


def call_of(method: Method, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout: int = TOTAL_TIMEOUT) -> Call:
    """Write a call; `timeout` is for all of it, in milliseconds."""
    return Call(
        method=method,
        url=url,
        headers=headers,
        body=body,
        connect_timeout=min(CONNECT_TIMEOUT, timeout),
        read_timeout=timeout,
        total_timeout=timeout,
        longest_answer=LONGEST_ANSWER,
    )


async def send(transport: Transport, call: Call, *, secrets: Sequence[str] | None, now: int) -> Reply:
    """Send a call, and give its answer if that is a good one.

    Args:
        transport: carries it.
        call: the call.
        secrets: what must not be repeated, should the answer quote it; None lets nothing of it be repeated.
        now: milliseconds since 1970.

    Raises:
        Away: if nobody is there, or the answer is that nobody should call now, or that a person has to mend something.
        Broken: if the answer is the other side's own trouble, or does not come, though the call may have arrived.
        Refused: if the answer is about what was sent.
    """
    try:
        reply = await transport.send(call)
    except NoReply as error:
        why = _NO_REPLY[error.why]
        raise (Broken(why) if error.may_have_arrived else Away(why, in_doubt=False)) from None
    status = reply.status
    if 200 <= status < 300:  # noqa: PLR2004  # good answers
        return reply
    why = f"it answers {status}{'' if secrets is None else _said(reply.body, secrets)}"
    pause_ms = _pause_s(reply.headers, now) * 1000
    if status == 429:  # noqa: PLR2004  # too many requests
        raise Away(why, in_doubt=False, pause_ms=max(BLOCKED_MS, pause_ms), status=status)
    if status in NOBODY_THERE:
        raise Away(why, pause_ms=pause_ms, status=status)
    if status >= 500:  # noqa: PLR2004  # trouble of its own
        raise Broken(why, pause_ms=pause_ms, status=status)
    if status < 400 or status in {401, 403, 405, 407}:  # noqa: PLR2004  # redirects, and what a person has to mend
        raise Away(why, in_doubt=False, pause_ms=REFUSED_MS, status=status)
    raise Refused(why, status=status)


_NO_REPLY: Final = {
    "timeout": "it does not answer in time",
    "unreachable": "it cannot be reached",
    "broken": "its answer broke off",
    "too_long": "its answer is too long",
}


def json_of(reply: Reply) -> Any:  # noqa: ANN401  # JSON is of any type
    """Read an answer's JSON.

    Raises:
        Broken: if it is none.
    """
    try:
        return msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Broken("its answer is not JSON") from None


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Add a query to an address, escaped."""
    return f"{url}?{urlencode(parameters)}" if parameters else url


def _pause_s(headers: Mapping[str, str], now: int) -> int:
    """Read how long to stay away: `Retry-After` is seconds, or a date, which is held against the date of the answer if it has one."""
    given = headers.get("retry-after", "")
    if given.isascii() and given.isdigit():
        return min(int(given[:9]), LONGEST_PAUSE_S)
    until_s = _seconds_of(given)
    if until_s is None:
        return 0
    return max(0, min(until_s - (_seconds_of(headers.get("date", "")) or now // 1000), LONGEST_PAUSE_S))


def _seconds_of(date: str) -> int | None:
    try:
        return round(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None


def _said(body: bytes, secrets: Sequence[str]) -> str:
    """Quote what an answer says in words: short, on one line, without secrets."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    if not isinstance(answer, dict):
        return ""
    text = ", ".join(answer[name] for name in _TELLING if isinstance(answer.get(name), str))
    for secret in secrets:
        text = text.replace(secret, "…")
    text = "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST_WHY]
    return f": {text}" if text else ""
