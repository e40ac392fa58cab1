"""Visitors on every store that can have an outbox beside its visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mirrors.stand import Stand
from tests.stores.every import url_with_tables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support import FakeClock


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
async def stand(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Stand]:
    """Give visitors on each store in turn; on Redis with an archive in SQLite."""
    url = url_with_tables(request.param, tmp_path)
    stand = Stand(url, clock, archive=f"sqlite:///{tmp_path / 'archive.db'}" if request.param == "redis" else None)
    yield stand
    await stand.close()
