"""Gives every test that asks for `kept` each store in turn, with the archive beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores.every import STORES, FullStore, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stillhere.archive.archive import Archive


@pytest.fixture(params=STORES)
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[FullStore, Archive]]:
    """Open a store that is empty, and its archive; close it in the end."""
    store, archive = opened(request.param, tmp_path)
    yield store, archive
    await store.close()
