"""What the tests of the manager share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stillhere.manager import SessionManager
from stillhere.stores.memory import MemoryStore
from tests.manager.doubles import GatedStore
from tests.manager.scripted import Scripted

if TYPE_CHECKING:
    from tests.support import FakeClock


@pytest.fixture
def manager(clock: FakeClock) -> SessionManager:
    """Give a manager on a memory store, with the plain policy and a clock to move."""
    return SessionManager(MemoryStore(), clock=clock)


@pytest.fixture
def gated() -> GatedStore:
    """Give a store whose batches can be held back."""
    return GatedStore()


@pytest.fixture
def store() -> Scripted:
    """Give a store in which something can happen in between."""
    return Scripted()


@pytest.fixture
def scripted(store: Scripted, clock: FakeClock) -> SessionManager:
    """Give a manager on it."""
    return SessionManager(store, clock=clock)
