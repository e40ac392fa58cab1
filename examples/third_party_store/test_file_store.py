"""All that it takes to prove the store. Run `pytest` in this folder, with stillhere installed."""

from __future__ import annotations

import pytest
from file_store import FileStore

from stillhere.testing import Opener, World
from stillhere.testing.plugin import StoreContract


def world(store: FileStore) -> World:
    """Show the kit all views and visits."""
    kept = store.everything()
    return World.of((view for one in kept for view in one.views.values()), (visit for one in kept for visit in one.visits))


class TestFileStore(StoreContract):
    """One test for each promise."""

    rounds = 1

    @pytest.fixture
    def opener(self, tmp_path_factory: pytest.TempPathFactory) -> Opener[FileStore]:
        """Say how the store is opened, and opened again."""
        return Opener(
            lambda: FileStore(tmp_path_factory.mktemp("sessions")),
            reopen=lambda store: FileStore(store.folder),
            world=world,
        )
