"""Starts the program and stops it gracefully: what is under way is answered, and is in the store."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from rich.console import Console
from rich.markup import escape

from stillhere.errors import SettingsError
from stillhere.manager import SessionManager
from stillhere.server.app import build_app
from stillhere.server.mirroring import Expiring
from stillhere.stores import shown

if TYPE_CHECKING:
    from stillhere.server.settings import Settings

logger = logging.getLogger("stillhere")

GRACE_S = 10
"""How long a stop waits for requests under way."""

SPARE_FILES = 1_000
"""File descriptors for everything but streams: ordinary connections, the store, the libraries."""

LARGEST_FRAME = 4_096
"""Bytes of a WebSocket's message that are taken in at all. Nothing in it is read, and a quarter of it is too much already."""

PING_INTERVAL_S = 25
"""How often a WebSocket is asked whether its page is still there; it must answer by the next time."""

GC_THRESHOLD = 50_000
"""Objects between two looks of the garbage collector; with Python's own 700 it takes a tenth of every beat."""


def run(settings: Settings, *, demo: bool, sample: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        settings: the program's.
        demo: offer the demo's pages.
        sample: keep sample data alive.

    Raises:
        SettingsError: if a setting cannot work, or the port is taken.
        StoreError: if the store cannot be opened.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("stillhere").setLevel(settings.log_level.upper())
    settings = settings.model_copy(update={"streams_per_process": _room_for(settings.streams_per_process)})
    policy, http = settings.policy(), settings.http()
    listener = _listen(settings.host, settings.port)
    expiring = Expiring()
    manager = SessionManager(settings.store, policy=policy, archive=settings.archive, retention=settings.retention, on_expiring=expiring)
    token = _admin_token(settings)
    config = uvicorn.Config(
        build_app(manager, settings, admin_token=token, demo=demo, sample=sample, expiring=expiring),
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # forwarded headers are judged by `http/origin.py`, by the list of trusted proxies
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        ws="wsproto",
        ws_max_size=LARGEST_FRAME,
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_INTERVAL_S,
        ws_per_message_deflate=False,  # a few small messages an hour are not worth a window for each
    )
    _greet(settings, listener, token=None if settings.admin_token else token, demo=demo, prefix=http.prefix)
    server = uvicorn.Server(config)
    # Until the server listens to signals itself, a stop is remembered; and when it has stopped it raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    # What lives from here to the end is not walked through again and again; what comes is mostly freed without the collector.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve([listener]))


def _admin_token(settings: Settings) -> str | None:
    """Tell the token that opens the dashboard: the one that is set, or one for this run; None where operators sign in at a provider."""
    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    return None if settings.admin_issuer else secrets.token_urlsafe(24)


def _room_for(streams: int) -> int:
    """Ask the system for as many open files as so many streams need; tell for how many streams it has room."""
    if sys.platform == "win32":
        return streams
    import resource  # noqa: PLC0415  # only Unix has it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + SPARE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logger.warning("the system allows %d open files: streams_per_process is %d", allowed, max(1, allowed - SPARE_FILES))
    return min(streams, max(1, allowed - SPARE_FILES))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise SettingsError(f"cannot listen on {host}:{port}: {why}; choose another with --port, or stop what has it") from error


def _greet(settings: Settings, listener: socket.socket, *, token: str | None, demo: bool, prefix: str) -> None:
    host, port = listener.getsockname()[:2]
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold]stillhere[/] is listening at [bold]{base}[/], keeping sessions in {escape(shown(settings.store))}")
    content = settings.folder or settings.upstream
    gate = {"gate": f"{base}/"} if content is None else {"gate": f"{base}/gate", "behind it": f"{base}/  ({content})"}
    rows = {**gate, "dashboard": f"{base}/admin", "sessions": f"{base}{prefix}"}
    if demo:
        rows |= {"page": f"{base}/confidential", "lab": f"{base}/lab"}
    for name, url in rows.items():
        console.print(f"  {name:<10} {escape(url)}")
    if token is not None:
        console.print(f"  admin token for this run: [bold]{token}[/]  (set STILLHERE_ADMIN_TOKEN to choose it)")
