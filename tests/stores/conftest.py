"""Gives every test that asks for `store` each store in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.stores.redis import routes
from tests.stores.every import STORES, FullStore, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a cluster's nodes take their time to tell who has what, where time is not what is tested."""
    monkeypatch.setattr(routes, "LOOK_TIMEOUT_S", 20)


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FullStore]:
    """Open a store that is empty; close it in the end."""
    store, _ = opened(request.param, tmp_path)
    yield store
    await store.close()
