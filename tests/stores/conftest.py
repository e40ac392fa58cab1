"""Gives every test that asks for `store` each store in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores.every import STORES, FullStore, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FullStore]:
    """Open a store that is empty; close it in the end."""
    store, _ = opened(request.param, tmp_path)
    yield store
    await store.close()
