"""What cannot work, or will surprise somebody, in the gate, what is behind it, and the mirrors."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from stillhere.core.findings import Finding, Level
from stillhere.core.lists import AddressList
from stillhere.errors import MailError, SettingsError
from stillhere.manager import SessionManager
from stillhere.mirrors.webhook import receiver
from stillhere.server.app import build_app
from stillhere.server.checks import is_loopback
from stillhere.server.content.upstream import read_origin
from stillhere.server.content.wiring import is_content
from stillhere.server.gate import gate_config
from stillhere.server.mirroring import is_near, is_wanted, nocodb_table
from stillhere.stores import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stillhere.mail import Mailer
    from stillhere.server.settings import Settings

CONNECT_TIMEOUT_S: Final = 3


def findings_of_parts(settings: Settings) -> list[Finding]:
    """Find what there is to say of gate, content, mail and mirrors, without asking anybody.

    Args:
        settings: the program's.
    """
    return [*_of_gate(settings), *_of_content(settings), *_of_mail(settings), *_of_mirrors(settings)]


async def finding_of_start(settings: Settings) -> Finding | None:
    """Build the program as a start would, with a store in memory, and tell what it refuses; nobody is called."""
    async with SessionManager("memory://", policy=settings.policy()) as manager:
        try:
            build_app(manager, settings, admin_token=None)
        except SettingsError as error:
            return Finding(level=Level.ERROR, code="start-refused", text=str(error))
    return None


async def findings_of_others(settings: Settings) -> list[Finding]:
    """Find whether the application behind the gate and the mail server are there; neither is told anything.

    Args:
        settings: the program's; what cannot work in them is not asked for.
    """
    found = []
    if settings.upstream is not None and not _refusal("", lambda: read_origin(settings.upstream or "")):
        found.append(await _of_way_to(settings.upstream))
    if _who_mails(settings) and not _refusal("", settings.mailer):
        found.append(await _of_mail_server(settings.mailer()))
    return [finding for finding in found if finding is not None]


def _of_gate(settings: Settings) -> Iterator[Finding]:
    yield from _refusal("gate-refused", lambda: gate_config(settings))
    yield from _of_lists(settings)
    if settings.gate_code != "none" or settings.gate_access_code is not None:
        return
    if settings.gate_allow:
        yield Finding(
            level=Level.WARNING,
            code="allow-without-code",
            text="gate_allow takes people at their word: who types an address that is on it is in; with gate_code email they have to show "
            "that it is theirs, with gate_access_code that they were asked",
        )
    elif settings.gate_terms is None:
        yield Finding(
            level=Level.NOTE if settings.folder is None and settings.upstream is None else Level.WARNING,
            code="gate-open",
            text="the gate lets everybody in, under any address they type: none of gate_allow, gate_code, gate_access_code and gate_terms "
            "is set. That counts whom you asked; set one to keep others out",
        )


def _of_lists(settings: Settings) -> Iterator[Finding]:
    allow = AddressList(settings.gate_allow).patterns
    void = dict[str, str]()
    for name, told in (("gate_deny", settings.gate_deny), ("gate_block", settings.gate_block)):
        void |= {pattern: name for pattern in allow if AddressList(told).covers(pattern)}
    if not void:
        return
    why = ", ".join(f"{pattern} by {void[pattern]}" for pattern in sorted(void))
    if len(void) == len(allow):
        text = f"nobody can enter: all of gate_allow is kept out again, {why}; take one or the other away"
        yield Finding(level=Level.ERROR, code="nobody-enters", text=text)
    else:
        text = f"gate_allow has who is kept out again: {why}; take one or the other away"
        yield Finding(level=Level.WARNING, code="allow-void", text=text)


def _of_content(settings: Settings) -> Iterator[Finding]:
    yield from _refusal("content-refused", lambda: is_content(settings))
    if settings.folder is not None and not settings.folder.is_dir():
        yield Finding(level=Level.ERROR, code="content-refused", text=f"there is no folder {settings.folder}; name one with --folder")
    if settings.upstream is None:
        return
    refused = _refusal("content-refused", lambda: read_origin(settings.upstream or ""))
    yield from refused
    parts = urlsplit("" if refused else settings.upstream)
    if parts.scheme == "http" and not is_near(parts.hostname or ""):
        yield Finding(
            level=Level.WARNING,
            code="upstream-in-the-clear",
            text=f"upstream is plain http to {parts.hostname}: whoever is on the way reads what visitors read, and can say who they are; "
            "write it with https, or reach it in a network of your own",
        )


def _of_mail(settings: Settings) -> Iterator[Finding]:
    refused = _refusal("mail-refused", settings.mailer)
    yield from refused
    who, is_set = _who_mails(settings), settings.mail_url is not None
    if who and not is_set:
        text = f"{' and '.join(who)} need a server that takes mail, and none is set; set mail_url and mail_from"
        yield Finding(level=Level.ERROR, code="mail-missing", text=text)
    if is_set and not refused and not who:
        text = "mail_url is set, and nothing sends mail; gate_code email, notify_to or digest_to would"
        yield Finding(level=Level.NOTE, code="mail-unused", text=text)


def _who_mails(settings: Settings) -> list[str]:
    asked = {"gate_code": settings.gate_code == "email", "notify_to": bool(settings.notify_to), "digest_to": bool(settings.digest_to)}
    return [name for name, is_asked in asked.items() if is_asked]


def _of_mirrors(settings: Settings) -> Iterator[Finding]:
    if not is_wanted(settings):
        return
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    refused = _refusal("mirrors-refused", lambda: nocodb_table(settings))
    for url in settings.webhook_urls:
        refused += _refusal("mirrors-refused", partial(receiver, url, secret))
    yield from dict.fromkeys(refused)
    home = SCHEMES.get((settings.archive or settings.store).partition("://")[0])
    if home == "redis":
        yield Finding(
            level=Level.ERROR,
            code="mirrors-homeless",
            text="mirrors keep what they have still to tell beside the visits, in SQLite or PostgreSQL, and the visits are in Redis; "
            "set archive",
        )
    elif home == "memory":
        yield Finding(
            level=Level.WARNING,
            code="mirrors-forget",
            text="store is memory://: when the process stops, mirrors are not told what they were still to be told, and a table keeps "
            "visits that never end; name a file or a server",
        )
    host = urlsplit(settings.nocodb_url or "").hostname or ""
    if (settings.nocodb_url or "").startswith("http://") and is_near(host) and not is_loopback(host):
        yield Finding(
            level=Level.NOTE,
            code="nocodb-in-the-clear",
            text=f"nocodb_url is plain http to {host}: whoever is in that network can read the token and the visits; write it with https",
        )


async def _of_way_to(upstream: str) -> Finding | None:
    parts = urlsplit(upstream)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except OSError as error:  # a time-out is one
        why = error.strerror or "it took too long"
        text = f"upstream {upstream} cannot be reached: {why}; visitors get 502 until it is started, or the address put right"
        return Finding(level=Level.WARNING, code="upstream-away", text=text)
    writer.close()
    return None


async def _of_mail_server(mailer: Mailer | None) -> Finding | None:
    try:
        if mailer is not None:
            await mailer.rehearse()
    except MailError as error:
        return Finding(
            level=Level.WARNING, code="mail-away", text=f"mail_url: {error}; no code, note or digest is sent until that is mended"
        )
    return None


def _refusal(code: str, build: Callable[[], object]) -> list[Finding]:
    try:
        build()
    except SettingsError as error:
        return [Finding(level=Level.ERROR, code=code, text=str(error))]
    return []
