"""Helpers for tests: a clock to move, a program to start and stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from stillhere.testing.clock import START, FakeClock
from tests.forked import Forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["BUSY_S", "PATIENCE_S", "START", "FakeClock", "Program", "serving", "wait_until"]

BUSY_S: Final = 4.0
"""What a busy machine may add to a time that is promised."""

PATIENCE_S: Final = 60
"""How long is waited for what has to come at some time; a machine may be slow, and waiting proves nothing of speed."""


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait for a condition, looking often; fail with a sentence if it does not come."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(0.02)


class Program:
    """The real program in a process of its own, on a free port."""

    def __init__(self, process: subprocess.Popen[str] | Forked, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and tell its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.process.wait(timeout=PATIENCE_S)


@contextlib.contextmanager
def serving(
    store: str,
    *arguments: str,
    verb: str = "serve",
    log: Path,
    port: int = 0,
    environment: dict[str, str] | None = None,
    afresh: bool = False,
) -> Iterator[Program]:
    """Run `stillhere serve` until the block ends.

    Args:
        store: URL of the store.
        arguments: more flags.
        verb: `serve` or `demo`.
        log: file for its output.
        port: 0 takes any free one.
        environment: more variables.
        afresh: let it read all its code, as when people start it.
    """
    command = ["-m", "stillhere.server.cli", verb, "--store", store, "--port", str(port), *arguments]
    with running(*command, log=log, says="listening at", asked="/healthz", environment=environment, afresh=afresh) as program:
        yield program


@contextlib.contextmanager
def running(
    *command: str,
    log: Path,
    says: str,
    asked: str,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
    afresh: bool = False,
) -> Iterator[Program]:
    """Run a server that is written in Python until the block ends.

    Args:
        command: what Python runs, and its arguments.
        log: file for its output.
        says: what it says before the address that it listens at.
        asked: path that is answered once it is up.
        environment: more variables.
        folder: to run it in. Default: this one.
        afresh: let it read all its code, as when people start it; else modules of ours are forked from a process that has.
    """
    log.touch()
    begin = log.stat().st_size
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
    process: subprocess.Popen[str] | Forked
    if command[0] == "-m" and not afresh:
        process = Forked(command[1], command[2:], out=log, err=log, environment=variables, folder=folder)
    else:
        process = _started(command, log, variables, folder)
    program = Program(process, "", log)
    try:
        wait_until(lambda: process.poll() is not None or says in _since(log, begin), what=f"the program to start; see {log}")
        if process.poll() is not None:
            raise AssertionError(f"the program ended at once with {process.returncode}: {_since(log, begin)}")
        program.url = next(word.rstrip(",") for word in _since(log, begin).split() if word.startswith("http://"))
        wait_until(lambda: process.poll() is not None or _answers(f"{program.url}{asked}"), what="the program to answer")
        yield program
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=PATIENCE_S)


def _started(command: Sequence[str], log: Path, environment: dict[str, str], folder: Path | None) -> subprocess.Popen[str]:
    with log.open("a", encoding="utf-8") as output:
        return subprocess.Popen([sys.executable, *command], stdout=output, stderr=subprocess.STDOUT, text=True, env=environment, cwd=folder)


def _since(log: Path, begin: int) -> str:
    return log.read_bytes()[begin:].decode()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
