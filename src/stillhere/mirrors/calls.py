"""One call to another system, and what its answer means for those who send."""

from __future__ import annotations

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


async def send(transport: Transport, call: Call, *, secrets: Sequence[str] | None) -> Reply:
    """Send a call, and give its answer if that is a good one.

    Args:
        transport: carries it.
        call: the call.
        secrets: what must not be repeated, should the answer quote it; None lets nothing of it be repeated.

    Raises:
        Away: if nobody answers, or the answer is that nobody should call now, or that a person has to mend something.
        Broken: if the answer is the other side's own trouble.
        Refused: if the answer is about what was sent.
    """
    try:
        reply = await transport.send(call)
    except NoReply as error:
        raise Away(_NO_REPLY[error.why], in_doubt=error.may_have_arrived) from None
    status = reply.status
    if 200 <= status < 300:  # noqa: PLR2004  # good answers
        return reply
    why = f"it answers {status}{'' if secrets is None else _said(reply.body, secrets)}"
    if status == 429:  # noqa: PLR2004  # too many requests
        raise Away(why, in_doubt=False, pause_ms=max(BLOCKED_MS, _seconds(reply.headers.get("retry-after")) * 1000), status=status)
    if status >= 500 or status in {408, 425}:  # noqa: PLR2004  # trouble of its own
        raise Broken(why, status=status)
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


def _seconds(header: str | None) -> int:
    return min(int(header), 3_600) if header is not None and header.isascii() and header.isdigit() and len(header) < 9 else 0  # noqa: PLR2004  # nobody waits longer


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
