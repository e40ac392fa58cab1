"""Floor 1: where sessions are kept. One protocol, several stores; `open_store` picks one by its URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from stillhere.archive.archive import Archive
from stillhere.errors import SettingsError

if TYPE_CHECKING:
    from stillhere.stores.protocol import Store


_PASSWORD: Final = re.compile(r"(?<=://)([^/@:]*):[^/]*@|([?&;][^=&;]*(?:pass|secret|key)[^=&;]*=)[^&;]*", re.IGNORECASE)


def shown(url: str) -> str:
    """Write a store's URL so that it may be shown: without its password."""
    return _PASSWORD.sub(lambda found: f"{found[2]}***" if found[2] else f"{found[1]}:***@", url)


def open_store(url: str) -> tuple[Store, Archive]:
    """Open the store that a URL names, and the archive that lives beside it.

    Args:
        url: `memory://` (gone at the end of the process) or `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises:
        SettingsError: if no store goes by that scheme; the message lists those that do.
        StoreError: if the store is there but cannot be opened.
    """
    scheme, separator, _ = url.partition("://")
    if separator and scheme == "memory":
        from stillhere.archive.memory import MemorySource  # noqa: PLC0415  # a store's parts load only where it is used
        from stillhere.stores.memory import MemoryStore  # noqa: PLC0415  # as above

        memory = MemoryStore()
        return memory, Archive(MemorySource(memory))
    if separator and scheme == "sqlite":
        from stillhere.archive.sql import SqlSource  # noqa: PLC0415  # as above
        from stillhere.stores.sqlite.store import SqliteStore  # noqa: PLC0415  # as above

        store = SqliteStore(url)
        return store, Archive(SqlSource(store.readers))
    raise SettingsError(f"no store goes by {shown(url)!r}; use memory:// or sqlite:///path/to/file.db")
