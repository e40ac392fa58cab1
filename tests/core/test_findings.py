"""What does not go together, by example: each finding once, with its values, and once just not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stillhere.core.deadlines import NO_TOKENS, TokenSpans
from stillhere.core.findings import Finding, Level, findings_of, findings_of_session
from stillhere.core.policy import PRESETS, BeatsExtend, Policy, RequestsExtend, build_policy, days, hours, minutes, seconds
from stillhere.core.records import EndedBy
from stillhere.core.refreshing import Holding
from stillhere.core.rules import end_session, open_session
from stillhere.core.spans import roughly
from tests.support import START

OWN = TokenSpans(access_lifetime=minutes(5), replay_timeout=minutes(2), grace=seconds(10))
PROVIDER = TokenSpans(provider_lifetime=minutes(20), refresh_margin=minutes(6))


def only(found: tuple[Finding, ...], *, but: str = "no-preset") -> list[tuple[Level, str]]:
    """Name what was found, but for what is always found."""
    return [(finding.level, finding.code) for finding in found if finding.code != but]


def text_of(found: tuple[Finding, ...], code: str) -> str:
    """Read one finding."""
    (finding,) = [finding for finding in found if finding.code == code]
    return finding.text


def test_plain_rules_are_well() -> None:
    """The defaults have nothing against them, with our tokens and a provider of usual tokens either."""
    for tokens in (NO_TOKENS, OWN, PROVIDER):
        assert only(findings_of(Policy(), tokens)) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_well(preset: str) -> None:
    """Every preset's defaults have nothing against them, and the note names its ceilings and their source."""
    found = findings_of(build_policy(preset))
    assert only(found, but="preset") == []
    assert f"preset {preset} holds " in text_of(found, "preset")
    assert PRESETS[preset].source in text_of(found, "preset")


def test_without_a_preset_those_that_are_kept_are_named() -> None:
    """Whoever has to keep a standard sees whether these timeouts do."""
    assert text_of(findings_of(Policy()), "no-preset").endswith("they keep nist-aal1, nist-aal2")
    assert "they keep owasp, nist-aal1, nist-aal2, nist-aal3, pci, hipaa" in text_of(
        findings_of(Policy(idle_timeout=minutes(15), absolute_timeout=hours(8))), "no-preset"
    )
    assert text_of(findings_of(Policy(absolute_timeout=days(60))), "no-preset").endswith("they keep none of them")


RULES: list[tuple[dict[str, Any], dict[str, Any], Level, str, tuple[str, ...]]] = [
    ({"warning_timeout": seconds(19)}, {"warning_timeout": seconds(20)}, Level.WARNING, "warning-too-short", ("19 seconds", "20 seconds")),
    (
        {"warning_timeout": minutes(11)},
        {"warning_timeout": minutes(10)},
        Level.NOTE,
        "warning-half-of-idle",
        ("11 minutes", "20 minutes"),
    ),
    (
        {"idle_timeout": minutes(4), "beat_interval": minutes(2), "warning_timeout": seconds(121)},
        {"idle_timeout": minutes(4), "beat_interval": minutes(2), "warning_timeout": minutes(2)},
        Level.WARNING,
        "warned-while-active",
        ("2 minutes", "121 seconds", "4 minutes"),
    ),
    (
        {"touch_interval": minutes(2)},
        {"touch_interval": seconds(119)},
        Level.WARNING,
        "touch-over-warning",
        ("touch_interval (2 minutes)", "warning_timeout (2 minutes)"),
    ),
    ({"visit_gap": seconds(179)}, {"visit_gap": minutes(3)}, Level.WARNING, "visit-gap-below-beat", ("179 seconds", "3 minutes")),
    (
        {"idle_timeout": hours(24)},
        {"idle_timeout": hours(23)},
        Level.WARNING,
        "idle-equals-absolute",
        ("1 day",),
    ),
    (
        {"beats_extend": BeatsExtend.NEVER, "requests_extend": RequestsExtend.NONE},
        {"requests_extend": RequestsExtend.NONE},
        Level.WARNING,
        "only-a-choice-extends",
        ("never", "none", "20 minutes"),
    ),
    ({"beats_extend": BeatsExtend.NEVER}, {}, Level.NOTE, "input-does-not-extend", ("never", "20 minutes")),
    ({"beats_extend": BeatsExtend.ALWAYS}, {}, Level.NOTE, "open-page-extends", ("always", "20 minutes")),
    (
        {"beats_extend": BeatsExtend.ALWAYS, "preset": "nist-aal2"},
        {"preset": "nist-aal2"},
        Level.WARNING,
        "open-page-extends",
        ("nist-aal2",),
    ),
]


@pytest.mark.parametrize(("wrong", "right", "level", "code", "values"), RULES, ids=[f"{rule[3]}-{rule[2]}" for rule in RULES])
def test_rules_that_surprise(wrong: dict[str, Any], right: dict[str, Any], level: Level, code: str, values: tuple[str, ...]) -> None:
    """Each is found with its values in the sentence, and alone; a step back it is gone."""
    found = findings_of(Policy(**wrong))
    assert (level, code) in only(found)
    assert all(value in text_of(found, code) for value in values)
    assert code not in {finding.code for finding in findings_of(Policy(**right))}


TOKENS: list[tuple[TokenSpans, TokenSpans, Level, str, tuple[str, ...]]] = [
    (
        replace(OWN, access_lifetime=hours(25)),
        replace(OWN, access_lifetime=hours(24)),
        Level.ERROR,
        "access-over-absolute",
        ("25 hours", "absolute_timeout (1 day)"),
    ),
    (
        replace(OWN, access_lifetime=minutes(21)),
        replace(OWN, access_lifetime=minutes(20)),
        Level.WARNING,
        "access-over-idle",
        ("21 minutes", "idle_timeout (20 minutes)"),
    ),
    (
        replace(OWN, replay_timeout=None),
        OWN,
        Level.NOTE,
        "access-without-refresh",
        ("5 minutes", "1 day"),
    ),
    (
        replace(OWN, replay_timeout=minutes(6)),
        replace(OWN, replay_timeout=minutes(5)),
        Level.WARNING,
        "replay-over-access",
        ("replay_timeout (6 minutes)", "5 minutes"),
    ),
    (
        replace(OWN, grace=minutes(3)),
        replace(OWN, grace=minutes(2)),
        Level.NOTE,
        "grace-over-replay",
        ("grace (3 minutes)", "replay_timeout (2 minutes)"),
    ),
    (
        replace(PROVIDER, refresh_margin=minutes(20)),
        replace(PROVIDER, refresh_margin=minutes(19)),
        Level.ERROR,
        "margin-over-life",
        ("for a refresh (20 minutes)", "token (20 minutes)", "(10 minutes) is used"),
    ),
    (
        replace(PROVIDER, refresh_margin=minutes(11)),
        replace(PROVIDER, refresh_margin=minutes(10)),
        Level.NOTE,
        "margin-over-half",
        ("11 minutes", "20 minutes", "10 minutes"),
    ),
    (
        replace(PROVIDER, provider_lifetime=minutes(3), refresh_margin=minutes(1)),
        replace(PROVIDER, provider_lifetime=minutes(4), refresh_margin=minutes(1)),
        Level.ERROR,
        "beat-over-provider-life",
        ("beat_interval (3 minutes)", "token (3 minutes)", "interval 1 minute or shorter"),
    ),
    (
        replace(PROVIDER, refresh_margin=minutes(2)),
        replace(PROVIDER, refresh_margin=minutes(3)),
        Level.NOTE,
        "beat-over-margin",
        ("beat_interval (3 minutes)", "for a refresh (2 minutes)"),
    ),
    (
        replace(PROVIDER, asks_offline=False),
        PROVIDER,
        Level.WARNING,
        "no-offline-access",
        ("`offline_access`", "20 minutes", "1 day"),
    ),
    (
        replace(PROVIDER, provider_lifetime=hours(24) + minutes(6)),
        replace(PROVIDER, provider_lifetime=hours(24)),
        Level.NOTE,
        "never-refreshed",
        ("absolute_timeout (1 day)",),
    ),
    (
        replace(PROVIDER, provider_lifetime=minutes(21)),
        PROVIDER,
        Level.NOTE,
        "provider-over-idle",
        ("21 minutes", "idle_timeout (20 minutes)"),
    ),
]


@pytest.mark.parametrize(("wrong", "right", "level", "code", "values"), TOKENS, ids=[case[3] for case in TOKENS])
def test_tokens_that_do_not_go_with_the_rules(
    wrong: TokenSpans, right: TokenSpans, level: Level, code: str, values: tuple[str, ...]
) -> None:
    """Each is found with its values in the sentence, and alone; a step back it is gone."""
    found = findings_of(Policy(), wrong)
    assert only(found) == [(level, code)]
    assert all(value in text_of(found, code) for value in values)
    assert code not in {finding.code for finding in findings_of(Policy(), right)}


def test_an_access_token_for_the_whole_session_needs_no_next_one() -> None:
    """Without refresh tokens a lifetime of the whole session is what there has to be."""
    policy = Policy(idle_timeout=hours(2), absolute_timeout=hours(2))
    found = findings_of(policy, TokenSpans(access_lifetime=hours(2)))
    assert only(found) == [(Level.WARNING, "idle-equals-absolute")]


@given(
    tokens=st.builds(
        TokenSpans,
        access_lifetime=st.none() | st.integers(1, days(2)),
        replay_timeout=st.none() | st.integers(0, days(1)),
        grace=st.integers(0, days(1)),
        provider_lifetime=st.none() | st.integers(1, days(2)),
        refresh_margin=st.integers(0, days(2)),
        asks_offline=st.booleans(),
    )
)
def test_the_worst_comes_first(tokens: TokenSpans) -> None:
    """Whatever is set, errors stand before warnings before notes, and nothing is found twice."""
    found = findings_of(Policy(warning_timeout=seconds(10)), tokens)
    order = [list(Level).index(finding.level) for finding in found]
    assert order == sorted(order)
    assert len({finding.code for finding in found}) == len(found)


class TestSession:
    session = open_session("hash", "handle", "reader@fund.example", {}, policy=Policy(), now=START)
    holding = Holding(
        iss="https://id.example",
        sub="42",
        sealed="…",
        can_refresh=True,
        access_expires_at=START + minutes(5),
        refresh_at=START + minutes(3),
    )

    def test_a_session_as_it_should_be_has_no_findings(self) -> None:
        """Nothing is unusual of one that began under these rules, with or without a provider's tokens."""
        for holding in (None, self.holding):
            assert findings_of_session(Policy(), self.session, holding, now=START) == ()

    def test_one_that_began_under_other_rules_keeps_them(self) -> None:
        """A changed policy changes no session that is there."""
        found = findings_of_session(Policy(idle_timeout=minutes(15), absolute_timeout=hours(8)), self.session, now=START)
        assert only(found) == [(Level.NOTE, "began-under-other-rules")] * 2
        assert "began with idle_timeout 20 minutes and keeps it; sessions that begin now get 15 minutes" in found[0].text

    def test_one_above_the_ceilings_is_a_warning(self) -> None:
        """A preset that was set later does not end what began above its ceilings; the operator decides."""
        found = findings_of_session(build_policy("nist-aal3"), self.session, now=START)
        assert only(found) == [(Level.WARNING, "session-over-ceiling")] * 2
        assert "idle_timeout 20 minutes, above the ceiling of preset nist-aal3 (15 minutes)" in found[0].text

    def test_one_without_a_refresh_token_loses_its_provider(self) -> None:
        """Access ends with the access token, and the sentence says how soon; or that it has."""
        holding = replace(self.holding, can_refresh=False)
        found = findings_of_session(Policy(), self.session, holding, now=START)
        assert only(found) == [(Level.WARNING, "no-refresh-token")]
        assert "ends in 5 minutes, the session may go on for 1 day" in found[0].text
        assert "is over, the session may" in findings_of_session(Policy(), self.session, holding, now=START + minutes(5))[0].text
        whole = replace(holding, access_expires_at=self.session.absolute_end_at)
        assert findings_of_session(Policy(), self.session, whole, now=START) == ()

    def test_a_token_that_is_over_waits_for_input(self) -> None:
        """The session goes on; the note says what brings the next token."""
        found = findings_of_session(Policy(), self.session, self.holding, now=START + minutes(5))
        assert only(found) == [(Level.NOTE, "provider-token-over")]

    def test_a_session_that_ends_before_its_token_is_due(self) -> None:
        """Then no refresh happens unless activity comes first."""
        holding = replace(self.holding, refresh_at=START + minutes(20), access_expires_at=START + minutes(25))
        found = findings_of_session(Policy(), self.session, holding, now=START)
        assert only(found) == [(Level.NOTE, "ends-before-refresh")]
        assert "ends in 20 minutes" in found[0].text
        assert "good for 25 minutes" in found[0].text

    def test_a_provider_in_trouble_is_told(self) -> None:
        """How often, and when it is asked again."""
        holding = replace(self.holding, failures=3, retry_at=START + seconds(8))
        found = findings_of_session(Policy(), self.session, holding, now=START)
        assert only(found) == [(Level.WARNING, "provider-in-trouble")]
        assert "3 times in a row; it is asked again in 8 seconds" in found[0].text

    def test_one_that_is_over_has_no_tokens_to_speak_of(self) -> None:
        """What it held is taken back."""
        over = end_session(self.session, EndedBy.SIGNED_OUT, now=START)
        assert findings_of_session(Policy(), over, replace(self.holding, failures=3), now=START + minutes(9)) == ()


@pytest.mark.parametrize(
    ("span", "words"),
    [(0, "0 milliseconds"), (999, "999 milliseconds"), (seconds(61), "1 minute"), (days(1) - 1, "23 hours"), (days(2) + 1, "2 days")],
)
def test_roughly_leaves_out_what_is_over(span: int, words: str) -> None:
    """A span that is left is written in its largest unit."""
    assert roughly(span) == words
