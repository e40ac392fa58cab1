"""Where the shared vectors are, and how a timeline of `timelines.json` is played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from stillhere.core.policy import Policy, build_policy
from stillhere.core.records import EndedBy, View, Visit
from stillhere.core.wire import Beat, write_answer
from stillhere.manager import SessionManager, Verdict
from stillhere.stores.memory import MemoryStore
from tests.support import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"

SPANS_OF_POLICY = {
    "idleTimeoutMs": "idle_timeout",
    "absoluteTimeoutMs": "absolute_timeout",
    "warningTimeoutMs": "warning_timeout",
    "beatIntervalMs": "beat_interval",
    "activityWindowMs": "activity_window",
    "visitGapMs": "visit_gap",
    "touchIntervalMs": "touch_interval",
    "beatsExtend": "beats_extend",
}


def read_vectors(name: str, part: str = "cases") -> list[dict[str, Any]]:
    """Read the cases of one file of vectors."""
    cases: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))[part]
    return cases


async def play(case: Mapping[str, Any]) -> None:
    """Play a timeline against a manager on the memory store, and compare what it says after each step."""
    clock, store = FakeClock(), MemoryStore()
    policy = build_policy(**{SPANS_OF_POLICY[name]: value for name, value in case.get("policy", {}).items()})
    async with SessionManager(store, policy=policy, clock=clock) as manager:
        started = await manager.start("reader@fund.example")
        handle = started.session.handle
        for step in case["steps"]:
            clock.now = START + step["atMs"]
            told = tell(await take(manager, started.secret, step), policy)
            assert {name: told.get(name) for name in step["expect"]} == step["expect"], f"at {step['atMs']}"
            compare_visits(step, store.visits.get(handle, []))
        compare_visits(case, store.visits.get(handle, []))
        compare_views(case, list(store.views.get(handle, {}).values()))


async def take(manager: SessionManager, secret: str, step: Mapping[str, Any]) -> Verdict:
    """Let one step of a timeline happen."""
    withheld = step.get("withheld", False)
    if "beats" in step:
        return await manager.beat(secret, msgspec.convert(step["beats"], list[Beat]), withheld=withheld)
    if "touch" in step:
        return await manager.authenticate(secret, extends=not withheld)
    if "end" in step:
        by = EndedBy(step.get("by", "signed_out"))
        return await manager.end(secret, by, beats=msgspec.convert(step["end"], list[Beat]))
    return await manager.look(secret)


def tell(verdict: Verdict, policy: Policy) -> dict[str, Any]:
    """Put a verdict as the vectors put it."""
    if verdict.standing is not None:
        answer: dict[str, Any] = json.loads(write_answer(verdict.standing, verdict.next_beat_ms, policy.touch_interval))
        return answer
    return {} if verdict.ending is None else {"reason": verdict.ending.by.value, "endedAtMs": verdict.ending.at - START}


def compare_visits(expected: Mapping[str, Any], visits: Sequence[Visit]) -> None:
    """Compare the visits that are remembered, where the vector names them."""
    if "visits" in expected:
        assert [
            {
                "startedAtMs": visit.started_at - START,
                "lastSeenAtMs": visit.last_seen_at - START,
                "visibleMs": visit.visible_ms,
                "activeMs": visit.active_ms,
                "leftAtMs": None if visit.left_at is None else visit.left_at - START,
            }
            for visit in visits
        ] == expected["visits"]


def compare_views(expected: Mapping[str, Any], views: Sequence[View]) -> None:
    """Compare the members of the views that the vector names."""
    if "views" in expected:
        in_order = sorted(views, key=lambda view: (view.opened_at, view.view))
        assert [view.view for view in in_order] == [view["view"] for view in expected["views"]]
        for view, members in zip(in_order, expected["views"], strict=True):
            known = msgspec.to_builtins(view)
            told = {
                "view": view.view,
                "visit": view.visit,
                "tab": view.tab,
                "page": view.page,
                "title": view.title,
                "openedAtMs": view.opened_at - START,
                "lastSeenAtMs": view.last_seen_at - START,
                "visibleMs": view.visible_ms,
                "activeMs": view.active_ms,
                "scrollPct": view.scroll_pct,
                "lifecycle": known["lifecycle"],
                "seq": view.seq,
                "heat": view.heat,
                "bands": view.bands,
            }
            assert {name: told[name] for name in members} == members
