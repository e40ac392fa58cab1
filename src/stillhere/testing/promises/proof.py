"""What stores promise of the id that a claim has to come with."""

from __future__ import annotations

from msgspec.structs import replace

from stillhere.testing.clock import START
from stillhere.testing.expect import expect
from stillhere.testing.opener import World
from stillhere.testing.promise import Need, Trial, promise
from stillhere.testing.scene import IDLE, UNKNOWN, claim_of, id_of, session_of


@promise()
async def a_handle_without_its_id_opens_nothing(trial: Trial) -> None:
    """Handles are public: a claim with a right handle and a wrong id finds no session and changes nothing."""
    await trial.begin("a")
    await trial.begin("b")
    stolen = replace(claim_of("a", active_ago_ms=0), id_hash=id_of("b"))
    expect(
        await trial.beat(stolen, claim_of("b"), now=START + 1),
        [UNKNOWN, replace(UNKNOWN, session=replace(session_of("b"), last_seen_at=START + 1))],
    )
    expect(await trial.beat(stolen, now=START + IDLE), [UNKNOWN], "a claim that could notice a lapse")
    expect(await trial.store.get("handle-a"), session_of("a"))


@promise()
async def the_id_alone_opens_nothing(trial: Trial) -> None:
    """An id that is right for one session is no proof under any other handle."""
    await trial.begin("a")
    expect(await trial.beat(replace(claim_of("a"), handle="handle-b"), replace(claim_of("a"), handle="")), [UNKNOWN] * 2)


@promise(Need.SHOWN)
async def a_handle_without_its_id_leaves_no_trace(trial: Trial) -> None:
    """A claim with a wrong id opens no view and no visit."""
    await trial.begin("a")
    stolen = replace(claim_of("a", opens=True, on_screen=True, view="v"), id_hash=id_of("b"))
    expect(await trial.beat(stolen), [UNKNOWN])
    expect(await trial.world(trial.store), World([], []))
