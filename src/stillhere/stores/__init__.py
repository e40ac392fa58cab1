"""Floor 1: where sessions are kept. One protocol, several stores; `open_store` picks one by its URL."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from stillhere.archive.archive import Archive
from stillhere.archive.archiver import Archiver
from stillhere.errors import SettingsError
from stillhere.stores.facts import StoreFacts

if TYPE_CHECKING:
    from stillhere.stores.protocol import Store

SCHEMES: Final = {
    "memory": "memory",
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    **{f"{scheme}{kind}": "redis" for scheme in ("redis", "rediss") for kind in ("", "+cluster", "+sentinel")},
}
"""Which store goes by which scheme of a URL."""

_EXAMPLES: Final = "memory://, sqlite:///path/to/file.db, postgresql://user@host/database or redis://host/0"

_SECRET: Final = re.compile(r"([?&][^=&]*(?:pass|secret|key)[^=&]*=)[^&]*", re.IGNORECASE)

_HARMLESS: Final = re.compile(r"[\w./\\ -]*\Z")


def shown(url: str) -> str:
    """Write a store's URL so that it may be shown: without its password, and of one that cannot be read no more than its scheme."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if not separator or "@" in path:
        return url if _HARMLESS.match(url) else f"{re.split('[^a-z0-9+]', url)[0]}:..."
    login, at, hosts = authority.rpartition("@")
    user, colon, _ = login.partition(":")
    return _SECRET.sub(r"\1***", f"{scheme}://{user}{':***' if colon else ''}{at}{hosts}{slash}{path}")


def open_store(url: str, archive_url: str | None = None) -> tuple[Store, Archive]:
    """Open the store that a URL names, and the archive of its visits.

    Args:
        url: `memory://` (gone at the end of the process), `sqlite:///relative.db`, `sqlite:////absolute.db`,
            `postgresql://user@host/database`, or `redis://host/0` and its kin (docs/redis.md).
        archive_url: a SQL store for the visits of a Redis store. None keeps them in Redis; SQL stores keep their own.

    Raises:
        SettingsError: if no store goes by that scheme, its driver is missing, or the two do not go together.
        StoreError: if the store is there but cannot be opened.
    """
    kind = _kind(url)
    if archive_url is not None and (kind != "redis" or _kind(archive_url) not in {"sqlite", "postgresql"}):
        raise SettingsError(
            f"cannot archive {shown(url)!r} in {shown(archive_url)!r}: an archive goes with a Redis store, and is SQLite or "
            "PostgreSQL. Other stores keep their visits themselves",
        )
    if kind == "redis":
        return _open_redis(url, archive_url)
    if kind == "memory":
        memory = _load("stillhere.stores.memory").MemoryStore()
        return memory, Archive(_load("stillhere.archive.memory").MemorySource(memory))
    sql = _open_sql(kind, url)
    return sql, _sql_archive(sql)


def _kind(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise SettingsError(f"no store goes by {shown(url)!r}; use {_EXAMPLES}")
    return SCHEMES[scheme]


def _sql_archive(keeper: Any, archiver: Archiver | None = None) -> Archive:  # noqa: ANN401  # a store, of which only its parts are known here
    return Archive(
        _load("stillhere.archive.sql").SqlSource(keeper.readers), archiver, _load("stillhere.stores.sql.audit").SqlLog(keeper.readers)
    )


def _open_sql(kind: str, url: str) -> Any:  # noqa: ANN401  # a store's parts, and so its types, load only where it is used
    name = "SqliteStore" if kind == "sqlite" else "PostgresqlStore"
    return getattr(_load(f"stillhere.stores.{kind}.store"), name)(url)


def _open_redis(url: str, archive_url: str | None) -> tuple[Store, Archive]:
    redis = _load("stillhere.stores.redis.store")
    _load("stillhere.stores.redis.check").check(url)
    if archive_url is None:
        store = redis.RedisStore(url)
        return store, Archive(
            _load("stillhere.archive.redis").RedisSource(store), audit=_load("stillhere.stores.redis.audit").RedisLog(store)
        )
    sink = _open_sql(_kind(archive_url), archive_url)
    store = redis.RedisStore(url, marks_changes=True)
    return store, _sql_archive(sink, Archiver(store, sink))


_LOOKS: Final = {"sqlite": "sqlite.engine", "postgresql": "postgresql.connect", "redis": "redis.check"}


def look_at_store(url: str) -> StoreFacts:
    """See what can be seen of a store from outside: whether it can be reached, what is in it, what a crash could take.

    Nothing is made, migrated or written; so it can also be asked of a store that another release uses.

    Args:
        url: as for `open_store`; of the store or of the archive.

    Raises:
        SettingsError: if no store goes by that scheme, or its driver is missing.
        StoreError: if the store cannot be reached, or not be used.
    """
    kind = _kind(url)
    if kind == "memory":
        return StoreFacts(software="this process")
    facts: StoreFacts = _load(f"stillhere.stores.{_LOOKS[kind]}").look_at(url)
    return facts


_EXTRAS: Final = {"psycopg": "postgresql", "redis": "redis", "hiredis": "redis"}


def _load(module: str) -> Any:  # noqa: ANN401  # as above
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        raise SettingsError(f"{error.name} is not installed; install stillhere[{extra}]") from error


def store_of(store: str | Store, archive: str | Archive | None) -> tuple[Store, Archive | None]:
    """Open what URLs name; what is no URL is taken as it is.

    Raises:
        SettingsError: as `open_store`; or if one of the two is a URL and the other an object.
        StoreError: as `open_store`.
    """
    if isinstance(store, str) and (archive is None or isinstance(archive, str)):
        return open_store(store, archive)
    if isinstance(store, str) or isinstance(archive, str):
        raise SettingsError("store and archive are both URLs, or both objects of your own")
    return store, archive
