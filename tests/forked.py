"""The program in a process of its own that is forked from one which has read all code already: it starts at once, not after a second.

Whoever starts a hundred programs on two cores waits for little else. What a start is like for people, `tests/server/test_run.py` sees.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM: Final = "stillhere.server.cli"

READ_BEFORE: Final = (
    *(PROGRAM, "alembic.command", "sqlalchemy.dialects.sqlite", "psycopg", "redis.asyncio", "uvicorn", "uvloop", "httptools", "wsproto"),
    *("tests.forked", "tests.faults.processes", "tests.faults.token_worker", "tests.mirrors.real.worker"),
)
"""Nothing that is read may start a thread, open a connection or look at the time."""

FORKS: Final = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(READ_BEFORE))


class Forked:
    """A running `python -m module`, to be dealt with as with a `subprocess.Popen`.

    Args:
        module: has a `main`.
        arguments: what it is called with.
        out: file for its output.
        err: file for its errors.
        environment: all of its variables.
        folder: where it runs.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], *, out: Path, err: Path, environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self.args = [sys.executable, "-m", module, *arguments]
        told = (module, list(arguments), str(out), str(err), dict(environment), str(folder or Path.cwd()))
        self._process = FORKS.Process(target=_be, args=told, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """What it ended with; of a signal, less than 0."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Tell what it ended with, None if it did not end."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self._process.exitcode

    def send_signal(self, sent: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, sent)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def command_line(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line, and wait for it.

    Args:
        arguments: what it is called with.
        environment: all of its variables.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = Forked(PROGRAM, arguments, out=out, err=err, environment=environment)
        try:
            process.wait(60)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.wait(), out.read_text("utf-8"), err.read_text("utf-8"))


def _be(module: str, arguments: list[str], out: str, err: str, environment: dict[str, str], folder: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, stream, name in ((1, sys.stdout, out), (2, sys.stderr, err)):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, number)
        os.close(opened)
        stream.reconfigure(encoding="utf-8", write_through=True)  # type: ignore[union-attr]  # it is a TextIOWrapper
    sys.argv = [sys.argv[0], *arguments]
    importlib.import_module(module).main()
