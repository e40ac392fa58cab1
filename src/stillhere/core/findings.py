"""What cannot work, or is probably not what was meant, in a set of timeouts. Pure.

A policy refuses by itself what contradicts itself, and so does a provider's configuration. What is here goes across: timeouts that are
each fine, and together are not. Every finding names the values it compares, and says what to change.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from stillhere.core.deadlines import NO_TOKENS
from stillhere.core.policy import PRESETS, BeatsExtend, RequestsExtend, find_preset, seconds
from stillhere.core.rules import deadline, ending
from stillhere.core.spans import in_words, roughly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillhere.core.deadlines import TokenSpans
    from stillhere.core.policy import Policy
    from stillhere.core.records import Session
    from stillhere.core.refreshing import Holding

SHORTEST_WARNING: Final = seconds(20)
"""WCAG 2.2 success criterion 2.2.1: people have at least 20 seconds to stay, by a simple action."""


class Level(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """It cannot work as it is set."""
    WARNING = "warning"
    """It works, and somebody will be surprised."""
    NOTE = "note"
    """Good to know."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found.

    Attributes:
        level: how bad it is.
        code: its name, for machines; it stays.
        text: what is the matter, with the values, and what to change.
    """

    level: Level
    code: str
    text: str


def _error(code: str, text: str) -> Finding:
    return Finding(level=Level.ERROR, code=code, text=text)


def _warning(code: str, text: str) -> Finding:
    return Finding(level=Level.WARNING, code=code, text=text)


def _note(code: str, text: str) -> Finding:
    return Finding(level=Level.NOTE, code=code, text=text)


def by_level(findings: Iterator[Finding] | list[Finding]) -> tuple[Finding, ...]:
    """Sort findings, the worst first, otherwise as they came."""
    order = list(Level)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.level)))


def findings_of(policy: Policy, tokens: TokenSpans = NO_TOKENS) -> tuple[Finding, ...]:
    """Find what does not go together in the settings, the worst first.

    Args:
        policy: the rules.
        tokens: what tokens there are.
    """
    return by_level(
        [*_of_warning(policy), *_of_extending(policy), *_of_standards(policy), *_of_ours(policy, tokens), *_of_the_provider(policy, tokens)]
    )


def _of_warning(policy: Policy) -> Iterator[Finding]:
    warning, idle, beat, touch = policy.warning_timeout, policy.idle_timeout, policy.beat_interval, policy.touch_interval
    if warning < SHORTEST_WARNING:
        yield _warning(
            "warning-too-short",
            f"warning_timeout ({in_words(warning)}) is below {in_words(SHORTEST_WARNING)}, which is too little for many people to answer "
            "(WCAG 2.2.1); make it longer",
        )
    if warning * 2 > idle:
        yield _note(
            "warning-half-of-idle",
            f"warning_timeout ({in_words(warning)}) is over half of idle_timeout ({in_words(idle)}): whoever reads is warned most of the "
            "time; shorten the warning or lengthen the idle timeout",
        )
    if beat + warning > idle:
        yield _warning(
            "warned-while-active",
            f"beat_interval ({in_words(beat)}) and warning_timeout ({in_words(warning)}) do not fit into idle_timeout ({in_words(idle)}): "
            "between "
            "two beats the server takes an active person for one to be warned; shorten one of the two",
        )
    if touch and touch >= warning:
        yield _warning(
            "touch-over-warning",
            f"touch_interval ({in_words(touch)}) is not shorter than warning_timeout ({in_words(warning)}): a session may end by more "
            "than a "
            "whole warning before its last activity would have it; make the touch interval shorter",
        )
    if policy.visit_gap < beat:
        yield _warning(
            "visit-gap-below-beat",
            f"visit_gap ({in_words(policy.visit_gap)}) is shorter than beat_interval ({in_words(beat)}): one stay falls into several "
            "visits; make the gap several intervals long",
        )


def _of_extending(policy: Policy) -> Iterator[Finding]:
    idle = in_words(policy.idle_timeout)
    if policy.idle_timeout == policy.absolute_timeout:
        yield _warning(
            "idle-equals-absolute",
            f"idle_timeout and absolute_timeout are both {idle}: every session ends at that age, and no activity can move it; make the "
            "idle timeout shorter",
        )
    if policy.beats_extend is BeatsExtend.NEVER:
        if policy.requests_extend is RequestsExtend.NONE:
            yield _warning(
                "only-a-choice-extends",
                f"beats_extend is never and requests_extend is none: everybody is warned and has to click within {idle}, however busy; "
                "let one "
                "of the two extend",
            )
        else:
            yield _note(
                "input-does-not-extend",
                f"beats_extend is never: whoever types for {idle} without loading anything is signed out; `activity` counts input",
            )
    if policy.beats_extend is BeatsExtend.ALWAYS:
        level = Level.NOTE if policy.preset is None else Level.WARNING
        under = "" if policy.preset is None else f", while preset {policy.preset} limits inactivity"
        text = (
            f"beats_extend is always: an open, visible page keeps its session though nobody is there, and idle_timeout ({idle}) counts "
            f"from its last beat{under}; `activity` counts input"
        )
        yield Finding(level=level, code="open-page-extends", text=text)


def _of_standards(policy: Policy) -> Iterator[Finding]:
    if policy.preset is None:
        kept = [name for name in PRESETS if _keeps(policy, name)]
        told = f"as they are they keep {', '.join(kept)}" if kept else "as they are they keep none of them"
        yield _note("no-preset", f"no preset holds idle_timeout and absolute_timeout below a standard's ceilings; {told}")
        return
    ceilings = _ceilings(policy.preset)
    yield _note("preset", f"preset {policy.preset} holds {ceilings}: {find_preset(policy.preset).source}")


def _keeps(policy: Policy, name: str) -> bool:
    preset = PRESETS[name]
    pairs = ((policy.idle_timeout, preset.idle_timeout), (policy.absolute_timeout, preset.absolute_timeout))
    return all(ceiling is None or value <= ceiling for value, ceiling in pairs)


def _ceilings(name: str) -> str:
    preset = find_preset(name)
    pairs = (("idle_timeout", preset.idle_timeout), ("absolute_timeout", preset.absolute_timeout))
    return " and ".join(f"{setting} at {in_words(ceiling)} or less" for setting, ceiling in pairs if ceiling is not None)


def _of_ours(policy: Policy, tokens: TokenSpans) -> Iterator[Finding]:
    life, replay = tokens.access_lifetime, tokens.replay_timeout
    if life is None:
        return
    idle, absolute = policy.idle_timeout, policy.absolute_timeout
    if life > absolute:
        yield _error(
            "access-over-absolute",
            f"an access token's lifetime ({in_words(life)}) is longer than absolute_timeout ({in_words(absolute)}): no token gets that "
            "old, for "
            "none outlives its session's absolute end; make it shorter",
        )
    elif life > idle:
        yield _warning(
            "access-over-idle",
            f"an access token's lifetime ({in_words(life)}) is longer than idle_timeout ({in_words(idle)}): a client that waits for its "
            "end "
            "before it refreshes comes too late, and others who verify it by its signature see an end that much later; make it shorter",
        )
    if replay is None:
        if life < absolute:
            yield _note(
                "access-without-refresh",
                f"an access token ends after {in_words(life)} and there are no refresh tokens: the session can go on for "
                f"{in_words(absolute)}, and "
                "its client has to get the next token from a route of yours; or set refresh",
            )
        return
    if replay > life:
        yield _warning(
            "replay-over-access",
            f"replay_timeout ({in_words(replay)}) is longer than an access token's lifetime ({in_words(life)}): a refresh token that was "
            "stolen "
            "after its use serves for longer than what it was spent for; make it shorter",
        )
    if tokens.grace > replay:
        yield _note(
            "grace-over-replay",
            f"grace ({in_words(tokens.grace)}) is longer than replay_timeout ({in_words(replay)}) and never applies",
        )


def _of_the_provider(policy: Policy, tokens: TokenSpans) -> Iterator[Finding]:
    life = tokens.provider_lifetime
    if life is None:
        return
    told = f"the life of a provider's access token ({in_words(life)})"
    yield from _of_refreshing(policy, tokens, life, told)
    if not tokens.asks_offline:
        yield _warning(
            "no-offline-access",
            f"scopes have no `offline_access`: most providers then give no refresh token, and access ends with {told}, though the session "
            "may "
            f"last {in_words(policy.absolute_timeout)}; add it",
        )
    if life - tokens.used_margin >= policy.absolute_timeout:
        yield _note(
            "never-refreshed",
            f"{told} is so long that a session reaches absolute_timeout ({in_words(policy.absolute_timeout)}) before it is time: none is "
            "ever "
            "refreshed, and an end at the provider is not noticed",
        )
    elif life > policy.idle_timeout:
        yield _note(
            "provider-over-idle",
            f"{told} is longer than idle_timeout ({in_words(policy.idle_timeout)}): after an end the token would go on; it is taken back "
            "at "
            "the provider, if that can",
        )


def _of_refreshing(policy: Policy, tokens: TokenSpans, life: int, told: str) -> Iterator[Finding]:
    margin, used, beat = tokens.refresh_margin, tokens.used_margin, policy.beat_interval
    if margin >= life:
        yield _error(
            "margin-over-life",
            f"the margin for a refresh ({in_words(margin)}) is not shorter than {told}: every token would be old when it comes, so half "
            "of its life "
            f"({in_words(used)}) is used instead; lower refresh_margin or least_margin",
        )
    elif margin > used:
        yield _note(
            "margin-over-half",
            f"the margin for a refresh ({in_words(margin)}) is over half of {told}; half of it ({in_words(used)}) is used instead",
        )
    if beat >= life:
        yield _error(
            "beat-over-provider-life",
            f"beat_interval ({in_words(beat)}) is not shorter than {told}: a token is over before the next beat can refresh it; make the "
            f"interval {in_words(used)} or shorter",
        )
    elif beat > used:
        yield _note(
            "beat-over-margin",
            f"beat_interval ({in_words(beat)}) is longer than the margin for a refresh ({in_words(used)}): our client is asked for a beat "
            "in time; "
            "a script with an interval of its own can miss it, and the token is over until its next beat with input",
        )


def findings_of_session(policy: Policy, session: Session, holding: Holding | None = None, *, now: int) -> tuple[Finding, ...]:
    """Find what is unusual in one session, the worst first.

    Args:
        policy: the rules as they are now.
        session: its record.
        holding: what it holds of a provider, or None.
        now: milliseconds since 1970.
    """
    found = list(_of_its_beginning(policy, session))
    if holding is not None and ending(session, now=now) is None:
        found += _of_its_tokens(session, holding, now)
    return by_level(found)


def _of_its_beginning(policy: Policy, session: Session) -> Iterator[Finding]:
    preset = None if policy.preset is None else find_preset(policy.preset)
    for name, value, ceiling in (
        ("idle_timeout", session.idle_timeout, None if preset is None else preset.idle_timeout),
        ("absolute_timeout", session.absolute_end_at - session.created_at, None if preset is None else preset.absolute_timeout),
    ):
        wanted = getattr(policy, name)
        if ceiling is not None and value > ceiling:
            yield _warning(
                "session-over-ceiling",
                f"this session began with {name} {in_words(value)}, above the ceiling of preset {policy.preset} ({in_words(ceiling)}), "
                "and keeps it; "
                "end it if that must not be",
            )
        elif value != wanted:
            yield _note(
                "began-under-other-rules",
                f"this session began with {name} {in_words(value)} and keeps it; sessions that begin now get {in_words(wanted)}",
            )


def _of_its_tokens(session: Session, holding: Holding, now: int) -> Iterator[Finding]:
    left_ms = holding.access_expires_at - now
    if holding.failures:
        yield _warning(
            "provider-in-trouble",
            f"the provider was in trouble {holding.failures} times in a row; it is asked again in "
            f"{roughly(max(0, holding.retry_at - now))}",
        )
    if not holding.can_refresh:
        if holding.access_expires_at < session.absolute_end_at:
            ends = f"ends in {roughly(left_ms)}" if left_ms > 0 else "is over"
            yield _warning(
                "no-refresh-token",
                f"the provider gave no refresh token: access to it {ends}, the session may go on for "
                f"{roughly(session.absolute_end_at - now)}; ask for `offline_access`",
            )
    elif left_ms <= 0:
        yield _note("provider-token-over", "the provider's access token is over; the next beat that brings input refreshes it")
    elif holding.refresh_at >= deadline(session):
        yield _note(
            "ends-before-refresh",
            f"the session ends in {roughly(deadline(session) - now)} unless activity comes first, before the provider's access token "
            f"(good for {roughly(left_ms)}) "
            "is to be refreshed",
        )
