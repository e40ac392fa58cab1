"""Starts those that are measured: stillhere, the bare server, and the peers, each on the same core, one worker."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Self

from benchmarks.measure import HERE, LOAD_CORE, SERVER_CORE, BenchmarkError, Load, Side
from tests.services.process import Server, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ROOT: Final = HERE.parent

UVICORN: Final = tuple(
    "-m uvicorn --http httptools --loop uvloop --no-access-log --log-level warning --no-proxy-headers --no-server-header".split()
)
"""As the program starts it."""

PEOPLE: Final = 2_000

TOUCH: Final = Load()

ALL_CORES: Final = f"{LOAD_CORE},{SERVER_CORE}"


class Stage:
    """Where servers run until the benchmark ends.

    Args:
        folder: for their logs, their data and the cookies.
        people: how many are signed in at each.
    """

    def __init__(self, folder: Path, *, people: int = PEOPLE) -> None:
        """Start nothing yet."""
        self.folder = folder
        self.people = people
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Hand out the stage; leaving stops every server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every server."""
        self._running.close()

    def start(self, name: str, command: Sequence[object], environment: Mapping[str, str], *, cores: str = str(SERVER_CORE)) -> Server:
        """Start a server; `{port}` in the command stands for its port."""
        port = free_port()
        settings = [f"{key}={value}" for key, value in {**environment, "PORT": str(port), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}.items()]
        words = [str(word).replace("{port}", str(port)) for word in command]
        log = self.folder / f"{name.replace(' ', '-').replace('/', '-')}.log"
        server = Server(["taskset", "-c", cores, "env", *settings, *words], log, port=port, is_ready=lambda: _answers(port))
        self._running.enter_context(_up(server))
        return server

    def cookies(self, name: str) -> Path:
        """Tell where the cookies of a side are kept."""
        return self.folder / f"{name.replace(' ', '-').replace('/', '-')}.cookies"

    def uvicorn(
        self,
        name: str,
        application: str,
        environment: Mapping[str, str] | None = None,
        *,
        workers: int | None = None,
        factory: bool = False,
    ) -> Server:
        """Start an ASGI application of ours as the program would; if a number of workers is given, they may use every core."""
        command = [
            sys.executable,
            *UVICORN,
            "--port",
            "{port}",
            *(["--workers", str(workers)] if workers else []),
            *(["--factory"] if factory else []),
            application,
        ]
        cores = ALL_CORES if workers else str(SERVER_CORE)
        return self.start(name, command, environment or {}, cores=cores)

    def bare(self, *, like: Side) -> Side:
        """Start the bare ASGI application; it is sent what another side is sent."""
        return Side(name="bare ASGI", server=self.uvicorn("bare", "benchmarks.apps.bare:app"), cookies=like.cookies, load=like.load)

    def embedded(
        self,
        name: str,
        url: str,
        *,
        databases: Sequence[Server] = (),
        load: Load = TOUCH,
        stored: int | None = None,
        filled: Path | None = None,
    ) -> Side:
        """Start stillhere inside an ASGI application, with people signed in.

        Args:
            name: of the side.
            url: of the store.
            databases: the servers that keep it.
            load: what is sent.
            stored: how many sessions are to be in the store. Default: as many as people.
            filled: file with the cookies of a store that has its sessions already.
        """
        cookies = filled or self.cookies(name)
        environment = {"BENCH_STORE": url}
        if url.startswith("memory:"):
            environment |= {"BENCH_COOKIES": str(cookies), "BENCH_PEOPLE": str(self.people), "BENCH_STORED": str(stored or self.people)}
        elif filled is None:
            self.fill(url, stored or self.people, cookies=cookies)
        server = self.uvicorn(name, "benchmarks.apps.embedded:app", environment)
        return Side(name=name, server=server, cookies=cookies, databases=databases, load=load)

    def program(self, name: str, url: str, *, databases: Sequence[Server] = ()) -> Side:
        """Start the program, `stillhere serve`, on a store with people signed in."""
        self.fill(url, self.people, cookies=self.cookies(name))
        limits = ["--beats-per-minute", str(10**6), "--messages-per-minute", str(10**9), "--log-level", "error"]
        command = [sys.executable, "-m", "stillhere.server.cli", "serve", "--store", url, "--port", "{port}", *limits]
        return Side(name=name, server=self.start(name, command, {}), cookies=self.cookies(name), databases=databases)

    def fill(self, url: str, stored: int, *, lapsed: int = 0, cookies: Path, cores: str = str(SERVER_CORE)) -> None:
        """Put sessions into a store that several processes can reach, and so many more that lapsed and nobody noticed."""
        words = [url, str(stored), str(self.people), str(lapsed), str(cookies)]
        command = ["taskset", "-c", cores, sys.executable, "-m", "benchmarks.apps.people", *words]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise BenchmarkError(f"cannot fill the store: {ran.stderr}")

    def signed_in_by_http(self, name: str, server: Server, *, databases: Sequence[Server], load: Load) -> Side:
        """Sign people in at a peer, through its own login."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as client, self.cookies(name).open("w") as file:
            for n in range(self.people):
                client.request("GET", f"/login?user=person{n:06}@example.org")
                answer = client.getresponse()
                answer.read()
                cookie = answer.getheader("set-cookie")
                if answer.status != 200 or cookie is None:
                    raise BenchmarkError(f"{name}: the login answered {answer.status} and set no cookie")
                file.write(cookie.partition(";")[0] + "\n")
        return Side(name=name, server=server, cookies=self.cookies(name), databases=databases, load=load)


@contextlib.contextmanager
def _up(server: Server) -> Iterator[None]:
    """Run a server; unlike the ones of tests it may take minutes to fill its store."""
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        server.launch()
        end = time.monotonic() + 180
        while not _answers(server.port):
            if not server.pids or time.monotonic() > end:
                raise BenchmarkError(f"a server did not start:\n{server.log.read_text('utf-8')[-2000:]}")
            time.sleep(0.05)
        yield


def _answers(port: int) -> bool:
    try:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as client:
            client.request("GET", "/session")
            client.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    return True
