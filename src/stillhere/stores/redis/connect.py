"""What a URL says of Redis: where it is, as whom to come, and how sure writes must be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from redis.asyncio.connection import Connection, SSLConnection

from stillhere.errors import SettingsError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

SCHEMES: Final = ("redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
"""Those that are this store's."""

CONNECT_TIMEOUT_S: Final = 2
ANSWER_TIMEOUT_S: Final = 5

CALL_TIMEOUT_S: Final = 5.5
"""How long a call may take in all, with finding out who has what, and all tries."""

_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379

_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::(\d{1,5}))?")
_TLS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTIONS: Final = ("prefix", "wait_replicas", "sentinel_username", "sentinel_password", *_TLS)
_REPLICAS: Final = re.compile(r"[0-9]{1,2}")
_DATABASE: Final = re.compile(r"[0-9]{1,4}")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go.

    Attributes:
        kind: `single`, `cluster` or `sentinel`.
        hosts: names and ports: of the server, of some nodes of the cluster, or of the sentinels.
        primary: what the sentinels call the primary; empty for the other kinds.
        prefix: what all keys begin with.
        wait_replicas: how many replicas must have a write before it is answered.
        options: what connections need besides: user, password, database, TLS.
        sentinel_options: the same for connections to sentinels.
    """

    kind: str
    hosts: list[tuple[str, int]]
    primary: str
    prefix: str
    wait_replicas: int
    options: dict[str, Any]
    sentinel_options: dict[str, Any]

    def connection(self, host: str, port: int) -> Connection:
        """Make a connection that is not open yet."""
        return _connection(host, port, self.options)

    def sentinel_connection(self, host: str, port: int) -> Connection:
        """Make a connection to a sentinel that is not open yet."""
        return _connection(host, port, self.sentinel_options)

    def without_secrets(self, error: BaseException) -> str:
        """Tell what an error says, with no password in it."""
        text = str(error) or f"not within {ANSWER_TIMEOUT_S} seconds"
        for options in (self.options, self.sentinel_options):
            if options.get("password"):
                text = text.replace(options["password"], "***")
        return text


def _connection(host: str, port: int, options: dict[str, Any]) -> Connection:
    options = dict(options)
    kind = SSLConnection if options.pop("tls") else Connection
    # What waits for an answer is bounded once for a whole exchange, not for each read of it.
    return kind(host=host, port=port, protocol=2, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=None, **options)


def read_url(url: str) -> Target:
    """Read a store's URL.

    Raises:
        SettingsError: if it cannot be one; the text never repeats it, there may be a password in it.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise SettingsError("the store's URL cannot be read; write redis://host:6379/0") from error
    scheme, _, kind = parts.scheme.partition("+")
    if parts.scheme not in SCHEMES:
        raise SettingsError(f"no Redis store goes by {parts.scheme}://; use one of {', '.join(SCHEMES)}")
    tls = scheme == "rediss"
    options = _options(parts, tls=tls)
    user, password, hosts = _authority(parts, _SENTINEL_PORT if kind == "sentinel" else _PORT)
    primary, database = _path(parts, kind)
    secure: dict[str, Any] = {"tls": tls, **{name: options[name] for name in _TLS if name in options}}
    return Target(
        kind=kind or "single",
        hosts=hosts,
        primary=primary,
        prefix=options.get("prefix", "stillhere"),
        wait_replicas=int(options.get("wait_replicas", "0")),
        options={**secure, "username": user, "password": password, "db": database},
        sentinel_options={**secure, "username": options.get("sentinel_username"), "password": options.get("sentinel_password")},
    )


def _options(parts: SplitResult, *, tls: bool) -> dict[str, str]:
    try:
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise SettingsError("the options of the store's URL cannot be read; write ?name=value&name=value") from error
    for name, _ in given:
        if name not in _OPTIONS:
            raise SettingsError(f"the store's URL has an option {name!r} that Redis stores do not know; they know {', '.join(_OPTIONS)}")
        if name in _TLS and not tls:
            raise SettingsError(f"the store's URL has {name!r}, but is not for TLS; write rediss instead of redis")
    options = dict(given)
    if not _PREFIX.fullmatch(options.get("prefix", "stillhere")):
        raise SettingsError("the store's prefix may have letters, digits and _ . : - in it, 64 at most")
    if not _REPLICAS.fullmatch(options.get("wait_replicas", "0")):
        raise SettingsError("the store's wait_replicas is the number of replicas to wait for, 0 to 99")
    return options


def _authority(parts: SplitResult, default_port: int) -> tuple[str | None, str | None, list[tuple[str, int]]]:
    user_and_password, _, addresses = parts.netloc.rpartition("@")
    user, _, password = user_and_password.partition(":")
    hosts = []
    for address in addresses.split(","):
        found = _HOST.fullmatch(address)
        if found is None or not 0 < int(found[2] or default_port) <= 0xFFFF:  # noqa: PLR2004  # the highest port
            raise SettingsError("the store's URL needs a host, with a port if it is not the usual one: redis://host:6379/0")
        hosts.append((found[1].strip("[]"), int(found[2] or default_port)))
    if len(hosts) > 1 and "+" not in parts.scheme:
        raise SettingsError(f"the store's URL has several hosts; write {parts.scheme}+cluster:// or {parts.scheme}+sentinel://")
    return unquote(user) or None, unquote(password) or None, hosts


def _path(parts: SplitResult, kind: str) -> tuple[str, int]:
    primary, _, database = parts.path.removeprefix("/").rpartition("/")
    if kind == "sentinel" and not primary:
        primary, database = database, ""
    if kind == "sentinel" and not primary:
        raise SettingsError("the store's URL names no primary; write redis+sentinel://host:26379,host:26379/name-of-the-primary/0")
    if kind != "sentinel" and primary:
        raise SettingsError("the path of the store's URL is the number of a database: redis://host:6379/0")
    if not _DATABASE.fullmatch(database or "0"):
        raise SettingsError("the path of the store's URL ends with the number of a database: /0")
    if kind == "cluster" and int(database or "0"):
        raise SettingsError("a Redis Cluster has no databases but 0; leave the path of the store's URL empty")
    return unquote(primary), int(database or "0")
