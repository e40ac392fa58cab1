"""The vectors that both languages run: one runner for each file, and no file without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import force_setattr

from stillhere.core.policy import Policy
from stillhere.core.records import Session, Standing
from stillhere.core.rules import apply_claim, claim_of, ending, next_beat_in, open_session, standing
from stillhere.core.wire import Beat, read_beats, write_answer
from stillhere.errors import BadBeat
from tests.core.vectors import VECTORS, play, read_vectors
from tests.support import START

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNNERS = {
    "activity": "test_what_an_honest_page_counts_is_believed_to_the_millisecond",
    "countdown": "test_client_and_server_agree_on_what_is_left_of_an_answer",
    "ramp": "test_both_sides_agree_when_the_next_beat_is_wanted",
    "timelines": "test_a_timeline_goes_as_the_agreement_says",
    "wire": "test_a_body_is_read_or_refused_as_the_agreement_says",
}


def test_every_file_of_vectors_has_a_runner_here() -> None:
    """Whatever the two languages agreed on is also run in this one."""
    assert {path.stem for path in VECTORS.glob("*.json")} == set(RUNNERS)
    assert all(runner in globals() for runner in RUNNERS.values())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in read_vectors("timelines")])
async def test_a_timeline_goes_as_the_agreement_says(case: dict[str, Any]) -> None:
    """After each step the answer is the one derived by hand from the protocol, and so is what is remembered."""
    await play(case)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in read_vectors("wire")])
def test_a_body_is_read_or_refused_as_the_agreement_says(case: dict[str, Any]) -> None:
    """A body gives exactly these beats, or is refused with this status and this field."""
    body = bytes.fromhex(case["hex"]) if "hex" in case else case["body"].encode()
    if "beats" in case:
        read = [{name: value for name, value in _on_the_wire(beat).items() if value is not None} for beat in read_beats(body)]
        assert read == case["beats"]
        return
    with pytest.raises(BadBeat) as refused:
        read_beats(body)
    assert (refused.value.status_hint, refused.value.field) == (case["status"], case["field"])


@pytest.mark.parametrize("case", read_vectors("wire", "answers"), ids=lambda case: str(case["answer"]["state"]))
def test_an_answer_is_written_as_the_agreement_says(case: dict[str, Any]) -> None:
    """A living session's client is told these members and no others."""
    written = write_answer(msgspec.convert(case["standing"], Standing), case["nextBeatMs"])
    assert json.loads(written) == case["answer"]


def _ramp_cases() -> list[Any]:
    return [pytest.param(case, id="-".join(map(str, case.values()))) for case in read_vectors("ramp")]


@pytest.mark.parametrize("case", _ramp_cases())
def test_both_sides_agree_when_the_next_beat_is_wanted(case: dict[str, int]) -> None:
    """After so much visible time the next beat is wanted so much visible time later."""
    policy = Policy(beat_interval=case["intervalMs"])
    assert next_beat_in(policy, case["visibleMs"]) == case["nextBeatMs"]


@pytest.mark.parametrize("case", read_vectors("countdown"), ids=lambda case: f"{case['answer']['expiresInMs']}+{case['elapsedMs']}")
def test_client_and_server_agree_on_what_is_left_of_an_answer(case: dict[str, Any]) -> None:
    """What a client counts down by itself is what the server would say at that instant."""
    answer, expect = case["answer"], case["expect"]
    session = Session(
        id_hash="",
        handle="",
        subject="",
        created_at=START,
        last_active_at=START,
        last_seen_at=START,
        absolute_end_at=START + answer["absoluteInMs"],
        idle_timeout=answer["idleInMs"],
    )
    policy = Policy()
    force_setattr(policy, "warning_timeout", answer["expiresInMs"] - answer["warnInMs"])  # one answer warns at 0 s, as no policy may
    answer.pop("touchMs", None)  # adds nothing
    assert _counted(session, policy, START) == {**answer, "state": "expiring" if answer["warnInMs"] == 0 else "active"}
    assert _counted(session, policy, START + case["elapsedMs"]) == expect


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in read_vectors("activity")])
def test_what_an_honest_page_counts_is_believed_to_the_millisecond(case: dict[str, Any]) -> None:
    """The totals and the evidence that a page derives from its events are taken over unchanged."""
    told, asked_at = case["expect"], START + case["askMs"]
    policy = Policy()
    session = open_session("hash", "handle", "reader", {}, policy=policy, now=START)
    beat = Beat(view="v", visible_ms=told["visibleMs"], active_ms=told["activeMs"], idle_ms=told["idleMs"])
    force_setattr(session, "idle_timeout", policy.absolute_timeout)  # some pages are asked late
    claim = claim_of(beat, handle="handle", id_hash="hash", policy=policy)
    after, view, visit = apply_claim(session, None, None, claim, visit_gap=policy.visit_gap, touch_interval=0, now=asked_at)
    assert view is not None
    assert visit is not None
    assert (view.visible_ms, view.active_ms) == (visit.visible_ms, visit.active_ms) == (told["visibleMs"], told["activeMs"])
    assert after.last_active_at == (START if told["idleMs"] is None else asked_at - told["idleMs"])


def _on_the_wire(beat: Beat) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(beat)
    return members


def _counted(session: Session, policy: Policy, now: int) -> Mapping[str, object]:
    stands = standing(session, policy=policy, now=now)
    alive = "expiring" if stands.expiring else "active"
    return {
        "state": alive if ending(session, now=now) is None else "unknown",
        "expiresInMs": stands.expires_in_ms,
        "warnInMs": stands.warn_in_ms,
        "idleInMs": stands.idle_in_ms,
        "absoluteInMs": stands.absolute_in_ms,
    }
