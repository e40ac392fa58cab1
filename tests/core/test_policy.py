"""Policies: what is refused, what is said then, and what the presets allow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.policy import (
    LONGEST_SPAN,
    PRESETS,
    SPANS,
    BeatsExtend,
    Policy,
    RequestsExtend,
    SessionLimitBy,
    build_policy,
    days,
    find_preset,
    hours,
    minutes,
    seconds,
)
from stillhere.errors import PolicyError


def test_spans_are_whole_milliseconds() -> None:
    """Seconds, minutes, hours and days, fractions included, become integers."""
    assert (seconds(1.5), minutes(0.5), hours(1), days(2)) == (1_500, 30_000, 3_600_000, 172_800_000)
    assert isinstance(seconds(0.0004), int)


def test_the_defaults_are_those_that_are_documented() -> None:
    """20 min idle, 24 h in all, 2 min of warning, a beat each 3 min after the ramp; any number of sessions, fresh for 15 min."""
    policy = Policy()
    assert [getattr(policy, name) for name in SPANS] == [1_200_000, 86_400_000, 120_000, 180_000, 120_000, 1_800_000, 900_000]
    assert policy.ramp == (5_000, 15_000, 30_000, 60_000)
    assert (policy.beats_extend, policy.requests_extend, policy.preset) == (BeatsExtend.ACTIVITY, RequestsExtend.ALL, None)
    assert (policy.session_limit, policy.session_limit_by) == (None, SessionLimitBy.EVICT_OLDEST)


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("value", [0, -1, LONGEST_SPAN + 1, 1.5, True, "5", None], ids=repr)
def test_a_span_that_is_no_whole_number_of_milliseconds_is_refused(name: str, value: Any) -> None:
    """The message names the field and what was given."""
    with pytest.raises(PolicyError, match=name) as refused:
        Policy(**{name: value})
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize(
    "ramp",
    [(0, 5), (-5,), (5, 5), (10, 5), (1.5,), (True,), ("5",), (5, "6")],
    ids=repr,
)
def test_a_ramp_that_does_not_rise_is_refused(ramp: Any) -> None:
    """The message shows the ramp that was given."""
    with pytest.raises(PolicyError, match="ramp must rise") as refused:
        Policy(ramp=ramp)
    assert repr(ramp) in str(refused.value)


def test_a_policy_without_a_ramp_is_fine() -> None:
    """Beats then come at the interval from the first."""
    assert Policy(ramp=()).ramp == ()


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("beats_extend", "never, activity, always"),
        ("requests_extend", "all, navigation, none"),
        ("session_limit_by", "evict_oldest, evict_least_recent, refuse"),
    ],
)
@pytest.mark.parametrize("value", ["sometimes", "", None, 1, []], ids=repr)
def test_an_unknown_choice_is_refused(name: str, choices: str, value: Any) -> None:
    """The message lists the choices there are and the one that was made."""
    with pytest.raises(PolicyError, match=f"{name} must be one of {choices}, not ") as refused:
        Policy(**{name: value})
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize("value", [0, -1, 1_001, 1.0, True, "5"], ids=repr)
def test_a_limit_that_is_none_is_refused(value: Any) -> None:
    """A limit is a whole number from 1 to 1,000; the message shows what was given."""
    with pytest.raises(PolicyError, match="session_limit must be a whole number from 1 to 1000, or None, not") as refused:
        Policy(session_limit=value)
    assert repr(value) in str(refused.value)
    assert build_policy(session_limit=5, session_limit_by="refuse").session_limit_by is SessionLimitBy.REFUSE


def test_a_choice_may_be_written_as_plain_text() -> None:
    """A policy from a file of settings means what it says: the text becomes the member it names."""
    policy = Policy(beats_extend="always", requests_extend="none")  # type: ignore[arg-type]  # as it comes from a file
    assert policy.beats_extend is BeatsExtend.ALWAYS
    assert policy.requests_extend is RequestsExtend.NONE


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"idle_timeout": 10_000_000, "absolute_timeout": 9_999_999}, ("idle_timeout", "10000000", "absolute_timeout", "9999999")),
        ({"activity_window": 1_200_001}, ("activity_window", "1200001", "idle_timeout", "1200000")),
        ({"warning_timeout": 1_200_000}, ("warning_timeout", "1200000", "idle_timeout", "1200000")),
        ({"beat_interval": 600_001}, ("beat_interval", "600001", "idle_timeout", "1200000")),
    ],
    ids=["idle over absolute", "window over idle", "warning not shorter than idle", "interval over half of idle"],
)
def test_two_spans_that_contradict_each_other_are_refused(changes: dict[str, int], named: tuple[str, ...]) -> None:
    """The message names both fields and both values."""
    with pytest.raises(PolicyError) as refused:
        Policy(**changes)  # type: ignore[arg-type]  # only spans are passed
    assert all(part in str(refused.value) for part in named)


@pytest.mark.parametrize(
    "changes",
    [
        {"idle_timeout": 1_200_000, "absolute_timeout": 1_200_000},
        {"activity_window": 1_200_000},
        {"warning_timeout": 1_199_999},
        {"beat_interval": 600_000},
        {"visit_gap": LONGEST_SPAN},
        {"visit_gap": 1},
    ],
    ids=str,
)
def test_what_just_works_is_allowed(changes: dict[str, int]) -> None:
    """Each border is on the side that can work."""
    policy = build_policy(None, **changes)
    assert {name: getattr(policy, name) for name in changes} == changes


def test_a_policy_is_judged_again_when_it_is_changed() -> None:
    """There is no way round the refusals by changing a good policy."""
    with pytest.raises(PolicyError, match="idle_timeout"):
        replace(Policy(), idle_timeout=days(2))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_defaults_of_a_preset_keep_its_ceilings(preset: str) -> None:
    """Naming a standard is enough; the policy says which it keeps."""
    policy = build_policy(preset)
    chosen = find_preset(preset)
    assert policy.preset == preset
    assert {name: getattr(policy, name) for name in chosen.defaults} == chosen.defaults


@pytest.mark.parametrize(
    ("preset", "idle", "absolute"),
    [
        ("owasp", minutes(30), hours(12)),
        ("nist-aal1", None, days(30)),
        ("nist-aal2", hours(1), hours(24)),
        ("nist-aal3", minutes(15), hours(12)),
        ("pci", minutes(15), None),
        ("hipaa", minutes(15), None),
    ],
)
def test_the_ceilings_are_those_of_the_standards(preset: str, idle: int | None, absolute: int | None) -> None:
    """The figures of OWASP, NIST SP 800-63B-4 and PCI DSS, each with its source."""
    chosen = find_preset(preset)
    assert (chosen.idle_timeout, chosen.absolute_timeout) == (idle, absolute)
    assert len(chosen.source) > 20


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["idle_timeout", "absolute_timeout"])
def test_a_ceiling_may_be_reached_and_not_passed(preset: str, name: str) -> None:
    """One millisecond more is refused, with both values, the preset and its source; without a ceiling nothing is."""
    chosen = find_preset(preset)
    ceiling = getattr(chosen, name)
    if ceiling is None:
        most = {"idle_timeout": chosen.idle_timeout or LONGEST_SPAN, "absolute_timeout": chosen.absolute_timeout or LONGEST_SPAN}
        most["idle_timeout"] = min(most.values())
        assert getattr(build_policy(preset, **most), name) == most[name]
        return
    at_ceiling = {"absolute_timeout": chosen.absolute_timeout or days(30), name: ceiling}
    assert getattr(build_policy(preset, **at_ceiling), name) == ceiling
    with pytest.raises(PolicyError) as refused:
        build_policy(preset, **{**at_ceiling, name: ceiling + 1})
    assert all(part in str(refused.value) for part in (name, f"{ceiling + 1} ms", f"{ceiling} ms", preset, chosen.source))


def test_a_preset_holds_also_for_a_policy_that_was_not_built_from_it() -> None:
    """Whoever names a standard keeps it, however the record was made."""
    with pytest.raises(PolicyError, match="preset pci"):
        Policy(preset="pci")


@pytest.mark.parametrize("make", [build_policy, find_preset, lambda name: Policy(preset=name)])
def test_an_unknown_preset_is_refused_with_a_list_of_those_there_are(make: Any) -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(PolicyError, match="no preset 'iso'; there are owasp, nist-aal1, nist-aal2, nist-aal3, pci, hipaa"):
        make("iso")


@pytest.mark.parametrize("changes", [{"idle_timeout": "20"}, {"beats_extend": "sometimes"}, {"ramp": [1.5]}, {"warning_timeout": None}])
def test_a_change_of_the_wrong_type_is_refused_by_name(changes: dict[str, Any]) -> None:
    """Whoever builds a policy from text hears which field was wrong, as a `PolicyError`."""
    with pytest.raises(PolicyError, match=next(iter(changes))):
        build_policy(**changes)


@given(idle=st.integers(1, days(2)), absolute=st.integers(1, days(2)), warning=st.integers(1, days(1)), interval=st.integers(1, days(1)))
def test_a_policy_that_was_built_can_work(idle: int, absolute: int, warning: int, interval: int) -> None:
    """Every policy either is refused or leaves room for a warning, two beats and the idle timeout."""
    try:
        policy = Policy(idle_timeout=idle, absolute_timeout=absolute, warning_timeout=warning, beat_interval=interval, activity_window=1)
    except PolicyError:
        assert idle > absolute or warning >= idle or interval * 2 > idle
    else:
        assert policy.warning_timeout < policy.idle_timeout <= policy.absolute_timeout
        assert policy.beat_interval * 2 <= policy.idle_timeout


@pytest.mark.parametrize("touch_interval", [-1, 1.5, True, "30s", LONGEST_SPAN + 1])
def test_a_touch_interval_is_a_span_or_nothing(touch_interval: object) -> None:
    """Anything but whole milliseconds from 0 up is refused."""
    with pytest.raises(PolicyError, match="touch_interval"):
        Policy(touch_interval=touch_interval)  # type: ignore[arg-type]  # wrong on purpose


def test_a_touch_interval_never_warns_an_active_person() -> None:
    """What is not written for so long must still leave room for a beat and the warning; the sentence names all four spans."""
    assert Policy(idle_timeout=minutes(20), touch_interval=minutes(15)).touch_interval == minutes(15)
    with pytest.raises(PolicyError, match=r"touch_interval \(900001 ms\), beat_interval .* must fit into idle_timeout"):
        Policy(idle_timeout=minutes(20), touch_interval=minutes(15) + 1)
