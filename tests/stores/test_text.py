"""Text of any script, quoted or not, goes through every store and comes back unharmed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.archive.records import VisitFilter
from stillhere.core.records import Claim
from tests.stores.every import GAP, STORES, FullStore, opened, session_of
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillhere.archive.archive import Archive

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module", params=STORES)
def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner
) -> Iterator[tuple[FullStore, Archive]]:
    """One store and its archive for all examples."""
    store, archive = opened(request.param, tmp_path_factory.mktemp("text"))
    yield store, archive
    runner.run(store.close())


@given(texts=st.fixed_dictionaries(dict.fromkeys(("handle", "subject", "view", "tab", "page", "title", "key", "value"), texts)))
def test_any_text_comes_back_as_it_went_in(texts: dict[str, str], runner: asyncio.Runner, kept: tuple[FullStore, Archive]) -> None:
    """Handles, subjects, attributes and all that a page says of itself are kept to the letter. NUL never comes this far."""
    runner.run(_kept_to_the_letter(texts, *kept))


async def _kept_to_the_letter(text: dict[str, str], store: FullStore, archive: Archive) -> None:
    made = session_of("", {text["key"]: text["value"]}, subject=text["subject"])
    session = replace(made, handle=f"h{text['handle']}")
    if await store.get(session.handle) is not None:
        return
    await store.create(session)
    claim = Claim(handle=session.handle, id_hash=session.id_hash, opens=True, on_screen=True, view=text["view"], tab=text["tab"])
    claim = replace(claim, page=text["page"], title=text["title"])
    (outcome,) = await store.beat([claim], visit_gap=GAP, touch_interval=0, now=START)
    assert outcome.session == session == await store.get(session.handle)
    assert session in await store.living(subject=text["subject"], limit=10_000, now=START)
    found = await archive.visit(f"{session.handle}.1", beat_interval=1, now=START)
    assert found is not None
    report, (view,) = found
    assert (report.session, report.visitor) == (session.handle, text["subject"])
    assert (view.view, view.tab, view.page, view.title) == (text["view"], text["tab"], text["page"], text["title"])
    wanted = VisitFilter(visitor=text["subject"])
    assert text["subject"] in {row.visitor for row in await archive.visitors(wanted, beat_interval=1, now=START)}
