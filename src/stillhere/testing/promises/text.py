"""What stores promise of text: it comes back to the letter."""

from __future__ import annotations

from stillhere.core.records import EndedBy, Session
from stillhere.stores.protocol import Listable, Sweepable
from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.promise import Need, Trial, promise
from stillhere.testing.scene import IDLE, claim_of, id_of
from stillhere.testing.texts import TEXTS


@promise()
async def attributes_come_back_as_they_went_in(trial: Trial) -> None:
    """Any JSON is kept: nested, of every script, with large and small numbers; and every verb answers it alike."""
    attributes = {
        "": "",
        "roles": ["admin", {"of": ["\u03b1", {"\N{SNOWMAN}": [None, True, False]}]}],
        "n": [0, -1, 2**63, 10**30, 0.1, -1e-300, 1e308],
        "text": "'\"\\ \n\t\0\x7f\u2028\N{PILE OF POO} e\u0301 \u202eabc {}",
        "texts": list(TEXTS),
    }
    store = trial.store
    await trial.begin("a", attributes)
    seen: dict[str, Session | None] = {"get": await store.get("handle-a"), "beat": (await trial.beat(claim_of("a")))[0].session}
    if isinstance(store, Listable):
        (seen["living"],) = await store.living(subject=None, limit=1, now=START)
    seen["rotate"] = await store.rotate("handle-a", id_of("a"), id_of("b"), now=START)
    if isinstance(store, Sweepable):
        (seen["sweep"],) = await store.sweep(limit=1, now=START + IDLE)
    seen["end"] = (await store.end("handle-a", EndedBy.REVOKED, now=START)).session
    for verb, session in seen.items():
        expect(session.attributes if session else None, attributes, f"as {verb} answers it")


@promise()
async def subjects_come_back_as_they_went_in(trial: Trial) -> None:
    """A subject is kept to the letter, and is nobody else's: lists of one subject hold that one's sessions only."""
    sessions = [await trial.begin(str(n), subject=text) for n, text in enumerate(TEXTS)]
    for session in sessions:
        expect(await trial.store.get(session.handle), session)
        if isinstance(trial.store, Listable):
            expect(await trial.store.living(subject=session.subject, limit=100, now=START), [session], f"of {session.subject!r}")


@promise(Need.SHOWN)
async def pages_come_back_as_they_went_in(trial: Trial) -> None:
    """All that a page says of itself is kept to the letter: its names for view and tab, its path, its title, what it measured."""
    await trial.begin("a")
    await trial.beat(
        *(claim_of("a", opens=True, on_screen=True, view=text, tab=text, page=text, title=text, heat=text, bands=text) for text in TEXTS)
    )
    world = await trial.world(trial.store)
    found = [(view.view, view.tab, view.page, view.title, view.heat, view.bands) for view in world.views]
    expect(sorted(found, key=str), sorted([(text,) * 6 for text in TEXTS], key=str))
