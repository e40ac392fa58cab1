"""How a code gets to its address: throttled, judged, mailed. For who may not enter the same happens, up to naming a recipient."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Self

import msgspec

from stillhere.core.addresses import shortened
from stillhere.errors import MailError, SettingsError
from stillhere.server.gate.codes import Challenge, Codes
from stillhere.server.gate.throttles import MAIL_OF_ADDRESS, MAIL_OF_ASKER, MAIL_OF_NETWORK, Throttles
from stillhere.stores.protocol import Noting

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhere.core.gate import Judged
    from stillhere.mail import Mailer
    from stillhere.manager import SessionManager
    from stillhere.server.gate.config import GateConfig

logger = logging.getLogger("stillhere")

TRIES: Final = 2
"""How often a message is sent that the server would have taken a moment before."""

MAIL: Final = """Your code for {site}:

    {code}

Type it on the page that asked for it. It is good for ten minutes, once, and only in that browser.

If you did not ask for it, somebody typed your address by mistake. Nothing happens as long as you keep the code to yourself.
"""


MOMENT_AGO: Final = (
    "A code for this address was asked for a moment ago. It opens only in the browser that asked for it: "
    "if that is this one, look into your mail; if not, try again in half a minute."
)
TOO_MANY: Final = (
    "Too many codes were asked for this address. Try again in an hour. A code in your mail opens only in the browser that asked for it."
)


class Later(msgspec.Struct, frozen=True):
    """No code went out now.

    Attributes:
        status: HTTP status.
        sentence: what to tell.
        wait_s: seconds after which another try makes sense.
    """

    status: int
    sentence: str
    wait_s: int


def log_refusal(email: str, judged: Judged) -> None:
    """Take note of somebody whom a list keeps out."""
    logger.info("the gate refused %s: %s", shortened(email), judged)


class Sending:
    """Sends codes.

    Args:
        config: the gate's.
        codes: makes them.
        throttles: counts.
        mailer: sends mail, or None where only the throttles are needed.

    Attributes:
        codes: makes and checks codes.
        throttles: counts.
    """

    def __init__(self, config: GateConfig, codes: Codes, throttles: Throttles, mailer: Mailer | None) -> None:
        """Send nothing yet."""
        self.codes = codes
        self.throttles = throttles
        self._config = config
        self._mailer = mailer
        self._under_way: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, config: GateConfig, manager: SessionManager, mailer: Mailer | None, random_bytes: Callable[[int], bytes]) -> Self | None:
        """Build it if a gate needs it.

        Raises:
            SettingsError: if it cannot work.
        """
        if not config.asks_for_code and config.access_code_hash is None:
            return None
        if not isinstance(manager.store, Noting):
            raise SettingsError("the gate cannot ask for codes with this store: it keeps no notes (`first`, `note`, `noted`)")
        if config.asks_for_code and mailer is None:
            raise SettingsError("gate_code is email, and there is no mail server: set mail_url and mail_from")
        codes = Codes(manager.store, manager.clock, random_bytes)
        return cls(config, codes, Throttles(manager.store, manager.clock), mailer)

    async def ask(self, email: str, *, network: str, terms: str, accepted_at: int, judged: Judged) -> Challenge | Later:
        """Mail a code, unless a list says no; nobody can tell which.

        The answer waits until the mail server has shown that it takes messages, and not for this message: so it comes as soon for
        an address that gets none. What that server does not take counts for no address; only how often a network asks is counted before.

        Args:
            email: whom.
            network: who asks, as limits count.
            terms: version that was accepted, or an empty text.
            accepted_at: when, milliseconds since 1970.
            judged: what the lists say.

        Raises:
            StoreError: if the store cannot be reached.
        """
        if self._mailer is None:
            return Later(503, "No code can be sent.", MAIL_OF_NETWORK.span_s)
        if not await self.throttles.takes(f"mail:{network}", MAIL_OF_NETWORK):
            return Later(429, "Many codes were asked for from where you are. Try again in a minute.", MAIL_OF_NETWORK.span_s)
        try:
            await self._mailer.rehearse()
        except MailError as error:
            logger.warning("no code can be sent: %s", error)
            return Later(503, "The code could not be sent. Try again in half a minute; nothing is lost.", error.retry_after)
        later = await self._throttled(email, network)
        if later is not None:
            return later
        challenge, code = await self.codes.begin(email, terms=terms, accepted_at=accepted_at, may_enter=not judged.is_refused)
        if not judged.is_refused:
            task = asyncio.create_task(self._mail(self._mailer, email, code))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return challenge

    async def close(self) -> None:
        """Wait for messages that are on their way."""
        await asyncio.gather(*self._under_way)

    async def _throttled(self, email: str, network: str) -> Later | None:
        # Capitals make no other mailbox, at least at most servers.
        mailbox = email.lower()
        asker = f"mail:{mailbox}:{network}"
        moment, hour = MAIL_OF_ASKER
        if not await self.throttles.takes(asker, moment):
            return Later(429, MOMENT_AGO, moment.span_s)
        # Who asks too often for one network takes no place of the address's own: those are for everybody.
        for name, limit, whence in ((asker, hour, "one network"), (f"mail:{mailbox}", MAIL_OF_ADDRESS, "all networks together")):
            if not await self.throttles.takes(name, limit):
                if await self.throttles.is_news(name, limit):
                    logger.warning("no more codes for %s: %d were asked for by %s in an hour", shortened(email), limit.times, whence)
                return Later(429, TOO_MANY, limit.span_s)
        return None

    async def _mail(self, mailer: Mailer, email: str, code: str) -> None:
        text = MAIL.format(site=" ".join(self._config.site_name.split()), code=code)
        for _ in range(TRIES):
            try:
                await mailer.send(email, f"Your code for {self._config.site_name}", text)
            except MailError as error:
                logger.warning("the code for %s was not sent: %s", shortened(email), error)
                if not error.is_transient or error.is_recipient:
                    return
            else:
                return
