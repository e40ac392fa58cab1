"""`X-Heartbeat` can only withhold: with it no deadline ever moves, and never is one later than without it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhere.core.policy import BeatsExtend, Policy, seconds
from stillhere.http.messages import Request
from tests.http.doubles import OURS, Web

KINDS: Final = ("beat", "check", "extend", "leave")
SPANS: Final = st.integers(0, 90_000)

beats = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(KINDS),
        "view": st.sampled_from(("v1", "v2")),
        "visibleMs": SPANS,
        "idleMs": SPANS,
        "ageMs": SPANS,
        "lifecycle": st.sampled_from(("active", "hidden")),
    },
)


class Step(msgspec.Struct, frozen=True):
    """One request: how long after the last, to which route, with what body, and whether it would carry the header."""

    wait_ms: int
    method: str
    path: str
    body: dict[str, Any] | None
    is_marked: bool


steps = st.builds(
    Step,
    wait_ms=st.integers(0, 40_000),
    method=st.sampled_from(("POST", "POST", "POST", "GET")),
    path=st.sampled_from(("/session/beat", "/session/beat", "/session/beat", "/session", "/session/end")),
    body=st.none() | beats | st.lists(beats, min_size=1, max_size=3).map(lambda queue: {"beats": queue}),
    is_marked=st.booleans(),
)

policies = st.sampled_from(list(BeatsExtend)).map(
    lambda extend: Policy(
        idle_timeout=seconds(60),
        absolute_timeout=seconds(200),
        warning_timeout=seconds(10),
        beat_interval=seconds(20),
        activity_window=seconds(20),
        beats_extend=extend,
    )
)


@given(timeline=st.lists(steps, min_size=1, max_size=20), policy=policies)
async def test_the_header_only_withholds(timeline: list[Step], policy: Policy) -> None:
    """Whatever is sent in whatever order: a marked request moves no deadline, and marking requests never makes a session last longer."""
    marked, plain = Web(policy=policy), Web(policy=policy)
    secrets = [(await web.sign_in()).secret for web in (marked, plain)]
    for step in timeline:
        before = marked.over_at()
        for web, secret in zip((marked, plain), secrets, strict=True):
            web.clock.advance(step.wait_ms)
            headers = {**OURS, **({"x-heartbeat": "true"} if step.is_marked and web is marked else {})}
            body = b"" if step.body is None else step.body
            await web.ask(step.method, step.path, secret=secret, headers=headers, body=body)
        assert marked.over_at() <= plain.over_at()
        if step.is_marked:
            assert marked.over_at() <= before


@pytest.mark.parametrize("value", ["true", "TRUE", " True ", "true, true", "false, true"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_marked_beat_is_a_check(value: str, kind: str) -> None:
    """Of any kind, with fresh input and under `beats_extend=always`, a marked message is presence only: it opens no view either."""
    web = Web(policy=Policy(beats_extend=BeatsExtend.ALWAYS))
    started = await web.sign_in()
    before = web.over_at()
    web.clock.advance(60_000)
    body = {"kind": kind, "view": "v", "visibleMs": 5_000, "idleMs": 0, "lifecycle": "active"}
    answer = await web.ask("POST", "/session/beat", secret=started.secret, headers={**OURS, "x-heartbeat": value}, body=body)
    assert answer.status == 200
    assert web.over_at() == before
    assert web.session().last_seen_at == web.clock()
    assert web.store.views == {}


@pytest.mark.parametrize("value", ["false", "", "1", "yes", "truest"])
async def test_any_other_value_grants_nothing(value: str) -> None:
    """Only `true` withholds; any other value is as if the header was not there, and gives nothing that its absence would not."""
    assert not Request(method="POST", path="/", headers={"x-heartbeat": value}).is_withheld
    webs = [Web(), Web()]
    for web, more in zip(webs, ({}, {"x-heartbeat": value}), strict=True):
        started = await web.sign_in()
        web.clock.advance(60_000)
        await web.ask("POST", "/session/beat", secret=started.secret, headers={**OURS, **more}, body={"idleMs": 30_000})
    assert webs[0].over_at() == webs[1].over_at()
