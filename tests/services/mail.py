"""A real mail server in a thread, on a free port, that remembers what it was sent and can be told to misbehave."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

from tests.support import wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from email.message import EmailMessage


class Post:
    """The mail server, as a test sees it.

    Attributes:
        port: where it listens, on 127.0.0.1.
        mails: what arrived: envelope recipient and message.
        tries: connections that named a sender.
        signed_in: users that signed in.
        refuse: recipient to refusal: `550 no such user`.
        refuse_all: answers every sender with this, if set.
        slow_s: waits so long before it takes a message.
        takes: while this is not set, it thinks over every message.
    """

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[tuple[str, EmailMessage]] = []
        self.tries = 0
        self.signed_in: list[bytes] = []
        self.refuse: dict[str, str] = {}
        self.refuse_all: str | None = None
        self.slow_s = 0.0
        self.takes = threading.Event()
        self.takes.set()
        self.options: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """Where mail goes."""
        return f"smtp://127.0.0.1:{self.port}"

    def to(self, email: str) -> list[EmailMessage]:
        """Give the messages to somebody."""
        return [message for recipient, message in self.mails if recipient == email]

    def code_for(self, email: str, nth: int = 1) -> str:
        """Wait for somebody's nth message and read the code in it."""
        wait_until(lambda: len(self.to(email)) >= nth, what=f"message {nth} to {email}")
        (code,) = re.findall(r"^ *(\d{8})\s*$", self.to(email)[nth - 1].get_content(), re.MULTILINE)
        return str(code)

    def check(self, *presented: Any) -> AuthResult:
        """Let in who has the password."""
        login = presented[-1]
        good = login.password == b"pass: word@"
        if good:
            self.signed_in.append(login.login)
        return AuthResult(success=good, handled=False)

    async def handle_MAIL(self, _server: SMTP, _session: object, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802  # aiosmtpd's name
        """Take note of a sender."""
        self.tries += 1
        if self.refuse_all:
            return self.refuse_all
        envelope.mail_from, envelope.mail_options = address, options
        return "250 OK"

    async def handle_RCPT(self, _server: SMTP, _session: object, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802  # aiosmtpd's name
        """Take a recipient, or refuse it as told."""
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Keep a message."""
        await asyncio.sleep(self.slow_s)
        await asyncio.to_thread(self.takes.wait, 60)
        message = message_from_bytes(envelope.original_content, policy=default)
        self.mails.extend((recipient, message) for recipient in envelope.rcpt_tos)
        return "250 OK"


@contextmanager
def post_office(
    *, port: int = 0, tls: ssl.SSLContext | None = None, at_once: ssl.SSLContext | None = None, **options: Any
) -> Iterator[Post]:
    """Run a mail server until the block ends.

    Args:
        port: 0 takes any free one.
        tls: offers STARTTLS with this.
        at_once: speaks TLS from the first byte, with this.
        options: more of aiosmtpd's.
    """
    post = Post()
    loop = asyncio.new_event_loop()

    def protocol() -> SMTP:
        return SMTP(post, loop=loop, hostname="post.example", enable_SMTPUTF8=True, tls_context=tls, authenticator=post.check, **options)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(loop.create_server(protocol, "127.0.0.1", port, ssl=at_once), loop).result(20)
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:

        async def stop() -> None:
            server.close()
            mine = asyncio.current_task()
            others = [task for task in asyncio.all_tasks() if task is not mine]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
