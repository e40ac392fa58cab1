"""Streams under uvicorn as others use it: a stop closes them, and a client that goes away leaves nothing in the process."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn

from stillhere.adapters.asgi import SessionMiddleware
from stillhere.adapters.streams import _Line
from stillhere.manager import SessionManager
from stillhere.streams import Stream
from tests.adapters.apps import SIGNS_IN, application
from tests.server.listeners import KINDS, listener
from tests.services.process import free_port
from tests.support import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def _enter(url: str) -> str:
    request = urllib.request.Request(f"{url}{SIGNS_IN}?reader")
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["set-cookie"]).partition(";")[0]


@pytest.mark.parametrize("server", ["uvicorn", "uvicorn --http h11 --loop asyncio"])
def test_a_stop_does_not_wait_for_streams(server: str) -> None:
    """Uvicorn by itself would wait for ever: streams are closed as soon as it is told to stop."""
    port = free_port()
    command = [sys.executable, "-m", *server.split(), "--port", str(port), "--log-level", "warning", "tests.server.embedded:app"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: _answers(url), what="uvicorn to answer")
            cookie = _enter(url)
            streams = [listener(kind, url, cookie) for kind in KINDS for _ in range(3)]
            for stream in streams:
                stream.wait_open()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=PATIENCE_S)
            assert [stream.wait_closed() for stream in streams] == [0] * 3 + [1012] * 3
            assert process.stderr is not None
            assert "rror" not in process.stderr.read()
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/anything", timeout=2):
            return True
    except OSError:
        return False


@asynccontextmanager
async def served() -> AsyncIterator[tuple[SessionManager, str]]:
    """Serve from this very event loop, so that its tasks and objects can be counted."""
    manager, port = SessionManager("memory://"), free_port()
    config = uvicorn.Config(
        SessionMiddleware(application, manager), port=port, log_level="error", lifespan="off", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield manager, f"http://127.0.0.1:{port}"
    server.should_exit = True
    manager.push.stop()
    await running
    await manager.close()


async def test_clients_that_go_away_leave_nothing() -> None:
    """Three hundred streams open and break off, politely or not: no task, no stream, no line is left of any of them."""
    async with served() as (manager, url):
        cookie = await asyncio.to_thread(_enter, url)
        quiet = len(asyncio.all_tasks())
        for turn in range(5):
            streams = [listener(kind, url, cookie) for kind in KINDS for _ in range(15)]
            for stream in streams:
                await asyncio.to_thread(stream.wait_open)
            assert manager.push.streams.count == 30
            assert _alive(_Line) == _alive(Stream) == 30
            for stream in streams:
                if turn % 2:
                    await asyncio.to_thread(stream.break_off)
                else:
                    stream.line.shutdown(2)
            await asyncio.to_thread(lambda: [stream.wait_closed() for stream in streams])  # noqa: B023  # it is called at once
            async with asyncio.timeout(PATIENCE_S):
                while manager.push.streams.count or len(asyncio.all_tasks()) > quiet + 2:  # noqa: ASYNC110  # two linger: watch and timer
                    await asyncio.sleep(0.01)
        assert manager.push.streams.followed == {}
        assert _alive(_Line) == _alive(Stream) == 0


def _alive(kind: type) -> int:
    gc.collect()
    return sum(isinstance(found, kind) for found in gc.get_objects())
