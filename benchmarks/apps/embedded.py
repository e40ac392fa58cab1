"""stillhere as an application embeds it: the middleware around an application, with people signed in when it starts.

Environment: BENCH_STORE is the store's URL. If BENCH_COOKIES names a file, BENCH_STORED sessions are put into the store at the start,
and the cookies of BENCH_PEOPLE of them into the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.apps.people import sign_in
from stillhere.adapters.asgi import SessionMiddleware
from stillhere.http.config import HttpConfig
from stillhere.manager import SessionManager

if TYPE_CHECKING:
    from stillhere.adapters.asgi import Receive, Scope, Send

manager = SessionManager(os.environ["BENCH_STORE"])


async def start() -> None:
    """Sign people in, if that is asked for."""
    cookies = os.environ.get("BENCH_COOKIES")
    if cookies is not None:
        await sign_in(manager, int(os.environ["BENCH_STORED"]), people=int(os.environ["BENCH_PEOPLE"]), cookies=Path(cookies))


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Sign people in when the server starts; record ends and tell totals when asked."""
    if scope["type"] == "lifespan":
        await receive()
        await start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await manager.close()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        body = str(await (manager.sweep() if scope["path"] == "/bench/sweep" else _visible_ms())).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})


async def _visible_ms() -> int:
    assert manager.archive is not None
    return (await manager.archive.totals(beat_interval=manager.policy.beat_interval, now=manager.clock())).visible_ms


app = SessionMiddleware(inner, manager, HttpConfig(beats_per_minute=10**6, messages_per_minute=10**9), untouched=("/bench/",))
