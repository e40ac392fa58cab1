"""Mirrors of the program: built from the settings, drained in the background, shown to operators."""

from __future__ import annotations

import ipaddress
import logging
import random
import secrets
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from stillhere.archive.internal import is_internal
from stillhere.core.addresses import read_email
from stillhere.core.lists import read_list
from stillhere.errors import SettingsError, StoreError
from stillhere.mirrors.calls import Trouble
from stillhere.mirrors.digest import Digest
from stillhere.mirrors.drain import Drain
from stillhere.mirrors.mail import Notes
from stillhere.mirrors.nocodb import CALLS_A_SECOND, Columns, NocoDb, Table
from stillhere.mirrors.outbox import outbox_of
from stillhere.mirrors.pace import Pace
from stillhere.mirrors.webhook import LOOPBACK, Webhook, receiver
from stillhere.server.metrics import watch_mirrors
from stillhere.server.mirror_routes import routes
from stillhere.server.parts import Part, Upkeep
from stillhere.stores.protocol import Noting
from stillhere.tokens.provider.transport import HttpxTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillhere.core.records import Session
    from stillhere.manager import SessionManager
    from stillhere.mirrors.mail import Sends
    from stillhere.mirrors.records import Mirror, MirrorState
    from stillhere.server.settings import Settings

logger = logging.getLogger("stillhere")

DIGEST_INTERVAL_MS: Final = 60_000
"""How often it is looked whether a digest is due."""


class Mirroring:
    """All mirrors of the settings.

    Args:
        manager: the sessions.
        settings: the program's.

    Attributes:
        drains: one for each mirror.
        digest: the daily digest, or None.

    Raises:
        SettingsError: if a setting is missing or cannot work.
    """

    def __init__(self, manager: SessionManager, settings: Settings) -> None:
        """Build them; call nobody yet."""
        self._manager = manager
        self._settings = settings
        self._holder = secrets.token_hex(8)  # names this process
        self.drains: list[Drain] = []
        self.digest: Digest | None = None
        if not is_wanted(settings):
            return
        self._outbox = outbox_of(manager)
        if manager.archive is not None:
            manager.archive.internal = read_list(settings.internal_visitors).patterns
        self._zone = _zone(settings.zone)
        self.drains = [self._drain(mirror) for mirror in self._mirrors()]
        if settings.digest_to:
            self.digest = self._digest()

    async def states(self) -> list[MirrorState]:
        """Tell how the mirrors stand, and the digest.

        Raises:
            StoreError: if the outbox cannot be reached.
        """
        states = [await drain.state() for drain in self.drains]
        return states if self.digest is None else [*states, await self.digest.state()]

    def names(self) -> list[str]:
        """List the mirrors' names, and the digest's."""
        return [drain.mirror.name for drain in self.drains] + ([] if self.digest is None else [Digest.NAME])

    async def wake(self, name: str) -> bool:
        """Try a mirror, or the digest, again now; tell whether there is one of that name that ever ran."""
        drain = self.named(name)
        if drain is not None:
            return await self._outbox.wake(name)
        return self.digest is not None and name == Digest.NAME and await self.digest.wake()

    async def retry(self, name: str) -> int | None:
        """Do the same with all its dead letters; tell how many, or None if there is none of that name."""
        drain = self.named(name)
        if drain is not None:
            return await drain.retry()
        await self.wake(name)
        return 0 if name in self.names() else None

    def upkeep(self) -> list[Upkeep]:
        """List the work that is done in the background."""
        interval_ms = self._settings.mirror_interval
        upkeep = [Upkeep(f"mirror {one.mirror.name}", one.run, interval_ms) for one in self.drains]
        if self.digest is not None:
            upkeep.append(Upkeep("digest", self.digest.run, DIGEST_INTERVAL_MS))
        return upkeep

    async def close(self) -> None:
        """Give leases back and let go of connections."""
        for close in (*(drain.close for drain in self.drains), *([self.digest.close] if self.digest else [])):
            with suppress(StoreError):  # the lease passes by itself
                await close()

    def named(self, name: str) -> Drain | None:
        """Find a mirror's drain by its name."""
        return next((drain for drain in self.drains if drain.mirror.name == name), None)

    def _drain(self, mirror: Mirror) -> Drain:
        manager = self._manager
        assert manager.archive is not None  # noqa: S101  # a manager made from a URL has one; this tells the type checker
        return Drain(
            mirror,
            self._outbox,
            manager.archive,
            manager.policy,
            holder=self._holder,
            clock=manager.clock,
            chance=random.random,  # noqa: TID251  # spreads work, keeps no secret
            interval_ms=self._settings.mirror_interval,
        )

    def _mirrors(self) -> list[Mirror]:
        settings = self._settings
        mirrors: list[Mirror] = []
        table = nocodb_table(settings)
        if table is not None:
            pace = Pace(CALLS_A_SECOND, 1_000, clock=self._manager.clock)
            mirrors.append(NocoDb(table, transport=HttpxTransport(), pace=pace, is_taken=partial(self._outbox.has, "nocodb")))
        hooks = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        mirrors += [Webhook(receiver(url, hooks), transport=HttpxTransport(), clock=_wall_clock) for url in settings.webhook_urls]
        if settings.notify_to:
            mirrors.append(self._notes())
        return mirrors

    def _notes(self) -> Notes:
        manager, settings = self._manager, self._settings
        store = self._noting()

        async def first(name: str, until: int) -> bool:
            return await store.first(name, until=until, now=manager.clock())

        return Notes(
            _addresses("notify_to", settings.notify_to),
            returns=settings.notify_returns,
            mailer=self._mailer(),
            first=first,
            clock=manager.clock,
            zone=self._zone,
            site_name=settings.site_name,
        )

    def _noting(self) -> Noting:
        store = self._manager.store
        if not isinstance(store, Noting):
            raise SettingsError("notes and digests by mail need a store that keeps small facts; use one of stillhere's")
        return store

    def _digest(self) -> Digest:
        manager, settings = self._manager, self._settings
        assert manager.archive is not None  # noqa: S101  # as above
        hour, _, minute = settings.digest_at.partition(":")
        return Digest(
            _addresses("digest_to", settings.digest_to),
            at=(int(hour), int(minute)),
            zone=self._zone,
            mailer=self._mailer(),
            outbox=self._outbox,
            noting=self._noting(),
            archive=manager.archive,
            policy=manager.policy,
            holder=self._holder,
            clock=manager.clock,
            site_name=settings.site_name,
        )

    def _mailer(self) -> Sends:
        mailer = self._settings.mailer()
        if mailer is None:
            raise SettingsError("notify_to and digest_to need a server that takes mail: give --mail-url and --mail-from")
        return mailer


def is_wanted(settings: Settings) -> bool:
    """Tell whether the settings ask for any mirror."""
    return bool(
        settings.nocodb_url
        or settings.nocodb_token
        or settings.nocodb_table
        or settings.webhook_urls
        or settings.notify_to
        or settings.digest_to
    )


def nocodb_table(settings: Settings) -> Table | None:
    """Read which table of NocoDB is a mirror, or None if none is.

    Raises:
        SettingsError: if a part is missing or cannot work.
    """
    url, token, table = settings.nocodb_url, settings.nocodb_token, settings.nocodb_table
    if url is None and token is None and table is None:
        return None
    if url is None or token is None or table is None:
        raise SettingsError("nocodb_url, nocodb_token and nocodb_table belong together: set all three, or none")
    return Table(
        url=_server(url),
        token=token.get_secret_value(),
        table=table,
        base=settings.nocodb_base,
        version=3 if settings.nocodb_version == 3 else 2,  # noqa: PLR2004  # the version's number
        columns=_columns(settings.nocodb_columns),
    )


def _columns(given: Sequence[str]) -> Columns:
    named = dict[str, str]()
    for one in given:
        name, separator, title = (part.strip() for part in one.partition("="))
        if not separator or not title or name not in Columns.__struct_fields__:
            raise SettingsError(
                f"nocodb_columns: {one!r} is no column; write one of {', '.join(Columns.__struct_fields__)}, = and its title"
            )
        named[name] = title
    return Columns(**named)


def _server(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query or parts.fragment:
        raise SettingsError("nocodb_url is the server's address, such as https://nocodb.firm.example, without a user and a query")
    if parts.scheme == "http" and not is_near(host):
        raise SettingsError(f"nocodb_url has to be https: on the way to {host} anybody could read the token")
    return url.rstrip("/")


def is_near(host: str) -> bool:
    """Tell whether a host is on this machine or in a private network: by its address, or by a name without a dot."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host in LOOPBACK or "." not in host


def _addresses(setting: str, given: Sequence[str]) -> list[str]:
    read = [read_email(one) for one in given]
    if None in read:
        raise SettingsError(f"{setting}: {given[read.index(None)]!r} is no address to send mail to")
    return [one for one in read if one is not None]


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # by what the name looks like, or is the name of
        raise SettingsError(f"zone: there is no time zone {name!r}; write one of IANA's, such as Europe/Berlin") from None


class Expiring:
    """The manager's hook `on_expiring`, which is there before the mirrors are: tells webhooks, once they are.

    Attributes:
        webhooks: who is told.
        internal: patterns of those of whom nobody is told.
    """

    def __init__(self) -> None:
        """Tell nobody yet."""
        self.webhooks: list[Webhook] = []
        self.internal: tuple[str, ...] = ()

    async def __call__(self, session: Session) -> None:
        """Tell that a session is about to end; a receiver who does not take it now is not told later."""
        if is_internal(session.subject, self.internal):
            return
        for webhook in self.webhooks:
            try:
                await webhook.tell_expiring(session)
            except Trouble as error:
                logger.warning("%s was not told that a session is expiring: %s", webhook.name, error.why)


def mirrors_part(manager: SessionManager, settings: Settings, expiring: Expiring | None = None) -> Part:
    """Build the part of the program that tells other systems.

    Args:
        manager: the sessions.
        settings: the program's.
        expiring: the manager's hook `on_expiring`; without it webhooks do not hear of that.

    Raises:
        SettingsError: if a setting is missing or cannot work.
    """
    mirroring = Mirroring(manager, settings)
    watch_mirrors(manager.metrics, mirroring.states)
    if expiring is not None:
        expiring.internal = read_list(settings.internal_visitors).patterns
        expiring.webhooks += [one.mirror for one in mirroring.drains if isinstance(one.mirror, Webhook)]
    return Part(queries=routes(mirroring), upkeep=mirroring.upkeep(), close=mirroring.close)
