"""Webhooks: an address is told of visits and sessions, signed by the Standard Webhooks scheme (standardwebhooks.com).

Events are told at least once, in order per visit. A repeated one has the same `webhook-id`, by which a receiver knows it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from stillhere.errors import SettingsError
from stillhere.mirrors.calls import TOTAL_TIMEOUT, Broken, Refused, Trouble, call_of, send
from stillhere.mirrors.drain import OFF_MS
from stillhere.mirrors.records import Delivery, Fate, Result, Told
from stillhere.tokens.provider.records import Discreet
from stillhere.words import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stillhere.archive.records import VisitReport
    from stillhere.core.records import Session, View
    from stillhere.tokens.provider.transport import Transport

PREFIX: Final = "whsec_"

SHORTEST_SECRET: Final = 24
LONGEST_SECRET: Final = 64
"""Bytes of a secret, as the scheme asks for."""

MOST_PAGES: Final = 200
"""Views listed in one message, the earliest; a receiver who wants all has the API."""

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

_HERE: Final = "here"
"""What has been told of something that goes on."""

_GONE: Final = 410


class Receiver(Discreet, frozen=True, kw_only=True):
    """Who is told. Printing it shows neither secrets nor the whole address, which may be one.

    Attributes:
        url: where to; https, or http on a loopback address.
        keys: what is signed with, each in turn; receivers take any, so that one can be replaced.
    """

    SHOWN = ("name",)

    url: str
    keys: tuple[bytes, ...]

    @property
    def name(self) -> str:
        """What the receiver is called: by its host, and by its address's hash."""
        return f"webhook-{urlsplit(self.url).hostname}-{hashlib.sha256(self.url.encode()).hexdigest()[:6]}"


def receiver(url: str, secrets: str) -> Receiver:
    """Read who is told.

    Args:
        url: where to.
        secrets: one or more, `whsec_…`, parted by spaces.

    Raises:
        SettingsError: if the address is none to send to, or a secret cannot be read. Neither is in the message.
    """
    try:
        parts = urlsplit(url)
        host, scheme = parts.hostname, parts.scheme
        _ = parts.port
    except ValueError:
        raise SettingsError("a webhook's address cannot be read; write https://crm.firm.example/hook") from None
    if not host or parts.username or parts.password or parts.fragment or not url.isascii() or not url.isprintable():
        raise SettingsError("a webhook's address is https://host/path, without a user, a password or a fragment")
    if scheme != "https" and not (scheme == "http" and host in LOOPBACK):
        raise SettingsError(f"the webhook at {host} has to be https: what is told there is personal")
    keys = tuple(_key(secret) for secret in secrets.split())
    if not keys:
        raise SettingsError("webhooks need a secret: give --webhook-secret whsec_…, 24 to 64 random bytes in base64")
    return Receiver(url=url, keys=keys)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST_SECRET <= len(key) <= LONGEST_SECRET:
        raise SettingsError(f"a webhook's secret is {PREFIX} and 24 to 64 random bytes in base64; make one with openssl rand -base64 32")
    return key


def sign(keys: Sequence[bytes], message_id: str, at: int, body: bytes) -> dict[str, str]:
    """Write the headers that a message is known and believed by (Standard Webhooks 1.0).

    Args:
        keys: what to sign with.
        message_id: names the message.
        at: when it is sent, milliseconds since 1970.
        body: the message.
    """
    timestamp = str(at // 1000)
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


class Webhook:
    """Tells one receiver.

    Args:
        to: who.
        transport: carries calls.
        clock: tells the milliseconds since 1970, as a clock on the wall does: receivers hold messages against their own.
        timeout: how long a call may take, milliseconds.
    """

    kind = "webhook"
    batch = 20
    creates = False
    events = True
    sessions = True
    grace_ms = 0

    def __init__(self, to: Receiver, *, transport: Transport, clock: Callable[[], int], timeout: int = TOTAL_TIMEOUT) -> None:
        """Call nobody yet."""
        self.name = to.name
        self._to = to
        self._transport = transport
        self._clock = clock
        self._timeout = timeout

    def told(self, about: Told) -> str | None:
        """See `Mirror.told`: that it goes on, or how it ended. Growth in between is nobody's event."""
        if not about.is_over:
            return _HERE
        if about.visit is None:
            return "ended"
        visit = about.visit
        return f"ended {visit.ended_at} {visit.visible_ms} {visit.active_ms} {visit.ended_by}"

    async def deliver(self, batch: Sequence[Delivery]) -> list[Result]:
        """See `Mirror.deliver`. One after the other; when the receiver is away the rest waits."""
        results = [Result(fate=Fate.AWAY) for _ in batch]
        for place, one in enumerate(batch):
            results[place] = await self._one(one)
            if results[place].fate in {Fate.AWAY, Fate.BROKE}:
                break
        return results

    async def close(self) -> None:
        """See `Mirror.close`."""
        await self._transport.close()

    async def _one(self, one: Delivery) -> Result:
        sent = one.row.sent
        try:
            if sent is None:
                await self._event(f"{_about(one)}.{_beginning(one.about)}", one, _HERE)
                sent = _HERE
            if one.told != _HERE:
                await self._event(f"{_about(one)}.ended", one, one.told)
        except Trouble as error:
            return self._failed(error, sent)
        return Result(fate=Fate.DELIVERED)

    async def tell_expiring(self, session: Session) -> None:
        """Tell that a session is about to end. Once, and without a second try: soon it would not be true.

        Raises:
            Trouble: if it was not taken.
        """
        data = msgspec.json.encode(
            {"type": "session.expiring", "timestamp": instant(self._clock()), "data": _session(session)},
        )
        await self._post(f"session.expiring {session.handle} {session.last_active_at}", data)

    async def _event(self, kind: str, one: Delivery, words: str) -> None:
        about = one.about
        began = kind.rpartition(".")[2] != "ended"
        if about.visit is not None:
            at, data = about.visit.started_at if began else about.visit.ended_at, _visit(about.visit, about.views)
        elif about.session is not None:
            ended_at = about.session.ended_at
            at, data = about.session.created_at if began or ended_at is None else ended_at, _session(about.session)
        else:
            return
        body = msgspec.json.encode({"type": kind, "timestamp": instant(at), "data": data})
        await self._post(f"{kind} {one.row.id} {words}", body)

    async def _post(self, what: str, body: bytes) -> None:
        message_id = f"msg_{hashlib.sha256(what.encode()).hexdigest()[:32]}"
        now = self._clock()
        headers = {**sign(self._to.keys, message_id, now, body), "content-type": "application/json", "user-agent": "stillhere"}
        await send(self._transport, call_of("POST", self._to.url, headers=headers, body=body, timeout=self._timeout), secrets=None, now=now)

    def _failed(self, error: Trouble, sent: str | None) -> Result:
        if error.status == _GONE:
            why = "it wants no more (410); take it out of webhook_urls, or wake it with stillhere mirrors retry"
            return Result(fate=Fate.AWAY, sent=sent, pause_ms=OFF_MS, why=why)
        fate = Fate.AGAIN if isinstance(error, Refused) else Fate.BROKE if isinstance(error, Broken) else Fate.AWAY
        return Result(fate=fate, sent=sent, after_ms=0 if error.in_doubt else None, pause_ms=error.pause_ms, why=error.why)


def _about(one: Delivery) -> str:
    return "session" if one.about.visit is None else "visit"


def _beginning(about: Told) -> str:
    return "returned" if about.visit is not None and about.returns else "started"


def _visit(visit: VisitReport, views: Sequence[View]) -> dict[str, Any]:
    return {
        "visit": visit.id,
        "session": visit.session,
        "visitor": visit.visitor,
        "startedAt": instant(visit.started_at),
        "endedAt": instant(visit.ended_at),
        "openMs": visit.open_ms,
        "visibleMs": visit.visible_ms,
        "activeMs": visit.active_ms,
        "views": visit.views,
        "endedBy": visit.ended_by,
        "pages": [
            {
                "page": view.page,
                "title": view.title,
                "visibleMs": view.visible_ms,
                "activeMs": view.active_ms,
                "scrollPct": view.scroll_pct,
            }
            for view in views[:MOST_PAGES]
        ],
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "session": session.handle,
        "visitor": session.subject,
        "startedAt": instant(session.created_at),
        "endedAt": None if session.ended_at is None else instant(session.ended_at),
        "endedBy": session.ended_by,
    }
