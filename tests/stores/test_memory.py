"""The memory store lets go of what nobody needs any more."""

from __future__ import annotations

from stillhere.stores.memory import MemoryStore
from tests.support import START


async def test_nothing_piles_up_of_what_has_passed() -> None:
    """Names that were taken or noted are gone with the first that comes after their instant; what was noted again stays for longer."""
    store = MemoryStore()
    await store.first("name", until=START + 5, now=START)
    for handle, until in (("a", START + 5), ("b", START + 5), ("b", START + 9)):
        await store.note("name", handle, until=until)
    await store.first("other", until=START + 9, now=START + 6)
    assert (store.firsts, store.notes) == ({"other": START + 9}, {"name": {"b": START + 9}})
    await store.first("last", until=START + 99, now=START + 10)
    assert (store.firsts, store.notes) == ({"last": START + 99}, {})
