"""A server of somebody else's making, in processes of its own: started, stopped, killed and held still."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FIRST_PORT: Final = 10_000
PORTS: Final = 12_000
"""These and their companions 10,000 above lie below the range from which the system draws ports for outgoing connections."""

STOP_TIMEOUT_S: Final = 10
"""After that long it is killed."""


_given: Final[set[int]] = set()
"""Ports that were given out in this process, whether or not somebody listens there already."""


def free_port() -> int:
    """Find a port of loopback that nobody has, and nobody has the one 10,000 above it, where a cluster's nodes talk.

    None is given twice, and each of pytest's workers has a part of them for itself: who draws several listens later.
    """
    worker, workers = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    part = PORTS // workers
    while True:
        port = FIRST_PORT + worker % workers * part + secrets.randbelow(part)  # who takes the place of a dead worker has a new number
        if port not in _given and all(_is_free(candidate) for candidate in (port, port + 10_000)):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Server:
    """One server on one port.

    Args:
        command: starts it in the foreground.
        log: file for its output.
        port: where it listens.
        is_ready: tells whether it answers.
        stop_with: the signal at which it stops in good order.
        user: who runs it, if not who runs the tests.

    Attributes:
        process: the process; None before the first start.
        port: where it listens.
        log: file of its output.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        port: int,
        is_ready: Callable[[], bool],
        stop_with: signal.Signals = signal.SIGTERM,
        user: str | None = None,
    ) -> None:
        # It dies with the tests, even if they are killed.
        setpriv = ["setpriv", "--pdeathsig", "KILL"]
        if user is not None:
            setpriv += ["--reuid", user, "--regid", str(_group_of(user)), "--clear-groups"]
        self._command = [*setpriv, "--", *command]
        self._is_ready = is_ready
        self._stop_with = stop_with
        self.log = log
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def ports(self) -> list[int]:
        """Where it listens, as a list."""
        return [self.port]

    @property
    def is_running(self) -> bool:
        """There is a process, be it paused."""
        return self.process is not None and self.process.poll() is None

    @property
    def is_held_still(self) -> bool:
        """It is paused."""
        return self.process is not None and _stat(self.process.pid)[0] == "T"

    @property
    def pids(self) -> list[int]:
        """Its process and that one's children; empty if it does not run."""
        return [self.process.pid, *_children(self.process.pid)] if self.process is not None and self.is_running else []

    def start(self) -> None:
        """Start it on the port and the data it had before; fail with its output if it does not come."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start it without waiting."""
        assert not self.is_running, f"{self.log.stem} runs already"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    def wait_until_ready(self) -> None:
        """Wait until it answers; fail with its output if it does not come."""
        with self.quoting_log():
            wait_until(lambda: not self.is_running or self._is_ready(), what=f"{self.log.stem} to answer at port {self.port}")
            assert self.is_running, f"{self.log.stem} did not start"

    @contextlib.contextmanager
    def quoting_log(self) -> Iterator[None]:
        """Let a failure of the block quote the end of the log."""
        try:
            yield
        except AssertionError as error:
            tail = "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-30:])
            raise AssertionError(f"{error}; {self.log} ends with:\n{tail}") from error

    def stop(self, with_signal: signal.Signals | None = None) -> None:
        """Stop it in good order, or by another signal; kill it if that takes too long. No harm if it does not run."""
        if self.process is None or not self.is_running:
            return
        pids = self.pids
        self.resume()
        self.process.send_signal(with_signal or self._stop_with)
        try:
            self.process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        _wait_until_gone(pids)

    def kill(self) -> None:
        """Kill it and its children at once, as a power cut would (SIGKILL). No harm if it does not run."""
        if self.process is not None and self.is_running:
            self.process.send_signal(signal.SIGSTOP)  # so that it gets no more children meanwhile
            pids = self.pids
            _send(pids, signal.SIGKILL)
            self.process.wait(timeout=PATIENCE_S)
            _wait_until_gone(pids)

    def pause(self) -> None:
        """Hold it still (SIGSTOP): its connections stay open, and nobody answers on them."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)
            _send(self.pids, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        _send(self.pids, signal.SIGCONT)


class Servers:
    """Several servers that make one service.

    Args:
        servers: all of them.

    Attributes:
        servers: all of them.
    """

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = list(servers)

    @property
    def ports(self) -> list[int]:
        """Where they listen."""
        return [server.port for server in self.servers]

    def is_well(self) -> bool:
        """Tell whether all of them work together."""
        raise NotImplementedError

    def wait_until_well(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until all of them work together."""
        wait_until(self.is_well, what=f"{type(self).__name__} at {self.ports} to be well", timeout_s=timeout_s)

    def start(self) -> None:
        """Start those that do not run, and wait until all work together."""
        started = [server for server in self.servers if not server.is_running]
        for server in started:
            server.launch()
        for server in started:
            server.wait_until_ready()
        self.wait_until_well()

    def stop(self) -> None:
        """Stop them all."""
        for server in self.servers:
            server.resume()
        for server in self.servers:
            server.stop()

    def kill(self) -> None:
        """Kill them all (SIGKILL)."""
        for server in self.servers:
            server.kill()

    def pause(self) -> None:
        """Hold them all still (SIGSTOP)."""
        for server in self.servers:
            server.pause()

    def resume(self) -> None:
        """Let them all go on (SIGCONT)."""
        for server in self.servers:
            server.resume()


@contextlib.contextmanager
def running(service: Server | Servers) -> Iterator[None]:
    """Start a server, or several, and leave none of its processes behind."""
    try:
        service.start()
        yield
    finally:
        service.stop()


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _send(pids: Sequence[int], what: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


def _stat(pid: int | str) -> tuple[str, int]:
    """Tell state and parent of a process; `X` if there is none."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    return state, int(parent)


def _children(pid: int) -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _stat(entry.name)[1] == pid]


def are_gone(pids: Sequence[int]) -> bool:
    """Tell whether none of these processes runs; a dead one that nobody has asked after yet counts as gone."""
    return all(_stat(pid)[0] in "XZ" for pid in pids)


def _wait_until_gone(pids: Sequence[int]) -> None:
    wait_until(lambda: are_gone(pids), what=f"the processes {pids} to end")
