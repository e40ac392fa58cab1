"""Every store there is, and sessions to put in it. A new store is one line here, and is then held to all that the others keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from stillhere.core.ids import hash_secret
from stillhere.core.policy import Policy, seconds
from stillhere.core.records import Claim
from stillhere.core.rules import open_session
from stillhere.stores import open_store
from stillhere.stores.protocol import Listable, Store, Sweepable, Watchable
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from stillhere.archive.archive import Archive
    from stillhere.core.records import Session

STORES: Final = {
    "memory": "memory://",
    "sqlite": "sqlite:///{folder}/sessions.db",
}
"""URL of each store, to be opened in a folder of the test's own."""

POLICY: Final = Policy(
    idle_timeout=seconds(60),
    absolute_timeout=seconds(240),
    warning_timeout=seconds(20),
    beat_interval=seconds(20),
    activity_window=seconds(20),
)

GAP: Final = 30_000
"""Absence after which the tests' stores begin a new visit, milliseconds."""

IDLE: Final = POLICY.idle_timeout

ABSOLUTE: Final = POLICY.absolute_timeout


class FullStore(Store, Listable, Sweepable, Watchable, Protocol):
    """A store with every optional ability."""


def opened(name: str, folder: Path) -> tuple[FullStore, Archive]:
    """Open one of `STORES`."""
    store, archive = open_store(STORES[name].format(folder=folder))
    assert isinstance(store, Listable)
    assert isinstance(store, Sweepable)
    assert isinstance(store, Watchable)
    return cast("FullStore", store), archive


def id_of(name: str) -> str:
    """Hash a made-up secret id."""
    return hash_secret(name)


def claim_of(name: str, **says: Any) -> Claim:  # a claim's members are of many types
    """Make a claim for the session of `session_of(name)`."""
    return Claim(handle=f"handle-{name}", id_hash=id_of(name), **says)


def session_of(
    name: str, attributes: Mapping[str, object] | None = None, *, subject: str = "first@fund.example", now: int = START
) -> Session:
    """Begin a session with an id and a handle made from a name."""
    return open_session(id_of(name), f"handle-{name}", subject, attributes or {}, policy=POLICY, now=now)
