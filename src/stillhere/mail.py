"""Sends mail by SMTP. Needs the extra `server`. Nothing that comes in can become a header or a command."""

from __future__ import annotations

import asyncio
import re
import secrets
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from stillhere.clock import system_clock
from stillhere.core.addresses import read_email
from stillhere.errors import MailError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

TIMEOUT_S: Final = 15.0
"""How long a message may take in all."""

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

_PORTS: Final = {"smtp": 587, "smtps": 465}

_ADVICE: Final = "write smtp://user:password@host:587 or smtps://user:password@host"

_HEADER_NAME: Final = re.compile(r"[!-9;-~]+\Z")

LONGEST_SUBJECT: Final = 200


class Mailer:
    """Sends mail through one server, each message over a connection of its own.

    `smtp://` begins in the clear and goes on in TLS; a server that does not offer that is refused, unless it is on this machine.
    There its certificate is not looked at either, for nobody is on the way.

    Args:
        url: the server, with user and password if it asks for them: `smtp://user:password@host:587`, `smtps://…`.
        sender: who the mail is from: `room@firm.example`, or `Data room <room@firm.example>`.
        clock: tells the milliseconds since 1970. Default: `system_clock()`.
        random_bytes: draws so many random bytes. Default: the operating system's.
        timeout_s: how long a message may take in all, seconds.
        tls: checks certificates. Default: by the system's authorities.

    Raises:
        SettingsError: if URL or sender cannot work. No password is in its message.
    """

    def __init__(
        self,
        url: str,
        sender: str,
        *,
        clock: Callable[[], int] | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,  # noqa: TID251  # here it enters
        timeout_s: float = TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect to nothing yet."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise SettingsError(f"the address of the mail server cannot be read; {_ADVICE}") from None
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise SettingsError(f"that is no address of a mail server; {_ADVICE}")
        told = getaddresses([sender])
        name, address = told[0] if len(told) == 1 else ("", "")
        self._sender = read_email(address) or ""
        if not self._sender or _one_line(sender) != sender.strip():
            raise SettingsError(f"{sender!r} is no sender; write room@firm.example or Data room <room@firm.example>")
        self._from = _address(self._sender, name)
        self._host, self._port = parts.hostname, port or _PORTS[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._is_tls = parts.scheme == "smtps"
        self._is_loopback = parts.hostname in LOOPBACK
        self._tls = tls or (_trusting() if self._is_loopback else None)
        self._timeout_s = timeout_s
        self._clock = clock or system_clock()
        self._random_bytes = random_bytes

    async def send(self, to: str, subject: str, text: str, html: str | None = None, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send a message, and return when the server has taken it.

        Args:
            to: one address.
            subject: line ends and other control characters in it become spaces.
            text: the message as plain text.
            html: the same with marks, or None.
            headers: more of them; in their values, too, control characters become spaces.

        Raises:
            MailError: if it was not taken.
        """
        message = self._message(to, subject, text, html, headers)
        async with self._connected() as server:
            if not to.isascii() and not server.supports_extension("smtputf8"):
                raise MailError("the mail server takes no address with such letters", is_transient=False, is_recipient=True)
            await server.send_message(message, sender=self._sender, recipients=[to])

    async def rehearse(self) -> None:
        """Do all of a sending but name a recipient: connect, secure the way, sign in, name the sender.

        Raises:
            MailError: if the server could take no message now.
        """
        async with self._connected() as server:
            await server.mail(self._sender)
            await server.rset()

    def _message(self, to: str, subject: str, text: str, html: str | None, headers: Sequence[tuple[str, str]]) -> EmailMessage:
        if read_email(to) != to:
            raise MailError("that is no address to send mail to", is_transient=False, is_recipient=True)
        message = EmailMessage(policy=SMTP)
        message["From"] = self._from
        message["To"] = _address(to)
        message["Subject"] = _one_line(subject)[:LONGEST_SUBJECT]
        message["Date"] = format_datetime(datetime.fromtimestamp(self._clock() / 1000, UTC))
        # A name of our own: the library's would tell the machine's.
        message["Message-ID"] = f"<{self._random_bytes(16).hex()}@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        for name, value in headers:
            if not _HEADER_NAME.match(name) or name in message:
                raise ValueError(f"{name!r} cannot be a header of yours")
            message[name] = _one_line(value)
        message.set_content(_writable(text))
        if html is not None:
            message.add_alternative(_writable(html), subtype="html")
        return message

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        client = _Client(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            # What we greet with; by default it would be this machine's name, after asking the network for it.
            local_hostname=self._sender.rpartition("@")[2],
            timeout=self._timeout_s,
            use_tls=self._is_tls,
            start_tls=False if self._is_tls else (None if self._is_loopback else True),
            tls_context=self._tls,
        )
        try:
            async with asyncio.timeout(self._timeout_s), client:
                yield client
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refused(error.recipients[0], is_recipient=True) from error
        except aiosmtplib.SMTPNotSupported as error:
            raise MailError(f"the mail server cannot do what is needed: {_one_line(str(error))}", is_transient=False) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(error, is_recipient=False) from error
        except (aiosmtplib.SMTPException, OSError) as error:  # a time-out is one of these, and so is trouble with TLS
            why = _one_line(str(error)) or "it took too long"
            raise MailError(f"the mail server cannot be used now: {why}", is_transient=True, in_doubt=client.is_sending) from error


class _Client(aiosmtplib.SMTP):
    """Knows whether it has begun to send a message: from then on nobody can tell whether the server has it, but by its answer."""

    is_sending = False

    async def data(self, message: str | bytes, /, **named: Any) -> aiosmtplib.SMTPResponse:  # noqa: ANN401  # passed on
        """Send the message itself."""
        self.is_sending = True
        return await super().data(message, **named)


def _refused(error: aiosmtplib.SMTPResponseException, *, is_recipient: bool) -> MailError:
    said = f"{error.code} {_one_line(error.message)}"[:300]
    what = "the mail server refused this recipient" if is_recipient else "the mail server refused"
    return MailError(f"{what}: {said}", is_transient=error.code < 500, is_recipient=is_recipient)  # noqa: PLR2004  # RFC 5321 section 4.2.1


def _address(email: str, name: str = "") -> Address:
    local, _, domain = email.rpartition("@")
    return Address(name, username=local, domain=domain)


def _writable(text: str) -> str:
    """Half a character, which no mail can carry, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in _writable(text)).split())


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
