"""Every store keeps every promise of `stillhere.testing`: one test for each of both."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from stillhere.errors import StoreError
from stillhere.testing import Promise, store_promises
from tests.stores.every import STORES, UNABLE, FullStore, opening

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 500 if os.environ.get("TESTS_PROFILE") == "nightly" else 5

CASES = [
    pytest.param(store, promise, id=f"{store}-{promise.name}")
    for store in STORES
    for promise in store_promises(without=UNABLE.get(store, ()))
]


@pytest.mark.parametrize(("name", "promise"), CASES)
async def test_every_promise_is_kept(name: str, promise: Promise, tmp_path: Path) -> None:
    """What the promise says, this store does."""
    with opening(name, tmp_path) as opener:
        await promise.check(opener, rounds=ROUNDS)


async def test_a_closed_store_says_that_it_is_closed(store: FullStore) -> None:
    """Whoever uses a store of ours after `close` reads so in the error."""
    await store.close()
    with pytest.raises(StoreError, match="the session store is closed"):
        await store.ping()
