"""Mail: the server that takes it, and who it is from."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

from stillhere.errors import SettingsError
from stillhere.mail import Mailer


class MailOptions(BaseModel):
    """Mail: the server that takes it, and who it is from."""

    mail_url: SecretStr | None = Field(
        None,
        description="Server that takes mail: `smtp://user:password@host:587`, which goes on in TLS, or `smtps://…`. Without it none is sent.",
    )
    mail_from: str | None = Field(None, description="Who mail is from: `room@firm.example`, or `Data room <room@firm.example>`.")

    def mailer(self) -> Mailer | None:
        """Build what sends mail, or None if nothing does.

        Raises:
            SettingsError: if one of the two is missing or cannot work.
        """
        if self.mail_url is None:
            return None
        if self.mail_from is None:
            raise SettingsError("mail_from is missing: say who mail is from, such as room@firm.example")
        return Mailer(self.mail_url.get_secret_value(), self.mail_from)
