"""Real Redis: one server, a cluster, or a primary and a replica under three sentinels."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Any, Final

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from tests.services.certificates import make_certificates
from tests.services.process import Server, Servers, free_port, running
from tests.support import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME: Final = "mymaster"
"""What the sentinels call the primary."""

FORGETFUL: Final = ('save ""', "appendonly no")
DURABLE: Final = ('save ""', "appendonly yes", "appendfsync always")
SYNCED: Final = ('save ""', "appendonly yes")
"""Who is killed and comes back has its data: an empty one would sign people out until it is told that it is the primary no more."""
REPLICATED: Final = ("repl-diskless-sync-delay 0", "repl-ping-replica-period 1", "shutdown-timeout 0")
"""Replicas are served at once, and a stop does not wait for them."""

CALM_MS: Final = 60_000
HASTY_MS: Final = 1_000
"""How long a server is silent before it is taken for dead: while all are well, however busy the machine, and while one is lost."""


class RedisServer(Server):
    """One redis-server, or one sentinel.

    Args:
        folder: for its configuration, its data and its log; made if there is none.
        settings: lines of its configuration.
        tls: serve TLS only.
        sentinel: be a sentinel.

    Attributes:
        url: URL of the store on it, without a user.
    """

    def __init__(self, folder: Path, *settings: str, tls: bool = False, sentinel: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        lines = ["bind 127.0.0.1", f"dir {folder}", *settings]
        self._options: dict[str, Any] = {"port": port, "protocol": 2, "retry": Retry(NoBackoff(), 0)}
        self.url = f"redis://127.0.0.1:{port}/0"
        if tls:
            made = make_certificates(folder)
            lines += ["port 0", f"tls-port {port}", f"tls-cert-file {made.certificate}", f"tls-key-file {made.key}"]
            lines += [f"tls-ca-cert-file {made.authority}", "tls-auth-clients no"]
            self._options |= {"ssl": True, "ssl_ca_certs": str(made.authority)}
            self.url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={made.authority}"
        else:
            lines.append(f"port {port}")
        configuration = folder / "redis.conf"
        configuration.write_text("\n".join(lines) + "\n", "utf-8")
        command = ["redis-server", str(configuration), *(["--sentinel"] if sentinel else [])]
        super().__init__(command, folder / f"{folder.name}.log", port=port, is_ready=lambda: self.ask_if_it_answers("PING") is not None)

    @contextlib.contextmanager
    def client(self, *, patience_s: float = 30) -> Iterator[redis.Redis]:
        """Open a client of its own to this one server, with all rights."""
        with redis.Redis("127.0.0.1", decode_responses=True, socket_timeout=patience_s, **self._options) as client:
            yield client

    def ask(self, *command: str | int, patience_s: float = 30) -> Any:
        """Send one command."""
        with self.client(patience_s=patience_s) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py gives it no types

    def ask_if_it_answers(self, *command: str | int) -> Any:
        """Send one command; None if the server is down, still loading, or says no."""
        with contextlib.suppress(redis.RedisError, OSError):
            return self.ask(*command, patience_s=2)
        return None

    def url_of(self, user: str, password: str) -> str:
        """Tell its URL with somebody's name and password in it."""
        return self.url.replace("://", f"://{user}:{password}@")

    def reached(self) -> int:
        """Tell how far the replica has come. A new one gets nothing for up to a second, and is as far as 0 until then."""
        replica = self.ask("INFO", "replication").get("slave0", {})
        return int(replica.get("offset", 0)) if replica.get("state") == "online" else 0

    def has_replicas(self, count: int) -> bool:
        """Tell whether it is a primary with so many replicas that have all it has sent so far."""
        told = self.ask_if_it_answers("INFO", "replication") or {}
        return told.get("connected_slaves") == count and all(told[f"slave{n}"]["state"] == "online" for n in range(count))


class Replicated(Servers):
    """A service in which another server takes over from one that dies."""

    @contextlib.contextmanager
    def hasty(self) -> Iterator[None]:
        """Until the block ends, take for dead who is silent for a second; else nobody is, however busy the machine."""
        self._patience(HASTY_MS)
        try:
            yield
        finally:
            self._patience(CALM_MS)

    def wait_until_well(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until all of them work together. Who was away while the others were told to be patient again is told now."""
        super().wait_until_well(timeout_s=timeout_s)
        self._patience(CALM_MS)

    def _patience(self, span_ms: int) -> None:
        """Tell all that can be told, until they say that they do."""
        raise NotImplementedError


def _tell(server: RedisServer, *command: str | int) -> None:
    """Send one command until it is done; there is no telling a server that does not run, or is held still."""
    wait_until(
        lambda: not server.is_running or server.is_held_still or server.ask_if_it_answers(*command) is not None,
        what=f"{server.log.stem} to do as it is told: {command}",
    )


class RedisCluster(Replicated):
    """Three primaries with a replica each; who is what changes with every failover.

    Attributes:
        nodes: the six servers.
        url: URL of the store on it.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        settings = (*(DURABLE if durable else FORGETFUL), *REPLICATED, "cluster-enabled yes", f"cluster-node-timeout {HASTY_MS}")
        self.nodes = [RedisServer(folder / f"node{n}", *settings) for n in range(6)]
        super().__init__(self.nodes)
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports[:3])
        self._is_made = False

    def start(self) -> None:
        """Start the nodes that do not run, make them a cluster the first time, and wait until it is whole."""
        if not self._is_made:
            for node in self.nodes:
                node.start()
            addresses = [f"127.0.0.1:{port}" for port in self.ports]
            command = ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"]
            made = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            assert made.returncode == 0, f"{made.stdout}\n{made.stderr}"
            self._is_made = True
        super().start()

    def _patience(self, span_ms: int) -> None:
        for node in self.nodes:
            _tell(node, "CONFIG", "SET", "cluster-node-timeout", span_ms)

    def is_well(self) -> bool:
        """Tell whether every node says that all is well, and each primary has a replica with all of its data."""
        return all(self._is_well(node) for node in self.nodes)

    def _is_well(self, node: RedisServer) -> bool:
        ranges = _ranges(node)
        primaries = {port for _, _, port, _ in ranges}
        return (
            "cluster_state:ok" in (node.ask_if_it_answers("CLUSTER", "INFO") or "")
            and len(primaries) == len(self.nodes) // 2
            and all(replicas == 1 for *_, replicas in ranges)
            and node.has_replicas(1 if node.port in primaries else 0)
        )

    def primaries(self) -> list[RedisServer]:
        """Tell which nodes serve slots now, as the first that answers sees it."""
        ports = {port for _, _, port, _ in self._ranges()}
        return [node for node in self.nodes if node.port in ports]

    def primary_of(self, slot_or_key: int | str) -> RedisServer:
        """Tell which node serves a slot or a key now, as the first that answers sees it."""
        slot = slot_or_key if isinstance(slot_or_key, int) else key_slot(slot_or_key.encode())
        port = next(port for first, last, port, _ in self._ranges() if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    def _ranges(self) -> list[tuple[int, int, int, int]]:
        return next(ranges for node in self.nodes if (ranges := _ranges(node)))


def _ranges(node: RedisServer) -> list[tuple[int, int, int, int]]:
    """Tell first slot, last slot, port of the primary and number of replicas of each range, as a node sees them."""
    rows = node.ask_if_it_answers("CLUSTER", "SLOTS") if node.is_running else None
    return [(row[0], row[1], row[2][1], len(row) - 3) for row in rows or []]


class RedisSentinel(Replicated):
    """One primary and one replica under three sentinels; which is which changes with every failover.

    Attributes:
        data: the two servers that keep data.
        sentinels: the three that watch them.
        url: URL of the store on it.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        settings = (*(DURABLE if durable else SYNCED), *REPLICATED)
        first = RedisServer(folder / "data0", *settings)
        second = RedisServer(folder / "data1", *settings, f"replicaof 127.0.0.1 {first.port}")
        watch = (
            f"sentinel monitor {NAME} 127.0.0.1 {first.port} 2",
            f"sentinel down-after-milliseconds {NAME} {CALM_MS}",
            f"sentinel failover-timeout {NAME} 5000",
        )
        self.data = [first, second]
        self.sentinels = [RedisServer(folder / f"sentinel{n}", *watch, sentinel=True) for n in range(3)]
        super().__init__([*self.data, *self.sentinels])
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels) + f"/{NAME}/0"
        self._is_made = False

    def start(self) -> None:
        """Start those that do not run, and wait until the sentinels know each other and the replica."""
        if not self._is_made:
            for server in self.data:  # before the sentinels: what these do not see at once they look for ten seconds later
                server.start()
            wait_until(lambda: self.data[0].has_replicas(1), what="the replica to have all")
            self._is_made = True
        for sentinel in self.sentinels:
            if not sentinel.is_running:
                sentinel.start()
                # They talk more often than by default, so that a server that comes back is taken in after two seconds, not twelve.
                # On a busy machine they may wait for two seconds: they are not to distrust their clocks then, and stand idle for thirty.
                sentinel.ask("SENTINEL", "DEBUG", "publish-period", 200, "info-period", 1000, "tilt-trigger", 600_000)
        super().start()

    def _patience(self, span_ms: int) -> None:
        for sentinel in self.sentinels:
            _tell(sentinel, "SENTINEL", "SET", NAME, "down-after-milliseconds", span_ms)

    def primary(self) -> RedisServer:
        """Tell which server is the primary now, as the first sentinel that answers sees it."""
        return self._known()[0]

    def primaries(self) -> list[RedisServer]:
        """Tell the primary as the only one of a list, if every sentinel knows it and it takes writes, so that a cluster can be asked alike.

        A sentinel that did not hear of a failover yet sends people to who was the primary, should that be back.
        """
        primary, *others = self._known()
        is_known = all(other is primary for other in others)
        return [primary] if is_known and (primary.ask_if_it_answers("ROLE") or [""])[0] == "master" else []

    def _known(self) -> list[RedisServer]:
        ports = [int(told["port"]) for sentinel in self.sentinels if (told := _master(sentinel))]
        return [server for port in ports for server in self.data if server.port == port]

    def is_well(self) -> bool:
        """Tell whether every sentinel knows the others, the replica and the same healthy primary, and the replica has all."""
        told = [_master(sentinel) for sentinel in self.sentinels]
        known = {(master.get("port"), master.get("flags"), master.get("num-slaves"), master.get("num-other-sentinels")) for master in told}
        return known == {(str(told[0].get("port")), "master", "1", "2")} and self.primary().has_replicas(1)


def _master(sentinel: RedisServer) -> dict[str, str]:
    """Tell what a sentinel knows of the primary; empty if it does not answer."""
    told = sentinel.ask_if_it_answers("SENTINEL", "MASTER", NAME) if sentinel.is_running else None
    return dict(zip(*[iter(told or [])] * 2, strict=True))


@contextlib.contextmanager
def redis_server(
    folder: Path, *, durable: bool = False, users: Mapping[str, str] | None = None, tls: bool = False
) -> Iterator[RedisServer]:
    """Run one Redis until the block ends.

    Args:
        folder: for its data and its log.
        durable: sync every write to disk before it is answered (`appendfsync always`).
        users: rules of access for more users, such as `{"app": ">secret ~stillhere:* &stillhere:* +@all -@dangerous"}`.
        tls: serve TLS only, under a throw-away authority.
    """
    server = RedisServer(folder / "redis", *(DURABLE if durable else FORGETFUL), *_users(users or {}), tls=tls)
    with running(server):
        yield server


def _users(users: Mapping[str, str]) -> list[str]:
    return [f"user {name} on {rules}" for name, rules in users.items()]


@contextlib.contextmanager
def redis_cluster(folder: Path, *, durable: bool = False) -> Iterator[RedisCluster]:
    """Run three primaries with a replica each until the block ends; a dead primary is replaced after about two seconds.

    Args:
        folder: for their data and their logs.
        durable: sync every write to disk before it is answered.
    """
    cluster = RedisCluster(folder, durable=durable)
    with running(cluster):
        yield cluster


@contextlib.contextmanager
def redis_sentinel(folder: Path, *, durable: bool = False) -> Iterator[RedisSentinel]:
    """Run a primary and a replica under three sentinels until the block ends; a dead primary is replaced after about three seconds.

    Args:
        folder: for their data and their logs.
        durable: sync every write to disk before it is answered.
    """
    group = RedisSentinel(folder, durable=durable)
    with running(group):
        yield group
