"""A mail server as a mirror sees it, and what may become of a message."""

from __future__ import annotations

from stillhere.errors import MailError

OWNER, PARTNER = "owner@firm.example", "partner@firm.example"
TRANSIENT = MailError("it is busy", is_transient=True)
REFUSED = MailError("no such mailbox", is_transient=False, is_recipient=True)
FULL = MailError("the mailbox is full", is_transient=True, is_recipient=True)
IN_DOUBT = MailError("it did not answer", is_transient=True, in_doubt=True)
WRONG_PASSWORD = MailError("the mail server refused: 535", is_transient=False)


class Post:
    """A mail server.

    Attributes:
        sent: `(to, subject, text)` each.
        fails: what becomes of the next messages; None takes one.
        always: what becomes of all after those, or of those to an address.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.fails: list[MailError | None] = []
        self.always: MailError | dict[str, MailError] | None = None

    async def send(self, to: str, subject: str, text: str) -> None:
        """Take a message, or not."""
        always = self.always.get(to) if isinstance(self.always, dict) else self.always
        error = self.fails.pop(0) if self.fails else always
        if error is not None:
            raise error
        self.sent.append((to, subject, text))
