"""What can be seen of a PostgreSQL store from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.clock import system_clock
from stillhere.errors import SettingsError, StoreError
from stillhere.stores import look_at_store
from stillhere.stores.sql.migrations import NEWEST
from tests.services import postgresql
from tests.services.process import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from stillhere.stores.postgresql.store import PostgresqlStore


def test_an_empty_database_stays_empty(url: str) -> None:
    """Nothing is made in it, however often somebody looks; its version and its clock are told."""
    for facts in (look_at_store(url), look_at_store(url)):
        assert (facts.revision, facts.newest) == (None, NEWEST)
        assert facts.software.startswith("PostgreSQL ")
        assert facts.clock_at is not None
        assert abs(facts.clock_at - system_clock()()) < 60_000


def test_a_store_tells_its_revision(url: str, store: PostgresqlStore) -> None:
    """It is this release's once a store was opened."""
    del store
    assert look_at_store(url).revision == NEWEST


def test_a_server_that_does_not_sync_is_told(url: str, tmp_path: Path) -> None:
    """Without fsync a power cut can take everything: that is said with what to set."""
    assert look_at_store(url).problems == ()
    with postgresql(tmp_path, fsync="off") as careless:
        (problem,) = look_at_store(careless.url).problems
    assert "fsync is off" in problem
    assert "set it to on" in problem


def test_a_server_that_is_away_is_said() -> None:
    """As when a store is opened; the sentence has no password in it."""
    with pytest.raises(StoreError, match="cannot be opened") as error:
        look_at_store(f"postgresql://stillhere:open-sesame@127.0.0.1:{free_port()}/stillhere")
    assert "sesame" not in str(error.value)
    with pytest.raises(SettingsError):
        look_at_store("postgresql://stillhere:open-sesame@[::1/stillhere")
